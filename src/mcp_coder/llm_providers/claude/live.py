"""Claude Code's program while it runs turns: fed messages, its events read as they come, ended with all it started.

A request and an entry come in; facts go out, as an ``Outcome``. What they mean is the judge's. This is the whole of
method ``"cli"``; method ``"api"`` adds the SDK to it.

A program is started for one turn (``start``, ``feed``, ``close``), or kept for the turns of a session (``start_kept``,
then ``begin``, ``feed``, ``finish`` and ``rest`` for each). One that is kept has private files of its own; its output
stands among those of a turn while the turn lasts, so that whoever comes after our death finds just that turn's there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_providers.base import TURN_MARKER, Agent, Entry, Outcome, RawEvent, Stopped, TurnFiles
from mcp_coder.llm_providers.claude.command import KEPT_ENVIRONMENT, command_line
from mcp_coder.llm_providers.claude.parse import event_in, is_delta, read_output
from mcp_coder.llm_providers.claude.telling import EventTeller
from mcp_coder.llm_providers.claude.turn_end import TurnTracker, own_events
from mcp_coder.llm_providers.output_files import output_in
from mcp_coder.llm_providers.process import INTERRUPT_SECONDS, Process, boot_seconds
from mcp_coder.llm_providers.turn_files import remove_turn_files
from mcp_coder.llm_requests import TurnRequest

if TYPE_CHECKING:
    from typing import Self

    from mcp_coder.llm_events import TurnEvent

__all__ = ["ClaudeLive", "as_line", "user_message"]

_END_SECONDS = 3.0
"""How long a resting program is given to exit once its stdin is closed."""
_LINE_SECONDS = 0.2
"""How long a line that is half printed is waited for."""


def user_message(question: str, prompt_id: str | None = None) -> dict[str, Any]:
    """Return the message that hands a prompt over; ``prompt_id`` is what the program calls it when it takes it up."""
    message = {"type": "user", "message": {"role": "user", "content": question}}
    return message if prompt_id is None else {**message, "uuid": prompt_id}


def as_line(message: Mapping[str, object]) -> bytes:
    """Return a message as the program reads it; plain ASCII, so that no encoding can touch it on the way."""
    return json.dumps(message).encode("ascii") + b"\n"


class ClaudeLive:
    """One run of the program. Make it with ``start`` or ``start_kept``."""

    method = "cli"

    def __init__(
        self,
        process: Process,
        request: TurnRequest,
        agent: Agent,
        entry: Entry,
        files: TurnFiles,
        *,
        kept: bool,
    ) -> None:
        self._process, self._agent, self._own_files = process, agent, files
        self.kept = kept
        """Whether it is to outlive its turn."""
        self._between: list[RawEvent] = []
        self._errors_before = 0
        self._interrupts = 0
        self._had_turn = False
        self._new_turn(request, entry, files, _ignore)

    def _new_turn(
        self, request: TurnRequest, entry: Entry, files: TurnFiles, observe: Callable[[TurnEvent], None]
    ) -> None:
        self._request, self._entry, self._files, self._observe = request, entry, files, observe
        prompt_id = self._prompt_id = files.turn_id if self.kept else None
        self._tracker = TurnTracker(prompt_id=prompt_id)
        self._teller = EventTeller(wait_for_echo=prompt_id)
        self._events: list[RawEvent] = []
        self._unread: list[str] = []
        self._untold: list[TurnEvent] = []
        self._begun = False
        self._fed_at = 0.0

    @classmethod
    def start(
        cls,
        request: TurnRequest,
        *,
        agent: Agent,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> Self:
        """Start the program without giving it the prompt: its start-up hides what the caller does meanwhile.

        Raises:
            AgentNotFoundError: it could not be started.
        """
        live = cls._started(request, agent, entry, files, kept=False)
        live._observe = observe
        return live

    @classmethod
    def start_kept(cls, request: TurnRequest, *, agent: Agent, entry: Entry, files: TurnFiles) -> Self:
        """Start the program for the turns of a session; ``begin`` makes it ready for one.

        Raises:
            AgentNotFoundError: it could not be started; its files are gone again.
        """
        try:
            live = cls._started(request, agent, entry, files, kept=True)
        except BaseException:
            remove_turn_files(files.directory)
            raise
        live._process.resting = True
        return live

    @classmethod
    def _started(
        cls, request: TurnRequest, agent: Agent, entry: Entry, files: TurnFiles, *, kept: bool
    ) -> Self:
        line = command_line(request, program=agent.program, entry=entry, directory=files.directory, kept=kept)
        for name, text in line.files.items():
            _write_private(os.path.join(files.directory, name), text)
        marker = f"{agent.env.get(TURN_MARKER, '')}:{files.turn_id}".lstrip(":")
        try:
            process = Process.start(
                line.argv,
                env={**(KEPT_ENVIRONMENT if kept else {}), **agent.env, TURN_MARKER: marker},
                cwd=entry.cwd,
                output=files.output,
                errors=files.errors,
            )
        except OSError as error:
            raise AgentNotFoundError(
                f"{agent.program} cannot be started: {error}", searched=[agent.program]
            ) from error
        try:
            return cls(process, request, agent, entry, files, kept=kept)
        except BaseException:
            process.end(over=False, grace=0)
            process.close()
            raise

    @property
    def marker(self) -> str:
        """What its processes carry in ``TURN_MARKER``."""
        return self._process.marker

    @property
    def alive(self) -> bool:
        """Whether its program still runs."""
        return self._process.exit_code() is None and not self._process.ending

    def identity(self) -> Mapping[str, object]:
        """Return what tells this process from every other."""
        return self._process.identity()

    # --- a turn of one that is kept

    def begin(
        self,
        request: TurnRequest,
        *,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> None:
        """Make ready for a turn: what is printed from here on is the turn's, in the turn's own files.

        Raises:
            OSError: its output cannot be led there; it is of no use any more.
        """
        self._read_between()
        between, self._between = self._between, []
        # Before its first turn nothing is to be taken away, wherever that is not safe: an SDK waits for what it prints.
        self._process.move_output(files.output, empty=self._had_turn)
        self._had_turn = True
        self._errors_before = self._process.error_bytes()
        self._process.resting = False
        self._new_turn(request, entry, files, observe)
        self._between = between

    def rest(self) -> None:
        """Take its output back from the files of a turn that is over, so that these can be removed.

        Raises:
            OSError: it cannot; the program is of no use any more.
        """
        self._process.move_output(self._own_files.output)
        self._observe, self._between = _ignore, []
        self._process.resting = True

    @property
    def stirred(self) -> bool:
        """Whether it did something of its own accord since its last turn, or still does: it has begun a turn."""
        self._read_between()
        return any(event.get("type") == "result" or event.get("subtype") == "init" for event in self._between)

    def _read_between(self) -> None:
        until = time.monotonic() + _LINE_SECONDS
        while True:
            for line in self._process.read_lines():
                event = event_in(line)
                if event is not None and event.get("type") in _CONTROL:
                    self._forward(event)
                elif event is not None and not is_delta(event):
                    self._between.append(event)
            if not self._process.rest() or time.monotonic() > until:
                return
            self._process.wait(_LINE_SECONDS)

    def dismiss(self) -> None:
        """Let the program exit by itself, in which no turn is under way; ``end`` must follow."""
        self._process.close_input()

    def end(self) -> None:
        """End the program, in which no turn is under way, with all that it started."""
        try:
            self._process.end(over=True, grace=_END_SECONDS)
        finally:
            try:
                self._finish()
            finally:
                self._let_go()

    def _let_go(self) -> None:
        self._process.close()
        if self.kept:
            remove_turn_files(self._own_files.directory)

    # --- any turn

    def feed(self) -> None:
        """Hand the prompt over. stdin stays open until the turn ends."""
        self._fed_at = boot_seconds()
        self._process.write(as_line(user_message(self._request.question, self._prompt_id)))

    def wait(self, seconds: float) -> bool:
        """Wait for up to ``seconds`` for something new; return whether anything was printed, or the program ended."""
        happened = self._process.wait(seconds)
        self._read()
        return happened

    @property
    def printed(self) -> Sequence[Sequence[RawEvent]]:
        """What it has printed of the turn so far; pieces of messages left out."""
        return (self._events,)

    @property
    def begun(self) -> bool:
        """Whether it has shown a sign of life since the prompt."""
        return self._begun

    @property
    def over(self) -> bool:
        """Whether the turn has ended by the program's own account, or the program is gone."""
        return self._ended

    @property
    def _ended(self) -> bool:
        return self._tracker.over or self._process.exit_code() is not None

    def finish(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        """End the turn, and return what it left behind; ``kept`` in it says whether the program lives on."""
        if not self.kept:
            return self.close(stopped=stopped, seconds=seconds, grace=grace)
        if not self._fed_at and self._is_free():  # stopped before it was given the prompt
            return self._outcome(complete=False, stopped=stopped, seconds=seconds, exit_code=None, kept=True)
        self._read_unobserved()
        complete = self._tracker.over
        in_vain = not complete and self._is_free() and not self._broken_off()
        if not self._lives_on():
            return self._closed(stopped, seconds, grace, complete=complete, interrupt=not in_vain)
        if not complete:
            self._process.end_tools(self._fed_at)
        self._digest()
        return self._outcome(complete=complete, stopped=stopped, seconds=seconds, exit_code=None, kept=True)

    def _is_free(self) -> bool:
        """Return whether it runs, and nobody ends it from outside."""
        return self.alive and not self._process.interrupted

    def _broken_off(self) -> bool:
        """Ask the program to break the turn off; return whether it did, and can go on with another."""
        self._interrupts += 1
        request = {"subtype": "interrupt"}
        message = {
            "type": "control_request",
            "request_id": f"interrupt-{self._interrupts}",
            "request": request,
        }
        self._process.write(as_line(message))
        until = time.monotonic() + INTERRUPT_SECONDS
        while not self._ended and (left := until - time.monotonic()) > 0 and not self._process.interrupted:
            self.wait(left)
        return self._tracker.over

    def _lives_on(self) -> bool:
        """Return whether the program can run another turn of this session."""
        tracker = self._tracker
        return (
            self._is_free()
            and tracker.begun
            and tracker.over
            and tracker.native_id == self._entry.native_id  # /clear leads it elsewhere
            and self._request.max_budget_usd is None  # which counts from the program's start
        )

    def close(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        """End the program with all that it started, and return what the turn left behind."""
        self._read_unobserved()
        return self._closed(stopped, seconds, grace, complete=self._tracker.over, interrupt=True)

    def _closed(
        self,
        stopped: Stopped | None,
        seconds: float | None,
        grace: float,
        *,
        complete: bool,
        interrupt: bool,
    ) -> Outcome:
        self._observe = _ignore
        cut = False
        try:
            exit_code = self._process.end(over=self._ended, grace=grace, interrupt=interrupt)
            self._read()
        finally:
            try:
                cut = self._read_rest()
                self._finish()
                errors = self._process.stderr(since=self._errors_before)
            finally:
                self._let_go()
        return self._outcome(
            complete=complete, stopped=stopped, seconds=seconds, exit_code=exit_code, cut=cut, errors=errors
        )

    def _outcome(
        self,
        *,
        complete: bool,
        stopped: Stopped | None,
        seconds: float | None,
        exit_code: int | None,
        cut: bool = False,
        errors: str | None = None,
        kept: bool = False,
    ) -> Outcome:
        own: tuple[RawEvent, ...] = tuple(self._events)
        reports: tuple[RawEvent, ...] = ()
        if self._prompt_id is not None:
            reports, own = own_events(own, self._prompt_id)
        return Outcome(
            entry=self._entry,
            agent=self._agent,
            method=self.method,
            events=own,
            unread=tuple(self._unread),
            cut=cut,
            complete=complete,
            exit_code=exit_code,
            stderr=self._process.stderr(since=self._errors_before) if errors is None else errors,
            stopped=None if complete else stopped,
            seconds=seconds,
            between=(*self._between, *reports),
            kept=kept,
        )

    # --- what method "api" adds

    def _forward(self, event: RawEvent) -> None:
        """Hand an event on, for whoever else follows the turn."""

    def _digest(self) -> None:
        """Let whoever else follows the turn take in all of it; the program goes on."""

    def _finish(self) -> None:
        """Let whoever else follows the turn come to its end; all events were handed on."""

    # --- reading

    def _read_unobserved(self) -> None:
        self._observe = _ignore
        self._read()

    def _read(self) -> None:
        for line in self._process.read_lines():
            self._take(line)
        # Only now: whatever a watcher does, no line that was read is lost.
        while self._untold:
            self._observe(self._untold.pop(0))

    def _take(self, line: bytes) -> None:
        event = event_in(line)
        if event is None:
            if line.strip():
                self._unread.append(line.decode("utf-8", "replace"))
            return
        self._forward(event)
        if event.get("type") in _CONTROL:
            return
        self._begun = True
        self._untold += self._teller.told(event)
        if not is_delta(event):
            self._events.append(event)
            self._tracker.see(event)

    def _read_rest(self) -> bool:
        """Read what stands behind the last whole line; return whether it is the beginning of something lost."""
        rest = self._process.rest()
        if rest.strip() and event_in(rest) is not None:
            self._take(rest)
            return False
        if self._events or not (rest.strip() or self._unread):
            if rest.strip():
                self._unread.append(rest.decode("utf-8", "replace"))
            return bool(rest.strip())
        return self._read_as_one()

    def _read_as_one(self) -> bool:
        """Read the output as one document: an array, or an object over many lines, as other versions print it."""
        reading = read_output(output_in(self._files.output))
        self._unread = list(reading.unread)
        for event in reading.events:
            self._events.append(event)
            self._tracker.see(event)
            self._forward(event)
        return reading.cut


_CONTROL = frozenset({"control_request", "control_response", "control_cancel_request"})
"""What the program and whoever drives it say to each other; no part of the turn."""


def _ignore(_event: TurnEvent) -> None:
    """Watch nothing."""


def _write_private(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)
