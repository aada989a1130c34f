"""Running the command line for real: as a process, and as a process on a terminal."""

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

import pytest

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
        return self.process.returncode, output.decode()

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
    """Run ``mcp-coder`` on a terminal of 80 columns; it is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, env: Mapping[str, str | None] | None = None) -> TerminalRun:
            return stack.enter_context(
                _terminal_run(arguments, _environment({"TERM": "xterm", **(env or {})}))
            )

        yield start


@contextlib.contextmanager
def _terminal_run(arguments: Sequence[str], env: Mapping[str, str]) -> Iterator[TerminalRun]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKES_TERMINAL, *MCP_CODER[1:], *arguments],
            stdin=slave,
            stdout=subprocess.PIPE,
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
