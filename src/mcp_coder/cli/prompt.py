"""``mcp-coder prompt``: one turn, its answer on standard output and all else on standard error."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.inputs import question_from
from mcp_coder.cli.options import (
    ANSWER,
    CALL_FLAGS,
    SESSION,
    TURN_FLAGS,
    Flag,
    SectionedCommand,
    given_options,
)
from mcp_coder.cli.progress import note_or_nothing
from mcp_coder.cli.render import ANSWER_FORMATS, answer_text
from mcp_coder.cli.session_choice import SessionChoice
from mcp_coder.cli.signals import Stopped
from mcp_coder.cli.stored_response import check_place, store_response
from mcp_coder.cli.streaming import Answer, answering, manner_of
from mcp_coder.cli.terminal_text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp_coder.cli.progress import Watch
    from mcp_coder.llm_requests import TurnRequest
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["prompt"]

_STORE_RESPONSE = "--store-response"

_FLAGS = (
    *CALL_FLAGS,
    Flag(
        "newest",
        "--continue-session",
        "-c",
        section=SESSION,
        is_flag=True,
        help="Go on with the most recent session of this directory.",
    ),
    Flag(
        "response_file",
        "--continue-session-from",
        section=SESSION,
        metavar="FILE",
        help="Go on with the session of a stored response.",
    ),
    *TURN_FLAGS,
    Flag(
        "output_format",
        "--output-format",
        section=ANSWER,
        type=click.Choice(list(ANSWER_FORMATS)),
        default="text",
        show_default=True,
        help="What is printed: the answer, the whole response, the turn's events as they come (a line of JSON each), "
        "the session's id, or the agent's own report.",
    ),
    Flag(
        "stream",
        "--stream/--no-stream",
        section=ANSWER,
        default=None,
        help="Print the answer as it comes, on a terminal as Markdown, or once it is there; by default as it comes "
        "on a terminal. Into a pipe, what the agent says before it uses a tool comes, too.",
    ),
    Flag(
        "stored_at",
        _STORE_RESPONSE,
        section=ANSWER,
        metavar="[=FILE]",
        help="Store the response as JSON in FILE, or in the user's data, and name the place.",
    ),
    Flag(
        "store",
        "--store",
        section=ANSWER,
        metavar="URL",
        help="Record the turn there (sqlite:///path), or nowhere (off); else MCP_CODER_STORE, else the user's data.",
    ),
    Flag("quiet", "--quiet", "-q", section=ANSWER, is_flag=True, help="No progress line and no notes."),
)


class _PromptCommand(SectionedCommand):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let ``--store-response`` stand alone without taking the next word, which is the prompt, for its file."""
        end = args.index("--") if "--" in args else len(args)
        written = [f"{_STORE_RESPONSE}=" if word == _STORE_RESPONSE else word for word in args[:end]]
        return super().parse_args(ctx, written + args[end:])


@click.command(cls=_PromptCommand, params=list(_FLAGS))
@click.argument("text")
@logs.log_options
def prompt(
    text: str,
    session_id: str | None,
    session: str | None,
    newest: bool,
    response_file: str | None,
    timeout: float | None,
    output_format: str,
    stored_at: str | None,
    store: str | None,
    quiet: bool,
    stream: bool | None,
    **options: object,
) -> None:
    """Send TEXT to the agent and print its answer.

    TEXT "-" is standard input, "@FILE" a file; "@@x" is the text "@x". Put "--" in front of a text that begins with
    a dash. Repeat a flag to give it more than once.
    """
    choice = SessionChoice(
        session_id=session_id, session=session, newest=newest, response_file=response_file, store=store
    )
    manner = manner_of(output_format, stream=stream)
    request = _request(text, choice, {**given_options(options), "timeout": timeout})
    tell = note_or_nothing(quiet=quiet)
    if newest:
        tell(f"going on with session {request.session_id}")
    if stored_at is not None:
        check_place(stored_at, os.environ)
    logs.keep_quiet_unless_asked()
    with answering(manner, quiet=quiet, markdown=request.json_schema is None) as answer:
        response = _answered(request, answer, store=store)
        if stored_at is not None:
            tell(f"the response is stored in {store_response(response, stored_at, os.environ)}")
    with _session_named_when_lost(response):
        answer.check()
        if not answer.shows_text:
            _print(response, output_format)


def _request(text: str, choice: SessionChoice, arguments: dict[str, object]) -> TurnRequest:
    """Return the checked request: everything that can be wrong with a command line is found here."""
    from mcp_coder.llm_requests import new_request

    cwd, env = arguments.get("cwd"), arguments.get("env")
    session = choice.arguments(
        cwd=cwd if isinstance(cwd, str) else None, env=env if isinstance(env, dict) else {}
    )
    return new_request(question_from(text), **session, **arguments)


def _answered(request: TurnRequest, answer: Answer, *, store: str | None) -> LLMResponseDict:
    """Run the turn, and show its answer as far as that is done while it comes."""
    from mcp_coder.llm_interface import run_request

    with _session_named_when_stopped(request, answer.watch):
        response = run_request(request, store=store, observe=answer.observe)
    answer.complete(response["text"])
    return response


@contextlib.contextmanager
def _session_named_when_stopped(request: TurnRequest, watch: Watch) -> Iterator[None]:
    """Let the line that a stopped command ends with name the session, if it is known."""
    try:
        yield
    except Stopped as stop:
        stop.session_id = watch.session_id if request.fork else request.session_id or watch.session_id
        raise


@contextlib.contextmanager
def _session_named_when_lost(response: LLMResponseDict) -> Iterator[None]:
    """Let the line about an answer that could not be written name the session, which has it."""
    try:
        yield
    except console.OutputLost as lost:
        lost.session_id = response["session_id"]
        raise


def _print(response: LLMResponseDict, output_format: str) -> None:
    text = answer_text(response, output_format)
    if output_format in ("text", "session-id"):
        console.write_answer(visible(text) if console.output_is_terminal() else text)
    else:
        console.write_json(text)
