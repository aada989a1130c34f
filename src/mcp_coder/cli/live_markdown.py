"""An answer on a terminal as it comes, as Markdown.

Events come in. Blocks of the answer that are finished, and what tools are called, are printed once and stay, however
long the answer is; below them stands what is redrawn: the block that is still being written, or else the progress line.
At the end nothing stands there, and what was printed is the whole answer. ``rich`` does the drawing.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, cast

from rich.segment import Segment
from rich.text import Text

from mcp_coder.cli.answer_markdown import AnswerMarkdown
from mcp_coder.cli.markdown_blocks import MarkdownBlocks
from mcp_coder.cli.redrawing import SharedTerminal, redrawn
from mcp_coder.cli.render import tool_note
from mcp_coder.cli.terminal_text import VisibleText
from mcp_coder.llm_events import TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from mcp_coder.cli.console import AnswerOutput
    from mcp_coder.cli.progress import Watch
    from mcp_coder.llm_events import TurnEvent

__all__ = ["LiveMarkdown", "live_markdown"]

_FRAMES_A_SECOND = 8
_LONGEST_PREVIEW = 20_000
"""Characters of an unfinished block beyond which it is not laid out again and again."""
_PREVIEW_TAIL = 5_000


class LiveMarkdown:
    """The answer of one turn.

    Args:
        terminal: where it is printed.
        watch: has the progress line.
        quiet: neither that line nor tools.
        markdown: the answer is Markdown, not JSON.
    """

    def __init__(self, terminal: Console, watch: Watch, *, quiet: bool, markdown: bool) -> None:
        self._terminal, self._watch = terminal, watch
        self._quiet, self._markdown = quiet, markdown
        self._part = 0
        self._visible, self._blocks = VisibleText(), MarkdownBlocks()
        self._notes: list[str] = []
        """Tools that were called in the middle of a code block, which must not be torn."""
        self._last: type | None = None
        """What was printed last."""

    def take(self, event: TurnEvent) -> None:
        """Show an event."""
        if isinstance(event, TextDelta):
            self._take_text(event)
        elif not self._quiet and (note := tool_note(event)):
            self._take_note(note)

    def _take_text(self, event: TextDelta) -> None:
        if event.part != self._part:
            self.end()
            self._part = event.part
        for block in self._blocks.feed(self._visible.feed(event.text)):
            self._print_block(block)

    def _take_note(self, note: str) -> None:
        self._notes.append(note)
        if not self._blocks.in_fence:
            self._print_block(self._blocks.end())

    def end(self) -> None:
        """Print what is not finished: a text has ended, or the turn."""
        for block in self._blocks.feed(self._visible.end()):
            self._print_block(block)
        self._print_block(self._blocks.end())

    # --- what stays

    def _print_block(self, block: str) -> None:
        if block.strip():
            self._print(self._laid_out(block), str)
        while self._notes:
            self._print(Text(f"· {self._notes.pop(0)}", style="dim"), Text, no_wrap=True, overflow="ellipsis")

    def _print(self, content: RenderableType, kind: type, **layout: Any) -> None:
        if self._needs_gap(kind):
            self._terminal.print()
        self._last = kind
        self._terminal.print(content, **layout)

    def _needs_gap(self, kind: type) -> bool:
        return self._last is not None and (kind is str or self._last is not kind)

    def _laid_out(self, block: str) -> RenderableType:
        text = block.strip("\n")
        return AnswerMarkdown(text) if self._markdown else Text(text, overflow="fold")

    # --- what is redrawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what stands below: never more than the terminal can show, or parts of it could not be taken back."""
        below = self._below()
        lines = [] if below is None else console.render_lines(below, options, pad=False)
        gap = [[Segment("")]] if lines and self._needs_gap(str) else []
        for line in (gap + lines)[1 - options.size.height :]:
            yield from line
            yield Segment.line()

    def _below(self) -> RenderableType | None:
        rest = self._blocks.rest
        if not rest.strip():
            return None if self._quiet else self._watch.__rich__()
        if len(rest) > _LONGEST_PREVIEW:
            return Text(rest[-_PREVIEW_TAIL:], overflow="fold")
        return self._laid_out(rest)


@contextlib.contextmanager
def live_markdown(
    output: AnswerOutput, watch: Watch, *, quiet: bool, markdown: bool
) -> Iterator[LiveMarkdown]:
    """Draw on standard output, which is a terminal."""
    terminal = SharedTerminal(file=cast("IO[str]", output), force_terminal=True)
    surface = LiveMarkdown(terminal, watch, quiet=quiet, markdown=markdown)
    # What is said on the same terminal must appear above; elsewhere it goes where it belongs.
    same = sys.stderr is not None and sys.stderr.isatty()
    with redrawn(surface, terminal, frames_a_second=_FRAMES_A_SECOND, redirect_stderr=same):
        yield surface
