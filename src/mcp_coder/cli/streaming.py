"""An answer shown as it comes, or once it is there: which of the manners, and what each writes.

``manner_of`` chooses: ``whole`` (after the turn), ``plain`` (text as it comes), ``live`` (Markdown as it comes, on
a terminal), ``events`` (the turn's events as lines of JSON). Events come in through ``Answer.observe``. Standard output
has the answer, standard error what is said beside it. To add a manner, add its row to ``_SURFACES``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.answer_pieces import AnswerPieces
from mcp_coder.cli.progress import Watch, watched
from mcp_coder.cli.render import event_line, tool_note
from mcp_coder.cli.terminal_text import VisibleText
from mcp_coder.llm_errors import LLMError
from mcp_coder.llm_events import TextDelta, TurnEvent, TurnFinished
from mcp_coder.llm_sessions.watching import Watching

__all__ = ["Answer", "Manner", "answering", "manner_of"]

Manner = Literal["whole", "plain", "live", "events"]


def manner_of(output_format: str, *, stream: bool | None) -> Manner:
    """Return how an answer is shown.

    Args:
        output_format: as ``--output-format`` says.
        stream: whether it was asked to come piece by piece; None: nothing was said.

    Raises:
        click.UsageError: these do not go together.
    """
    if output_format == "stream-json":
        if stream is False:
            raise click.UsageError("--output-format stream-json is a stream: leave out --no-stream")
        return "events"
    if output_format != "text":
        if stream:
            raise click.UsageError("--stream goes with --output-format text or stream-json")
        return "whole"
    return _manner_of_text(console.output_is_terminal() if stream is None else stream)


def _manner_of_text(stream: bool) -> Manner:
    if not stream:
        return "whole"
    # Where the log is written between the lines, nothing can be redrawn.
    live = console.output_is_terminal() and console.can_redraw() and not logs.is_enabled()
    return "live" if live else "plain"


class _Surface(Protocol):
    """Where events are shown."""

    def take(self, event: TurnEvent) -> None:
        """Show an event."""

    def end(self) -> None:
        """Show what was held back; it may be called more than once."""


class _Nothing:
    """Shows no event: the answer is printed when it is there."""

    def take(self, event: TurnEvent) -> None:
        pass

    def end(self) -> None:
        pass


class _EventLines(_Nothing):
    """Each event as a line of JSON; the last is written when nothing can go wrong any more."""

    def __init__(self, output: console.AnswerOutput) -> None:
        self._output = output

    def take(self, event: TurnEvent) -> None:
        if not isinstance(event, TurnFinished):
            self._output.write_json(event_line(event))


class _PlainText:
    """The texts of the turn as they are, and tools as notes."""

    def __init__(self, output: console.AnswerOutput, *, quiet: bool) -> None:
        self._output, self._quiet = output, quiet
        self._terminal = console.output_is_terminal()
        self._pieces, self._visible = AnswerPieces(), VisibleText()
        self._part = 0

    def take(self, event: TurnEvent) -> None:
        if isinstance(event, TextDelta):
            self._take_text(event)
        elif not self._quiet and (note := tool_note(event)):
            if self._terminal:
                self._write(self._pieces.end_line())
            console.say(f"tool: {note}")

    def _take_text(self, event: TextDelta) -> None:
        if event.part != self._part:
            self._end_text()
            self._part = event.part
        text = self._visible.feed(event.text) if self._terminal else event.text
        self._write(self._pieces.add(text, part=self._part))

    def _end_text(self) -> None:
        if rest := self._visible.end():
            self._write(self._pieces.add(rest, part=self._part))

    def end(self) -> None:
        self._end_text()
        self._write(self._pieces.end_line())

    def _write(self, text: str) -> None:
        if text:
            self._output.write(text)


class Answer:
    """An answer on its way to standard output.

    Attributes:
        watch: what is known of the turn.
        shows_text: whether the text of the answer is shown as it comes.
    """

    def __init__(
        self, watch: Watch, surface: _Surface, output: console.AnswerOutput, *, shows_text: bool
    ) -> None:
        self.watch, self.shows_text = watch, shows_text
        self._surface, self._output = surface, output
        self._watching = Watching(surface.take)

    def observe(self, event: TurnEvent) -> None:
        """Take an event of the turn."""
        self.watch.observe(event)
        self._watching(event)

    def complete(self, text: str) -> None:
        """Show what is missing of the answer's text, if it is shown at all."""
        if self.shows_text:
            self._watching.complete(text)
            self._surface.end()

    def end(self) -> None:
        """Show what was held back of a turn that has ended one way or the other."""
        self._surface.end()

    def check(self) -> None:
        """Raise what became of what was written, see ``console.AnswerOutput.check``."""
        self._output.check()


@contextlib.contextmanager
def answering(manner: Manner, *, quiet: bool, markdown: bool = True) -> Iterator[Answer]:
    """Show the answer of a turn that runs meanwhile.

    Args:
        manner: as ``manner_of`` gave it.
        quiet: say nothing beside it.
        markdown: the answer is Markdown.
    """
    line = manner == "whole" and not logs.is_enabled()
    output = console.AnswerOutput()
    with (
        watched(quiet=quiet, line=line) as watch,
        _SURFACES[manner](output, watch, quiet=quiet, markdown=markdown) as surface,
    ):
        answer = Answer(watch, surface, output, shows_text=manner in ("plain", "live"))
        try:
            with _paid_answers_shown_once(answer):
                yield answer
        finally:
            answer.end()


@contextlib.contextmanager
def _paid_answers_shown_once(answer: Answer) -> Iterator[None]:
    """Show the answer that an error brings along here, where its beginning was shown, and nowhere else."""
    try:
        yield
    except LLMError as error:
        if answer.shows_text and error.response is not None:
            answer.complete(str(error.response["text"]))
            error.response = None
        raise


_Made = contextlib.AbstractContextManager[_Surface]


def _whole(output: console.AnswerOutput, watch: Watch, *, quiet: bool, markdown: bool) -> _Made:
    del output, watch, quiet, markdown
    return contextlib.nullcontext(_Nothing())


def _events(output: console.AnswerOutput, watch: Watch, *, quiet: bool, markdown: bool) -> _Made:
    del watch, quiet, markdown
    return contextlib.nullcontext(_EventLines(output))


def _plain(output: console.AnswerOutput, watch: Watch, *, quiet: bool, markdown: bool) -> _Made:
    del watch, markdown
    return contextlib.nullcontext(_PlainText(output, quiet=quiet))


def _live(output: console.AnswerOutput, watch: Watch, *, quiet: bool, markdown: bool) -> _Made:
    from mcp_coder.cli.live_markdown import live_markdown  # rich, which takes its time

    return live_markdown(output, watch, quiet=quiet, markdown=markdown)


_SURFACES: Mapping[Manner, Callable[..., _Made]] = {
    "whole": _whole,
    "plain": _plain,
    "live": _live,
    "events": _events,
}
