"""Journal, counters, stdout and stdin of the fake program, on files and pipes of the test."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.testing.program_streams import Counters, Journal, LeaveError, Output, Stdin


def test_a_journal_has_one_line_an_event(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    journal.write("start", argv=["a\nb"])
    journal.write("exit", code=0)
    first, second = map(json.loads, (tmp_path / "calls.jsonl").read_text().splitlines())
    assert (first["event"], first["argv"], first["pid"]) == ("start", ["a\nb"], os.getpid())
    assert second["code"] == 0
    assert (tmp_path / "calls.jsonl").stat().st_mode & 0o777 == 0o600


def test_counters_are_kept_by_session(tmp_path: Path) -> None:
    counters = Counters(str(tmp_path))
    zero = {"cost": 0.0, "input_tokens": 0, "output_tokens": 0}
    assert counters.read("../a") == zero
    counters.write("../a", {**zero, "cost": 1.5})
    assert counters.read("../a")["cost"] == 1.5
    assert counters.read("b") == zero


EVENTS: list[dict[str, Any]] = [{"type": "system", "n": 1}, {"type": "result", "result": "done"}]
PRINTED = {
    "lines": "".join(json.dumps(one) + "\n" for one in EVENTS),
    "array": json.dumps(EVENTS) + "\n",
    "object": json.dumps(EVENTS[1], indent=2) + "\n",
    "text": "done\n",
}


@pytest.mark.parametrize(("form", "printed"), PRINTED.items())
def test_events_are_printed_in_the_form_asked_for(form: str, printed: str) -> None:
    stream = io.BytesIO()
    output = Output(stream, form, None)
    for event in EVENTS:
        output.event(event)
    output.finish()
    output.finish()
    assert stream.getvalue().decode() == printed


def test_answers_to_control_requests_are_never_kept_back() -> None:
    stream = io.BytesIO()
    Output(stream, "object", None).event({"type": "control_response"})
    assert stream.getvalue() == b'{"type": "control_response"}\n'


def test_output_is_cut_at_the_byte() -> None:
    stream = io.BytesIO()
    output = Output(stream, "lines", 10)
    output.raw(b"1234")
    with pytest.raises(LeaveError) as leave:
        output.raw(b"567890ab")
    assert (stream.getvalue(), leave.value.code) == (b"1234567890", 0)
    with pytest.raises(LeaveError):
        output.raw(b"more")
    assert stream.getvalue() == b"1234567890"


def user(text: Any) -> Any:
    return {"type": "user", "message": {"role": "user", "content": text}}


def stdin_of(tmp_path: Path, data: Any, *, obeys_interrupt: Any = True, cut_at: Any = None) -> Any:
    printed = io.BytesIO()
    output = Output(printed, "lines", cut_at)
    stdin = Stdin(io.BytesIO(data), Journal(str(tmp_path)), output, obeys_interrupt=obeys_interrupt)
    return stdin, printed


def as_lines(*messages: Any) -> Any:
    return b"".join(json.dumps(one).encode() + b"\n" for one in messages)


def control(subtype: Any) -> Any:
    return {"type": "control_request", "request_id": "1", "request": {"subtype": subtype}}


def test_user_messages_are_queued_and_the_rest_is_passed_over(tmp_path: Path) -> None:
    stdin, printed = stdin_of(tmp_path, b"no json\n3\n" + as_lines({"type": "odd"}, user("a"), user("b")))
    stdin.start()
    assert [stdin.next(), stdin.next(), stdin.next(), stdin.next()] == [user("a"), user("b"), None, None]
    events = [json.loads(line)["event"] for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    assert events == ["stdin"] * 5 + ["eof"]
    assert printed.getvalue() == b""


@pytest.mark.parametrize(
    ("subtype", "obeys", "interrupted"),
    [("interrupt", True, True), ("interrupt", False, False), ("initialize", True, False)],
)
def test_control_requests_are_answered_at_once(
    tmp_path: Path, subtype: str, obeys: bool, interrupted: bool
) -> None:
    stdin, printed = stdin_of(tmp_path, as_lines(user("a"), control(subtype)), obeys_interrupt=obeys)
    stdin.begin_turn()
    stdin.start()
    assert [stdin.next(), stdin.next()] == [user("a"), None]
    assert json.loads(printed.getvalue())["response"]["request_id"] == "1"
    assert stdin.interrupted.is_set() is interrupted


def test_an_interrupt_counts_only_for_a_turn(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as feed:
        output = Output(io.BytesIO(), "lines", None)
        stdin = Stdin(stream, Journal(str(tmp_path)), output, obeys_interrupt=True)
        stdin.start()
        feed.write(as_lines(control("interrupt"), user("a")))
        assert stdin.next() == user("a")
        assert not stdin.interrupted.is_set()
        feed.write(as_lines(control("interrupt"), user("b")))
        assert stdin.interrupted.wait(10)
        stdin.end_turn()
        assert not stdin.interrupted.is_set()
        feed.close()
        assert [stdin.next(), stdin.next()] == [user("b"), None]


def test_a_control_request_behind_the_cut_stays_unanswered(tmp_path: Path) -> None:
    stdin, printed = stdin_of(
        tmp_path, as_lines(control("initialize"), control("initialize"), user("a")), cut_at=5
    )
    stdin.start()
    assert stdin.next() == user("a")
    assert len(printed.getvalue()) == 5


@pytest.mark.parametrize(("text", "first"), [(b"hello\n", user("hello\n")), (b" \n", None), (b"", None)])
def test_plain_stdin_is_one_prompt(tmp_path: Path, text: str, first: Any) -> None:
    stdin, _ = stdin_of(tmp_path, text)
    stdin.take_whole()
    assert stdin.next() == first
    assert stdin.next() is None
