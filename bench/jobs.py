"""A process that does what it is told: lines ``["name", argument, ...]`` come in, what each job returns goes out.

All of it is JSON, on stdin and stdout; it ends when its stdin is closed. Needs the standard library alone, so that it
also runs where nothing of ours is installed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

Job: TypeAlias = Callable[..., Any]


def serve(jobs: Mapping[str, Job]) -> None:
    """Do the jobs that are asked for until stdin is closed."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(jobs[name](*arguments)), flush=True)


def timed(steps: Sequence[Callable[[], object]], lost: type[Exception] | tuple[()] = ()) -> dict[str, Any]:
    """Take steps one after the other and return when it began and ended, the longest step, and what each returned.

    Args:
        steps: what to do.
        lost: what may be raised by a step that is then counted as lost; others end the process.
    """
    results: list[object] = []
    longest, missing = 0.0, 0
    began = before = time.perf_counter()
    for step in steps:
        try:
            results.append(step())
        except lost:
            missing += 1
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return {"began": began, "ended": before, "longest": longest, "lost": missing, "results": results}
