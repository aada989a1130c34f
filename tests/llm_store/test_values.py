"""Values as columns hold them: money and time to the last unit, text whatever it holds."""

from __future__ import annotations

import decimal
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_store import values


@pytest.mark.parametrize(
    ("dollars", "nano", "back"),
    [
        (None, None, None),
        (Decimal(0), 0, "0"),
        (Decimal("-0"), 0, "0"),
        (Decimal("0.0492839999999999941"), 49_284_000, "0.049284"),
        (Decimal("0.0000000005"), 0, "0"),
        (Decimal("0.0000000015"), 2, "2E-9"),
        (Decimal("0.00000000051"), 1, "1E-9"),
        (Decimal("-0.25"), -250_000_000, "-0.25"),
        (Decimal("1200.00"), 1_200_000_000_000, "1200"),
        (Decimal("999999999.999999999"), 999_999_999_999_999_999, "999999999.999999999"),
        (Decimal("1e9"), None, None),
        (Decimal("1e400"), None, None),
        (Decimal("NaN"), None, None),
        (Decimal("-Infinity"), None, None),
    ],
)
def test_money_is_whole_units(dollars: Decimal | None, nano: int | None, back: str | None) -> None:
    with decimal.localcontext(prec=3):  # a caller's own, which must not matter
        found = values.nano_from(dollars)
        again = values.dollars_from(found)
    assert found == nano
    assert (None if again is None else str(again)) == back


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_units_come_back(nano: int) -> None:
    assert values.nano_from(values.dollars_from(nano)) == nano


@given(st.datetimes(timezones=st.timezones()))
def test_times_come_back_to_the_microsecond(when: datetime) -> None:
    try:
        wanted = when.astimezone(UTC)
    except OverflowError:  # the first or last hours of all
        return
    assert values.time_from(values.micros(when)) == wanted


def test_a_time_needs_a_zone() -> None:
    east = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    assert values.time_from(values.micros(east)).isoformat() == "2026-01-01T00:00:00+00:00"
    with pytest.raises(InvalidRequestError, match="2026-01-01T03:00:00 has no time zone"):
        values.micros(east.replace(tzinfo=None))


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_stored(text: str) -> None:
    stored = values.storable_text(text)
    assert values.stored_text(stored) == text
    if isinstance(stored, str):
        stored.encode()


def test_only_what_utf_8_cannot_hold_is_bytes() -> None:
    row = values.storable({"a": "é\x00", "b": "\udcff", "c": 3, "d": None})
    assert row == {"a": "é\x00", "b": b"\xed\xb3\xbf", "c": 3, "d": None}
    assert values.plain(tuple(row.values())) == ("é\x00", "\udcff", 3, None)
    assert values.plain(("a", 1)) == ("a", 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ({}, None),
        ((), None),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (("ä", "\ud800"), '["ä","\ud800"]'),
        (MappingProxyType({"a": MappingProxyType({})}), '{"a":{}}'),
    ],
)
def test_structures_are_json_and_nothing_where_they_are_empty(value: object, text: str | None) -> None:
    assert values.json_text(value) == text


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        values.json_text({"a": object()})


@given(st.lists(st.integers(0, 2**50), min_size=2, max_size=2))
def test_keys_go_by_time(times: list[int]) -> None:
    before, behind = sorted(times)
    (first, last), (later, _) = values.keys_for(before), values.keys_for(behind)
    assert last - first == 255
    assert first <= later
    assert behind - before < 10_000 or last < later
