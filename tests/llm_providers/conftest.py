"""Real little programs for the tests of processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mcp_coder.llm_providers.base import TURN_MARKER
from mcp_coder.llm_providers.process import Process

Start = Callable[..., Process]

SLEEP = "import time; time.sleep(300)"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a process that runs a piece of Python; all are ended with the test."""
    started: list[Process] = []

    def begin(code: str, marker: str = "") -> Process:
        number = len(started)
        env = {**os.environ, TURN_MARKER: marker or f"{tmp_path}-{number}"}
        process = Process.start(
            [sys.executable, "-S", "-c", code],
            env=env,
            cwd=str(tmp_path),
            output=str(tmp_path / f"out-{number}"),
            errors=str(tmp_path / f"err-{number}"),
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.end(over=True, grace=0)
        process.close()


def read_until(process: Process, count: int, seconds: float = 20) -> list[bytes]:
    """Return the first lines that it prints."""
    lines: list[bytes] = []
    deadline = time.monotonic() + seconds
    while len(lines) < count and time.monotonic() < deadline:
        process.wait(1)
        lines += process.read_lines()
    return lines


def started_by(process: Process) -> psutil.Process:
    """Return the process whose id it printed."""
    return psutil.Process(int(read_until(process, 1)[0]))


def is_gone(process: psutil.Process) -> bool:
    """Return whether a process has ended, reaped or not."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
