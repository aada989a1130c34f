"""``mcp-coder usage``: the sums, their shapes, and what a person sees."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import FIRST, OTHER, record, used_by

from mcp_coder.llm_events import Usage
from mcp_coder.llm_store.base import Store

SONNET, OPUS = "claude-sonnet-4-5", "claude-opus-4-1"
EVENING = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


@pytest.fixture
def used(store: Store) -> Store:
    """Record two sessions on two days, the second a fork of the first, with two models and a turn of unknown cost."""
    first = {"session_id": FIRST, "project": "/home/dev/one", "session_name": "colors"}
    record(store, started_at=EVENING, usage=used_by(SONNET, "0.5"), **first)
    record(store, started_at=EVENING + timedelta(hours=1), usage=used_by(OPUS, "0.25"), **first)
    fork = {"session_id": OTHER, "project": "/home/dev/two", "parent_id": FIRST}
    record(store, started_at=EVENING + timedelta(hours=2), usage=used_by(SONNET, "0.00063"), **fork)
    record(
        store,
        started_at=EVENING + timedelta(hours=3),
        state="interrupted",
        response=None,
        usage=Usage(unrecorded_usd=Decimal("0.1")),
        model=None,
        **fork,
    )
    return store


def rows(document: dict[str, object]) -> dict[str, tuple[int, float, int]]:
    found = document["rows"]
    assert isinstance(found, list)
    return {row["key"]: (row["turns"], row["cost_usd"], row["unaccounted_turns"]) for row in found}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"2026-01-31": (1, 0.5, 0), "2026-02-01": (3, 0.25063, 1)}),
        (["daily"], {"2026-01-31": (1, 0.5, 0), "2026-02-01": (3, 0.25063, 1)}),
        (["weekly"], {"2026-01-26": (4, 0.75063, 1)}),
        (["monthly"], {"2026-01": (1, 0.5, 0), "2026-02": (3, 0.25063, 1)}),
        (["session"], {FIRST: (2, 0.75, 0), OTHER: (2, 0.00063, 1)}),
        (["project"], {"/home/dev/one": (2, 0.75, 0), "/home/dev/two": (2, 0.00063, 1)}),
        (["--since", "2026-02-01"], {"2026-02-01": (3, 0.25063, 1)}),
        (["--until", "2026-01-31"], {"2026-01-31": (1, 0.5, 0)}),
        (["--project", "one"], {"2026-01-31": (1, 0.5, 0), "2026-02-01": (1, 0.25, 0)}),
        (["session", "--session", "colors"], {FIRST: (2, 0.75, 0), OTHER: (2, 0.00063, 1)}),
        (["session", "--session", OTHER[:6]], {OTHER: (2, 0.00063, 1)}),
        (["--limit", "1"], {"2026-02-01": (3, 0.25063, 1)}),
        (["session", "--limit", "1"], {FIRST: (2, 0.75, 0)}),
        (["--provider", "another"], {}),
    ],
    ids=" ".join,
)
def test_what_is_summed(
    arguments: list[str],
    expected: dict[str, tuple[int, float, int]],
    used: Store,
    command: RunCommand,
) -> None:
    done = command("usage", "--json", *arguments)
    assert (done.code, done.err) == (0, "")
    assert rows(done.json) == expected


def test_the_total_counts_each_dollar_once(used: Store, command: RunCommand) -> None:
    for by in ("daily", "weekly", "monthly", "session", "model", "project"):
        total = command("usage", by, "--json").json["total"]
        assert (total["turns"], total["cost_usd"], total["unaccounted_turns"]) == (4, 0.75063, 1)


def test_by_model(used: Store, command: RunCommand) -> None:
    document = command("usage", "model", "--json").json
    sums = rows(document)
    assert sums[SONNET][:2] == (2, 0.50063)
    assert sums[OPUS][:2] == (1, 0.25)
    assert {row["unrecorded_usd"] for row in document["rows"]} == {None}
    assert (document["by"], document["zone"]) == ("model", "UTC")


def test_a_breakdown_has_the_models_of_each_row(used: Store, command: RunCommand) -> None:
    (first, second) = command("usage", "--breakdown", "--json").json["rows"]
    assert [model["key"] for model in first["models"]] == [SONNET]
    assert {model["key"]: model["cost_usd"] for model in second["models"]}[OPUS] == 0.25
    assert f"└ {OPUS}" in command("usage", "--breakdown").out


def test_days_are_those_of_the_zone(
    used: Store, command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Oslo")
    time.tzset()
    done = command("usage", "--json")
    assert rows(done.json) == {"2026-02-01": (4, 0.75063, 1)}
    assert done.json["zone"] == "Europe/Oslo"
    assert "Days begin at midnight in Europe/Oslo." in command("usage").lines
    utc = command("usage", "--utc", "--json").json
    assert (set(rows(utc)), utc["zone"]) == ({"2026-01-31", "2026-02-01"}, "UTC")


def test_a_table_for_programs(used: Store, command: RunCommand) -> None:
    done = command("usage")
    assert done.err == ""
    heading, first, second, total, *notes = done.lines
    assert heading.split() == [
        *("day", "turns", "in", "out", "cache", "read", "written", "cost", "unaccounted", "unrecorded"),
    ]
    assert first.split() == ["2026-01-31", "1", "100", "100", "0", "0", "$0.5000"]
    assert second.split() == ["2026-02-01", "3", "200", "200", "0", "0", "$0.2506", "1", "$0.1000"]
    assert total.split() == ["total", "4", "300", "300", "0", "0", "$0.7506", "1", "$0.1000"]
    assert notes == [
        "Days begin at midnight in UTC.",
        "1 turn unaccounted: of unknown cost, which is not in the sums.",
        "$0.1000 unrecorded: spent in these sessions beside the recorded turns, by the agent's own counters.",
    ]


def test_sessions_are_named_and_the_costliest_are_shown(used: Store, command: RunCommand) -> None:
    lines = command("usage", "session").lines
    assert lines[1].startswith(f"{FIRST} colors ")
    assert lines[2].startswith(f"{OTHER} My favorite color is blue ")
    for number in range(25):
        record(used, session_id=f"00000000-0000-4000-8000-{number:012}")
    assert "There are 7 more rows; --limit 0 shows all." in command("usage", "session").lines
    assert len(command("usage", "session", "--limit", "0").lines) > 27
    assert len(command("usage", "session", "--json").json["rows"]) == 27


@pytest.mark.parametrize("columns", [40, 80, 100, 160])
def test_a_person_sees_bars_where_there_is_room(columns: int, used: Store, seen: RunCommand) -> None:
    done = seen("usage", columns=columns)
    assert done.code == 0
    assert all(len(line) <= columns for line in done.plain if not line.endswith("."))
    drawn = [line.count("█") for line in done.plain]
    assert sum(drawn) == 0 if columns < 60 else max(drawn) >= 8


def test_bars_are_plain_where_the_terminal_has_no_blocks(used: Store, seen: RunCommand) -> None:
    done = seen("usage", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert "####" in done.out
    assert "\\u" not in done.out


def test_nothing_is_no_failure(store: Store, command: RunCommand) -> None:
    done = command("usage")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"note: no turn is recorded in {store.url}, or none is as asked for\n"
    document = command("usage", "--json").json
    assert (document["rows"], document["total"]["turns"], document["total"]["cost_usd"]) == ([], 0, 0.0)


def test_an_unknown_session_and_a_wrong_word(used: Store, command: RunCommand) -> None:
    assert command("usage", "--session", "nonsense").code == 7
    assert command("usage", "yearly").code == 2
