"""What a process has started that still runs."""

from __future__ import annotations

import psutil


def children() -> set[psutil.Process]:
    """Return the processes that descend from this one and have not ended."""
    return {each for each in psutil.Process().children(recursive=True) if _runs(each)}


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
