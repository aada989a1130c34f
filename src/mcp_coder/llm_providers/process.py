"""The only module that starts, watches and ends processes.

An argv, an environment and two private files come in; an agent's process is fed by stdin and read from its output
file, and nothing that it started is left once ``end`` returns. No opinion on what it prints.

Output goes to a file and never through a pipe: a pipe whose reader pauses while Claude Code exits is cut at 64 KiB
with exit code 0, a tool that lives on holds a pipe open and its reader with it, and a file is still there when we are
killed. The stop ladder is SIGINT (the agent may still print a result with its cost), SIGTERM, SIGKILL.

POSIX-only, and only here: sessions and process groups, SIGINT and SIGKILL to them, a non-blocking stdin. Where they are
missing, ``Popen.terminate`` and ``Popen.kill`` take their place.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING

from mcp_coder.llm_providers.base import TURN_MARKER
from mcp_coder.llm_providers.descendants import (
    INTERRUPT_SECONDS,
    TERMINATE_SECONDS,
    boot_seconds,
    end_leftovers,
    identity_of,
    marked,
    started_since,
)
from mcp_coder.llm_providers.output_files import open_output, take_away_read
from mcp_coder.llm_providers.output_watch import watch_output

if TYPE_CHECKING:
    import psutil

__all__ = ["INTERRUPT_SECONDS", "Process", "boot_seconds", "live_processes", "run_briefly"]

_POSIX = os.name == "posix"


class Process:
    """One running program of an agent: fed by ``write``, read by ``read_lines``, ended by ``end``.

    All methods may be called from any thread. Make it with ``start``.
    """

    def __init__(self, popen: subprocess.Popen[bytes], *, marker: str, output: str, errors: str) -> None:
        self._popen = popen
        self.marker = marker
        """What it and all that it starts carry in ``TURN_MARKER``."""
        self._errors, self._output_path = errors, output
        self._output = open_output(output)  # closed by close()
        self._partial = bytearray()
        self._unsent = bytearray()
        self._closing = False
        # Reentrant, and a plain flag instead of an event: a signal handler may call stop_all() in mid-turn.
        self._stdin_lock, self._end_lock = threading.RLock(), threading.RLock()
        self._ending = self._interrupted = False
        self.resting = False
        """Whether no turn is under way in it: it then ends by itself once its stdin is closed."""
        self.started_at = time.time()
        self._identity: Mapping[str, object] | None = None
        self._watch = watch_output(output, popen.pid)
        if _POSIX and popen.stdin is not None:
            os.set_blocking(popen.stdin.fileno(), False)

    @classmethod
    def start(
        cls, argv: Sequence[str], *, env: Mapping[str, str], cwd: str, output: str, errors: str
    ) -> Process:
        """Start a program that waits for its input.

        Args:
            argv: the program and its arguments; no secret belongs here.
            env: its whole environment; the last turn's id of ``TURN_MARKER`` in it marks what it starts.
            cwd: the directory it runs in.
            output: the file its stdout goes to; must not exist yet.
            errors: the file its stderr goes to; must not exist yet.

        Raises:
            OSError: it could not be started; both files are gone again.
        """
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as files:
            stdout, stderr = (_new_file(path, files, undo) for path in (output, errors))
            popen = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                env=dict(env),
                bufsize=0,
                start_new_session=_POSIX,
            )
            undo.callback(popen.kill)
            process = cls(
                popen, marker=env.get(TURN_MARKER, "").rpartition(":")[2], output=output, errors=errors
            )
            undo.pop_all()
        _remember(process)
        return process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def identity(self) -> Mapping[str, object]:
        """Return what tells this process from every other, also after its id was used again."""
        if self._identity is None:
            self._identity = identity_of(self.pid)
        return self._identity

    def exit_code(self) -> int | None:
        """Return how it exited (negative: the signal that ended it), or None while it runs."""
        return self._popen.poll()

    # --- feeding

    def write(self, data: bytes) -> None:
        """Take data for its stdin; what the pipe does not take now follows while ``wait`` waits."""
        with self._stdin_lock:
            self._unsent += data
            self._push()
        if self._unsent:
            self.wake()  # whoever waits now does not wait for the pipe yet

    def close_input(self) -> None:
        """Close its stdin as soon as all data went through."""
        with self._stdin_lock:
            self._closing = True
            self._push()

    def _push(self) -> None:
        stdin = self._popen.stdin
        if stdin is None or stdin.closed:
            return
        try:
            while self._unsent:
                sent = os.write(stdin.fileno(), memoryview(self._unsent)[: 1 << 20])
                del self._unsent[:sent]
        except BlockingIOError:
            return
        except OSError:  # it has closed its stdin or is gone; what it printed says the rest
            self._unsent.clear()
            self._closing = True
        if self._closing:
            with contextlib.suppress(OSError):
                stdin.close()

    # --- watching

    def wait(self, seconds: float) -> bool:
        """Wait until it prints something or exits, at most ``seconds``; return whether it did.

        Returns early, with False, when it is ``interrupted``, or woken by ``wake``.
        """
        began = time.monotonic()
        while True:
            with self._stdin_lock:
                self._push()
                writable = self._stdin_number() if self._unsent else None
            if self._has_output() or self.exit_code() is not None:
                return True
            waited = time.monotonic() - began
            if waited >= seconds or self._interrupted:
                return False
            if self._watch.wait(seconds - waited, waited=waited, writable=writable):
                return self._has_output() or self.exit_code() is not None

    def wake(self) -> None:
        """End the ``wait`` of one who waits now, or of the next."""
        self._watch.wake()

    def _stdin_number(self) -> int | None:
        stdin = self._popen.stdin
        return None if stdin is None or stdin.closed else stdin.fileno()

    def interrupt(self) -> None:
        """Ask for its turn to stop, from outside: whoever waits for it looks."""
        self._interrupted = True
        self.wake()

    @property
    def interrupted(self) -> bool:
        """Whether somebody outside asked for its turn to stop."""
        return self._interrupted

    def _has_output(self) -> bool:
        return os.fstat(self._output.fileno()).st_size > self._output.tell()

    def read_lines(self) -> list[bytes]:
        """Return the whole lines printed since the last call, without their ends; split at line feeds only."""
        whole = False
        while chunk := self._output.read(1 << 20):
            self._partial += chunk
            whole = whole or b"\n" in chunk
        if not whole:
            return []
        *lines, rest = bytes(self._partial).split(b"\n")
        self._partial = bytearray(rest)
        return lines

    def rest(self) -> bytes:
        """Return what was printed behind the last whole line."""
        return bytes(self._partial)

    def move_output(self, path: str, *, empty: bool = False) -> None:
        """Let its output stand under another name from here on; ``empty``: without what was read of it.

        Raises:
            OSError: it cannot be moved; the old name may be gone.
        """
        if empty:
            take_away_read(self._output)
        os.rename(self._output_path, path)
        self._output_path = path

    def error_bytes(self) -> int:
        """Return how much it has printed on stderr."""
        try:
            return os.stat(self._errors).st_size
        except OSError:
            return 0

    def stderr(self, limit: int = 64 * 1024, *, since: int = 0) -> str:
        """Return what it printed on stderr behind ``since`` bytes, its middle left out beyond ``limit`` bytes."""
        try:
            with open(self._errors, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(since)
                if size - since <= limit:
                    return file.read().decode("utf-8", "replace")
                head = file.read(limit // 2)
                file.seek(size - limit // 2)
                return f"{head.decode('utf-8', 'replace')}\n[...]\n{file.read().decode('utf-8', 'replace')}"
        except OSError:
            return ""

    # --- ending

    def end_tools(self, since: float) -> None:
        """End what descends from it and was started since a moment of ``boot_seconds``; itself it goes on."""
        end_leftovers(started_since(self.pid, since))

    def end(self, *, over: bool, grace: float, interrupt: bool = True) -> int | None:
        """End it with everything it started, and return its exit code.

        Args:
            over: its turn is over: it is given ``grace`` seconds to exit by itself, and no interrupt.
            grace: those seconds.
            interrupt: begin with SIGINT; False: it was asked to stop already, in vain.

        Nothing else is touched: descendants are told by process id and start time, or by ``TURN_MARKER``.
        Interrupted itself (a second Ctrl-C), it goes straight to SIGKILL. The output can still be read afterwards.
        """
        with self._end_lock:
            if not self._ending:
                self._ending = True
                self._end(over, grace, interrupt and not over)
        return self.exit_code()

    def _end(self, over: bool, grace: float, interrupt: bool) -> None:
        descendants: dict[int, psutil.Process] = {}
        try:
            self.close_input()
            self._watch.leave_output()
            self._ladder(over, grace, interrupt, descendants)
        finally:
            self._kill(descendants)
            if self._popen.stdin is not None:
                with contextlib.suppress(OSError):
                    self._popen.stdin.close()
            _forget(self)

    @property
    def ending(self) -> bool:
        """Whether somebody is ending it, or has."""
        return self._ending

    def close(self) -> None:
        """Let go of the output file, once everything was read."""
        self._output.close()
        self._watch.close()

    def let_go(self) -> None:
        """Close our ends of it and leave it alone: for a forked child, whose parent's it is."""
        self._output.close()
        self._watch.leave_to_parent()
        if self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                self._popen.stdin.close()
        self._popen.returncode = 0  # else its object warns that it was never waited for

    def _ladder(
        self, over: bool, grace: float, interrupt: bool, descendants: dict[int, psutil.Process]
    ) -> None:
        self._note(descendants)
        if over and self._exits_within(grace):
            return
        rungs = [(signal.SIGTERM, TERMINATE_SECONDS)]
        if interrupt:
            rungs.insert(0, (signal.SIGINT, INTERRUPT_SECONDS))
        for number, seconds in rungs:
            self._note(descendants)
            if self.exit_code() is not None:
                return
            self._send(number)
            if self._exits_within(seconds):
                return

    def _exits_within(self, seconds: float) -> bool:
        # Not Popen.wait(timeout): it looks every 50 ms only, and every turn ends here.
        began = time.monotonic()
        while self.exit_code() is None and (waited := time.monotonic() - began) < seconds:
            self._watch.wait_for_exit(seconds - waited, waited=waited)
        return self.exit_code() is not None

    def _send(self, number: int) -> None:
        if _POSIX or number != signal.SIGINT:
            with contextlib.suppress(OSError):
                self._popen.send_signal(number)

    def _note(self, descendants: dict[int, psutil.Process]) -> None:
        """Add the descendants that it has now: once it is gone, they can no longer be told by their parent."""
        import psutil

        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.pid).children(recursive=True):
                descendants.setdefault(child.pid, child)

    def _kill(self, descendants: dict[int, psutil.Process]) -> None:
        _kill_group(self._popen)
        leftovers = [child for child in descendants.values() if child.is_running()]
        leftovers += marked(self.marker, self.started_at, {child.pid for child in leftovers})
        end_leftovers(leftovers)


def _new_file(path: str, files: contextlib.ExitStack, undo: contextlib.ExitStack) -> int:
    """Make a private file and open it for as long as ``files`` lasts; ``undo`` removes it again."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    files.callback(os.close, file)
    undo.callback(os.unlink, path)
    return file


# --- those that run

_live: set[Process] = set()
_live_lock = threading.RLock()


def _remember(process: Process) -> None:
    with _live_lock:
        _live.add(process)


def _forget(process: Process) -> None:
    with _live_lock:
        _live.discard(process)


def live_processes() -> list[Process]:
    """Return the processes that this one has started and not ended yet."""
    with _live_lock:
        return list(_live)


def _forget_parents_agents() -> None:
    """Let go, in a forked child, of what is its parent's: with a copy of its stdin open, an agent would not end."""
    global _live_lock
    _live_lock = threading.RLock()  # another thread may have held it when the child was forked
    for process in _live:
        process.let_go()
    _live.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents_agents)


def run_briefly(
    argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a program that answers at once, such as ``claude --version``.

    Returns:
        Its exit code, stdout and stderr.

    Raises:
        OSError: it could not be started.
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds and was killed, with its process group.
    """
    # Files, not pipes: what it leaves behind would hold a pipe open, and us with it.
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=os.sep,  # the current directory may be gone
            env=None if env is None else dict(env),
            start_new_session=_POSIX,
        )
        try:
            popen.wait(timeout)
        finally:
            _kill_group(popen)
        return popen.returncode, _text_of(stdout), _text_of(stderr)


def _kill_group(popen: subprocess.Popen[bytes]) -> None:
    if popen.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(popen.pid, signal.SIGKILL) if _POSIX else popen.kill()
        popen.wait()


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
