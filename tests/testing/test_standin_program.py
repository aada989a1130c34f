"""Every step of the fake program, played in this process; what only a process can do is in test_fake_claude."""

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest

from mcp_coder.testing import standin_program
from mcp_coder.testing.program_script import (
    Exit,
    Hang,
    Print,
    PrintBytes,
    Script,
    Sleep,
    Stderr,
    Step,
    Turn,
    WaitForEof,
    WaitForPrompt,
    script_as_json,
)

LINES = ["--input-format=stream-json", "--output-format=stream-json", "--verbose", "--session-id=s-1"]
INTERRUPT = {"type": "control_request", "request_id": "1", "request": {"subtype": "interrupt"}}


def user(text: Any, **more: Any) -> Any:
    return {"type": "user", "message": {"role": "user", "content": text}, **more}


Play: TypeAlias = Callable[..., tuple[int, bytes]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    """Play scripts in a thread, since signal handlers belong to the main one; return exit code and output."""
    with ThreadPoolExecutor(1) as pool:

        def run(
            *steps: Step,
            argv: Sequence[str] = LINES,
            stdin: bytes | Sequence[dict[str, Any]] = (),
            version: str | None = "2.1.330 (Claude Code)",
            more: Sequence[Script] = (),
            **options: Any,
        ) -> tuple[int, bytes]:
            script = Script(steps=steps, **options) if steps else Script(**options)
            scripts = [script_as_json(one) for one in (script, *more)]
            (tmp_path / "plan.json").write_text(json.dumps({"version": version, "scripts": scripts}))
            data = (
                stdin
                if isinstance(stdin, bytes)
                else b"".join(json.dumps(one).encode() + b"\n" for one in stdin)
            )
            printed = io.BytesIO()
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
            monkeypatch.setattr(
                sys, "stdout", io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
            )
            code = pool.submit(standin_program.run, str(tmp_path), list(argv)).result(30)
            return code, printed.getvalue()

        yield run


def events_of(printed: Any) -> Any:
    return [json.loads(line) for line in printed.splitlines()]


def kinds_of(printed: Any) -> Any:
    return [one["type"] for one in events_of(printed)]


def test_plain_turns_until_stdin_ends(play: Play) -> None:
    code, printed = play(stdin=[user("a"), user("b")])
    assert code == 0
    assert kinds_of(printed) == ["system", "assistant", "result"] * 2
    results = events_of(printed)[2::3]
    assert [one["result"] for one in results] == ["You said: a", "You said: b"]
    assert [one["total_cost_usd"] for one in results] == [0.01, 0.02]
    assert {one["session_id"] for one in events_of(printed)} == {"s-1"}
    assert events_of(printed)[0]["claude_code_version"] == "2.1.330"
    assert list(results[0]["modelUsage"]) == ["claude-opus-5-5"]


def test_no_prompt_no_turn(play: Play) -> None:
    assert play() == (0, b"")


def test_an_error_result_makes_the_exit_code_1(play: Play) -> None:
    assert play(Turn(result={"is_error": True}), stdin=[user("a")])[0] == 1


def test_parts_of_a_turn_can_be_left_out(play: Play) -> None:
    turn = Turn(
        prints_init=False, prints_assistant=False, prints_result=False, before=("not json", {"type": "odd"})
    )
    _, printed = play(turn, stdin=[user("a")])
    assert printed == b'not json\n{"type": "odd"}\n'


def test_a_turn_that_waits_for_nothing_and_a_program_that_reads_nothing(play: Play) -> None:
    assert kinds_of(play(Turn(waits_for_prompt=False))[1]) == ["system", "assistant", "result"]
    assert kinds_of(play(Turn(), reads_stdin=False)[1]) == ["system", "assistant", "result"]


def test_lines_bytes_and_stderr_as_they_are(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    steps = (
        Print("{{session_id}}!"),
        Print({"n": "{{call}}.{{turn}}"}),
        PrintBytes(b"\xff\n"),
        Stderr("oh {{version}}\n"),
    )
    code, printed = play(*steps, Sleep(0), Exit(3))
    assert (code, printed) == (3, b's-1!\n{"n": "1.0"}\n\xff\n')
    assert capsys.readouterr().err == "oh 2.1.330\n"


def test_prompts_are_not_searched_for_placeholders(play: Play) -> None:
    _, printed = play(stdin=[user("{{session_id}} {{uuid}}")])
    assert events_of(printed)[-1]["result"] == "You said: {{session_id}} {{uuid}}"


def test_waiting_for_a_prompt_and_for_the_end(play: Play) -> None:
    _, printed = play(WaitForPrompt(), Print("{{prompt}}"), WaitForEof(), stdin=[user("a"), user("b")])
    assert printed == b"a\n"


@pytest.mark.parametrize(
    "steps", [(Turn(delay=60),), (WaitForPrompt(), Hang()), (WaitForPrompt(), Sleep(60))]
)
def test_an_interrupt_on_stdin_ends_the_turn(play: Play, steps: Any) -> None:
    code, printed = play(*steps, Exit(0), stdin=[user("a"), INTERRUPT])
    assert code == 0
    answer, result = (one for one in events_of(printed) if one["type"] in ("control_response", "result"))
    assert answer["response"]["request_id"] == "1"
    assert (result["subtype"], result["terminal_reason"]) == ("error_during_execution", "aborted_streaming")


def test_an_interrupt_without_a_turn_does_nothing(play: Play) -> None:
    _, printed = play(Sleep(0.1), Exit(0), stdin=[INTERRUPT])
    assert kinds_of(printed) == ["control_response"]


def test_an_interrupted_turn_is_followed_by_the_next(play: Play) -> None:
    code, printed = play(
        WaitForPrompt(), Hang(), Print("never"), Turn(), stdin=[user("a"), INTERRUPT, user("b")]
    )
    assert code == 0
    assert sorted(kinds_of(printed)) == ["assistant", "control_response", "result", "result", "system"]
    assert events_of(printed)[-1]["result"] == "You said: b"


def test_user_messages_are_replayed_when_asked_for(play: Play) -> None:
    _, printed = play(argv=[*LINES, "--replay-user-messages"], stdin=[user("{{pid}}", uuid="u-1")])
    replayed = events_of(printed)[0]
    assert (replayed["uuid"], replayed["isReplay"], replayed["message"]["content"]) == (
        "u-1",
        True,
        "{{pid}}",
    )


@pytest.mark.parametrize(
    ("counter", "first", "totals"),
    [
        ("cumulative", "s-1", [0.01, 0.02]),
        ("per_process", "s-1", [0.01, 0.01]),
        ("cumulative", "s-2", [0.01, 0.01]),
    ],
)
def test_counters_run_on_or_begin_anew(play: Play, counter: str, first: Any, totals: list[float]) -> None:
    costs = []
    for argv in ([*LINES[:3], f"--session-id={first}"], [*LINES[:3], "--resume=s-1"]):
        _, printed = play(argv=argv, stdin=[user("a")], counter=counter)
        costs.append(events_of(printed)[-1]["total_cost_usd"])
    assert costs == totals


def test_each_call_has_its_script_and_the_last_serves_the_rest(play: Play) -> None:
    more = [Script(steps=(Print("second"), Exit(0)))]
    assert [play(Print("first"), Exit(0), more=more)[1] for _ in range(3)] == [
        b"first\n",
        b"second\n",
        b"second\n",
    ]


def test_output_as_one_object_and_a_prompt_by_argument(play: Play) -> None:
    _, printed = play(argv=["-p", "hello", "--output-format", "json"])
    assert json.loads(printed)["result"] == "You said: hello"
    assert play(argv=["-p"], stdin=b"hello")[1] == b"You said: hello\n"


def test_cut_output_exits_0(play: Play) -> None:
    code, printed = play(stdin=[user("a")], cut_at=100)
    assert (code, len(printed)) == (0, 100)
    code, printed = play(stdin=[user("a")], cut_at=100, output="array")
    assert (code, len(printed)) == (0, 100)


@pytest.mark.parametrize("argv", [["--version"], ["-v"]])
def test_the_version(play: Play, argv: list[str]) -> None:
    assert play(argv=argv) == (0, b"2.1.330 (Claude Code)\n")
    assert play(argv=argv, version=None) == (1, b"")
