"""A file that is written piece by piece and is there whole or not at all.

A path comes in, a stream to write to goes out; what was written takes the place of the old file in one step when the
block ends without an error, and is gone otherwise. 0600 in folders of 0700 that are made where they are missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mcp_coder.llm_places import private_directory

__all__ = ["whole_file"]


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file so that a reader, or a crash, sees the old one or the new one, whole.

    A link stays, and what it points to is replaced. A device or a pipe is written to, never replaced.

    Raises:
        OSError: it cannot be written; an old file is as it was, and no part of a new one is left.

    Example::

        with whole_file("sessions.jsonl") as file:
            file.write(line)
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as device:
            yield device
        return
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        private_directory(folder)
    # Not made from the target's name, which may be as long as a name can be.
    temporary = os.path.join(folder, f".mcp_coder-{os.urandom(8).hex()}.tmp")
    try:
        with _new_file(temporary) as file:
            yield file
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    _sync_folder(folder)


@contextlib.contextmanager
def _new_file(path: str) -> Iterator[BinaryIO]:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        os.chmod(path, 0o600)  # an odd umask takes bits away from the owner as well
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Bring the folder's list of names to disk, where a folder can be opened at all."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
