"""Which session is meant."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from tests.cli.stored import ALIKE, FIRST, OTHER, new_session

from mcp_coder.cli.session_reference import AmbiguousSessionError, NotRecordedError, find_session
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store


@pytest.fixture
def memory() -> Iterator[Store]:
    """Open a store in memory with two sessions whose ids begin alike, and a third whose name is such a beginning."""
    store = open_store("memory:")
    for session_id, name in ((FIRST, "colors"), (ALIKE, None), (OTHER, "5fb8e1b7-5")):
        store.add_session(new_session(session_id=session_id, name=name, turns=0))
    yield store
    store.close()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (FIRST, FIRST),
        (FIRST[:13], FIRST),
        ("c", OTHER),
        ("colors", FIRST),
        ("5fb8e1b7-5", OTHER),
        (ALIKE[:10], ALIKE),
    ],
)
def test_an_id_wins_over_a_name_and_a_name_over_a_beginning(written: str, meant: str, memory: Store) -> None:
    assert find_session(memory, written).session_id == meant


@pytest.mark.parametrize("written", ["nonsense", "color", FIRST.upper(), "%", "*", "' OR 1", "5fb8e1b7\x1b"])
def test_what_nobody_recorded(written: str, memory: Store) -> None:
    with pytest.raises(NotRecordedError, match="is recorded in memory:") as raised:
        find_session(memory, written)
    assert raised.value.searched == ("memory:",)
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize("written", ["", " ", "\n"], ids=repr)
def test_nothing_is_no_session(written: str, memory: Store) -> None:
    with pytest.raises(click.UsageError, match="an id or a name of a session is needed"):
        find_session(memory, written)


def test_an_ambiguous_id_lists_who_may_be_meant(memory: Store) -> None:
    with pytest.raises(AmbiguousSessionError, match="2 sessions are meant by '5fb'") as raised:
        find_session(memory, "5fb")
    assert sorted(raised.value.details) == [
        f"  {FIRST}  2026-01-31 12:00 UTC  colors",
        f"  {ALIKE}  2026-01-31 12:00 UTC  My favorite color is blue",
    ]


def test_an_ambiguous_name_lists_who_may_be_meant(memory: Store) -> None:
    memory.add_session(new_session(session_id="another", name="colors", turns=0))
    with pytest.raises(AmbiguousSessionError, match="2 sessions are meant by 'colors'"):
        find_session(memory, "colors")


def test_very_many_are_not_all_listed(memory: Store) -> None:
    for number in range(30):
        memory.add_session(new_session(session_id=f"many-{number}", turns=0))
    with pytest.raises(AmbiguousSessionError, match="more than 20 sessions") as raised:
        find_session(memory, "many")
    assert len(raised.value.details) == 20


def test_a_name_is_found_whatever_begins_so(memory: Store) -> None:
    for number in range(30):
        memory.add_session(new_session(session_id=f"colors-{number}", turns=0))
    assert find_session(memory, "colors").session_id == FIRST
