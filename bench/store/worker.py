"""Our store in a process of its own: ``python -m bench.store.worker URL CORPUS`` serves the jobs below.

``prepare`` makes the records of so many turns, ``write`` writes them (a step is one durable write) and returns what
each step did, at a turn's beginning its number; ``last`` reads.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.jobs import serve, timed
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

from .corpus import read_corpus
from .records import Written, in_sessions


def steps_of(store: Store, record: Written) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the two durable writes of a turn; the first returns its number."""
    return partial(_begin, store, record), partial(store.end_turn, record.turn.turn_id, record.ending)


def _begin(store: Store, record: Written) -> int:
    return store.begin_turn(record.turn).number


class _Jobs:
    def __init__(self, url: str, corpus: str) -> None:
        self._store = open_store(url)
        # Sessions of this process's own, unless a job says which.
        self._records = in_sessions(read_corpus(Path(corpus)), beginning=f"{os.getpid():08x}")
        self._steps: list[Callable[[], object]] = []

    def prepare(self, count: int, session_id: str = "", at_once: bool = False) -> None:
        """Make the records of turns: of one session, or of sessions of our own; each to be written ``at_once``?"""
        records = _in_session(itertools.islice(self._records, count), session_id)
        if at_once:
            self._steps = [partial(self._store.import_turn, *record) for record in records]
        else:
            self._steps = [step for record in records for step in steps_of(self._store, record)]

    def write(self) -> dict[str, Any]:
        """Write them."""
        return timed(self._steps)

    def last(self, count: int) -> dict[str, Any]:
        """Read the last turns of the session that was written last."""
        session = next(self._store.sessions(limit=1))
        return timed([lambda: len(list(self._store.turns(session.session_id, newest=count)))])


def _in_session(records: Iterator[Written], session_id: str) -> Iterator[Written]:
    for record in records:
        turn = dataclasses.replace(record.turn, session_id=session_id) if session_id else record.turn
        yield Written(turn, record.ending)


if __name__ == "__main__":
    jobs = _Jobs(*sys.argv[1:])
    serve({name: getattr(jobs, name) for name in ("prepare", "write", "last")})
