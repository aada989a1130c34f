"""What a turn left, as it is kept: the response and the events, as one blob of compressed JSON.

A response and events come in, bytes go out, and the other way around; equal, whatever they hold: keys that nobody
knows, integers of any size, lone surrogates. A response stands in the first line, the events in the second, so that
it can be read without the events. It stands beside them because the last event mostly is the same once more, which
costs next to nothing there. Nothing here does I/O.

What agents print is much the same from turn to turn. The compressor is given a sample of it, the dictionary, and
then needs a third of the room; without the very same bytes nothing can be read again, so a store keeps them beside
its turns.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from mcp_coder.llm_store.values import UnreadableError, plain_mapping
from mcp_coder.llm_types import LLMResponseDict

if TYPE_CHECKING:  # loaded when the first turn is packed or unpacked: lists need none of it
    import zstandard

__all__ = ["events_from_raw", "raw_from", "response_from_raw"]

_LEVEL = 3
_LARGE = 1_000_000
"""A compressor that packed more is not kept: it holds on to as much memory."""
# What holds itself is found by its depth: looking for it costs each turn something.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=plain_mapping, check_circular=False
)


def raw_from(
    response: LLMResponseDict | None, events: Sequence[Mapping[str, object]], dictionary: bytes = b""
) -> bytes | None:
    """Return what a turn left as bytes; None when it left nothing.

    Raises:
        TypeError: something in it is not JSON.
        RecursionError: it is nested too deeply, or holds itself.
    """
    if response is None and not events:
        return None
    # Two calls whatever the count of events: each has a price.
    lines = f"{_ENCODER.encode(response)}\n{_ENCODER.encode(list(events))}"
    return _compressed(lines.encode("utf-8", "surrogatepass"), dictionary)


def response_from_raw(raw: bytes, dictionary: bytes = b"") -> LLMResponseDict | None:
    """Return the response; None when there was none. Most of the events stay packed.

    Raises:
        UnreadableError: these are not the bytes that ``raw_from`` gave.
    """
    with _readable(), _decompressor(dictionary).stream_reader(raw) as reader:
        line = io.BufferedReader(cast("io.RawIOBase", reader)).readline()
        return cast("LLMResponseDict | None", _value(line))


def events_from_raw(raw: bytes, dictionary: bytes = b"") -> tuple[dict[str, object], ...]:
    """Return the events.

    Raises:
        UnreadableError: these are not the bytes that ``raw_from`` gave.
    """
    with _readable():
        _, _, events = _decompressor(dictionary).decompressobj().decompress(raw).partition(b"\n")
        return tuple(_value(events))


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    import zstandard

    try:
        yield
    except (zstandard.ZstdError, ValueError):
        raise UnreadableError("a packed record that cannot be read") from None


def _value(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"))


def _compressed(data: bytes, dictionary: bytes) -> bytes:
    idle = _idle_compressors(dictionary)
    try:
        compressor = idle.pop()  # whoever takes it has it alone: it serves one thread at a time
    except IndexError:
        compressor = _new_compressor(dictionary)
    packed = compressor.compress(data)
    if len(data) <= _LARGE:
        idle.append(compressor)
    return packed


@functools.lru_cache(maxsize=4)
def _idle_compressors(_dictionary: bytes) -> list[zstandard.ZstdCompressor]:
    """Return the compressors that nobody is using: to make one takes a third of the time of packing a turn."""
    return []


def _new_compressor(dictionary: bytes) -> zstandard.ZstdCompressor:
    import zstandard

    if not dictionary:
        return zstandard.ZstdCompressor(level=_LEVEL)
    return zstandard.ZstdCompressor(dict_data=_prepared(dictionary))


def _decompressor(dictionary: bytes) -> zstandard.ZstdDecompressor:
    import zstandard

    return zstandard.ZstdDecompressor(dict_data=_prepared(dictionary) if dictionary else None)


@functools.lru_cache(maxsize=4)
def _prepared(dictionary: bytes) -> zstandard.ZstdCompressionDict:
    """Return a dictionary that was looked through once: that takes longer than to pack a turn."""
    import zstandard

    found = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    found.precompute_compress(level=_LEVEL)
    return found
