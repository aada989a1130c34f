"""``mcp-coder verify`` says what is here, and whether it works."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.cli.verify import report_rows
from mcp_coder.testing import FakeClaude, Reply, StandIn

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_MAX_RETRIES", "0")


def test_what_is_installed_without_asking_a_model(claude_standin: StandIn, run_cli: Run) -> None:
    done = run_cli("verify")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (0, "")
    assert rows["works"] == "yes"
    assert Path(rows["program"]).is_file()
    assert rows["version"][0].isdigit()
    assert claude_standin.server.requests == ()


def test_json_has_all_that_is_known(claude_standin: StandIn, run_cli: Run) -> None:
    report = json.loads(run_cli("verify", "--json").stdout)
    assert {"found", "path", "version", "works", "error", "source", "credentials"} <= set(report)
    assert report["works"] is True
    assert "live" not in report


def test_without_a_login_it_says_what_to_do(
    claude_standin: StandIn, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    done = run_cli("verify")
    assert done.returncode == 0
    assert done.stderr.startswith("note: no login and no key can be seen here; run ")


@pytest.mark.parametrize("method", ["cli", "api"])
def test_a_real_turn_on_request(method: str, claude_standin: StandIn, run_cli: Run) -> None:
    done = run_cli("verify", "--live", "--method", method)
    assert done.returncode == 0
    assert f"by {method} in " in done.stdout
    assert len(claude_standin.server.turns()) == 1


def test_a_real_turn_that_fails_is_told(claude_standin: StandIn, run_cli: Run) -> None:
    claude_standin.server.add_rule(Reply.error(401))
    done = run_cli("verify", "--live", "--json")
    assert done.returncode == 1
    live = json.loads(done.stdout)["live"]
    assert live["works"] is False
    assert live["error"].startswith("AuthenticationError: ")


def test_a_program_that_is_not_there(run_cli: Run, tmp_path: Path) -> None:
    done = run_cli("verify", "--live", env={"MCP_CODER_CLAUDE": str(tmp_path / "none")})
    assert done.returncode == 1
    assert "MCP_CODER_CLAUDE" in done.stdout
    assert "not tried" in done.stdout


def test_a_program_that_is_too_old(tmp_path: Path, run_cli: Run) -> None:
    with FakeClaude(tmp_path / "old", version="1.0.1 (Claude Code)") as old:
        done = run_cli("verify", env={"MCP_CODER_CLAUDE": str(old.path)})
    assert done.returncode == 1
    assert "too old" in done.stdout


def test_a_report_without_news_is_short() -> None:
    assert report_rows({"works": False, "error": "gone", "path": None}) == [
        ("works", "no"),
        ("problem", "gone"),
    ]
