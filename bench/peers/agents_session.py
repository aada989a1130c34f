"""The sessions of openai-agents in a process of their own: ``python -m bench.peers.agents_session FILE CORPUS KIND``.

Run by the Python that has them; ``KIND`` is ``sqlite`` (``SQLiteSession``) or ``sqlalchemy`` (``SQLAlchemySession`` on
aiosqlite). As its ``Runner`` does it, the prompt is added when a turn begins and the answer when it ends; ``at once``
adds both together. Sessions have ten turns. Tool calls and what the model's service said are not kept.
Serves ``prepare``, ``write`` and ``last``.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.jobs import serve, timed
from bench.store.corpus import CorpusTurn, read_corpus

_SESSION_TURNS = 10


def _sqlite(path: str, session_id: str) -> Any:
    from agents import SQLiteSession  # type: ignore[import-not-found]

    return SQLiteSession(session_id, path)


def _sqlalchemy(path: str, session_id: str) -> Any:
    from agents.extensions.memory import SQLAlchemySession  # type: ignore[import-not-found]

    return SQLAlchemySession.from_url(session_id, url=f"sqlite+aiosqlite:///{path}", create_tables=True)


_KINDS: dict[str, Callable[[str, str], Any]] = {"sqlite": _sqlite, "sqlalchemy": _sqlalchemy}


class _Jobs:
    def __init__(self, path: str, corpus: str, kind: str) -> None:
        self._open = partial(_KINDS[kind], path)
        self._turns = enumerate(itertools.cycle(read_corpus(Path(corpus))))
        self._loop = asyncio.new_event_loop()
        self._session = self._open(str(uuid.uuid4()))
        self._steps: list[Callable[[], object]] = []

    def prepare(self, count: int, session_id: str = "", at_once: bool = False) -> None:
        """Make ready the turns: of sessions of our own, or of one of this id."""
        if session_id:
            self._session = self._open(session_id)
        turns = [self._turn(next(self._turns), own=not session_id) for _ in range(count)]
        self._steps = [
            partial(self._add, session, items)
            for session, turn in turns
            for items in ([turn] if at_once else [[item] for item in turn])
        ]

    def _turn(self, numbered: tuple[int, CorpusTurn], *, own: bool) -> tuple[Any, list[dict[str, Any]]]:
        place, turn = numbered
        if own and place % _SESSION_TURNS == 0:
            self._session = self._open(str(uuid.uuid4()))
        return self._session, [
            {"role": "user", "content": f"{turn.prompt} mark{place:07d}"},
            {
                "id": f"msg_{place:032x}",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": turn.text, "annotations": []}],
            },
        ]

    def _add(self, session: Any, items: list[dict[str, Any]]) -> int:
        self._loop.run_until_complete(session.add_items(items))
        return 1

    def write(self) -> dict[str, Any]:
        """Write them; those that find the file locked are lost."""
        return timed(self._steps, Exception)

    def last(self, count: int) -> dict[str, Any]:
        """Read the last turns of the session that was written last, two items each."""
        return timed([lambda: len(self._loop.run_until_complete(self._session.get_items(limit=2 * count)))])


if __name__ == "__main__":
    jobs = _Jobs(*sys.argv[1:])
    serve({name: getattr(jobs, name) for name in ("prepare", "write", "last")})
