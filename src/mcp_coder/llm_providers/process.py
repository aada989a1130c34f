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

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mcp_coder.llm_providers.base import TURN_MARKER

if TYPE_CHECKING:
    import psutil

__all__ = [
    "Process",
    "ctrl_c_under_way",
    "end_identified",
    "is_alive",
    "run_briefly",
    "stop_all",
    "stops",
]

INTERRUPT_SECONDS = 2.0
TERMINATE_SECONDS = 3.0
LEFTOVER_SECONDS = 0.4
_NOTICE_SECONDS = 0.5
"""How long ``stop_all`` gives the turns' own threads to begin the ladder, which they then climb side by side."""
_POSIX = os.name == "posix"
_SHORTEST_POLL, _LONGEST_POLL = 0.001, 0.02


class Process:
    """One running program of an agent: fed by ``write``, read by ``read_lines``, ended by ``end``.

    All methods may be called from any thread. Make it with ``start``.
    """

    def __init__(self, popen: subprocess.Popen[bytes], *, marker: str, output: str, errors: str) -> None:
        self._popen = popen
        self._marker = marker
        self._errors = errors
        self._output = open(output, "rb", buffering=0)  # noqa: SIM115  # closed by close()
        self._partial = bytearray()
        self._unsent = bytearray()
        self._closing = False
        # Reentrant, and a plain flag instead of an event: a signal handler may call stop_all() in mid-turn.
        self._stdin_lock, self._end_lock = threading.RLock(), threading.RLock()
        self._ending = False
        self.interrupted = False
        """Set true when somebody outside asks for this turn to stop."""
        self.started_at = time.time()

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
        stdout, stderr = _new_file(output), _new_file(errors)
        try:
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
        except BaseException:
            for path in (output, errors):
                os.unlink(path)
            raise
        finally:
            os.close(stdout)
            os.close(stderr)
        process = cls(popen, marker=env.get(TURN_MARKER, "").rpartition(":")[2], output=output, errors=errors)
        _remember(process)
        process._make_stdin_non_blocking()
        return process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def identity(self) -> dict[str, object]:
        """Return what tells this process from every other, also after its id was used again."""
        return {"pid": self.pid, "started": _start_time(self.pid), "boot": _boot_id()}

    def exit_code(self) -> int | None:
        """Return how it exited (negative: the signal that ended it), or None while it runs."""
        return self._popen.poll()

    # --- feeding

    def _make_stdin_non_blocking(self) -> None:
        if _POSIX and self._popen.stdin is not None:
            os.set_blocking(self._popen.stdin.fileno(), False)

    def write(self, data: bytes) -> None:
        """Take data for its stdin; what the pipe does not take now follows while ``wait`` waits."""
        with self._stdin_lock:
            self._unsent += data
            self._push()

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

        Returns early, with False, when ``interrupted`` is true. The wait is a poll, since a file cannot be waited
        for; it begins at a millisecond and grows to 20.
        """
        until = time.monotonic() + seconds
        pause = _SHORTEST_POLL
        while True:
            with self._stdin_lock:
                self._push()
            if self._has_output() or self.exit_code() is not None:
                return True
            left = until - time.monotonic()
            if left <= 0 or self.interrupted:
                return False
            time.sleep(min(pause, left))
            pause = min(pause * 1.2, _LONGEST_POLL)

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

    def stderr(self, limit: int = 64 * 1024) -> str:
        """Return what it printed on stderr, its middle left out beyond ``limit`` bytes."""
        try:
            with open(self._errors, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size <= limit:
                    return file.read().decode("utf-8", "replace")
                head = file.read(limit // 2)
                file.seek(size - limit // 2)
                return f"{head.decode('utf-8', 'replace')}\n[...]\n{file.read().decode('utf-8', 'replace')}"
        except OSError:
            return ""

    # --- ending

    def end(self, *, over: bool, grace: float) -> int | None:
        """End it with everything it started, and return its exit code.

        Args:
            over: its turn is over: it is given ``grace`` seconds to exit by itself, and no interrupt.
            grace: those seconds.

        Nothing else is touched: descendants are told by process id and start time, or by ``TURN_MARKER``.
        Interrupted itself (a second Ctrl-C), it goes straight to SIGKILL. The output can still be read afterwards.
        """
        with self._end_lock:
            if not self._ending:
                self._ending = True
                self._end(over, grace)
        return self.exit_code()

    def _end(self, over: bool, grace: float) -> None:
        descendants: dict[int, psutil.Process] = {}
        try:
            self.close_input()
            self._ladder(over, grace, descendants)
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

    def _ladder(self, over: bool, grace: float, descendants: dict[int, psutil.Process]) -> None:
        self._note(descendants)
        if over and self._exits_within(grace):
            return
        rungs = [(signal.SIGTERM, TERMINATE_SECONDS)]
        if not over:
            rungs.insert(0, (signal.SIGINT, INTERRUPT_SECONDS))
        for number, seconds in rungs:
            self._note(descendants)
            if self.exit_code() is not None:
                return
            self._send(number)
            if self._exits_within(seconds):
                return

    def _exits_within(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
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
        if self.exit_code() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL) if _POSIX else self._popen.kill()
            self._popen.wait()
        leftovers = [child for child in descendants.values() if child.is_running()]
        leftovers += _marked(self._marker, self.started_at, {child.pid for child in leftovers})
        _end_leftovers(leftovers)


def _new_file(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)


def _marked(marker: str, since: float, known: set[int]) -> Iterator[psutil.Process]:
    """Yield the processes that carry this turn's marker: those whose parent left before they were noted."""
    import psutil

    if not marker:
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # A clock may be set back a little between the two; reading an environment is the costly part.
            young = process.create_time() >= since - 2
            if young and process.pid not in known and _carries(process, marker):
                yield process


def _carries(process: psutil.Process, marker: str) -> bool:
    return marker in process.environ().get(TURN_MARKER, "").split(":")


def _end_leftovers(leftovers: Sequence[psutil.Process]) -> None:
    import psutil

    for process in leftovers:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=LEFTOVER_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=LEFTOVER_SECONDS)


# --- processes that we did not start, told by their identity


def _start_time(pid: int) -> float:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        import psutil

        return f"boot-{psutil.boot_time():.0f}"


def _identified(identity: Mapping[str, object]) -> psutil.Process | None:
    """Return the running process of this identity; None where it is gone, a zombie, or of another boot."""
    import psutil

    pid, started = identity.get("pid"), identity.get("started")
    if (
        not isinstance(pid, int)
        or not isinstance(started, (int, float))
        or identity.get("boot") != _boot_id()
    ):
        return None
    try:
        process = psutil.Process(pid)
        # A start time is worked out from the boot time, which moves when the clock is set: hence 2 s.
        same = abs(process.create_time() - started) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return process if same else None


def is_alive(identity: Mapping[str, object]) -> bool:
    """Return whether the process of this identity (see ``Process.identity``) still runs on this machine."""
    return _identified(identity) is not None


def end_identified(identity: Mapping[str, object], marker: str) -> None:
    """End a process that another process of ours started, with its descendants, by the stop ladder.

    Args:
        identity: as ``Process.identity`` gave it.
        marker: the ``TURN_MARKER`` of its turn; empty: only what descends from it is found.
    """
    import psutil

    process = _identified(identity)
    if process is None:
        return
    descendants: dict[int, psutil.Process] = {}
    for number, seconds in ((signal.SIGINT, INTERRUPT_SECONDS), (signal.SIGTERM, TERMINATE_SECONDS)):
        with contextlib.suppress(psutil.Error):
            descendants.update((child.pid, child) for child in process.children(recursive=True))
            process.send_signal(number)
        if not psutil.wait_procs([process], timeout=seconds)[1]:
            break
    leftovers = [each for each in (process, *descendants.values()) if each.is_running()]
    leftovers += _marked(marker, process.create_time() if process.is_running() else 0, set(descendants))
    _end_leftovers(leftovers)


# --- all of this process at once

_live: set[Process] = set()
_stops = 0
_live_lock = threading.RLock()


def _remember(process: Process) -> None:
    with _live_lock:
        _live.add(process)


def _forget(process: Process) -> None:
    with _live_lock:
        _live.discard(process)


def _live_now() -> list[Process]:
    with _live_lock:
        return list(_live)


def stop_all() -> None:
    """End every agent that this process runs, with all that they started; their turns raise ``InterruptedTurnError``.

    For services that are told to stop; may be called from a signal handler. Returns when all are gone, within about
    6 seconds.

    Example::

        signal.signal(signal.SIGTERM, lambda *_: (mcp_coder.stop_all(), sys.exit(143)))
    """
    global _stops
    _stops += 1
    for process in _live_now():
        process.interrupted = True
    until = time.monotonic() + _NOTICE_SECONDS
    while time.monotonic() < until and not all(process.ending for process in _live_now()):
        time.sleep(0.01)
    for (
        process
    ) in _live_now():  # whose thread does not look any more, or is this very one; else: waits for it
        process.end(over=False, grace=0)


def stops() -> int:
    """Return how often ``stop_all`` was called: a turn that began before the last one is to stop, wherever it is."""
    return _stops


@atexit.register
def _stop_at_exit() -> None:
    """End what daemon threads left running when the interpreter goes."""
    if _live_now():
        stop_all()


if hasattr(os, "register_at_fork"):
    # A forked child shares the record but not the agents: they are its parent's to end.
    os.register_at_fork(after_in_child=_live.clear)


def ctrl_c_under_way() -> bool:
    """Return whether the main thread is on its way out after Ctrl-C, asked from another thread.

    Python gives KeyboardInterrupt to the main thread alone, which then joins its worker threads (``with
    ThreadPoolExecutor()``, the interpreter's own exit): each would sit out its agent's turn. So a worker looks at what
    the main thread is handling, or what ended it.
    """
    main = threading.main_thread()
    if threading.current_thread() is main:
        return False
    handled = sys._current_exceptions().get(main.ident or 0)
    error = handled[1] if isinstance(handled, tuple) else handled  # a tuple before Python 3.12
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    # What ended the main thread; at an interactive prompt it only ended the last command.
    return isinstance(getattr(sys, "last_value", None), KeyboardInterrupt) and not hasattr(sys, "ps1")


def run_briefly(
    argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run a program that answers at once, such as ``claude --version``.

    Returns:
        Its exit code, stdout and stderr.

    Raises:
        OSError: it could not be started.
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds and was killed.
    """
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        cwd=os.sep,  # the current directory may be gone
        env=None if env is None else dict(env),
        check=False,
        start_new_session=_POSIX,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
