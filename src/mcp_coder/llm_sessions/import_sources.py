"""The files of an import, looked at before anything is written: what each is, and whether it is whole.

Paths come in; sources go out in the order in which they are to be read: exports as they were given, then stored
responses in the order of their times. What cannot be read twice (standard input, a pipe) is put into a private,
temporary file first. Nothing is written into a store here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from mcp_coder.llm_errors import InvalidRequestError, StoreError, UnsupportedVersionError
from mcp_coder.llm_serialization import deserialize_llm_response
from mcp_coder.llm_sessions.stored_responses import time_of
from mcp_coder.llm_store.export_lines import flaws_of, is_export

if TYPE_CHECKING:
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["Source", "ToImport", "examined", "response_in"]

ToImport = str | Path | BinaryIO

_HEAD = 65_536
_MOST_FLAWS = 5


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file to import.

    Attributes:
        name: what its user calls it; ``path`` where it can be read, more than once.
        size: in bytes.
        is_export: an export of sessions; else a stored response.
        answered_at: when a stored response was given.
    """

    name: str
    path: str
    size: int
    is_export: bool
    answered_at: datetime | None = None


@contextlib.contextmanager
def examined(files: Sequence[ToImport], *, salvage: bool) -> Iterator[Sequence[Source]]:
    """Look at files and return them as they are to be read, for as long as the block lasts.

    Args:
        files: paths, or streams of bytes.
        salvage: a damaged export is good enough.

    Raises:
        InvalidRequestError: one is neither an export nor a stored response.
        UnsupportedVersionError: one was written by a newer major version.
        StoreError: one is damaged.
        OSError: one cannot be read.
    """
    with contextlib.ExitStack() as stack:
        sources = [_examined(*stack.enter_context(_readable(file)), salvage) for file in files]
        yield sorted(sources, key=_place)


def _place(source: Source) -> tuple[bool, datetime]:
    return not source.is_export, source.answered_at or datetime.min.replace(tzinfo=UTC)


@contextlib.contextmanager
def _readable(file: ToImport) -> Iterator[tuple[str, str]]:
    """Return a file's name, and a path under which it can be read more than once."""
    if isinstance(file, (str, Path)):
        name = str(file)
        if os.path.isfile(name) or os.path.isdir(name):
            yield name, name
            return
        with open(name, "rb") as pipe, _copied(pipe) as path:
            yield name, path
        return
    with _copied(file) as path:
        yield str(getattr(file, "name", "standard input")).strip("<>"), path


@contextlib.contextmanager
def _copied(stream: IO[bytes]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile(prefix="mcp_coder-import-") as copy:  # 0600
        shutil.copyfileobj(stream, copy)
        copy.flush()
        yield copy.name


def _examined(name: str, path: str, salvage: bool) -> Source:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(_HEAD)
        if is_export(head):
            file.seek(0)
            _check(name, file, salvage=salvage)
            return Source(name=name, path=path, size=size, is_export=True)
    if head.strip(_BEFORE_JSON)[:1] != b"{":
        raise _neither(name, "it is empty" if not head else "it holds no JSON object")
    answered_at = time_of(response_in(name, path))
    return Source(name=name, path=path, size=size, is_export=False, answered_at=answered_at)


_BEFORE_JSON = b" \t\r\n\x00\xef\xbb\xbf\xfe\xff"
"""Blanks, byte order marks, and the zeros of UTF-16 and UTF-32."""


def _check(name: str, lines: BinaryIO, *, salvage: bool) -> None:
    try:
        flaws = [str(flaw) for flaw in itertools.islice(flaws_of(lines), _MOST_FLAWS + 1)]
    except UnsupportedVersionError as exc:
        raise UnsupportedVersionError(f"{name}: {exc}") from exc
    if flaws and not salvage:
        told = "; ".join(flaws[:_MOST_FLAWS]) + ("; and more" if len(flaws) > _MOST_FLAWS else "")
        raise StoreError(f"{name} is damaged: {told}. Nothing was imported; salvage takes what is whole")


def response_in(name: str, path: str) -> LLMResponseDict:
    """Return the response that is stored in a file.

    Raises:
        InvalidRequestError: it is none.
        UnsupportedVersionError: it was written by a newer major version.
    """
    try:
        return deserialize_llm_response(path)
    except UnsupportedVersionError as exc:
        raise UnsupportedVersionError(f"{name}: {_reason(exc, path)}") from exc
    except ValueError as exc:
        raise _neither(name, _reason(exc, path)) from exc


def _reason(error: ValueError, path: str) -> str:
    told = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return told.removeprefix(f"{path}: ")


def _neither(name: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name} is neither an export of sessions nor a stored response: {reason}")
