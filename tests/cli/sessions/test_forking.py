"""``sessions fork`` and ``resume``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import FIRST, journal, record

from mcp_coder.llm_providers.leases import lease_directory, read_card
from mcp_coder.llm_store.base import Store
from mcp_coder.testing import FakeClaude


@pytest.fixture
def two_turns(store: Store, tmp_path: Path) -> Path:
    """Record a session of two turns; return the agent's configuration directory."""
    config_dir = tmp_path / "config"
    config_dir.mkdir()
    for number in (1, 2):
        record(store, f"turn {number}", point=f"message-{number}", config_dir=str(config_dir))
    return config_dir


def test_a_fork_prints_its_id_alone(store: Store, two_turns: Path, command: RunCommand) -> None:
    done = command("sessions", "fork", FIRST[:8])
    fork = store.session(done.out.strip())
    assert (done.code, done.out) == (0, f"{fork.session_id}\n")
    assert done.err == f"forked from {FIRST} behind turn 2\n"
    assert (fork.parent_id, fork.parent_turn) == (FIRST, 2)
    assert read_card(lease_directory(str(two_turns)), fork.session_id) is not None


def test_a_fork_at_an_earlier_turn(store: Store, two_turns: Path, command: RunCommand) -> None:
    done = command("sessions", "fork", FIRST, "--at", "1")
    assert store.session(done.out.strip()).parent_turn == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([FIRST, "--at", "9"], 2, "has no turn 9"),
        ([FIRST, "--at", "0"], 2, "--at"),
        (["zzz"], 7, "no session 'zzz'"),
    ],
    ids=["a turn that is not there", "no number of a turn", "a session that is not there"],
)
def test_what_cannot_be_forked(
    store: Store, two_turns: Path, command: RunCommand, arguments: list[str], code: int, said: str
) -> None:
    done = command("sessions", "fork", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert len(list(store.sessions())) == 1


def test_a_session_without_a_finished_turn_is_not_forked(store: Store, command: RunCommand) -> None:
    journal(store)
    done = command("sessions", "fork", FIRST)
    assert done.code == 7
    assert "nothing to fork" in done.err


_PROGRAM = """#!/bin/sh
case "$1" in --version) echo "2.1.330 (Claude Code)"; exit 0;; esac
printf '{"arguments": "%s", "directory": "%s", "config": "%s"}' "$*" "$PWD" "$CLAUDE_CONFIG_DIR" > "$SEEN"
exit 7
"""


@pytest.fixture
def program(fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in the agent's place that notes how it was opened; return where it does."""
    path = tmp_path / "claude"
    path.write_text(_PROGRAM)
    path.chmod(0o755)
    monkeypatch.setenv("MCP_CODER_CLAUDE", str(path))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.json"))
    return tmp_path / "seen.json"


def test_a_session_is_opened_in_its_directory_and_the_exit_code_handed_on(
    program: Path, store: Store, tmp_path: Path, command: RunCommand
) -> None:
    config_dir, project = tmp_path / "config", tmp_path / "project"
    transcript = config_dir / "projects" / "-project" / f"{FIRST}.jsonl"
    for directory in (transcript.parent, project):
        directory.mkdir(parents=True)
    transcript.write_text("{}\n")
    record(store, config_dir=os.path.realpath(config_dir), cwd=str(project))
    done = command("sessions", "resume", FIRST[:8])
    assert done.code == 7, done.err
    assert json.loads(program.read_text()) == {
        "arguments": f"--resume={FIRST}",
        "directory": str(project),
        "config": os.path.realpath(config_dir),
    }


def test_a_session_that_the_agent_does_not_have_is_not_opened(
    program: Path, store: Store, tmp_path: Path, command: RunCommand
) -> None:
    (tmp_path / "config").mkdir()
    record(store, config_dir=str(tmp_path / "config"), cwd=str(tmp_path))
    done = command("sessions", "resume", FIRST)
    assert done.code == 7
    assert "nothing was asked in it here yet" in done.err
    assert not program.exists()
