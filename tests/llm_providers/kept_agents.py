"""An agent that is kept, played: it notes what it is told, and is as alive and as much astir as a test says."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_providers.agent_source import TurnStart
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent, Stopped, TurnFiles
from mcp_coder.llm_providers.cards import Card
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.turn_files import remove_turn_files
from mcp_coder.llm_requests import TurnRequest, new_request

ID = "11111111-1111-4111-8111-111111111111"


class PlayedLive:
    """A ``KeptLive`` without a program. ``told`` is what it was told, in order."""

    kept = True

    def __init__(self, provider: PlayedProvider, number: int, files: TurnFiles) -> None:
        self._provider, self.number, self.marker, self.files = provider, number, files.turn_id, files
        self.alive, self.stirred = True, False
        self.begun = self.over = False
        self.fails_at = provider.fails_at
        self.turns: list[dict[str, Any]] = []

    def _note(self, what: str) -> None:
        self._provider.journal.append(f"{what} {self.number}")
        if self.fails_at == what:
            raise self._provider.fails_with

    def begin(
        self, request: TurnRequest, *, entry: Entry, files: TurnFiles, observe: Callable[[TurnEvent], None]
    ) -> None:
        self._note("begin")
        self.turns.append({"request": request, "entry": entry, "files": files, "observe": observe})

    def rest(self) -> None:
        self._note("rest")

    def dismiss(self) -> None:
        self._note("dismiss")

    def end(self) -> None:
        self.alive = False
        remove_turn_files(self.files.directory)
        self._provider.grow()
        self._note("end")

    def feed(self) -> None:
        """Take the prompt."""

    def wait(self, seconds: float) -> bool:
        return False

    @property
    def printed(self) -> Sequence[Sequence[RawEvent]]:
        return ()

    def identity(self) -> Mapping[str, object]:
        return {}

    def close(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        raise NotImplementedError

    def finish(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        raise NotImplementedError


class PlayedProvider(ClaudeProvider):
    """A provider whose agents are played. ``journal`` is what they were told, all of them, in order.

    ``size`` is the fingerprint of its native sessions; ``grows_by`` is what an agent adds on its way out. ``fails_at``
    is what its next agents fail at, with the error ``fails_with``.
    """

    def __init__(self) -> None:
        self.started: list[PlayedLive] = []
        self.requests: list[TurnRequest] = []
        self.journal: list[str] = []
        self.size: int | None = 100
        self.grows_by = 0
        self.starts = True
        self.fails_at: str | None = None
        self.fails_with: BaseException = OSError("it cannot")
        self.on_start: Callable[[TurnFiles], None] = lambda _: None

    def start_kept(self, request: TurnRequest, *, agent: Agent, entry: Entry, files: TurnFiles) -> PlayedLive:
        self.on_start(files)
        if not self.starts:
            remove_turn_files(files.directory)
            raise AgentNotFoundError("there is none")
        self.requests.append(request)
        self.started.append(PlayedLive(self, len(self.started), files))
        self.journal.append(f"start {len(self.started) - 1}")
        return self.started[-1]

    def grow(self) -> None:
        if self.size is not None:
            self.size += self.grows_by

    def fingerprint(self, agent: Agent, native_id: str) -> str | None:
        return None if self.size is None else str(self.size)


def never() -> bool:
    return False


def new_agent(config_dir: str | os.PathLike[str]) -> Agent:
    return Agent(program="claude", version="1", config_dir=str(config_dir), env={"A": "b"})


NEW = Entry(first_id=ID, begin=ID, cwd="/")
"""How the first turn of a session enters it."""
RESUMED = Entry(first_id=ID, resume=ID, cwd="/")
"""How the next one does."""


def card_behind(finished: int, fingerprint: str | None = "100") -> Card:
    """Return the card of the session behind so many turns."""
    return Card(
        first_id=ID,
        native_id=ID,
        cwd="/",
        finished=finished,
        point=f"point-{finished}",
        fingerprint=fingerprint,
    )


def turn_start(provider: PlayedProvider, agent: Agent, **changes: Any) -> TurnStart:
    """Return the first turn of a session, but for what a test changes; ``options`` are those of its request."""
    options = changes.pop("options", {})
    start = TurnStart(
        provider=provider,
        request=new_request("hello", **options),
        agent=agent,
        entry=NEW,
        found=None,
        files=TurnFiles(turn_id="t", directory="/t", output="/t/output.jsonl", errors="/t/stderr.txt"),
        observe=lambda _: None,
        deadline=Deadline.after(60),
        stop=never,
    )
    return dataclasses.replace(start, **changes)
