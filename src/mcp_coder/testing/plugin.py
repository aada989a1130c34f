"""The pytest plugin: stand-ins as fixtures.

It is loaded in every pytest run where mcp-coder is installed, so importing it loads pytest and nothing else of ours; a
fixture imports what it needs when it is asked for. It registers fixtures only: no option, no hook, no output.

====================  ====================================================================================
``model_server``      a :class:`.ModelServer`; the environment is left alone
``claude_standin``    a :class:`.StandIn`: server, private home, and the environment of the test set to it
``fake_claude``       a :class:`.FakeClaude` in a private home, found first by mcp_coder
====================  ====================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from .environment import StandIn
    from .fake_claude import FakeClaude
    from .model_server import ModelServer


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    """Serve the stand-in model on a free port of 127.0.0.1 for one test."""
    from .model_server import ModelServer

    with ModelServer() as server:
        yield server


@pytest.fixture
def claude_standin(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Serve the stand-in model, and lead every agent that this test starts to it, in a private home.

    Example::

        def test_my_automation(claude_standin):
            claude_standin.server.add_rule(Reply.text("done"), prompt="do it")
            assert my_automation() == "done"
    """
    from .environment import standin

    with standin() as model:
        _apply(monkeypatch, model.env, model.unset)
        yield model


@pytest.fixture
def fake_claude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClaude]:
    """Give a scripted program that poses as ``claude`` and that mcp_coder finds first, in a private home."""
    import os

    from .environment import names_to_remove, private_environment
    from .fake_claude import FakeClaude

    home = tmp_path / "fake-home"
    (home / ".claude").mkdir(mode=0o700, parents=True)
    with FakeClaude(tmp_path / "fake-claude") as fake:
        env = {**private_environment(home), "MCP_CODER_CLAUDE": str(fake.path)}
        _apply(monkeypatch, env, names_to_remove(os.environ, env))
        yield fake


def _apply(monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str], unset: Iterable[str]) -> None:
    for name in unset:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
