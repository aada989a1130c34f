"""Processes that we did not start ourselves: what an agent started, and agents whose starter died.

They are told by their place below a process, by a marker in their environment, or by an identity that a card keeps;
never by name, and nothing else is ever touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mcp_coder.llm_providers.base import TURN_MARKER

if TYPE_CHECKING:
    import psutil

__all__ = [
    "INTERRUPT_SECONDS",
    "TERMINATE_SECONDS",
    "boot_seconds",
    "end_identified",
    "end_leftovers",
    "identity_of",
    "is_alive",
    "marked",
    "started_since",
]

INTERRUPT_SECONDS = 2.0
"""How long an agent is given after SIGINT, before SIGTERM."""
TERMINATE_SECONDS = 3.0
"""How long it is given after SIGTERM, before SIGKILL."""
_LEFTOVER_SECONDS = 0.4


# --- by their marker


def marked(marker: str, since: float, known: set[int]) -> Iterator[psutil.Process]:
    """Yield the processes that carry this turn's marker: those whose parent left before they were noted."""
    import psutil

    if not marker:
        return
    ours = _ourselves()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # A clock may be set back a little between the two; reading an environment is the costly part.
            young = process.create_time() >= since - 2 and process.pid not in ours
            if young and process.pid not in known and _carries(process, marker):
                yield process


def _ourselves() -> set[int]:
    """Return this process and those it stands below: a turn may be asked for from within a turn."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    return {os.getpid()}


def _carries(process: psutil.Process, marker: str) -> bool:
    return marker in process.environ().get(TURN_MARKER, "").split(":")


def end_leftovers(leftovers: Sequence[psutil.Process]) -> None:
    """End these processes: SIGTERM, then SIGKILL."""
    import psutil

    for process in leftovers:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=_LEFTOVER_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=_LEFTOVER_SECONDS)


# --- by their time


def boot_seconds() -> float:
    """Return the seconds since this machine was started: the clock by which processes' own start times are kept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else _since_boot()


def _since_boot() -> float:  # pragma: no cover  # where there is no such clock
    import psutil

    return time.time() - psutil.boot_time()


def started_since(pid: int, since: float) -> list[psutil.Process]:
    """Return the processes below this one that were started since a moment of ``boot_seconds``."""
    import psutil

    try:
        boot = psutil.boot_time()
        below = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
    return [each for each in below if each.create_time() - boot >= since - _TICK]


_TICK = 0.02
"""Start times are kept in hundredths of a second."""

# --- by their identity


def identity_of(pid: int) -> dict[str, object]:
    """Return what tells this process from every other, also after its id was used again."""
    return {"pid": pid, "started": _start_time(pid), "boot": _boot_id()}


def _start_time(pid: int) -> float:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def _boot_id() -> str:
    """Return what process ids are valid in: this boot, and on Linux this namespace (containers share a boot)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
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
    """Return whether the process of this identity (see ``identity_of``) still runs on this machine."""
    return _identified(identity) is not None


def end_identified(identity: Mapping[str, object], marker: str) -> None:
    """End an agent that another process of ours started, with its descendants, by the stop ladder.

    Where the agent is gone already, what it left behind is ended.

    Args:
        identity: as ``identity_of`` gave it.
        marker: the ``TURN_MARKER`` of its turn; empty: only what descends from it is found.
    """
    process = _identified(identity)
    descendants: dict[int, psutil.Process] = {}
    if process is not None:
        _climb(process, descendants)
    ours = _ourselves()
    found = [each for each in descendants.values() if each.pid not in ours and each.is_running()]
    end_leftovers([*found, *marked(marker, 0, {each.pid for each in found})])


def _climb(process: psutil.Process, descendants: dict[int, psutil.Process]) -> None:
    """End a process by the stop ladder; what is left, itself included, is in ``descendants``."""
    import psutil

    descendants[process.pid] = process
    for number, seconds in ((signal.SIGINT, INTERRUPT_SECONDS), (signal.SIGTERM, TERMINATE_SECONDS)):
        with contextlib.suppress(psutil.Error):
            descendants.update((child.pid, child) for child in process.children(recursive=True))
            process.send_signal(number)
        if not psutil.wait_procs([process], timeout=seconds)[1]:
            return
