"""How fast turns are recorded: measures of the store's two durable writes beside those of plain SQLite.

Each returns seconds a turn, of a block of turns, both its writes. What is written is made ready before the clock runs.
"""

from __future__ import annotations

import itertools
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.figure import Sides
from bench.jobs import timed
from bench.workers import Worker, ask_all
from bench.workplace import Workplace
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

from .corpus import corpus_of, read_corpus
from .filling import Filling, filled_store
from .plain import steps_of as plain_steps
from .plain_file import PlainFile
from .records import Written, in_sessions
from .worker import steps_of

BLOCK = 40
"""Turns that are timed together: enough for a checkpoint of the write-ahead log to fall into most blocks."""

WRITERS = 8
EARLY, LATE = 10, 5_000
"""Which turn of a session is compared with which."""


def new_store(place: Workplace, name: str) -> Store:
    """Open an empty store that is closed with the figure."""
    store = open_store(f"sqlite:///{new_file(place, name)}")
    place.closing.callback(store.close)
    return store


def new_plain(place: Workplace, name: str) -> PlainFile:
    """Open an empty plain file that is closed with the figure."""
    plain = PlainFile(new_file(place, name))
    place.closing.callback(plain.close)
    return plain


def new_file(place: Workplace, name: str) -> Path:
    """Return where a file of its own can be made."""
    return place.home / f"{name}-{uuid.uuid4().hex}.sqlite"


def turns_of_corpus(place: Workplace, **options: int | str) -> Iterator[Written]:
    """Return records of turns, without an end."""
    return in_sessions(read_corpus(corpus_of(place)), **options)  # type: ignore[arg-type]


# --- one writer


def seconds_of_turns(place: Workplace) -> Sides:
    """Measure a durable turn, and the same bytes in a plain table."""
    store, plain = new_store(place, "turns"), new_plain(place, "plain")
    ours, theirs = turns_of_corpus(place), turns_of_corpus(place)
    return (
        lambda: _seconds_a_turn(store, list(itertools.islice(ours, BLOCK))),
        lambda: _plain_seconds_a_turn(plain, list(itertools.islice(theirs, BLOCK))),
    )


def _seconds_a_turn(store: Store, records: Sequence[Written]) -> float:
    said = timed([step for record in records for step in steps_of(store, record)])
    if not all(said["results"]):
        raise ValueError("a turn was not recorded")
    return float(said["ended"] - said["began"]) / len(records)


def _plain_seconds_a_turn(plain: PlainFile, records: Sequence[Written]) -> float:
    said = timed(plain_steps(plain, records))
    return float(said["ended"] - said["began"]) / len(records)


def seconds_of_late_and_early_turns(place: Workplace) -> Sides:
    """Measure turn 5,000 of a session and those behind it, and turn 10 of others and those behind it, in one store."""
    count = place.size(BLOCK // 2)
    store = _store_with_long_session(place)
    late = turns_of_corpus(place, session_turns=sys.maxsize, behind=place.size(LATE) - 1)
    early = turns_of_corpus(place, session_turns=EARLY - 1 + count, beginning="0000000e")

    def measure_early() -> float:
        for record in itertools.islice(early, EARLY - 1):
            store.import_turn(*record)
        return _seconds_a_turn(store, list(itertools.islice(early, count)))

    return lambda: _seconds_a_turn(store, list(itertools.islice(late, count))), measure_early


def _store_with_long_session(place: Workplace) -> Store:
    filling = Filling(sessions=1, session_turns=place.size(LATE) - 1, raw=True)
    store = open_store(f"sqlite:///{filled_store(place, filling)}")
    place.closing.callback(store.close)
    return store


# --- many writers


def seconds_of_writers(place: Workplace) -> Sides:
    """Measure eight processes that write into one session, and one that writes as many turns into another."""
    many = _our_workers(place, place.size(WRITERS))
    one = many[:1]
    count = place.size(BLOCK // 2)
    ours, theirs = _Session(many, count), _Session(one, count * len(many))
    return ours.seconds_a_turn, theirs.seconds_a_turn


def longest_wait_of_writers(place: Workplace) -> Sides:
    """Measure the longest single write of eight processes that write into one session, and into one plain table."""
    count = place.size(BLOCK)
    path = new_file(place, "plain")
    PlainFile(path).close()
    ours = _Session(_our_workers(place, place.size(WRITERS)), count)
    plain = [_worker(place, "bench.store.plain", str(path)) for _ in range(place.size(WRITERS))]
    return ours.longest_wait, lambda: longest_of(_written_at_once(plain, count, ""))


def _our_workers(place: Workplace, count: int) -> list[Worker]:
    url = f"sqlite:///{new_file(place, 'writers')}"
    open_store(url).close()
    return [_worker(place, "bench.store.worker", url) for _ in range(count)]


def _worker(place: Workplace, module: str, where: str) -> Worker:
    return own_worker(place, "-m", module, where, str(corpus_of(place)))


def own_worker(place: Workplace, *arguments: str) -> Worker:
    """Start a worker with this Python; it is ended with the figure."""
    worker = Worker(sys.executable, *arguments)
    place.closing.callback(worker.close)
    return worker


def _written_at_once(workers: Sequence[Worker], count: int, session: str) -> list[Any]:
    ask_all(workers, "prepare", count, session)
    return ask_all(workers, "write")


def seconds_at_once(said: Sequence[Any]) -> float:
    """Return the seconds from the beginning of the first to the end of the last."""
    return float(max(each["ended"] for each in said) - min(each["began"] for each in said))


def longest_of(said: Sequence[Any]) -> float:
    """Return the longest step of all."""
    return float(max(each["longest"] for each in said))


class _Session:
    """One session that several processes write into at once."""

    def __init__(self, workers: Sequence[Worker], count: int) -> None:
        self._workers, self._count = workers, count
        self._id = str(uuid.uuid4())
        self._turns = 0

    def seconds_a_turn(self) -> float:
        """Write and return the seconds for each turn."""
        return seconds_at_once(self._write()) / (self._count * len(self._workers))

    def longest_wait(self) -> float:
        """Write and return the seconds of the longest write."""
        return longest_of(self._write())

    def _write(self) -> list[Any]:
        said = _written_at_once(self._workers, self._count, self._id)
        before, self._turns = self._turns, self._turns + self._count * len(self._workers)
        numbers = sorted(number for each in said for number in each["results"][::2])
        if numbers != list(range(before + 1, self._turns + 1)):
            raise ValueError(f"turns {before + 1} to {self._turns} were numbered {numbers}")
        return said
