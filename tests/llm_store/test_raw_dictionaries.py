"""The dictionaries that were released stay as they are: stores were written with them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import pytest

import mcp_coder.llm_store
from mcp_coder.llm_store.raw_dictionaries import CURRENT, raw_dictionary
from mcp_coder.llm_store.sqlite_opening import open_memory

RELEASED = {1: "22e21b45351e69e4e5b477c5b717bd34d2cb202e1ef55e968235934ecb48b2da"}
FOLDER = Path(mcp_coder.llm_store.__file__).parent / "dictionaries"


@pytest.mark.parametrize("number", RELEASED)
def test_what_was_released_is_never_edited(number: int) -> None:
    assert hashlib.sha256(raw_dictionary(number)).hexdigest() == RELEASED[number]


def test_all_are_listed_here_and_the_newest_is_used() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{number}.jsonl" for number in RELEASED]
    assert max(RELEASED) == CURRENT


def test_each_is_what_an_agent_prints() -> None:
    for number in RELEASED:
        assert all("type" in json.loads(line) for line in raw_dictionary(number).splitlines())


def test_a_store_has_them_all() -> None:
    with contextlib.closing(open_memory()) as connection:
        found = dict(connection.execute("SELECT id, data FROM dictionaries"))
    assert found == {number: raw_dictionary(number) for number in RELEASED}


def test_one_that_there_is_not_is_an_error() -> None:
    with pytest.raises(OSError, match=r"99\.jsonl"):
        raw_dictionary(99)
