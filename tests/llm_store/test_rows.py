"""Records as rows: what is derived of them, and what cannot be added up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest

from mcp_coder.llm_events import Usage
from mcp_coder.llm_store import rows
from mcp_coder.testing.store_samples import new_turn, usage_of_dollars


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("Hello", "Hello"),
        ("  two\n\tlines \r\n", "two lines"),
        ("", ""),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
        ("word " * 1000, "word " * 19 + "word…"),
        ("\n" * 1000 + "late", ""),
    ],
)
def test_a_title_is_the_beginning_of_a_prompt_in_one_line(prompt: str, title: str) -> None:
    assert rows.title_of(prompt) == title


@pytest.mark.parametrize(
    ("project", "name"),
    [
        (None, None),
        ("", None),
        ("/", "/"),
        ("/home/dev/project", "project"),
        ("/home/dev/project/", "project"),
        ("project", "project"),
        (r"C:\work\project", "project"),
    ],
)
def test_a_project_is_named_by_the_end_of_its_path(project: str | None, name: str | None) -> None:
    assert rows.project_name(project) == name


def test_a_turn_that_begins_is_recorded_as_it_will_be_read() -> None:
    east = timezone(timedelta(hours=3))
    turn = new_turn(
        1, started_at=datetime(2026, 1, 1, tzinfo=east), options=MappingProxyType({"a": 1}), carried=("t",)
    )
    record = rows.begun_record(turn, 4, "before")
    assert (record.number, record.parent_turn_id, record.state) == (4, "before", "started")
    assert record.started_at.tzinfo is UTC
    assert (record.options, record.carried, record.baseline) == ({"a": 1}, ("t",), None)


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (7, 7), (-1, 0), (10**30, 0)])
def test_a_counter_that_cannot_be_added_up_is_none(count: int, kept: int) -> None:
    usage = Usage(input_tokens=count, thinking_tokens=count)
    row = rows.usage_row(usage, 1, None)
    assert (row["input_tokens"], row["thinking_tokens"]) == (kept, kept)
    assert rows.usage_row(Usage(), 1, None)["thinking_tokens"] is None


def test_models_keep_their_order() -> None:
    (first, second) = rows.model_rows(usage_of_dollars("0.5", "b", "a"))
    assert (first["place"], first["model"], second["place"], second["model"]) == (0, "b", 1, "a")
    back = rows.models_by_turn(
        [(7, "b", 500_000_000, 1, 2, 3, 4), (7, b"\xed\xb3\xbf", None, 0, 0, 0, 0), (8, "c", 0, 0, 0, 0, 0)]
    )
    assert [[usage.model for usage in models] for models in back.values()] == [["b", "\udcff"], ["c"]]
    assert back[7][0].cost_usd == Decimal("0.5")
    assert back[7][1].cost_usd is None
