"""The environment in which an agent's program reaches the stand-in model and nothing else.

In come the server's address and a directory; out come the variables to set and the names to take away. :func:`standin`
puts server, private home and environment together. It never changes the environment of this process; see the pytest
plugin for that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .model_server import ModelServer

if TYPE_CHECKING:
    from .model_replies import Rule

FAKE_API_KEY = "sk-ant-standin-not-a-real-key"

# What a shell, a CI job or an agent around us may have set, and what would lead past the stand-in or into its session.
_REMOVED_PREFIXES = ("ANTHROPIC_", "CLAUDE_", "CLAUDECODE", "AWS_BEARER_TOKEN_BEDROCK", "MCP_CODER_STORE")
# Limits that people set on purpose, also around a stand-in.
_KEPT_PREFIXES = ("CLAUDE_CODE_MAX_", "CLAUDE_CODE_DISABLE_")

_REMOVAL_SECONDS = 3.0


def private_environment(home: Path) -> dict[str, str]:
    """Return the variables that give an agent, and mcp_coder, ``home`` as the private place for all they write."""
    return {
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_TMPDIR": str(home / "tmp"),
        "MCP_CODER_HOME": str(home / ".mcp_coder"),
    }


def standin_environment(server_url: str, home: Path) -> dict[str, str]:
    """Return the variables that lead an agent to the server at ``server_url``, with ``home`` as its private home.

    The key is visibly made up. ``NO_PROXY`` keeps a proxy of the surroundings away from loopback.
    """
    return {
        **private_environment(home),
        "ANTHROPIC_BASE_URL": server_url,
        "ANTHROPIC_API_KEY": FAKE_API_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def names_to_remove(names: Iterable[str], kept: Iterable[str] = ()) -> tuple[str, ...]:
    """Return which of the variables ``names`` must not be seen by an agent on the stand-in, sorted.

    Accounts, other endpoints and models, and the marks that an agent around us left; never those in ``kept``.
    """
    keep = set(kept)
    return tuple(sorted(name for name in names if name not in keep and _is_removed(name)))


def _is_removed(name: str) -> bool:
    return name.startswith(_REMOVED_PREFIXES) and not name.startswith(_KEPT_PREFIXES)


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A running model server with a private home: all that a program needs to run offline.

    ``env`` is what to set, ``unset`` what to take away; :meth:`environ` does both to a copy of an environment.
    """

    server: ModelServer
    home: Path
    env: Mapping[str, str] = field(repr=False)
    unset: tuple[str, ...] = ()

    @property
    def config_dir(self) -> Path:
        """The agent's private config directory."""
        return Path(self.env["CLAUDE_CONFIG_DIR"])

    def environ(self, base: Mapping[str, str] | None = None, **more: str) -> dict[str, str]:
        """Return a whole environment: ``base`` (this process's own) made to lead here, and ``more``."""
        base = os.environ if base is None else base
        dropped = set(names_to_remove(base))
        kept = {name: value for name, value in base.items() if name not in dropped}
        return {**kept, **self.env, **more}


@contextmanager
def standin(*, rules: Iterable[Rule] = (), home: Path | None = None, port: int = 0) -> Iterator[StandIn]:
    """Serve the stand-in model and give a private home; both are gone afterwards, except a ``home`` that you gave.

    Example::

        with standin() as model:
            subprocess.run(["claude", "-p", "My favorite color is blue"], env=model.environ(), check=True)
            assert model.server.prompts() == ["My favorite color is blue"]
    """
    with _private_home(home) as place, ModelServer(rules=rules, port=port) as server:
        (place / ".claude").mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / "tmp").mkdir(mode=0o700, exist_ok=True)
        env = standin_environment(server.url, place)
        yield StandIn(server=server, home=place, env=env, unset=names_to_remove(os.environ, env))


@contextmanager
def _private_home(home: Path | None) -> Iterator[Path]:
    if home is not None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield home.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="mcp-coder-standin-")).resolve()
    try:
        yield made
    finally:
        remove_tree(made)


def remove_tree(path: Path, seconds: float = _REMOVAL_SECONDS) -> bool:
    """Remove a directory into which an agent may still be writing; return whether it is gone.

    An agent that is about to end writes its last files while they are being removed, so a removal that met new files
    is repeated for some ``seconds``. Never raises: what is left lies in a temporary directory.
    """
    deadline = time.monotonic() + seconds
    while True:
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
