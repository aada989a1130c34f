"""Where turns are measured: an empty project in a private home, and the stand-in model in a process of its own.

While it is entered, the environment and the current directory of this process are the private ones, so that what is
measured needs nothing handed over: our calls and the peers' find model and program as they would for a user.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

_DEFAULTS_OF_OURS = (
    "MCP_CODER_METHOD",
    "MCP_CODER_MODEL",
    "MCP_CODER_REDACT",
    "MCP_CODER_REDACT_PATTERNS",
    "MCP_CODER_TIMEOUT",
)
_NOT_AS_INSTALLED = ("PYTHONDONTWRITEBYTECODE",)
"""What would have each process compile what is compiled once where something is installed."""
_END_SECONDS = 10.0
_QUICK_PART, _QUICK_LEAST = 500, 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a measurement needs to know of it.

    Attributes:
        program: the ``claude`` that both sides run.
        version: its version.
        home: the private home; what a measurement writes goes there.
        closing: what is closed when the figure that is being measured is done.
        quick: whether it is only to be shown that everything works.
    """

    program: str
    version: str
    home: Path
    closing: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)
    quick: bool = False

    def size(self, full: int) -> int:
        """Return how much to measure with: ``full``, or next to nothing where it is only to be shown to work."""
        return max(full // _QUICK_PART, min(full, _QUICK_LEAST)) if self.quick else full


@contextlib.contextmanager
def workplace(*, quick: bool = False) -> Iterator[Workplace]:
    """Give the place, and take it away again."""
    from mcp_coder.llm_providers.claude.claude_executable_finder import locate_claude

    with (
        _model() as where,
        _environment(where["env"], (*where["unset"], *_DEFAULTS_OF_OURS, *_NOT_AS_INSTALLED)),
    ):
        project = Path(where["home"], "project")
        project.mkdir()
        with contextlib.chdir(project):
            program, version = locate_claude()
            yield Workplace(program=program, version=version, home=Path(where["home"]), quick=quick)


def run_python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, ``bench`` importable, to its end; raises if it fails."""
    return subprocess.run([sys.executable, *arguments], env=with_bench(), text=True, check=True, **options)


def with_bench() -> dict[str, str]:
    """Return the environment of a process that can import ``bench``."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@contextlib.contextmanager
def _model() -> Iterator[dict[str, Any]]:
    argv = [sys.executable, "-m", "bench.model"]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=with_bench(),
        start_new_session=True,  # at Ctrl-C it is ended by us, and no sooner
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(_END_SECONDS)


@contextlib.contextmanager
def _environment(env: Mapping[str, str], unset: Sequence[str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
