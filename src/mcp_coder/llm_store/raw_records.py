"""What a turn left, as it is kept: the response and the events, as one blob of compressed JSON.

A response and events come in, bytes go out, and the other way around; equal, whatever they hold: keys that nobody
knows, integers of any size, lone surrogates. A response stands in the first line, the events in the second, so that
it can be read without the events. It stands beside them because the last event mostly is the same once more, which
costs next to nothing there. Nothing here does I/O.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import zstandard

from mcp_coder.llm_store.values import plain_mapping
from mcp_coder.llm_types import LLMResponseDict

__all__ = ["events_from_raw", "raw_from", "response_from_raw"]

_LEVEL = 3
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=plain_mapping)


def raw_from(response: LLMResponseDict | None, events: Sequence[Mapping[str, object]]) -> bytes | None:
    """Return what a turn left as bytes; None when it left nothing.

    Raises:
        TypeError: something in it is not JSON.
    """
    if response is None and not events:
        return None
    # Two calls whatever the count of events: each has a price.
    lines = f"{_ENCODER.encode(response)}\n{_ENCODER.encode(list(events))}"
    return zstandard.ZstdCompressor(level=_LEVEL).compress(lines.encode("utf-8", "surrogatepass"))


def response_from_raw(raw: bytes) -> LLMResponseDict | None:
    """Return the response; None when there was none. Most of the events stay packed."""
    with zstandard.ZstdDecompressor().stream_reader(raw) as reader:
        line = io.BufferedReader(cast("io.RawIOBase", reader)).readline()
    return cast("LLMResponseDict | None", _value(line))


def events_from_raw(raw: bytes) -> tuple[dict[str, object], ...]:
    """Return the events."""
    _, _, events = zstandard.ZstdDecompressor().decompressobj().decompress(raw).partition(b"\n")
    return tuple(_value(events))


def _value(line: bytes) -> Any:
    return json.loads(line.decode("utf-8", "surrogatepass"))
