"""Processes that do what they are told (``jobs``), from the side that tells them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from .workplace import with_bench

_END_SECONDS = 20.0


class Worker:
    """A process that serves jobs. Raises RuntimeError when it died instead of answering; its stderr is ours.

    Args:
        argv: how it is started.
        patience: seconds that it is given to end.
    """

    def __init__(self, *argv: str, patience: float = _END_SECONDS) -> None:
        self._patience = patience
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=with_bench(),
            text=True,
            start_new_session=True,  # at Ctrl-C it is ended by us, and no sooner
        )

    def tell(self, name: str, *arguments: object) -> None:
        """Have a job begun."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the job that was begun first and return what came of it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait(self._patience)}")
        return json.loads(line)

    def ask(self, name: str, *arguments: object) -> Any:
        """Have a job done and return what came of it."""
        self.tell(name, *arguments)
        return self.answer()

    def close(self) -> None:
        """End it: it sees its stdin closed."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(self._patience)


def ask_all(workers: Sequence[Worker], name: str, *arguments: object) -> list[Any]:
    """Have a job done by several at once and return what came of each."""
    for worker in workers:
        worker.tell(name, *arguments)
    return [worker.answer() for worker in workers]
