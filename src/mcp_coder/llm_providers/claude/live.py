"""Claude Code's program while it runs a turn: fed one message, its events read as they come, ended with all it started.

A request and an entry come in; facts go out, as an ``Outcome``. What they mean is the judge's. This is the whole of
method ``"cli"``; method ``"api"`` adds the SDK to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping

from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_providers.base import TURN_MARKER, Agent, Entry, Outcome, RawEvent, Stopped, TurnFiles
from mcp_coder.llm_providers.claude.command import command_line
from mcp_coder.llm_providers.claude.parse import event_in, is_delta, read_output, turn_events
from mcp_coder.llm_providers.claude.turn_end import TurnTracker
from mcp_coder.llm_providers.process import Process
from mcp_coder.llm_requests import TurnRequest

__all__ = ["ClaudeLive", "user_message"]


def user_message(question: str) -> bytes:
    """Return the line that hands a prompt over; plain ASCII, so that no encoding can touch it on the way."""
    message = {"type": "user", "message": {"role": "user", "content": question}}
    return json.dumps(message).encode("ascii") + b"\n"


class ClaudeLive:
    """One run of the program. Make it with ``start``."""

    method = "cli"

    def __init__(
        self,
        process: Process,
        request: TurnRequest,
        agent: Agent,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> None:
        self._process = process
        self._request, self._agent, self._entry, self._files = request, agent, entry, files
        self._observe = observe
        self._tracker = TurnTracker()
        self._events: list[RawEvent] = []
        self._unread: list[str] = []
        self._begun = False
        self._untold: list[TurnEvent] = []

    @classmethod
    def start(
        cls,
        request: TurnRequest,
        *,
        agent: Agent,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> ClaudeLive:
        """Start the program without giving it the prompt: its start-up hides what the caller does meanwhile.

        Raises:
            AgentNotFoundError: it could not be started.
        """
        line = command_line(request, program=agent.program, entry=entry, directory=files.directory)
        for name, text in line.files.items():
            _write_private(os.path.join(files.directory, name), text)
        try:
            process = Process.start(
                line.argv,
                env={
                    **agent.env,
                    TURN_MARKER: f"{agent.env.get(TURN_MARKER, '')}:{files.turn_id}".lstrip(":"),
                },
                cwd=entry.cwd,
                output=files.output,
                errors=files.errors,
            )
        except OSError as error:
            raise AgentNotFoundError(
                f"{agent.program} cannot be started: {error}", searched=[agent.program]
            ) from error
        try:
            return cls(process, request, agent, entry, files, observe)
        except BaseException:
            process.end(over=False, grace=0)
            process.close()
            raise

    def identity(self) -> Mapping[str, object]:
        """Return what tells this process from every other."""
        return self._process.identity()

    def feed(self) -> None:
        """Hand the prompt over. stdin stays open until the turn ends."""
        self._process.write(user_message(self._request.question))

    def wait(self, seconds: float) -> bool:
        """Wait for up to ``seconds`` for something new; return whether anything was printed, or the program ended."""
        happened = self._process.wait(seconds)
        self._read()
        return happened

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

    def close(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        """End the program with all that it started, and return what the turn left behind."""
        self._observe = _ignore
        self._read()
        complete = self._tracker.over
        try:
            exit_code = self._process.end(over=self._ended, grace=grace)
            self._read()
        finally:
            cut = self._read_rest()
            self._finish()
            self._process.close()
        return Outcome(
            entry=self._entry,
            agent=self._agent,
            method=self.method,
            events=tuple(self._events),
            unread=tuple(self._unread),
            cut=cut,
            complete=complete,
            exit_code=exit_code,
            stderr=self._process.stderr(),
            stopped=None if complete else stopped,
            seconds=seconds,
        )

    # --- what method "api" adds

    def _forward(self, event: RawEvent) -> None:
        """Hand an event on, for whoever else follows the turn."""

    def _finish(self) -> None:
        """Let whoever else follows the turn come to its end; all events were handed on."""

    # --- reading

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
        self._untold += turn_events(event)
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
        with open(self._files.output, "rb") as file:
            reading = read_output(file.read())
        self._unread = list(reading.unread)
        for event in reading.events:
            self._events.append(event)
            self._tracker.see(event)
            self._forward(event)
        return reading.cut


_CONTROL = frozenset({"control_request", "control_response", "control_cancel_request"})
"""What the program and whoever drives it say to each other; no part of the turn."""


def _ignore(_event: TurnEvent) -> None:
    """Watch nothing any more."""


def _write_private(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(file, "w", encoding="utf-8", newline="") as stream:
        stream.write(text)
