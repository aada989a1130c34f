"""``mcp-coder demo`` shows sessions that go on, and fails where they do not."""

import time
from collections.abc import Callable
from typing import Any

from mcp_coder.testing import FakeClaude


def test_it_shows_seven_turns_and_leaves_nothing(run_cli: Callable[..., Any], tmp_path: Any) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    started = time.monotonic()
    done = run_cli("demo", env={"TMPDIR": str(temporary)}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - started < 20
    rows = [line.split() for line in done.stdout.splitlines()[2:9]]
    assert [row[0] for row in rows] == ["cli", "cli", "api", "api", "api", "cli,", "cli,"]
    assert all(row[-1] == "ok" for row in rows)
    sessions = [row[-4] for row in rows]
    assert sessions == [sessions[0], sessions[0], sessions[2], sessions[2], *[sessions[0]] * 3]
    assert sessions[0] != sessions[2]
    assert all(row[-2].startswith("$0.0") for row in rows)
    assert done.stdout.endswith("7 of 7 turns were answered as expected.\n")
    assert list(temporary.iterdir()) == []


def test_an_agent_that_remembers_nothing_fails_it(
    fake_claude: FakeClaude, run_cli: Callable[..., Any]
) -> None:
    fake_claude.script()
    done = run_cli("demo")
    assert done.returncode != 0
