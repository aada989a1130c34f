"""The private files of one turn: made before its agent starts, gone when nobody needs them any more.

All are 0600 in a directory of their own (0700), in our own state directory (``llm_places``).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping

from mcp_coder.llm_places import private_directory, state_directory
from mcp_coder.llm_providers.base import TurnFiles

__all__ = [
    "is_kept_for_record",
    "keep_for_record",
    "kept_for_record",
    "new_turn_files",
    "new_turn_id",
    "output_path",
    "owned_directories",
    "recorded",
    "remove_forgotten_files",
    "remove_turn_files",
    "say_owner",
    "set_aside",
]


def new_turn_id() -> str:
    """Return an id for a turn: a UUID of version 7, so that ids as text are in the order of time.

    RFC 9562, 6.2, method 3: the time below a millisecond stands in the twelve bits behind the version.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    high = (milliseconds << 16) | (7 << 12) | (rest << 12) // 1_000_000
    return str(uuid.UUID(int=(high << 64) | (0b10 << 62) | secrets.randbits(62)))


def new_turn_files() -> TurnFiles:
    """Make the private directory of a new turn and return where its files go."""
    turn_id = new_turn_id()
    directory = os.path.join(state_directory(), "turns", turn_id)
    private_directory(directory)
    return TurnFiles(
        turn_id=turn_id,
        directory=directory,
        output=output_path(directory),
        errors=os.path.join(directory, "stderr.txt"),
    )


def output_path(directory: str) -> str:
    """Return the file of what the agent printed, among the private files of a turn."""
    return os.path.join(directory, "output.jsonl")


def set_aside(files: TurnFiles) -> None:
    """Make way for a second process of the same turn, keeping what the first one printed beside it."""
    for path in (files.output, files.errors):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, f"{path}.refused")


def remove_turn_files(directory: str) -> None:
    """Remove the private directory of a turn, if it is still there and no record waits for it."""
    if not is_kept_for_record(directory):
        try:
            # Behind a turn of a kept agent it is empty, and this takes a third of rmtree's time.
            os.rmdir(directory)
        except OSError:
            shutil.rmtree(directory, ignore_errors=True)


def is_kept_for_record(directory: str) -> bool:
    """Return whether a record waits for what is in this directory."""
    return os.path.exists(os.path.join(directory, _JOURNAL))


# --- turns that are recorded: what the agent printed stays until it is in the record

_JOURNAL = "journal.json"


def keep_for_record(directory: str, journal: Mapping[str, object]) -> None:
    """Keep the directory until ``recorded`` is said of it; ``journal`` tells whose record waits.

    It survives our death, and need not survive the machine's: then what the agent printed beside it is gone, too.

    Raises:
        OSError: it cannot be written.
    """
    _mark(directory, _JOURNAL, journal)


def recorded(directory: str) -> None:
    """Let go of a directory that was kept: whoever removes it next may."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(directory, _JOURNAL))


def remove_forgotten_files(seconds: float) -> None:
    """Remove directories that no record waits for and in which nothing was written for so many seconds.

    A process that is killed while it starts its agent leaves one that nothing refers to.
    """
    with contextlib.suppress(OSError):
        turns = os.path.join(state_directory(), "turns")
        for directory in [os.path.join(turns, name) for name in os.listdir(turns)]:
            if time.time() - _last_written(directory) > seconds:
                remove_turn_files(directory)


# --- files of agents that are kept between turns: theirs as long as the process lives that keeps them

_OWNER = "owner.json"


def say_owner(directory: str, owner: Mapping[str, object]) -> None:
    """Say which process this directory belongs to: once that is gone, whoever comes across it may remove it.

    Raises:
        OSError: it cannot be written.
    """
    _mark(directory, _OWNER, owner)


def _mark(directory: str, mark: str, told: Mapping[str, object]) -> None:
    path, data = os.path.join(directory, mark), json.dumps(told).encode()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        while data:
            data = data[os.write(file, data) :]
    except OSError:
        os.unlink(path)  # half a mark would keep the directory for nobody
        raise
    finally:
        os.close(file)


def owned_directories() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Return the directories that belong to a process, each with what ``say_owner`` said."""
    return _marked_directories(_OWNER)


def _last_written(directory: str) -> float:
    return max(os.stat(each).st_mtime for each in (directory, *_files_in(directory)))


def _files_in(directory: str) -> list[str]:
    return [os.path.join(directory, name) for name in os.listdir(directory)]


def kept_for_record() -> Iterator[tuple[str, Mapping[str, object]]]:
    """Return the directories that records wait for, each with its journal."""
    return _marked_directories(_JOURNAL)


def _marked_directories(mark: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    try:
        turns = os.path.join(state_directory(), "turns")
        names = sorted(os.listdir(turns))
    except OSError:
        return
    for name in names:
        directory = os.path.join(turns, name)
        with contextlib.suppress(OSError, ValueError), open(os.path.join(directory, mark), "rb") as file:
            told = json.loads(file.read())
            if isinstance(told, dict):
                yield directory, told
