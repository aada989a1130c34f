"""The bytes of turns in a plain table: what the machine takes for two durable commits a turn, and nothing else.

The prompt is written when the turn begins, and when it ends the answer with response and events, compressed by zstd:
that much is written at least. Nothing is compressed while it is timed.

``python -m bench.store.plain FILE CORPUS`` serves the jobs ``prepare`` and ``write``, as ``worker`` does for the store.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from bench.jobs import serve, timed

from .corpus import read_corpus
from .plain_file import PlainFile
from .records import Written, in_sessions

_COMPRESSOR = zstandard.ZstdCompressor()


def bytes_of(record: Written) -> tuple[bytes, bytes]:
    """Return what a turn takes at its beginning and at its end."""
    turn, ending = record
    raw = json.dumps([ending.response, *ending.events], ensure_ascii=False, separators=(",", ":"))
    return turn.prompt.encode(), ending.text.encode() + _COMPRESSOR.compress(raw.encode())


def steps_of(file: PlainFile, records: Sequence[Written]) -> list[Callable[[], object]]:
    """Return the writes of turns, two each."""
    return [partial(file.write, data) for record in records for data in bytes_of(record)]


def _serve(path: str, corpus: str) -> None:
    file = PlainFile(Path(path))
    records = in_sessions(read_corpus(Path(corpus)))
    steps: list[Callable[[], object]] = []

    def prepare(count: int, _session: str) -> None:
        steps[:] = steps_of(file, list(itertools.islice(records, count)))

    def write() -> dict[str, Any]:
        return timed(steps)

    serve({"prepare": prepare, "write": write})


if __name__ == "__main__":
    _serve(*sys.argv[1:])
