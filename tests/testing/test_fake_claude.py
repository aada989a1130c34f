"""The fake program as a process: signals, children, exit codes, and the record of its calls."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder.testing.fake_claude import FakeCall, FakeClaude
from mcp_coder.testing.program_script import (
    Die,
    Exit,
    Hang,
    LeaveChild,
    Print,
    Sleep,
    Stderr,
    Turn,
    WaitForPrompt,
)

LINES = ("-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Any]:
    with FakeClaude(tmp_path / "it's a fake") as made:
        yield made


def line(prompt: Any) -> Any:
    return json.dumps({"type": "user", "message": {"role": "user", "content": prompt}}) + "\n"


def call(fake: FakeClaude, *prompts: Any, argv: Any = LINES, **options: Any) -> Any:
    return subprocess.run(
        [fake.path, *argv],
        input="".join(map(line, prompts)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **options,
    )


def start(fake: FakeClaude, *argv: Any) -> Any:
    return subprocess.Popen(
        [fake.path, *LINES, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results_of(output: Any) -> Any:
    return [one for one in map(json.loads, output.splitlines()) if one["type"] == "result"]


def test_a_call_is_recorded(fake: FakeClaude, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_MODEL", "opus")
    monkeypatch.setenv("SECRET_OF_OTHERS", "x")
    done = call(fake, "hello", argv=[*LINES, "--resume", "s-1"], cwd=tmp_path)
    assert (done.returncode, done.stderr, results_of(done.stdout)[0]["session_id"]) == (0, "", "s-1")
    [recorded] = fake.calls()
    assert recorded.argv == (*LINES, "--resume", "s-1")
    assert (recorded.number, recorded.cwd, recorded.exit_code) == (1, str(tmp_path), 0)
    assert (recorded.flag("--resume"), recorded.flag("--session-id")) == ("s-1", None)
    assert (recorded.env["ANTHROPIC_MODEL"], "SECRET_OF_OTHERS" in recorded.env) == ("opus", False)
    assert (recorded.lines, recorded.prompts, recorded.saw_eof) == ((line("hello"),), ["hello"], True)
    assert recorded.line_times[0] >= recorded.started


def test_what_is_no_prompt_is_not_among_the_prompts(fake: FakeClaude) -> None:
    fake.script(WaitForPrompt(), Exit(0))
    with start(fake) as process:
        process.communicate('no json\n3\n{"type": "control_request"}\n' + line("a"))
    assert fake.calls()[0].prompts == ["a"]
    assert len(fake.calls()[0].lines) == 4


def test_the_version_is_no_call(fake: FakeClaude) -> None:
    assert call(fake, argv=["--version"]).stdout == "2.1.330 (Claude Code)\n"
    assert fake.calls() == []
    assert [one.argv for one in fake.version_calls()] == [("--version",)]


def test_a_version_that_cannot_be_had(tmp_path: Path) -> None:
    with FakeClaude(tmp_path / "fake", version=None) as fake:
        assert call(fake, argv=["--version"]).returncode == 1


def test_calls_follow_their_scripts(fake: FakeClaude) -> None:
    fake.script(Turn(text="first"))
    fake.script(Stderr("no\n"), Exit(7))
    assert results_of(call(fake, "a").stdout)[0]["result"] == "first"
    second = call(fake, "a")
    assert (second.returncode, second.stdout, second.stderr) == (7, "", "no\n")
    assert [one.exit_code for one in fake.calls()] == [0, 7]


def test_it_dies_by_a_signal(fake: FakeClaude) -> None:
    fake.script(Die("SIGKILL"))
    fake.script(Die("SIGTERM"))
    assert [call(fake).returncode, call(fake).returncode] == [-signal.SIGKILL, -signal.SIGTERM]
    assert [one.exit_code for one in fake.calls()] == [None, None]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_signals_end_it_as_they_end_the_real_one(fake: FakeClaude, number: signal.Signals, code: int) -> None:
    fake.script(WaitForPrompt(), Print("ready"), Hang())
    with start(fake) as process:
        process.stdin.write(line("a"))
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert [one["terminal_reason"] for one in results_of(output)] == (
        ["aborted_streaming"] if code == 0 else []
    )
    assert fake.calls()[0].signals == (number.name,)


def has_got(name: str, calls: list[FakeCall]) -> bool:
    return name in calls[0].signals


def test_signals_can_be_ignored_and_closing_ends_it(fake: FakeClaude) -> None:
    fake.script(Print("ready"), Sleep(0), Hang(), ignores=("SIGINT", "SIGTERM"))
    with start(fake) as process:
        assert process.stdout.readline() == "ready\n"
        for number, name in ((signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")):
            process.send_signal(number)
            fake.wait_for(partial(has_got, name))
        assert process.poll() is None
        fake.close()
        assert process.wait(30) == -signal.SIGKILL


def test_a_wait_that_fails_says_what_there_was(fake: FakeClaude) -> None:
    with pytest.raises(TimeoutError, match="calls so far"):
        fake.wait_for(bool, 0.01)


@pytest.mark.parametrize("stubborn", [True, False])
def test_a_child_left_behind_holds_the_output_open(fake: FakeClaude, stubborn: bool) -> None:
    fake.script(LeaveChild(stubborn=stubborn), Turn())
    with start(fake) as process:
        process.stdin.write(line("a"))
        process.stdin.close()
        assert process.wait(30) == 0
        [child] = fake.calls()[0].children
        assert os.getpgid(child) == child
        with psutil.Process(child).oneshot():
            assert psutil.pid_exists(child)
        fake.close()
        assert results_of(process.stdout.read())  # which ends only now
        process.stdin = None


def test_a_child_may_let_go_of_the_output(fake: FakeClaude) -> None:
    fake.script(LeaveChild(holds_output=False, own_group=False), Turn())
    done = call(fake, "a")  # it would wait for the child otherwise
    [child] = fake.calls()[0].children
    assert (done.returncode, psutil.pid_exists(child)) == (0, True)


def test_closing_touches_no_other_process(fake: FakeClaude) -> None:
    """A pid in the record may long belong to somebody else."""
    record = {"event": "child", "pid": 1, "time": 0, "child": os.getpid(), "seconds": "300.000"}
    start_of_another = {"event": "start", "pid": os.getpid(), "time": 0}
    path = fake.path.parent / "calls.jsonl"
    path.write_text(json.dumps(record) + "\n" + json.dumps(start_of_another) + "\n")
    fake.close()
    path.unlink()


def test_the_sdk_drives_it(fake: FakeClaude, tmp_path: Path) -> None:
    """In a process of its own, since the SDK brings event loops and threads with it."""
    code = (
        "import asyncio, sys\n"
        "from claude_agent_sdk import ClaudeAgentOptions, ResultMessage, query\n"
        "async def main():\n"
        "    async for one in query(prompt='hello', options=ClaudeAgentOptions(cli_path=sys.argv[1])):\n"
        "        if isinstance(one, ResultMessage):\n"
        "            print(one.result, one.total_cost_usd)\n"
        "asyncio.run(main())\n"
    )
    argv = [sys.executable, "-c", code, str(fake.path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.stdout == "You said: hello 0.01\n", done.stderr
    assert fake.calls()[0].prompts == ["hello"]


def test_calls_at_once_are_counted_one_by_one(fake: FakeClaude) -> None:
    running = [start(fake) for _ in range(4)]
    for process in running:
        with process:
            process.communicate(line("a"), timeout=30)
    assert sorted(one.number for one in fake.calls()) == [1, 2, 3, 4]
