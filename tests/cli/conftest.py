"""Running the command line: as a process, as a process on a terminal, or in this one over a store of its own."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cli.commands import Ran, RunCommand

from mcp_coder.cli.main import run
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

MCP_CODER = (sys.executable, "-m", "mcp_coder")
_LONGEST = 90.0

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_cli() -> RunCli:
    """Run ``mcp-coder`` with arguments; ``env`` is added to this process's own, ``None`` in it takes away."""

    def run(
        *arguments: str, env: Mapping[str, str | None] | None = None, **settings: object
    ) -> subprocess.CompletedProcess[str]:
        settings.setdefault("stdin", None if "input" in settings else subprocess.DEVNULL)
        if settings["stdin"] is None:
            del settings["stdin"]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*MCP_CODER, *arguments],
            env=_environment(env or {}),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_LONGEST,
            check=False,
            **settings,  # type: ignore[call-overload]
        )
        return done

    return run


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    wanted = {**os.environ, **changes}
    return {name: value for name, value in wanted.items() if value is not None}


@dataclass
class TerminalRun:
    """``mcp-coder`` with standard error (and input) on a terminal, standard output in a pipe."""

    process: "subprocess.Popen[bytes]"
    master: int
    shown: str = field(default="")

    def read_until(self, text: str, timeout: float = 60.0) -> str:
        """Read from the terminal until ``text`` was shown; return all that was shown so far."""
        until = time.monotonic() + timeout
        while text not in self.shown:
            left = until - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        return self.shown

    def finish(self, timeout: float = 60.0) -> tuple[int, str]:
        """Wait for the end; return the exit code and standard output."""
        while self._read(timeout):
            pass
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, (output or b"").decode()

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self.master, text.encode())

    def press_ctrl_c(self) -> None:
        """Type Ctrl-C."""
        os.write(self.master, b"\x03")

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)


@pytest.fixture
def on_terminal() -> Iterator[Callable[..., TerminalRun]]:
    """Run ``mcp-coder`` on a terminal of 80 columns, ``whole``: its answer too; it is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(
            *arguments: str,
            env: Mapping[str, str | None] | None = None,
            whole: bool = False,
            columns: int = 80,
        ) -> TerminalRun:
            changes = {"TERM": "xterm", "NO_COLOR": None, "COLUMNS": None, "LINES": None, **(env or {})}
            return stack.enter_context(
                _terminal_run(arguments, _environment(changes), columns=columns, whole=whole)
            )

        yield start


@contextlib.contextmanager
def _terminal_run(
    arguments: Sequence[str], env: Mapping[str, str], *, columns: int = 80, whole: bool = False
) -> Iterator[TerminalRun]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKES_TERMINAL, *MCP_CODER[1:], *arguments],
            stdin=slave,
            stdout=slave if whole else subprocess.PIPE,
            stderr=slave,
            env=dict(env),
            start_new_session=True,
        )
    finally:
        os.close(slave)
    try:
        yield TerminalRun(process, master)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(master)


# Makes the terminal the controlling one of the new session, so that Ctrl-C typed there becomes a signal.
_TAKES_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


# --- over a store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Open a store that the command line finds by itself, in a place of the test's own, in UTC."""
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path))
    monkeypatch.setenv("MCP_CODER_STORE", f"sqlite:///{tmp_path}/test.sqlite")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    opened = open_store(f"sqlite:///{tmp_path}/test.sqlite")
    yield opened
    opened.close()
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Run ``mcp-coder`` with arguments in this process."""

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(arguments)
        out, err = capsys.readouterr()
        return Ran(code=code, out=out, err=err)

    return call


@pytest.fixture
def seen(store: Store) -> RunCommand:
    """Run ``mcp-coder`` wholly on a terminal; return all that a person sees, with ``answer`` typed where it asks."""

    def call(
        *arguments: str, columns: int = 100, answer: str = "", env: Mapping[str, str | None] | None = None
    ) -> Ran:
        changes = {
            "TERM": "xterm",
            "NO_COLOR": None,
            "COLUMNS": None,
            **(env or {}),
        }
        with _terminal_run(arguments, _environment(changes), columns=columns, whole=True) as terminal:
            if answer:
                terminal.read_until("[y/N] ")
                terminal.type(answer)
            code, _ = terminal.finish()
            return Ran(code=code, out=terminal.shown.replace("\r\n", "\n"))

    return call
