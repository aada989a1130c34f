"""The first recorded turn of a process: ``python -m bench.store.fresh (ours|plain) WHERE TURN`` prints its seconds.

What a turn loads that is not recorded is loaded before the clock runs: agent, bare turn, judge. What recording adds
is loaded while it runs, and the file is opened.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import mcp_coder.llm_providers.run  # noqa: F401  # as a turn that is not recorded has it

from .corpus import read_corpus
from .hooks import Hooked, hooked, record

_SESSION = "0000000a-0000-4000-8000-000000000000"


def main(way: str, where: str, turn: str) -> None:
    """Record the turn and print how long it took."""
    said = hooked(read_corpus(Path(turn))[0], _SESSION, 1)
    print(_WAYS[way](where, said))


def _ours(url: str, said: Hooked) -> float:
    began = time.perf_counter()
    record(url, said)
    return time.perf_counter() - began


def _plain(path: str, said: Hooked) -> float:
    assert said.ended.response is not None
    first, second = said.begun.request.question.encode(), said.ended.response["text"].encode()
    began = time.perf_counter()
    from .plain_file import PlainFile

    plain = PlainFile(Path(path))
    plain.write(first)
    plain.write(second)
    return time.perf_counter() - began


_WAYS: dict[str, Callable[[str, Hooked], float]] = {"ours": _ours, "plain": _plain}

if __name__ == "__main__":
    main(*sys.argv[1:])
