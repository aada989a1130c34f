"""The words that promises are written with: they raise where something is not as promised, and only there."""

from __future__ import annotations

import pytest

from mcp_coder.llm_store import open_store
from mcp_coder.testing.promise import opened, raises, recorded, same


def test_the_same_is_no_error_and_anything_else_says_both() -> None:
    same([1], [1])
    with pytest.raises(AssertionError, match=r"numbers: found 1; promised 2"):
        same(1, 2, "numbers")
    with pytest.raises(AssertionError, match=r"^found 'a'; promised None$"):
        same("a", None)


def test_an_error_that_was_promised_is_none() -> None:
    with raises(ValueError):
        int("x")


def test_an_error_that_does_not_come_is_one() -> None:
    with (
        pytest.raises(AssertionError, match="reading promises to raise ValueError; nothing was raised"),
        raises(ValueError, "reading"),
    ):
        pass


def test_another_error_goes_through() -> None:
    with pytest.raises(KeyError), raises(ValueError):
        dict[str, str]()["missing"]


def test_a_whole_turn_is_recorded_and_the_store_is_closed() -> None:
    store = open_store("memory:")
    with opened(lambda: store):
        assert recorded(store).state == "succeeded"
    with pytest.raises(Exception, match="closed"):
        store.check()
