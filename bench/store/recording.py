"""What recording adds to a turn: all that the whole turn does for it, without the agent.

The hooks of ``record_turn`` are run with what the bare turn would hand them: the store is chosen, what must not be
written is looked for and taken out, the journal and the file that keeps the agent's output are written, usage is
worked out, the record is written. Plain SQLite stands beside it, which does none of this.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator

from bench.figure import Sides
from bench.pairs import Measure
from bench.workplace import Workplace, run_python
from mcp_coder.llm_providers.turn_files import remove_turn_files
from mcp_coder.llm_store import open_store

from .corpus import CorpusTurn, corpus_of, read_corpus
from .hooks import hooked, record
from .plain import bytes_of
from .plain_file import PlainFile
from .records import SESSION_TURNS, session_id
from .writing import new_plain, turns_of_corpus

_TURNS = 10
"""Each measurement is the middle one of so many turns: a session."""


def seconds_of_record(place: Workplace) -> Sides:
    """Measure journal and record of a turn, and the same bytes in a plain table."""
    url = _new_url(place)
    sessions, plain, records = itertools.count(), new_plain(place, "plain"), turns_of_corpus(place)
    turns = itertools.cycle(read_corpus(corpus_of(place)))
    return (
        lambda: statistics.median(_record_session(url, turns, session_id("0000000a", next(sessions)))),
        lambda: statistics.median(_plain_seconds(plain, *bytes_of(next(records))) for _ in range(_TURNS)),
    )


def _new_url(place: Workplace) -> str:
    """Return the URL of a store that is there and empty."""
    url = f"sqlite:///{place.home}/recorded.sqlite"
    open_store(url).close()
    return url


def _record_session(url: str, turns: Iterator[CorpusTurn], session: str) -> Iterator[float]:
    for number in range(1, SESSION_TURNS + 1):
        said = hooked(next(turns), session, number)
        began = time.perf_counter()
        record(url, said)
        yield time.perf_counter() - began
        remove_turn_files(said.begun.files.directory)


def _plain_seconds(plain: PlainFile, first: bytes, second: bytes) -> float:
    began = time.perf_counter()
    plain.write(first)
    plain.write(second)
    return time.perf_counter() - began


def seconds_of_first_record(place: Workplace) -> Sides:
    """Measure the first recorded turn of a process, and the first two commits of another, imports included."""
    url = _new_url(place)
    plain = place.home / "plain-first.sqlite"
    PlainFile(plain).close()
    return _fresh(place, "ours", url), _fresh(place, "plain", str(plain))


def _fresh(place: Workplace, way: str, where: str) -> Measure:
    turn = place.home / "one-turn.json"
    line = corpus_of(place).open(encoding="utf-8").readline()
    turn.write_text(line, encoding="utf-8")
    arguments = ("-m", "bench.store.fresh", way, where, str(turn))
    return lambda: float(run_python(*arguments, capture_output=True).stdout)
