"""The program that poses as ``claude``: it plays the script that lies beside it and writes down how it was called.

In come an argument list, stdin lines and ``plan.json`` in a directory; out go lines as Claude Code prints them, and
records in ``calls.jsonl``. It asks no model and opens no connection.

It runs in a bare interpreter (``python -I -S``), so it and what it imports need the standard library only, and little
of it: callers measure how fast an agent starts. :mod:`.fake_claude` writes the plan, in the form of
:mod:`.program_script`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress

from . import program_events as events
from .program_streams import Counters, Journal, LeaveError, Output, Stdin, read_json

TYPE_CHECKING = False  # known to type checkers; importing typing would double the start-up time
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

_WITHIN_A_TURN = (
    "Print",
    "PrintBytes",
    "Stderr",
    "Sleep",
    "Hang",
    "LeaveChild",
)  # skipped once it was interrupted
_RECORDED_VARIABLES = (
    "ANTHROPIC_",
    "CLAUDE",
    "MCP_CODER_",
    "DISABLE_",
    "HOME",
    "PATH",
    "PWD",
    "IS_SANDBOX",
    "LANG",
)


class InterruptedTurnError(Exception):
    """SIGINT came: the turn under way ends with an aborted result, and the program exits 0."""


class Program:
    """One call, from its arguments to its exit code."""

    def __init__(self, directory: str, argv: list[str], plan: Mapping[str, Any], call: int) -> None:
        self.argv, self.call = argv, call
        self.version = str(plan["version"] or "")
        self.script: Mapping[str, Any] = plan["scripts"][min(call, len(plan["scripts"])) - 1]
        self.journal, self.counters = Journal(directory), Counters(directory)
        form = events.output_form(argv, self.script["output"])
        self.output = Output(sys.stdout.buffer, form, self.script["cut_at"])
        obeys = self.script["obeys_interrupt"]
        self.stdin = Stdin(sys.stdin.buffer, self.journal, self.output, obeys_interrupt=obeys)
        self.session_id = events.session_id_for(argv, self.script["session"])
        is_cumulative = self.script["counter"] == "cumulative"
        self.totals = self.counters.read(events.resumed_id(argv) if is_cumulative else "")
        self.turn, self.prompt, self.failed = 0, "", False

    def run(self) -> int:
        """Play the script; return the exit code."""
        self.journal.write("start", **_call_record(self.argv, self.call))
        code = self._played()
        with suppress(LeaveError):
            self.output.finish()
        self.journal.write("exit", code=code)
        return code

    def _played(self) -> int:
        try:
            self._listen()
            self._play()
        except LeaveError as leave:
            return leave.code
        except InterruptedTurnError:
            with suppress(LeaveError):
                self._abort()
            return 0
        return int(self.failed)

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._on_signal)
            signal.signal(signal.SIGTERM, self._on_signal)
        if not self.script["reads_stdin"]:
            return
        if events.flag(self.argv, "--input-format") == "stream-json":
            self.stdin.start()
        elif prompt := events.prompt_in(self.argv):
            self.stdin.take_prompt(prompt)
        else:
            self.stdin.take_whole()

    def _on_signal(self, number: int, frame: Any) -> None:  # noqa: ARG002 - the signature of signal handlers
        name = signal.Signals(number).name
        self.journal.write("signal", name=name)
        if name not in self.script["ignores"]:
            raise InterruptedTurnError if name == "SIGINT" else LeaveError(128 + number)

    def _play(self) -> None:
        last_turn, skips = events.PLAIN_TURN, False
        for step in self.script["steps"]:
            last_turn = step if step["do"] == "Turn" else last_turn
            if not (skips and step["do"] in _WITHIN_A_TURN):
                skips = self._play_step(step)
        while self.script["reads_stdin"] and self._serves({**last_turn, "waits_for_prompt": True}):
            pass

    def _serves(self, turn: Mapping[str, Any]) -> bool:
        """Play a further turn; return False where stdin ended instead."""
        before = self.turn
        self._play_step(turn)
        return self.turn > before

    def _play_step(self, step: Mapping[str, Any]) -> bool:
        """Play a step; return whether an interrupt on stdin ended its turn."""
        STEPS[step["do"]](self, step)
        interrupted = self.stdin.interrupted.is_set()
        if interrupted:
            self._abort()
        return interrupted

    def _abort(self) -> None:
        if self.stdin.in_turn:
            self._result(events.ABORTED_TURN)

    def play_turn(self, step: Mapping[str, Any]) -> None:
        """Play one turn; nothing is printed where stdin ended instead of a prompt."""
        if step["waits_for_prompt"] and self.script["reads_stdin"] and not self.wait_for_prompt(step):
            return
        self.turn += 1
        self.stdin.begin_turn()
        if step["prints_init"]:
            self.show(events.init_event(step))
        if step["delay"] and self.stdin.interrupted.wait(step["delay"]):
            return
        if step["prints_assistant"]:
            self.show(events.assistant_event(step))
        for line in step["before"]:
            self.print_line({"line": line})
        if step["prints_result"]:
            self._result(step)

    def wait_for_prompt(self, step: Mapping[str, Any]) -> bool:  # noqa: ARG002 - a row of the table of steps
        """Wait for a user's message; return whether one came."""
        message = self.stdin.next()
        if message is None:
            return False
        self.prompt = events.text_of(message)
        if "--replay-user-messages" in self.argv:
            replay = {"uuid": events.new_uuid(), **message, "session_id": self.session_id, "isReplay": True}
            self.output.event(replay)
        return True

    def wait_for_eof(self, step: Mapping[str, Any]) -> None:  # noqa: ARG002 - as above
        """Wait for the end of stdin."""
        while self.stdin.next() is not None:
            pass

    def print_line(self, step: Mapping[str, Any]) -> None:
        """Print a line of the script."""
        if isinstance(step["line"], str):
            self.output.raw(self.filled(step["line"]).encode("utf-8", "surrogatepass") + b"\n")
        else:
            self.show(step["line"])

    def print_bytes(self, step: Mapping[str, Any]) -> None:
        """Print bytes of the script."""
        self.output.raw(step["data"].encode("latin-1"))

    def write_stderr(self, step: Mapping[str, Any]) -> None:
        """Write to stderr."""
        sys.stderr.write(self.filled(step["text"]))
        sys.stderr.flush()

    def sleep(self, step: Mapping[str, Any]) -> None:
        """Wait some seconds, or until the turn is interrupted."""
        self.stdin.interrupted.wait(step["seconds"])

    def hang(self, step: Mapping[str, Any]) -> None:  # noqa: ARG002 - as above
        """Wait for ever, or until the turn is interrupted."""
        self.stdin.interrupted.wait()

    def exit(self, step: Mapping[str, Any]) -> NoReturn:
        """Exit with a code."""
        raise LeaveError(step["code"])

    def die(self, step: Mapping[str, Any]) -> None:
        """Die by a signal."""
        number = signal.Signals[step["signal"]]
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def leave_child(self, step: Mapping[str, Any]) -> None:
        """Start a process that outlives this one."""
        seconds = f"{step['seconds']:.3f}"
        ignoring = f"trap '' INT TERM HUP; exec sleep {seconds}"
        argv = ["sh", "-c", ignoring] if step["stubborn"] else ["sleep", seconds]
        closed = [0] if step["holds_output"] else [0, 1, 2]
        actions = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in closed]
        group = 0 if step["own_group"] else os.getpgrp()
        child = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setpgroup=group)
        self.journal.write("child", child=child, seconds=seconds)

    def show(self, event: Mapping[str, Any]) -> None:
        """Print an event, its placeholders filled; a result ends the turn."""
        if event.get("type") == "result":
            self.failed = bool(event.get("is_error"))
            self.stdin.end_turn()
        self.output.event(self.filled(event))

    def filled(self, value: Any) -> Any:
        """Return a value of the script with its placeholders filled."""
        return events.filled(value, self._placeholders())

    def _placeholders(self) -> dict[str, str]:
        return {
            "session_id": self.session_id,
            "resume": events.resumed_id(self.argv),
            "uuid": events.new_uuid(),
            "pid": str(os.getpid()),
            "cwd": os.getcwd(),
            "model": events.flag(self.argv, "--model") or "claude-opus-5-5",
            "version": self.version.split(" ")[0],
            "turn": str(self.turn),
            "call": str(self.call),
            "prompt": self.prompt,  # last: what a person typed is not searched for placeholders
        }

    def _result(self, step: Mapping[str, Any]) -> None:
        self.totals = {name: total + step[name] for name, total in self.totals.items()}
        self.counters.write(self.session_id, self.totals)
        self.show(events.result_event(step, self.totals))


STEPS: Mapping[str, Callable[[Program, Mapping[str, Any]], Any]] = {
    "Turn": Program.play_turn,
    "WaitForPrompt": Program.wait_for_prompt,
    "WaitForEof": Program.wait_for_eof,
    "Print": Program.print_line,
    "PrintBytes": Program.print_bytes,
    "Stderr": Program.write_stderr,
    "Sleep": Program.sleep,
    "Hang": Program.hang,
    "Exit": Program.exit,
    "Die": Program.die,
    "LeaveChild": Program.leave_child,
}


def _call_record(argv: list[str], call: int) -> dict[str, Any]:
    env = {name: value for name, value in os.environ.items() if name.startswith(_RECORDED_VARIABLES)}
    return {"call": call, "argv": argv, "env": env, "cwd": os.getcwd()}


def _next_call(directory: str) -> int:
    """Return the number of this call, from 1, right also when calls come at once."""
    number = 1
    while True:
        try:
            os.close(os.open(f"{directory}/call-{number}", os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            number += 1
        else:
            return number


def run(directory: str, argv: list[str]) -> int:
    """Play one call with the plan in ``directory``; return the exit code."""
    plan = read_json(f"{directory}/plan.json")
    if "--version" not in argv and "-v" not in argv:
        return Program(directory, argv, plan, _next_call(directory)).run()
    Journal(directory).write("version", **_call_record(argv, 0))
    if plan["version"] is None:
        return 1
    print(plan["version"])
    return 0


def main() -> NoReturn:
    """Run with the directory as the first argument, and exit without waiting for the thread that reads stdin."""
    code = run(sys.argv[1], sys.argv[2:])
    sys.stdout.flush()
    os._exit(code)
