"""An agent's answer, laid out as Markdown on a terminal so that nothing of it is lost.

``rich`` does the work. What it would leave out or hide is shown: tags (``<div>``), the address of a link, the ends of
lines within a paragraph, words that are longer than the column of their table.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from markdown_it import MarkdownIt
from rich.markdown import Markdown, MarkdownElement, TableElement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markdown_it.token import Token
    from rich.console import Console, ConsoleOptions, RenderResult

__all__ = ["AnswerMarkdown"]


class _WholeTable(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for content in super().__rich_console__(console, options):
            if isinstance(content, Table):
                for column in content.columns:
                    column.overflow = "fold"
            yield content


class AnswerMarkdown(Markdown):
    """Text as Markdown; where that would lose some of it (nested too deeply, too narrow a terminal), text as it is."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {**Markdown.elements, "table_open": _WholeTable}

    def __init__(self, text: str) -> None:
        # A theme of the terminal's own colors: readable on light and dark.
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the text out."""
        try:
            self.parsed = _parsed(self._text)
            content = list(super().__rich_console__(console, options))
        except Exception:  # noqa: BLE001  # whatever it is: the answer was paid for
            content = []
        lines = _without_margins([part for part in content if isinstance(part, Segment)])
        if self._letters() - _letters_in("".join(part.text for line in lines for part in line)):
            yield Text(self._text, overflow="fold")
            return
        for line in lines:
            yield from line
            yield Segment.line()

    def _letters(self) -> Counter[str]:
        """Return the letters that must be seen; the name of a code block's language need not."""
        languages = "".join(
            token.info.partition(" ")[0] for token in self.parsed or () if token.type == "fence"
        )
        return _letters_in(self._text) - _letters_in(languages)


def _without_margins(content: Iterable[Segment]) -> Sequence[list[Segment]]:
    """Return the lines, without the empty ones above and below: whoever prints blocks knows the space between them."""
    lines = list(Segment.split_lines(content))
    seen = [place for place, line in enumerate(lines) if "".join(part.text for part in line).strip()]
    return lines[seen[0] : seen[-1] + 1] if seen else []


def _letters_in(text: str) -> Counter[str]:
    return Counter(filter(str.isalpha, text))


def _parsed(text: str) -> list[Token]:
    tokens = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).parse(text)
    _keep_line_ends(tokens)
    return tokens


def _keep_line_ends(tokens: Iterable[Token]) -> None:
    for token in tokens:
        if token.type == "softbreak":
            token.type = "hardbreak"
        _keep_line_ends(token.children or ())
