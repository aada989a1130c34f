"""Responses and events as bytes: equal when they come back, small, the response readable alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.llm_store.raw_dictionaries import raw_dictionary
from mcp_coder.llm_store.raw_records import events_from_raw, raw_from, response_from_raw
from mcp_coder.llm_store.values import UnreadableError
from mcp_coder.testing.store_samples import sample_response

SAMPLES = Path(__file__).parents[1] / "data" / "claude-code-2.1.330"

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None), max_size=20),  # lone surrogates too
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)
objects = st.dictionaries(st.text(st.characters(codec=None), max_size=5), values, max_size=4)


@given(objects, st.lists(objects, max_size=5), st.sampled_from([b"", b"{}", raw_dictionary(1)]))
def test_what_is_packed_comes_back(response: Any, events: list[dict[str, object]], dictionary: bytes) -> None:
    raw = raw_from(response, events, dictionary)
    assert raw is not None
    assert events_from_raw(raw, dictionary) == tuple(events)
    assert repr(response_from_raw(raw, dictionary)) == repr(response)


def test_two_halves_of_a_character_side_by_side_stay_two() -> None:
    raw = raw_from(None, [{"text": "\ud83d\ude00"}])
    assert raw is not None
    assert events_from_raw(raw) == ({"text": "\ud83d\ude00"},)
    assert events_from_raw(raw) != ({"text": "😀"},)


@pytest.mark.parametrize(
    ("response", "events", "there"),
    [(None, [], False), (None, [{}], True), (sample_response(), [], True)],
    ids=["nothing", "events", "response"],
)
def test_nothing_is_packed_as_nothing(response: Any, events: list[dict[str, object]], there: bool) -> None:
    raw = raw_from(response, events)
    assert (raw is not None) is there
    if raw is not None:
        assert (response_from_raw(raw), events_from_raw(raw)) == (response, tuple(events))


def test_any_mapping_is_an_object() -> None:
    raw = raw_from(None, [MappingProxyType({"inner": MappingProxyType({"a": 1})})])
    assert raw is not None
    assert events_from_raw(raw) == ({"inner": {"a": 1}},)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="bytes is not JSON"):
        raw_from(None, [{"data": b"bytes"}])


def test_real_output_shrinks_and_the_response_costs_next_to_nothing_beside_it() -> None:
    events = [json.loads(line) for line in (SAMPLES / "live_denied.stdout").read_text().splitlines()]
    response: Any = {"text": events[-1].get("result"), "raw_response": events[-1]}
    whole, alone = raw_from(response, events), raw_from(None, events)
    assert whole is not None
    assert alone is not None
    assert len(whole) < len(json.dumps(events)) / 3
    assert len(whole) - len(alone) < 200
    packed = raw_from(response, events, raw_dictionary(1))
    assert packed is not None
    assert len(packed) < len(whole) / 2
    assert response_from_raw(packed, raw_dictionary(1)) == response
    assert events_from_raw(packed, raw_dictionary(1)) == tuple(events)


def test_the_bytes_can_be_read_by_other_programs() -> None:
    raw = raw_from(sample_response("text"), [{"type": "system"}])
    assert raw is not None
    response, events = zstandard.ZstdDecompressor().decompress(raw).split(b"\n")
    assert b'"text":"text"' in response
    assert events == b'[{"type":"system"}]'


def test_threads_pack_side_by_side() -> None:
    """A compressor is kept from turn to turn, and serves one thread at a time."""
    dictionary, texts = raw_dictionary(1), [str(number) * 20_000 for number in range(8)]

    def packed_and_read(text: str) -> bool:
        events = [{"text": text}]
        raws = [raw_from(None, events, dictionary) for _ in range(20)]
        return all(raw is not None and events_from_raw(raw, dictionary) == tuple(events) for raw in raws)

    with ThreadPoolExecutor(len(texts)) as pool:
        assert all(pool.map(packed_and_read, texts))


def test_what_is_large_is_packed_too() -> None:
    events = [{"text": "a word and " * 200_000}]
    for _ in range(2):
        raw = raw_from(None, events, raw_dictionary(1))
        assert raw is not None
        assert events_from_raw(raw, raw_dictionary(1)) == tuple(events)


@pytest.mark.parametrize("read", [response_from_raw, events_from_raw], ids=lambda read: read.__name__)
@pytest.mark.parametrize("cut", [False, True], ids=["no packed record", "a torn one"])
def test_what_is_damaged_is_said_to_be(read: Callable[[bytes], object], cut: bool) -> None:
    whole = raw_from(None, [{"type": "result", "result": "x" * 500}])
    assert whole is not None
    with pytest.raises(UnreadableError, match="cannot be read"):
        read(whole[:4] + whole[8:] if cut else b"not packed at all")
