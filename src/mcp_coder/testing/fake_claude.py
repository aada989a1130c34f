"""A program that poses as ``claude``, for tests of what the real one does rarely or never on demand.

In comes a directory; out come an executable file in it, which plays the scripts that it is given, and a record of every
call. It ends what it started when it is closed, and only that.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .program_events import flag, text_of
from .program_script import Script, script_as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    import psutil

    from .program_script import Step

_DEATH_SECONDS = 5.0
DEFAULT_VERSION = "2.1.330 (Claude Code)"


@dataclass(frozen=True, kw_only=True)
class FakeCall:
    """One call of the program, as far as it has got.

    ``env`` holds what agents read (``ANTHROPIC_*``, ``CLAUDE*``, ``MCP_CODER_*``, ``HOME``, ``PATH`` and a few more).
    ``lines`` are the stdin lines received, ``children`` the pids of processes left behind, ``signals`` the names of
    signals that came. ``exit_code`` is None while it runs, and where it died by a signal.
    """

    number: int
    pid: int
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    started: float
    lines: tuple[str, ...] = ()
    line_times: tuple[float, ...] = ()
    children: tuple[int, ...] = ()
    signals: tuple[str, ...] = ()
    saw_eof: bool = False
    exit_code: int | None = None

    def flag(self, name: str) -> str | None:
        """Return the value of a flag, given as ``--flag=value`` or ``--flag value``; None where it was not given."""
        return flag(list(self.argv), name)

    @property
    def prompts(self) -> list[str]:
        """The prompts that came by stdin, as text."""
        return [prompt for line in self.lines if (prompt := _prompt_of(line)) is not None]


class FakeClaude:
    """A scripted ``claude`` in ``directory``: run :attr:`path` instead of the real program. A context manager.

    ``version`` is what ``--version`` prints; None makes that fail.

    Example::

        with FakeClaude(tmp_path) as fake:
            fake.script(Turn(text="first"))                   # the first call
            fake.script(Turn(result={"is_error": True}))      # the second, and all that follow
            subprocess.run([fake.path, "-p", "hello"])
            assert fake.calls()[0].flag("--resume") is None
    """

    def __init__(self, directory: Path, *, version: str | None = DEFAULT_VERSION) -> None:
        self._directory = directory
        self._version = version
        self._scripts: list[Script] = []
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / "claude"
        self.path.write_text(_launcher(directory))
        self.path.chmod(0o700)
        self._write_plan()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def script(self, *steps: Step, **options: Any) -> Script:
        """Say what the next call does, and return it; the last script serves all calls that follow.

        Without steps a call plays plain turns. ``options`` are the other fields of :class:`.Script`.
        """
        script = Script(steps=steps, **options) if steps else Script(**options)
        self._scripts.append(script)
        self._write_plan()
        return script

    def calls(self) -> list[FakeCall]:
        """Return the calls so far, in the order in which they began; those for ``--version`` are not among them."""
        return _calls(self._events(), "start")

    def version_calls(self) -> list[FakeCall]:
        """Return the calls that asked for the version."""
        return _calls(self._events(), "version")

    def wait_for(self, holds: Callable[[list[FakeCall]], bool], timeout: float = 10.0) -> list[FakeCall]:
        """Wait until ``holds`` is true of the calls and return them. Raises TimeoutError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not holds(calls := self.calls()):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"not within {timeout:g} s; calls so far: {calls}")
            time.sleep(0.01)
        return calls

    def close(self) -> None:
        """End the calls that still run and the children that they left; harmless when repeated."""
        for event in self._events():
            if event["event"] == "start":
                _kill(event["pid"], str(self._directory))
            elif event["event"] == "child":
                _kill(event["child"], event["seconds"])

    def _events(self) -> list[dict[str, Any]]:
        try:
            written = (self._directory / "calls.jsonl").read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in written.splitlines(keepends=True) if line.endswith("\n")]

    def _write_plan(self) -> None:
        scripts = [script_as_json(script) for script in self._scripts or [Script()]]
        draft = self._directory / "plan.json.new"
        draft.write_text(json.dumps({"version": self._version, "scripts": scripts}))
        draft.replace(self._directory / "plan.json")


_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); from mcp_coder.testing.standin_program import main; main()"
)


def _launcher(directory: Path) -> str:
    """Return a shell script, since the first line of a script can hold neither long paths nor spaces."""
    source = Path(__file__).parents[2]
    words = [sys.executable, "-I", "-S", "-c", _START, str(source), str(directory)]
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'


def _calls(events: Iterable[Mapping[str, Any]], first: str) -> list[FakeCall]:
    by_pid: dict[int, list[Mapping[str, Any]]] = {}
    runs: list[list[Mapping[str, Any]]] = []
    for event in events:
        if event["event"] in ("start", "version"):
            by_pid[event["pid"]] = []
            runs.append(by_pid[event["pid"]])
        by_pid[event["pid"]].append(event)
    return [_call(run) for run in runs if run[0]["event"] == first]


def _call(run: list[Mapping[str, Any]]) -> FakeCall:
    start = run[0]
    of = {
        name: [one for one in run if one["event"] == name]
        for name in ("stdin", "child", "signal", "eof", "exit")
    }
    return FakeCall(
        number=start["call"],
        pid=start["pid"],
        argv=tuple(start["argv"]),
        cwd=start["cwd"],
        env=start["env"],
        started=start["time"],
        lines=tuple(one["line"] for one in of["stdin"]),
        line_times=tuple(one["time"] for one in of["stdin"]),
        children=tuple(one["child"] for one in of["child"]),
        signals=tuple(one["name"] for one in of["signal"]),
        saw_eof=bool(of["eof"]),
        exit_code=of["exit"][0]["code"] if of["exit"] else None,
    )


def _prompt_of(line: str) -> str | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    is_prompt = isinstance(message, dict) and message.get("type") == "user"
    return text_of(message) if is_prompt else None


def _kill(pid: int, sign: str) -> None:
    """Kill a process that has ``sign`` in its command line: pids are used again by others."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if any(sign in word for word in _command_line(process)):
            process.kill()
            _wait_until_dead(process)


def _wait_until_dead(process: psutil.Process) -> None:
    """Wait for the end of a killed process, without taking its exit status from whoever started it."""
    deadline = time.monotonic() + _DEATH_SECONDS
    while process.is_running() and process.status() != "zombie" and time.monotonic() < deadline:
        time.sleep(0.002)


def _command_line(process: psutil.Process) -> list[str]:
    """Return a command line; it is empty for a moment while a process turns into another program."""
    for _ in range(100):
        if words := process.cmdline():
            return words
        time.sleep(0.01)
    return []
