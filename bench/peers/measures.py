"""Ours and another project's sessions, each in a process of its own, told to do the same in turn.

Seconds a turn, seconds of a list, or per cent lost come out. Turns that a peer could not write do not count as written.
"""

from __future__ import annotations

import itertools
import json
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.figure import Sides
from bench.pairs import Measure
from bench.store.corpus import corpus_of, read_corpus
from bench.store.filling import Filling, filled_store
from bench.store.reading import LISTED, our_command, seconds_of_call, seconds_of_command
from bench.store.writing import BLOCK, WRITERS, longest_of, new_file, own_worker, seconds_at_once
from bench.workers import Worker, ask_all
from bench.workplace import Workplace
from mcp_coder.llm_store import open_store

from .install import python_of

SESSIONS = 2_000
"""How many sessions there are where they are listed."""
_LAST = 20
_CALLS = 5

MODULES = {"llm": "bench.peers.llm_log", "openai-agents": "bench.peers.agents_session"}


def _ours(place: Workplace, count: int) -> list[Worker]:
    file = new_file(place, "peer")
    url = f"sqlite:///{file}"
    open_store(url).close()
    corpus = str(corpus_of(place))
    return [own_worker(place, "-m", "bench.store.worker", url, corpus) for _ in range(count)]


def _peers(place: Workplace, peer: str, kind: str, count: int) -> list[Worker]:
    # One after the other: some make their tables with the first write, and none was meant to do that eight at once.
    file = new_file(place, "peer")
    return [_written_once(_peer(place, peer, file, kind)) for _ in range(count)]


def _peer(place: Workplace, peer: str, file: Path, kind: str) -> Worker:
    worker = Worker(python_of(peer), "-m", MODULES[peer], str(file), str(corpus_of(place)), kind)
    place.closing.callback(worker.close)
    return worker


def _written_once(worker: Worker) -> Worker:
    worker.ask("prepare", 1)
    worker.ask("write")
    return worker


# --- turns written


def seconds_of_turns(peer: str, kind: str, *, at_once: bool = False) -> Callable[[Workplace], Sides]:
    """Measure a turn by one process: its two writes, or, ``at_once``, one that has all of it."""

    def sides(place: Workplace) -> Sides:
        count, more = place.size(BLOCK), (True,) if at_once else ()
        ours, theirs = _ours(place, 1), _peers(place, peer, kind, 1)
        return _seconds_a_turn(ours, count, "", *more), _seconds_a_turn(theirs, count, "", *more)

    return sides


def seconds_of_writers(peer: str, kind: str) -> Callable[[Workplace], Sides]:
    """Measure a turn where eight processes write into one session."""
    return _at_once(peer, kind, _seconds_a_turn)


def longest_wait(peer: str, kind: str) -> Callable[[Workplace], Sides]:
    """Measure the longest write where eight processes write into one session."""
    return _at_once(peer, kind, _longest)


def share_lost(peer: str, kind: str) -> Callable[[Workplace], Sides]:
    """Measure the share of writes that fail where eight processes write into one session."""
    return _at_once(peer, kind, _lost)


def _at_once(peer: str, kind: str, measure: Callable[..., Measure]) -> Callable[[Workplace], Sides]:
    def sides(place: Workplace) -> Sides:
        count, session = place.size(BLOCK), str(uuid.uuid4())
        ours, theirs = _ours(place, place.size(WRITERS)), _peers(place, peer, kind, place.size(WRITERS))
        return measure(ours, count, session), measure(theirs, count, session)

    return sides


def _seconds_a_turn(workers: Sequence[Worker], count: int, *how: object) -> Measure:
    def measure() -> float:
        said = _written(workers, count, *how)
        return seconds_at_once(said) / (count * len(workers) * (1 - _share_lost(said)))

    return measure


def _longest(workers: Sequence[Worker], count: int, *how: object) -> Measure:
    return lambda: longest_of(_written(workers, count, *how))


def _lost(workers: Sequence[Worker], count: int, *how: object) -> Measure:
    return lambda: 100 * _share_lost(_written(workers, count, *how))


def _written(workers: Sequence[Worker], count: int, *how: object) -> list[Any]:
    ask_all(workers, "prepare", count, *how)
    return ask_all(workers, "write")


def _share_lost(said: Sequence[Any]) -> float:
    lost, kept = sum(each["lost"] for each in said), sum(len(each["results"]) for each in said)
    if not kept:
        raise ValueError("nothing was written")
    return float(lost / (lost + kept))


# --- sessions and turns read


def seconds_of_last_turns(place: Workplace) -> Sides:
    """Measure the last turns of the session that was written last."""
    ours, theirs = _ours(place, 1), _peers(place, "openai-agents", "sqlite", 1)
    session = str(uuid.uuid4())
    _written([*ours, *theirs], place.size(BLOCK), session)
    count = min(_LAST, place.size(BLOCK))
    return _seconds_of_job(ours[0], "last", count, count), _seconds_of_job(
        theirs[0], "last", count, 2 * count
    )


def seconds_of_llm_list(place: Workplace) -> Sides:
    """Measure the newest sessions of ours, and as many responses of llm's log."""
    theirs, _ = _filled_log(place)
    return _seconds_of_our_list(place), _seconds_of_job(theirs, "newest", LISTED, _listed(place))


def seconds_of_llm_command(place: Workplace) -> Sides:
    """Measure ``mcp-coder sessions list`` and ``llm logs list``."""
    _, file = _filled_log(place)
    url = f"sqlite:///{_filled(place)}"
    command = str(Path(python_of("llm")).with_name("llm"))
    count = str(LISTED)
    return (
        seconds_of_command(*our_command(), "sessions", "list", "--limit", count, store=url),
        seconds_of_command(command, "logs", "list", "--short", "-n", count, "-d", str(file)),
    )


def _filled_log(place: Workplace) -> tuple[Worker, Path]:
    """Return a worker with a log of llm's that holds as many responses as ours holds sessions, and its file."""
    file = new_file(place, "peer")
    worker = _peer(place, "llm", file, "own")
    worker.ask("fill", place.size(SESSIONS))
    return worker, file


def seconds_of_sdk_list(place: Workplace) -> Sides:
    """Measure the newest sessions of ours, and of Claude Code's own as claude-agent-sdk lists them."""
    from claude_agent_sdk import list_sessions

    _write_native_sessions(place)
    return _seconds_of_our_list(place), seconds_of_call(
        lambda: len(list_sessions(limit=LISTED)), _listed(place), calls=1
    )


def _listed(place: Workplace) -> int:
    return min(LISTED, place.size(SESSIONS))


def _filled(place: Workplace) -> Path:
    return filled_store(place, Filling(sessions=place.size(SESSIONS), session_turns=1))


def _seconds_of_our_list(place: Workplace) -> Measure:
    store = open_store(f"sqlite:///{_filled(place)}")
    place.closing.callback(store.close)
    return seconds_of_call(lambda: len(list(store.sessions(limit=LISTED))), _listed(place))


def _seconds_of_job(worker: Worker, name: str, count: int, expected: int) -> Measure:
    def once() -> float:
        said = worker.ask(name, count)
        if said["results"] != [expected]:
            raise ValueError(f"{said['results']} were found instead of {expected}")
        return float(said["ended"] - said["began"])

    return lambda: statistics.median(once() for _ in range(_CALLS))


def _write_native_sessions(place: Workplace) -> None:
    """Write as many native sessions of two lines each: those of Claude Code hold at least as much."""
    directory = place.home / ".claude" / "projects" / "-home-dev-project"
    directory.mkdir(parents=True, exist_ok=True)
    turns = itertools.cycle(read_corpus(corpus_of(place)))
    for turn in itertools.islice(turns, place.size(SESSIONS)):
        session_id = str(uuid.uuid4())
        own = {"sessionId": session_id, "cwd": "/home/dev/project", "timestamp": time.strftime("%FT%TZ")}
        lines = (
            {"type": "user", "message": {"role": "user", "content": turn.prompt}, **own},
            {"type": "assistant", "message": {"role": "assistant", "content": turn.text}, **own},
        )
        (directory / f"{session_id}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
