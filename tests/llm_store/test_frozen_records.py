"""Records behave as frozen dataclasses that are made by keyword, and their classes are made faster."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

from mcp_coder.llm_store.frozen_records import Record, filled, record


@record(frozen=True, kw_only=True)
class Fruit(Record):
    """A fruit."""

    name: str
    color: str
    seeds: int = 0
    more: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def shown(self) -> str:
        """How it is called."""
        return f"{self.color} {self.name}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlainFruit:
    """The same, as the standard library makes it."""

    name: str
    color: str
    seeds: int = 0
    more: Mapping[str, object] = dataclasses.field(default_factory=dict)


APPLE = Fruit(name="apple", color="red", seeds=5)


def test_a_record_has_what_it_was_given_and_its_defaults() -> None:
    pear = Fruit(name="pear", color="green")
    assert (pear.name, pear.color, pear.seeds, pear.more) == ("pear", "green", 0, {})
    assert pear.shown == "green pear"
    assert pear.more is not Fruit(name="pear", color="green").more


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "apple"}, "Fruit needs color"),
        ({}, "Fruit needs color, name"),
        ({"name": "a", "color": "b", "size": 3}, "Fruit has no field size"),
        ({"name": "a", "size": 3}, "Fruit has no field size and needs color"),
    ],
    ids=["one missing", "two missing", "unknown", "both"],
)
def test_what_is_missing_or_unknown_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        Fruit(**given)
    assert str(caught.value) == message


def test_fields_are_given_by_keyword_alone() -> None:
    with pytest.raises(TypeError):
        Fruit("apple", "red")  # type: ignore[call-arg]  # that is the test


def test_a_record_is_not_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        APPLE.color = "green"  # type: ignore[misc]  # that is the test
    with pytest.raises(dataclasses.FrozenInstanceError):
        APPLE.size = 3  # type: ignore[attr-defined]  # that is the test
    with pytest.raises(dataclasses.FrozenInstanceError):
        del APPLE.color
    assert APPLE.color == "red"


def test_records_are_equal_by_their_fields() -> None:
    assert Fruit(name="apple", color="red", seeds=5) == APPLE
    assert Fruit(name="apple", color="red") != APPLE
    assert PlainFruit(name="apple", color="red", seeds=5) != APPLE
    one = Fruit(name="apple", color="red", more=())  # type: ignore[arg-type]  # a dict has no hash
    assert hash(one) == hash(Fruit(name="apple", color="red", more=()))  # type: ignore[arg-type]


def test_a_record_is_shown_as_it_is_made() -> None:
    assert repr(APPLE) == "Fruit(name='apple', color='red', seeds=5, more={})"
    assert eval(repr(APPLE)) == APPLE


def test_what_dataclasses_offers_works_on_it() -> None:
    assert dataclasses.replace(APPLE, color="green") == Fruit(name="apple", color="green", seeds=5)
    assert dataclasses.asdict(APPLE) == {"name": "apple", "color": "red", "seeds": 5, "more": {}}
    assert [field.name for field in dataclasses.fields(Fruit)] == ["name", "color", "seeds", "more"]


def test_it_can_be_copied_and_pickled() -> None:
    assert copy.copy(APPLE) == copy.deepcopy(APPLE) == pickle.loads(pickle.dumps(APPLE)) == APPLE


def test_help_shows_its_fields() -> None:
    expected = "(*, name: 'str', color: 'str', seeds: 'int' = 0, more: 'Mapping[str, object]' = {})"
    assert str(inspect.signature(Fruit)) == expected


def test_one_that_is_filled_at_once_is_the_same() -> None:
    fields = {"name": "apple", "color": "red", "seeds": 5, "more": {}}
    assert filled(Fruit, fields) == APPLE
