"""What a watcher is told, made whole: the law of the texts, what the turn used, and its end.

The events of a turn come in and go on to the watcher, unchanged and in order. At the end comes what is missing, so that
for every turn that has an answer, whatever its agent printed: **the pieces of the last part, joined, equal the text of
the response**. Nothing here does I/O; it raises only what the watcher raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcp_coder.llm_events import TextDelta, TurnFinished, UsageReported

if TYPE_CHECKING:
    from mcp_coder.llm_events import TurnEvent, Usage
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["Watching"]


class Watching:
    """Hands the events of one turn to a watcher, and remembers the text that was told last.

    Example:
        >>> watching = Watching(print)
        >>> watching(TextDelta(text="Noted"))
        TextDelta(text='Noted', part=1)
        >>> watching.complete("Noted: blue")
        TextDelta(text=': blue', part=1)
    """

    def __init__(self, observe: Callable[[TurnEvent], None]) -> None:
        self._observe = observe
        self._part = 0
        self._pieces: list[str] = []

    def __call__(self, event: TurnEvent) -> None:
        """Hand an event on."""
        if isinstance(event, TextDelta):
            self._remember(event)
        self._observe(event)

    def _remember(self, event: TextDelta) -> None:
        if event.part != self._part:
            self._part, self._pieces = event.part, []
        self._pieces.append(event.text)

    def complete(self, text: str) -> None:
        """Tell what is missing of the answer's text: its rest, or all of it as a text of its own."""
        told = "".join(self._pieces)
        if text == told:
            return
        if text.startswith(told):
            self(TextDelta(text=text[len(told) :], part=max(self._part, 1)))
        else:
            self(TextDelta(text=text, part=self._part + 1))

    def finish(self, response: LLMResponseDict, usage: Usage | None) -> None:
        """Tell the end of a turn that has an answer: what is missing of its text, what it used, and the response."""
        self.complete(response["text"])
        if usage is not None:
            self(UsageReported(usage=usage))
        self(TurnFinished(response=response))
