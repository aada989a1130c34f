"""``sessions search``: words, filters, snippets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import BEGUN, CLEARS_SCREEN, FIRST, OTHER, record

from mcp_coder.llm_store.base import Store


@pytest.fixture
def told(store: Store) -> Store:
    """Record two sessions that speak of colors."""
    record(store, "My favorite color is blue", "Noted", session_name="colors", project="/home/dev/one")
    record(store, "And the city is Oslo", "Noted: Oslo", started_at=BEGUN + timedelta(hours=1))
    record(store, "A color", "The color blue", session_id=OTHER, started_at=BEGUN + timedelta(days=1))
    return store


def test_the_newest_comes_first_with_the_words_shown(told: Store, command: RunCommand) -> None:
    done = command("sessions", "search", "blue", "color", "--json")
    assert (done.code, done.err) == (0, "")
    assert [(hit["session_id"], hit["number"], hit["name"]) for hit in done.json] == [
        (OTHER, 1, None),
        (FIRST, 1, "colors"),
    ]
    for hit in done.json:
        words = {hit["snippet"][begin:end].lower() for begin, end in hit["highlights"]}
        assert words <= {"blue", "color"}
        assert words


@pytest.mark.parametrize(
    ("arguments", "sessions"),
    [
        (["oslo"], [FIRST]),
        (["color blue"], [OTHER, FIRST]),
        (["osl*"], [FIRST]),
        (["color", "--limit", "1"], [OTHER]),
        (["color", "--limit", "0"], [OTHER, FIRST]),
        (["color", "--project", "one"], [FIRST]),
        (["color", "--since", "2026-02-01"], [OTHER]),
        (["color", "oslo"], []),
        (["nonsense"], []),
        (["--", "--"], []),
    ],
    ids=" ".join,
)
def test_words_and_options_select(
    arguments: list[str], sessions: list[str], told: Store, command: RunCommand
) -> None:
    hits = command("sessions", "search", "--json", *arguments).json
    assert [hit["session_id"] for hit in hits] == sessions


def test_a_table_for_programs(told: Store, command: RunCommand) -> None:
    done = command("sessions", "search", "color", "--limit", "1")
    heading, row = done.lines
    assert heading.split() == ["session", "turn", "begun", "found"]
    assert row.startswith(f"{OTHER}     1  2026-02-01 12:00  ")
    assert "color" in row
    assert done.err == "note: there are more than 1; --limit 0 shows all\n"


def test_a_person_sees_the_words_stand_out(told: Store, seen: RunCommand) -> None:
    done = seen("sessions", "search", "oslo")
    assert "\x1b[1;33mOslo\x1b[0m" in done.out
    assert FIRST[:8] in done.out


def test_nothing_found_is_no_failure(told: Store, command: RunCommand) -> None:
    done = command("sessions", "search", "nonsense")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"note: no turn in {told.url} holds all of these words")
    assert command("sessions", "search", "nonsense", "--json").out == "[]\n"


def test_words_are_needed(store: Store, command: RunCommand) -> None:
    done = command("sessions", "search")
    assert done.code == 2
    assert "Missing argument 'WORDS...'" in done.err


def test_no_snippet_moves_the_cursor(store: Store, command: RunCommand, seen: RunCommand) -> None:
    record(store, f"evil {CLEARS_SCREEN} color")
    for shown in (command("sessions", "search", "color").out, seen("sessions", "search", "color").out):
        assert "evil" in shown
        assert not {"\x07", "\u202e", "\x02", "\x03"} & set(shown)
        assert "\x1b[2J" not in shown
