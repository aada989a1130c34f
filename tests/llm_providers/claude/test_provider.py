"""Claude Code as a provider: where it is, where it keeps its sessions, and when those change."""

from __future__ import annotations

import os
import time
from decimal import Decimal
from pathlib import Path

import pytest

from mcp_coder.llm_errors import AgentNotFoundError, InvalidRequestError
from mcp_coder.llm_providers import PROVIDERS, provider_named
from mcp_coder.llm_providers.base import Agent
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.claude.usage import READING
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_requests import new_request
from mcp_coder.testing import FakeClaude

PROVIDER = ClaudeProvider()
UNLIMITED = Deadline.after(None)


def test_a_provider_is_found_by_its_name() -> None:
    assert [provider_named(name).name for name in PROVIDERS] == ["claude"]
    with pytest.raises(InvalidRequestError, match="provider must be one of claude, not 'gpt'"):
        provider_named("gpt")


def test_where_it_is(fake_claude: FakeClaude) -> None:
    agent = PROVIDER.locate(new_request("hello"), UNLIMITED)
    assert (agent.program, agent.version) == (str(fake_claude.path), "2.1.330")
    assert agent.config_dir == os.path.realpath(os.environ["CLAUDE_CONFIG_DIR"])


def test_its_environment_is_the_callers_with_the_calls_own_over_it(
    fake_claude: FakeClaude, tmp_path: Path
) -> None:
    agent = PROVIDER.locate(
        new_request("hello", env={"CLAUDE_CONFIG_DIR": str(tmp_path / "other"), "X": "1"}), UNLIMITED
    )
    assert agent.config_dir == str(tmp_path / "other")
    assert (agent.env["X"], agent.env["HOME"]) == ("1", os.environ["HOME"])


def test_a_relative_configuration_directory_is_the_callers(
    fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "config")
    agent = PROVIDER.locate(new_request("hello", cwd="/"), UNLIMITED)
    assert agent.env["CLAUDE_CONFIG_DIR"] == agent.config_dir == str(tmp_path / "config")


def test_without_a_home_it_gets_a_private_one(
    fake_claude: FakeClaude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: (_ for _ in ()).throw(KeyError("no entry")))
    agent = PROVIDER.locate(new_request("hello"), UNLIMITED)
    assert agent.env["HOME"] == os.environ["MCP_CODER_HOME"]


def test_an_option_that_this_version_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeClaude(tmp_path / "old", version="1.0.128 (Claude Code)") as fake:
        monkeypatch.setenv("MCP_CODER_CLAUDE", str(fake.path))
        assert PROVIDER.locate(new_request("hello"), UNLIMITED).version == "1.0.128"
        with pytest.raises(
            AgentNotFoundError, match=r"max_budget_usd needs Claude Code 2.0.28 or newer; .* is 1.0.128"
        ):
            PROVIDER.locate(new_request("hello", max_budget_usd=1), UNLIMITED)


def test_flags_that_are_ours_are_refused(fake_claude: FakeClaude) -> None:
    with pytest.raises(InvalidRequestError):
        PROVIDER.check(new_request("hello", extra_args={"resume": "x"}))


def test_a_fingerprint_changes_with_the_session(tmp_path: Path) -> None:
    agent = Agent(program="claude", version="", config_dir=str(tmp_path), env={})
    assert PROVIDER.fingerprint(agent, "some-id") is None
    transcript = tmp_path / "projects" / "-work" / "some-id.jsonl"
    transcript.parent.mkdir(parents=True)
    transcript.write_text("{}\n")
    first = PROVIDER.fingerprint(agent, "some-id")
    os.utime(transcript, (1, 1))  # as a program does that is only started on it
    assert first == PROVIDER.fingerprint(agent, "some-id") is not None
    transcript.write_text("{}\n{}\n")
    assert PROVIDER.fingerprint(agent, "some-id") != first
    nowhere = Agent(program="claude", version="", config_dir=None, env={})
    assert PROVIDER.fingerprint(nowhere, "some-id") is None


def test_left_output_is_read() -> None:
    events = PROVIDER.read_events(b'{"type": "system", "subtype": "init"}\n{"type": "res')
    assert [event["type"] for event in events] == ["system"]
    assert PROVIDER.finish(events).begun
    assert not PROVIDER.finish(()).begun


def test_what_a_kept_program_printed_is_parted_by_the_id_of_the_turn() -> None:
    report = {"type": "result", "origin": {"kind": "task-notification"}}
    echo = {"type": "user", "uuid": "the-turn", "isReplay": True}
    assert PROVIDER.own_events([report, echo], "the-turn") == ((report,), (echo,))


SAMPLES = Path(__file__).parents[2] / "data" / "claude-code-2.1.330"


def test_s40_what_a_recorder_asks_of_a_turn() -> None:
    first, second = (
        PROVIDER.read_events((SAMPLES / f"{name}.stdout").read_bytes())
        for name in ("json_success", "json_resumed")
    )
    begun = PROVIDER.usage(first, version="2.1.330", baseline={"first": True})
    known = {"counter": PROVIDER.counter(first), "contiguous": True}
    later = PROVIDER.usage(second, version="2.1.330", baseline=known)
    assert [begun.cost_usd, later.cost_usd] == [Decimal("0.049284"), Decimal("0.049488")]
    assert later.baseline_usd == begun.cost_usd
    assert PROVIDER.usage(second, version="2.1.330", baseline=None).cost_usd is None
    assert PROVIDER.counter(()) is None
    assert PROVIDER.main_model(second) == "claude-opus-5-5"
    assert PROVIDER.reading == READING


def test_a_program_that_does_not_say_its_version_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "claude"
    slow.write_text("#!/bin/sh\nsleep 300 &\nwait\n")
    slow.chmod(0o700)
    monkeypatch.setenv("MCP_CODER_CLAUDE", str(slow))
    began = time.monotonic()
    with pytest.raises(AgentNotFoundError, match="took longer than 1 s"):
        PROVIDER.locate(new_request("hello"), Deadline.after(0.5))
    assert time.monotonic() - began < 6


def test_relative_names_in_a_deleted_directory_are_refused(
    fake_claude: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "config")
    with pytest.raises(InvalidRequestError, match="'config' is relative"):
        PROVIDER.locate(new_request("hello"), UNLIMITED)
    monkeypatch.setenv("MCP_CODER_CLAUDE", "claude")
    with pytest.raises(InvalidRequestError, match="'claude' is relative"):
        PROVIDER.locate(new_request("hello"), UNLIMITED)
    monkeypatch.chdir(tmp_path)
