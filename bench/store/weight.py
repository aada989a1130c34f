"""What a store weighs: bytes on disk a turn, and the memory of processes that write and read many turns."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figure import Sides
from bench.pairs import Measure
from bench.workplace import Workplace, run_python
from mcp_coder.llm_store import open_store

from .corpus import corpus_of, read_corpus
from .filling import Filling, filled_store
from .records import Written, in_sessions
from .writing import new_file

WEIGHED, MANY = 1_000, 100_000
"""Turns on disk; turns that pass through a process."""

_PART = 10
"""The memory of a process is compared with that of one through which a tenth passes."""
_MEMORY = "/dev/shm"  # where 100,000 durable writes wait for no disk


# --- on disk


def kilobytes_a_turn(place: Workplace) -> Sides:
    """Measure the file of a store after so many turns, and all that it was handed: texts, response and events."""
    return _on_disk_and_handed(place, _records(place))


def kilobytes_without_events(place: Workplace) -> Sides:
    """Measure the same of turns that have no events: texts and response."""
    bare = [Written(turn, dataclasses.replace(ending, events=())) for turn, ending in _records(place)]
    return _on_disk_and_handed(place, bare)


def _records(place: Workplace) -> list[Written]:
    turns = read_corpus(corpus_of(place))
    return list(itertools.islice(in_sessions(turns), place.size(WEIGHED)))


def _on_disk_and_handed(place: Workplace, records: Sequence[Written]) -> Sides:
    path = new_file(place, "weighed")
    return lambda: _on_disk(path, records), lambda: sum(map(_bytes, records)) / 1000 / len(records)


def _on_disk(path: Path, records: Sequence[Written]) -> float:
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        for turn, ending in records:
            store.begin_turn(turn)
            store.end_turn(turn.turn_id, ending)
    return path.stat().st_size / 1000 / len(records)


def _bytes(record: Written) -> int:
    turn, ending = record
    assert ending.response is not None
    raw = (ending.response["raw_response"], *ending.events)
    return sum(len(text.encode()) for text in (turn.prompt, ending.text, *map(_compact, raw)))


def _compact(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- in memory


def mib_of_writer(place: Workplace) -> Sides:
    """Measure the peak memory of a process that records so many turns in one session, and of one with a tenth."""
    directory = Path(tempfile.mkdtemp(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else place.home))
    place.closing.callback(shutil.rmtree, directory)
    count = place.size(MANY)

    def side(name: str, count: int) -> Measure:
        return _passing(place, "write", f"sqlite:///{directory}/{name}.sqlite", count)

    return side("many", count), side("few", count // _PART)


def mib_of_reader(place: Workplace) -> Sides:
    """Measure the peak memory of a process that reads a session of so many turns, and of one that reads a tenth."""
    count = place.size(MANY)
    url = f"sqlite:///{filled_store(place, Filling(sessions=1, session_turns=count))}"
    return _passing(place, "read", url, count), _passing(place, "read", url, count // _PART)


def _passing(place: Workplace, way: str, url: str, count: int) -> Measure:
    arguments = ("-m", "bench.store.passing", way, url, str(corpus_of(place)), str(count))
    return lambda: float(run_python(*arguments, capture_output=True).stdout)
