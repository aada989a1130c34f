"""Sums as people see them: rows, bars, and what is said beside them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mcp_coder.cli.tables import plain_text
from mcp_coder.cli.usage_tables import KEYS, bar, rounded, usage_notes, usage_table, with_bars
from mcp_coder.llm_store.base import UsageReport, UsageRow


def row(
    key: str, cost: str, turns: int = 1, unaccounted: int = 0, unrecorded: str | None = "0", **changes: object
) -> UsageRow:
    return UsageRow(
        key=key,
        turns=turns,
        cost_usd=Decimal(cost),
        unaccounted_turns=unaccounted,
        unrecorded_usd=None if unrecorded is None else Decimal(unrecorded),
        input_tokens=1_234_567,
        **changes,  # type: ignore[arg-type]  # the table's own values
    )


REPORT = UsageReport(
    rows=(
        row("2026-01-30", "1", models=(row("sonnet", "1", unrecorded=None), row("", "0", unrecorded=None))),
        row("2026-01-31", "0.25", turns=3, unaccounted=2, unrecorded="0.1"),
        row("2026-02-01", "0", unaccounted=1),
    ),
    total=row("", "1.25", turns=5, unaccounted=3, unrecorded="0.1"),
)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (12_345, "12.3k"),
        (999_949, "999.9k"),
        (999_950, "1.0M"),
        (2_500_000_000, "2.5G"),
        (10**13, "10,000.0G"),
    ],
)
def test_counts_are_rounded(number: int, text: str) -> None:
    assert rounded(number) == text


@pytest.mark.parametrize(
    ("amount", "drawn", "plain"),
    [("4", "████", "####"), ("2", "██", "##"), ("1.5", "█▌", "##"), ("0.001", "▏", "#"), ("0", "", "")],
)
def test_bars_are_as_long_as_the_amount(amount: str, drawn: str, plain: str) -> None:
    assert bar(Decimal(amount), Decimal(4), 4) == drawn
    assert bar(Decimal(amount), Decimal(4), 4, ascii_only=True) == plain


def test_nothing_has_no_bar() -> None:
    assert bar(Decimal(1), Decimal(0), 4) == ""


def test_a_table_of_days() -> None:
    assert plain_text(usage_table(REPORT, "day")).splitlines() == [
        "day         turns    in  out  cache read  written     cost  unaccounted  unrecorded",
        "2026-01-30      1  1.2M    0           0        0  $1.0000",
        "└ sonnet        1  1.2M    0           0        0  $1.0000",
        "└ (none)        1  1.2M    0           0        0  $0.0000",
        "2026-01-31      3  1.2M    0           0        0  $0.2500            2     $0.1000",
        "2026-02-01      1  1.2M    0           0        0  unknown            1",
        "total           5  1.2M    0           0        0  $1.2500            3     $0.1000",
    ]


def test_what_is_zero_is_not_shown() -> None:
    report = UsageReport(rows=(row("x", "1"),), total=row("", "1"))
    text = plain_text(usage_table(report, "project"))
    assert "unaccounted" not in text
    assert "unrecorded" not in text


@pytest.mark.parametrize("by", KEYS)
def test_every_key_has_its_heading_and_an_empty_one_its_name(by: str) -> None:
    report = UsageReport(rows=(row("", "1"), row("x", "1")), total=row("", "2"))
    heading, none, labelled, _ = plain_text(usage_table(report, by, {"x": "shown"})).splitlines()
    assert heading.startswith(KEYS[by])
    assert none.startswith("(none)")
    assert labelled.startswith("shown")


def test_bars_stand_beside_rows_and_not_beside_models_or_the_total() -> None:
    table = with_bars(usage_table(REPORT, "day"), REPORT, 4)
    assert [cells[-1] for cells in table.all_rows] == ["████", "", "", "█", "", ""]
    plain = with_bars(usage_table(REPORT, "day"), REPORT, 4, ascii_only=True)
    assert [cells[-1] for cells in plain.all_rows] == ["####", "", "", "#", "", ""]


def test_without_rows_there_are_no_bars() -> None:
    empty = UsageReport(rows=(), total=row("", "0"))
    table = with_bars(usage_table(empty, "day"), empty, 4)
    assert [cells[-1] for cells in table.all_rows] == [""]


@pytest.mark.parametrize(("by", "names_zone"), [("day", True), ("month", True), ("model", False)])
def test_the_zone_is_named_where_it_matters(by: str, names_zone: bool) -> None:
    plain = UsageReport(rows=(), total=row("", "1"))
    notes = usage_notes(plain, by, "Europe/Oslo")
    assert notes == (["Days begin at midnight in Europe/Oslo."] if names_zone else [])


def test_what_is_not_known_is_said() -> None:
    notes = usage_notes(REPORT, "model", "UTC")
    assert notes == [
        "3 turns unaccounted: of unknown cost, which is not in the sums.",
        "$0.1000 unrecorded: spent in these sessions beside the recorded turns, by the agent's own counters.",
    ]
