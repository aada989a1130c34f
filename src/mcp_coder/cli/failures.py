"""What a command says and exits with when it fails.

``failure_of`` is pure: an exception comes in, a record goes out. ``report`` writes it: one line on standard error, with
the next step where there is one, and below it what there is to choose from; with ``--output-format json`` also an
object on standard output; the traceback only with ``--debug``.
"""

from __future__ import annotations

import dataclasses
import itertools
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from mcp_coder import llm_errors as errors
from mcp_coder.cli import console, exit_codes
from mcp_coder.cli.render import ANSWER_FORMATS, answer_text, error_json, error_line, one_line
from mcp_coder.cli.session_reference import NotRecordedError
from mcp_coder.cli.signals import Interrupted, Stopped

if TYPE_CHECKING:
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["Failure", "failure_of", "output_format_in", "report"]

_LONGEST_LINE = 2000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """How a command failed.

    Attributes:
        exit_code: what to exit with.
        kind: the error's class, for programs.
        message: what happened; empty where there is nothing to say.
        hint: what to do next, or empty.
        status: the HTTP status behind it.
        session_id: the session to go on with.
        retryable: whether the same call may succeed later.
        response: the answer that was paid for all the same.
        details: what stands below the line, in lines of their own.
    """

    exit_code: int
    kind: str
    message: str
    hint: str = ""
    status: int | None = None
    session_id: str | None = None
    retryable: bool = False
    response: Mapping[str, object] | None = None
    details: Sequence[str] = ()

    @property
    def line(self) -> str:
        """The line for standard error."""
        message = one_line(self.message, _LONGEST_LINE).rstrip(".")
        return f"mcp-coder: {message}; try: {self.hint}" if self.hint else f"mcp-coder: {message}"


_GO_ON = "mcp-coder prompt --session-id {session_id} ..."

# The next step for each kind of error; one that names the session is left out where the session is not known.
_HINTS: Mapping[type[BaseException], str] = {
    errors.AgentNotFoundError: "mcp-coder verify",
    errors.AuthenticationError: "mcp-coder verify",
    errors.RateLimitError: f"later, {_GO_ON}",
    errors.ServerError: f"later, {_GO_ON}",
    errors.LLMTimeoutError: "mcp-coder prompt --session-id {session_id} --timeout SECONDS ...",
    NotRecordedError: "mcp-coder sessions list",
    errors.SessionNotFoundError: "mcp-coder prompt without a session, which begins a new one",
    errors.SessionBusyError: "mcp-coder prompt --session-id {session_id} --on-busy fork ...",
    errors.LimitReachedError: _GO_ON,
    errors.ModelNotFoundError: "mcp-coder prompt --model NAME ...",
    errors.ContextWindowError: "mcp-coder prompt without a session, which begins a new one",
    errors.PermissionDeniedError: "mcp-coder prompt --session-id {session_id} --allowed-tool TOOL ...",
    errors.InterruptedTurnError: _GO_ON,
    Stopped: _GO_ON,
    console.OutputLost: _GO_ON,
}


def failure_of(error: BaseException) -> Failure:
    """Return how a command that ended with this exception failed."""
    for kind, describe in _DESCRIPTIONS:
        if isinstance(error, kind):
            return describe(error)
    return Failure(
        exit_code=exit_codes.UNEXPECTED,
        kind=type(error).__name__,
        message=f"unexpected {type(error).__name__}: {error}",
        hint="the same with --debug, and report what it shows",
    )


def _of_library(error: errors.LLMError) -> Failure:
    return Failure(
        exit_code=exit_codes.exit_code_of(error),
        kind=type(error).__name__,
        message=error.message,
        hint=_hint_for(error, error.session_id),
        status=getattr(error, "status", None),
        session_id=error.session_id,
        retryable=error.retryable,
        response=error.response,
    )


def _of_signal(error: Stopped) -> Failure:
    name = "Ctrl-C" if isinstance(error, Interrupted) else signal.Signals(error.number).name
    known = f"; the session is {error.session_id}" if error.session_id else ""
    return Failure(
        exit_code=exit_codes.signal_exit_code(error.number),
        kind="InterruptedTurnError",
        message=f"stopped by {name}{known}",
        hint=_hint_for(error, error.session_id),
        session_id=error.session_id,
    )


def _of_usage(error: click.ClickException) -> Failure:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "mcp-coder"
    return Failure(
        exit_code=exit_codes.USAGE,
        kind="InvalidRequestError",
        message=error.format_message(),
        hint=f"{path} --help",
        details=getattr(error, "details", ()),
    )


def _of_lost_output(error: console.OutputLost) -> Failure:
    return Failure(
        exit_code=exit_codes.OUTPUT_LOST,
        kind=type(error).__name__,
        message=str(error),
        hint=_hint_for(error, error.session_id),
        session_id=error.session_id,
    )


def _of_gone_reader(error: console.ReaderGone) -> Failure:
    return Failure(exit_code=exit_codes.READER_GONE, kind=type(error).__name__, message="")


_DESCRIPTIONS: Sequence[tuple[type[BaseException], Callable[..., Failure]]] = (
    (errors.LLMError, _of_library),
    (Stopped, _of_signal),
    (click.ClickException, _of_usage),
    (console.OutputLost, _of_lost_output),
    (console.ReaderGone, _of_gone_reader),
)


def _hint_for(error: BaseException, session_id: str | None) -> str:
    hint = next((_HINTS[kind] for kind in type(error).__mro__ if kind in _HINTS), "")
    if "{session_id}" in hint and session_id is None:
        return ""
    return hint.format(session_id=session_id)


def output_format_in(arguments: Sequence[str]) -> str:
    """Return the ``--output-format`` that a command line asks for, also one that cannot be understood otherwise.

    >>> output_format_in(["prompt", "Hi", "--output-format=json", "--no-such-option"])
    'json'
    """
    flag, found = "--output-format", "text"
    options = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    for word, following in itertools.pairwise([*options, ""]):
        value = following if word == flag else word.removeprefix(f"{flag}=")
        if word.startswith(flag) and value in ANSWER_FORMATS:
            found = value
    return found


def report(error: BaseException, *, output_format: str, debug: bool) -> int:
    """Say on standard error, and as JSON where that was asked for, how a command failed; return its exit code."""
    failure = failure_of(error)
    if failure.message:
        _write_result(failure, output_format)
        if debug and not isinstance(error, click.ClickException):
            _show_traceback(error)
        for line in (failure.line, *failure.details):
            console.say(line)
    return failure.exit_code


def _write_result(failure: Failure, output_format: str) -> None:
    """Write what belongs on standard output although the command failed: JSON, or an answer that was paid for."""
    try:
        if output_format in _AS_JSON:
            console.write_json(_json(failure, _AS_JSON[output_format]))
        elif failure.response is not None:
            console.write_answer(answer_text(_response(failure.response), output_format))
    except (console.OutputLost, console.ReaderGone) as lost:
        if str(lost):
            console.say(f"mcp-coder: {lost}")


_AS_JSON: Mapping[str, Callable[..., str]] = {"json": error_json, "stream-json": error_line}


def _json(failure: Failure, written: Callable[..., str]) -> str:
    return written(
        kind=failure.kind,
        message=failure.message,
        status=failure.status,
        session_id=failure.session_id,
        retryable=failure.retryable,
        response=failure.response,
    )


def _response(mapping: Mapping[str, object]) -> LLMResponseDict:
    return mapping  # type: ignore[return-value]  # an error carries the response that the call would have returned


def _show_traceback(error: BaseException) -> None:
    import traceback

    console.say("".join(traceback.format_exception(error)).rstrip())
