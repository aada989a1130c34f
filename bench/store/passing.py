"""A process through which many turns pass: ``python -m bench.store.passing (write|read) URL CORPUS COUNT``.

It prints its peak resident memory in MiB.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from bench.peak import peak_mib
from mcp_coder.llm_providers.turn_files import new_turn_id
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

from .corpus import first_turns
from .records import Written, in_sessions

_DIFFERENT = 50
_SHORT = 80


def main(way: str, url: str, corpus: str, count: str) -> None:
    """Have the turns pass and print the number."""
    _WAYS[way](open_store(url), Path(corpus), int(count))
    print(peak_mib())


def _write(store: Store, corpus: Path, count: int) -> None:
    """Record turns in one session, one write each: some of the corpus, cut short, over and over, under new ids."""
    records = in_sessions(list(first_turns(corpus, _DIFFERENT)), session_turns=_DIFFERENT)
    cut = [_cut(record) for record in itertools.islice(records, _DIFFERENT)]
    for (turn, ending), place in zip(itertools.cycle(cut), range(count), strict=False):
        when = turn.started_at + timedelta(seconds=place)
        own = dataclasses.replace(turn, turn_id=new_turn_id(), started_at=when)
        store.import_turn(own, dataclasses.replace(ending, ended_at=when))


def _cut(record: Written) -> Written:
    """Return a turn with little in it, so that many of them do not take long."""
    turn, ending = record
    short = dataclasses.replace(ending, text=ending.text[:_SHORT], events=ending.events[-1:], response=None)
    return Written(dataclasses.replace(turn, prompt=turn.prompt[:_SHORT]), short)


def _read(store: Store, _corpus: Path, count: int) -> None:
    """Read the last so many turns of the only session."""
    session = next(store.sessions())
    found = sum(1 for _ in store.turns(session.session_id, newest=count))
    if found != count:
        raise ValueError(f"{found} turns were read instead of {count}")


_WAYS: dict[str, Callable[[Store, Path, int], None]] = {"write": _write, "read": _read}

if __name__ == "__main__":
    main(*sys.argv[1:])
