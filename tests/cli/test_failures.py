"""Every failure is one line with the next step, and JSON where that was asked for."""

import json
import signal

import click
import pytest

from mcp_coder import llm_errors as errors
from mcp_coder.cli import console
from mcp_coder.cli.exit_codes import MEANINGS
from mcp_coder.cli.failures import failure_of, output_format_in, report
from mcp_coder.cli.session_reference import AmbiguousSessionError, NotRecordedError
from mcp_coder.cli.signals import Interrupted, Stopped

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"
RESPONSE = {
    "version": "1.0",
    "timestamp": "2026-01-31T12:00:00+00:00",
    "text": "Noted",
    "session_id": SESSION,
    "method": "cli",
    "provider": "claude",
    "raw_response": {},
}


def stopped(number: int, session_id: str | None = None) -> Stopped:
    error = Interrupted(number) if number == signal.SIGINT else Stopped(number)
    error.session_id = session_id
    return error


CASES = {
    "library": (
        errors.ServerError("Overloaded.", status=529, session_id=SESSION),
        5,
        f"mcp-coder: Overloaded; try: later, mcp-coder prompt --session-id {SESSION} ...",
    ),
    "library, session unknown": (errors.ServerError("Overloaded"), 5, "mcp-coder: Overloaded"),
    "hint without a session": (
        errors.AgentNotFoundError("none"),
        3,
        "mcp-coder: none; try: mcp-coder verify",
    ),
    "hint of the base": (
        errors.LLMTimeoutError("too long", session_id=SESSION),
        6,
        f"mcp-coder: too long; try: mcp-coder prompt --session-id {SESSION} --timeout SECONDS ...",
    ),
    "a session that is not recorded": (
        NotRecordedError("no session 'x' is recorded", session_id=SESSION),
        7,
        "mcp-coder: no session 'x' is recorded; try: mcp-coder sessions list",
    ),
    "no hint": (errors.ResponseFormatError("odd"), 11, "mcp-coder: odd"),
    "many lines": (errors.AgentError("a\n\x1b[31mb\n"), 1, "mcp-coder: a [31mb"),
    "usage": (click.UsageError("wrong"), 2, "mcp-coder: wrong; try: mcp-coder --help"),
    "SIGTERM": (stopped(signal.SIGTERM), 143, "mcp-coder: stopped by SIGTERM"),
    "SIGHUP": (stopped(signal.SIGHUP), 129, "mcp-coder: stopped by SIGHUP"),
    "Ctrl-C": (
        stopped(signal.SIGINT, SESSION),
        130,
        (
            f"mcp-coder: stopped by Ctrl-C; the session is {SESSION}; "
            f"try: mcp-coder prompt --session-id {SESSION} ..."
        ),
    ),
    "output lost": (console.OutputLost("disk full"), 74, "mcp-coder: disk full"),
    "unexpected": (
        ZeroDivisionError("division by zero"),
        70,
        (
            "mcp-coder: unexpected ZeroDivisionError: division by zero; "
            "try: the same with --debug, and report what it shows"
        ),
    ),
}


@pytest.mark.parametrize(("error", "code", "line"), CASES.values(), ids=CASES)
def test_one_line_and_one_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error, output_format="text", debug=False) == code
    assert capsys.readouterr() == ("", line + "\n")
    assert code in MEANINGS


@pytest.mark.parametrize(("error", "code", "line"), CASES.values(), ids=CASES)
def test_json_says_the_same(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error, output_format="json", debug=False) == code
    written = capsys.readouterr()
    assert written.err == line + "\n"
    assert set(json.loads(written.out)["error"]) == {"class", "message", "status", "session_id", "retryable"}


@pytest.mark.parametrize(("error", "code", "line"), CASES.values(), ids=CASES)
def test_a_stream_of_json_ends_with_the_same_in_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report(error, output_format="json", debug=False)
    document = json.loads(capsys.readouterr().out)
    assert report(error, output_format="stream-json", debug=False) == code
    written = capsys.readouterr()
    assert (written.out.count("\n"), written.err) == (1, line + "\n")
    assert json.loads(written.out) == {"type": "error", **document}


def test_json_has_what_a_program_decides_on(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.RateLimitError("slow\ndown", status=429, session_id=SESSION)
    report(error, output_format="json", debug=False)
    assert json.loads(capsys.readouterr().out)["error"] == {
        "class": "RateLimitError",
        "message": "slow\ndown",
        "status": 429,
        "session_id": SESSION,
        "retryable": True,
    }


def test_a_usage_error_names_the_command_whose_help_helps() -> None:
    context = click.Context(click.Command("prompt"), info_name="mcp-coder prompt")
    assert failure_of(click.UsageError("wrong", ctx=context)).hint == "mcp-coder prompt --help"


def test_a_gone_reader_is_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(console.ReaderGone(), output_format="json", debug=True) == 141
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("output_format", "printed"), [("text", "Noted\n"), ("session-id", SESSION + "\n")])
def test_an_answer_that_was_paid_for_is_printed(
    output_format: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = errors.StoreError("disk full", response=RESPONSE)
    assert report(error, output_format=output_format, debug=False) == 12
    assert capsys.readouterr() == (printed, "mcp-coder: disk full\n")


def test_in_json_it_stands_beside_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = errors.PermissionDeniedError("denied", response=RESPONSE)
    assert report(error, output_format="json", debug=False) == 10
    assert json.loads(capsys.readouterr().out)["response"] == RESPONSE


def test_the_traceback_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        divmod(1, 0)
    except ZeroDivisionError as error:
        report(error, output_format="text", debug=False)
        assert "Traceback" not in capsys.readouterr().err
        report(error, output_format="text", debug=True)
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("mcp-coder: unexpected ZeroDivisionError")


def test_a_mistyped_command_line_has_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    report(click.UsageError("wrong"), output_format="text", debug=True)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], "text"),
        (["prompt", "Hi", "--output-format", "json"], "json"),
        (["prompt", "--output-format=json", "Hi"], "json"),
        (["prompt", "--output-format=json", "--output-format=text"], "text"),
        (["prompt", "--output-format"], "text"),
        (["prompt", "--output-format", "yaml"], "text"),
        (["prompt", "--output-formats=json"], "text"),
        (["prompt", "--", "--output-format=json"], "text"),
    ],
)
def test_the_format_is_known_before_the_command_line_is(arguments: list[str], found: str) -> None:
    assert output_format_in(arguments) == found


def test_a_standard_output_that_is_closed_does_not_hide_the_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert report(errors.ServerError("busy"), output_format="json", debug=False) == 5
    assert capsys.readouterr().err == "mcp-coder: standard output is closed\nmcp-coder: busy\n"


def test_what_there_is_to_choose_from_stands_below_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = AmbiguousSessionError("2 sessions are meant", ["  one", "  another"])
    assert report(error, output_format="text", debug=False) == 2
    assert capsys.readouterr() == (
        "",
        "mcp-coder: 2 sessions are meant; try: mcp-coder --help\n  one\n  another\n",
    )
