"""The log of simonw/llm in a process of its own: ``python -m bench.peers.llm_log FILE CORPUS (own|wal)``.

Run by the Python that has it. A response of a model that answers from the corpus is logged as the ``llm`` command
does it, by ``log_to_db``, in conversations of ten. ``own`` leaves the file as llm makes it, ``wal`` sets the journal
that our store has. Serves ``prepare``, ``write``, ``newest`` and ``fill``.
"""

from __future__ import annotations

import itertools
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import llm  # type: ignore[import-not-found]
import sqlite_utils  # type: ignore[import-not-found]
from llm.logs import LogStore, merged_log_rows  # type: ignore[import-not-found]

from bench.jobs import serve, timed
from bench.store.corpus import CorpusTurn, read_corpus

_CONVERSATION_TURNS = 10


class _FromCorpus(llm.Model):  # type: ignore[misc]
    """Answers as the corpus has it."""

    model_id = "corpus"
    turn: CorpusTurn

    def execute(self, _prompt: Any, *, response: Any, **_more: object) -> Iterator[str]:
        response.response_json = dict(self.turn.result)
        yield self.turn.text


class _Jobs:
    def __init__(self, path: str, corpus: str, durability: str) -> None:
        self._db = sqlite_utils.Database(path)
        if durability == "wal":
            self._db.enable_wal()
        self._model = _FromCorpus()
        self._turns = enumerate(itertools.cycle(read_corpus(Path(corpus))))
        self._conversation = self._model.conversation()
        self._steps: list[Callable[[], object]] = []

    def prepare(self, count: int, conversation_id: str = "") -> None:
        """Have so many responses answered: in conversations of our own, or in one of this id."""
        self._steps = [partial(self._log, self._response(conversation_id)) for _ in range(count)]

    def _response(self, conversation_id: str) -> Any:
        place, turn = next(self._turns)
        if place % _CONVERSATION_TURNS == 0:
            self._conversation = self._model.conversation()
        if conversation_id:
            self._conversation.id = conversation_id
        self._model.turn = turn
        response = self._conversation.prompt(f"{turn.prompt} mark{place:07d}")
        response.text()
        return response

    def _log(self, response: Any) -> int:
        response.log_to_db(self._db)
        return 1

    def write(self) -> dict[str, Any]:
        """Log them; those that find the file locked are lost."""
        return timed(self._steps, sqlite3.OperationalError)

    def fill(self, count: int) -> None:
        """Log so many responses in one transaction."""
        store = LogStore(self._db)
        with self._db.atomic():
            for _ in range(count):
                store.log(self._response(""))

    def newest(self, count: int) -> dict[str, Any]:
        """Read what ``llm logs -n COUNT`` shows."""
        return timed([lambda: len(merged_log_rows(LogStore(self._db), count=count))])


if __name__ == "__main__":
    jobs = _Jobs(*sys.argv[1:])
    serve({name: getattr(jobs, name) for name in ("prepare", "write", "fill", "newest")})
