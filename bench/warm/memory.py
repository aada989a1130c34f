"""What many open sessions hold in memory: the calling process, and the agents that live."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

from bench.figure import Sides
from bench.measures import mib_of_nothing
from bench.workplace import Workplace, run_python

from .leftovers import children
from .pooled import MIB
from .sdk_client import SdkSession, answer_of

SESSIONS, MAX_LIVE = 100, 4


def mib_of_caller(place: Workplace) -> Sides:
    """Measure the peak memory of a process with many sessions over a pool, beside an empty interpreter."""
    return lambda: _pooled(place)["peak"], mib_of_nothing


def mib_of_agents(place: Workplace) -> Sides:
    """Measure the memory of the agents of many sessions over a pool, beside the agent of one client of the SDK."""
    return lambda: _pooled(place)["agents"], lambda: _mib_of_clients_agent(place)


def _pooled(place: Workplace) -> Mapping[str, float]:
    said = _ran(place.size(SESSIONS))
    if not 0 < said["live"] <= MAX_LIVE:
        raise ValueError(f"{said['live']} agents live in a pool of {MAX_LIVE}")
    return said


@functools.cache
def _ran(sessions: int) -> Mapping[str, float]:
    """Run it once, for both figures: a hundred agents have to be started."""
    done = run_python("-m", "bench.warm.pooled", str(sessions), str(MAX_LIVE), capture_output=True)
    said: Mapping[str, float] = json.loads(done.stdout)
    return said


def _mib_of_clients_agent(place: Workplace) -> float:
    before = children()
    client = SdkSession(place.program)
    try:
        client.run(answer_of(client.client, "Say hello"))
        return sum(each.memory_info().rss for each in children() - before) / MIB
    finally:
        client.close()
