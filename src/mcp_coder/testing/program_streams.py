"""The files and streams of the program that poses as ``claude``: its journal, its stdout, its stdin.

In come bytes on stdin and events to print, out go lines, cut where the script says, and one record for each thing that
happened. It decides nothing about turns. Standard library only, for a fast start.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress

from .program_events import control_response

TYPE_CHECKING = False  # known to type checkers; importing typing would double the start-up time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, BinaryIO


class LeaveError(Exception):
    """The program is to exit, with ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def read_json(path: str) -> Any:
    """Return the JSON value in a file."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Journal:
    """``calls.jsonl`` in a directory: one line an event, each written at once so that processes do not mix."""

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/calls.jsonl"

    def write(self, event: str, **fields: Any) -> None:
        """Append one record."""
        record = {"event": event, "pid": os.getpid(), "time": time.time(), **fields}
        opened = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(opened, json.dumps(record).encode() + b"\n")
        finally:
            os.close(opened)


class Counters:
    """The running totals of sessions, one small file each in a directory."""

    def __init__(self, directory: str) -> None:
        self._directory = f"{directory}/sessions"

    def read(self, session_id: str) -> dict[str, Any]:
        """Return the totals of a session; zeros for one that is not known."""
        try:
            return dict(read_json(self._path(session_id)))
        except FileNotFoundError:
            return {"cost": 0.0, "input_tokens": 0, "output_tokens": 0}

    def write(self, session_id: str, totals: Mapping[str, Any]) -> None:
        """Keep the totals of a session."""
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        with open(self._path(session_id), "w", encoding="utf-8") as file:
            json.dump(totals, file)

    def _path(self, session_id: str) -> str:
        return f"{self._directory}/{session_id.encode().hex()[:200]}.json"


class Output:
    """Stdout: lines as they come, or everything as one JSON value at the end; cut where the script says."""

    def __init__(self, stream: BinaryIO, form: str, cut_at: int | None) -> None:
        self._stream, self._form, self._left = stream, form, cut_at
        self._kept: list[Any] = []
        self._lock = threading.Lock()

    def event(self, value: Mapping[str, Any]) -> None:
        """Print an event, or keep it for the end. Raises LeaveError where the cut is reached."""
        if self._form == "lines" or value.get("type") == "control_response":
            self.raw(json.dumps(value).encode() + b"\n")
        else:
            self._kept.append(value)

    def raw(self, data: bytes) -> None:
        """Write bytes at once. Raises LeaveError where the cut is reached."""
        with self._lock:
            written = data if self._left is None else data[: self._left]
            self._stream.write(written)
            self._stream.flush()
            if self._left is not None:
                self._left -= len(written)
                if self._left <= 0:
                    raise LeaveError(0)

    def finish(self) -> None:
        """Print what was kept. Raises LeaveError where the cut is reached."""
        if self._kept:
            kept, self._kept = self._kept, []
            self.raw(_FORMS[self._form](kept).encode() + b"\n")


_FORMS: Mapping[str, Callable[[list[Any]], str]] = {
    "array": lambda kept: json.dumps(kept),
    "object": lambda kept: json.dumps(kept[-1], indent=2),
    "text": lambda kept: str(kept[-1].get("result", "")),
}


class Stdin:
    """Stdin: user messages are queued; control requests are answered at once, by the thread that reads."""

    def __init__(self, stream: BinaryIO, journal: Journal, output: Output, *, obeys_interrupt: bool) -> None:
        self._stream, self._journal, self._output = stream, journal, output
        self._obeys_interrupt = obeys_interrupt
        self._changed = threading.Condition()
        self._messages: list[dict[str, Any] | None] = []
        self.in_turn = False
        self.interrupted = threading.Event()

    def start(self) -> None:
        """Begin to read lines, in a thread."""
        threading.Thread(target=self._read, daemon=True).start()

    def take_whole(self) -> None:
        """Read all of stdin as one prompt, the way of ``--input-format text``; nothing there is no prompt."""
        text = self._stream.read().decode("utf-8", "replace")
        self._journal.write("stdin", line=text)
        self.take_prompt(text)

    def take_prompt(self, text: str) -> None:
        """Take a prompt that came by the arguments; nothing follows it."""
        if text.strip():
            self._put({"type": "user", "message": {"role": "user", "content": text}})
        self._put(None)

    def next(self) -> dict[str, Any] | None:
        """Wait for the next user message; None at the end of stdin, and from then on."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages)
            if self._messages[0] is None:
                return None
            self.in_turn = True
            return self._messages.pop(0)

    def begin_turn(self) -> None:
        """Begin a turn that waited for no message: from now on there is something to interrupt."""
        self.in_turn = True

    def end_turn(self) -> None:
        """End the turn; an interrupt that came too late for it is forgotten."""
        with self._changed:
            self.in_turn = False
            self.interrupted.clear()

    def _put(self, message: dict[str, Any] | None) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify()

    def _read(self) -> None:
        for line in iter(self._stream.readline, b""):
            self._journal.write("stdin", line=line.decode("utf-8", "replace"))
            self._take(line)
        self._journal.write("eof")
        self._put(None)

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "user":
            self._put(message)
        elif kind == "control_request":
            self._control(message)

    def _control(self, request: dict[str, Any]) -> None:
        with suppress(LeaveError):  # where stdout is cut, the main thread finds out by itself
            self._output.event(control_response(request))
        if self._obeys_interrupt and request.get("request", {}).get("subtype") == "interrupt":
            self._interrupt()

    def _interrupt(self) -> None:
        """Interrupt the turn under way, or that of a prompt that has come and was not yet taken; else do nothing."""
        with self._changed:
            if self.in_turn or self._messages:
                self.interrupted.set()
