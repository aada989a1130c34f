"""``sessions show``: a session, a turn, the recorded responses."""

from __future__ import annotations

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import ALIKE, CLEARS_SCREEN, FIRST, OTHER, journal, record, tool_events

from mcp_coder.llm_events import Usage
from mcp_coder.llm_store.base import Store

EVENTS = tool_events(("Bash", {"command": "ls -la"}, False), ("Bash", {"command": "rm x"}, True))


@pytest.fixture
def session(store: Store) -> Store:
    """Record a session of four turns: two answers, a failure, and one under way."""
    record(store, "My favorite color is blue", "Noted", session_name="colors")
    record(store, "What is it?", "Blue\n\nanyway", events=EVENTS)
    record(
        store,
        "And now?",
        "",
        state="failed",
        response=None,
        usage=Usage(),
        error={"class": "RateLimitError", "message": "slow down", "status": 429, "retryable": True},
    )
    journal(store, "Under way")
    return store


def test_a_session_is_shown_with_its_turns(session: Store, command: RunCommand) -> None:
    done = command("sessions", "show", "colors")
    assert (done.code, done.err) == (0, "")
    above, _, table = done.out.partition("\n\n")
    assert f"session      {FIRST}" in above
    assert "turns        4" in above
    assert "unaccounted  1 turn of unknown cost" in above
    heading, *rows = table.splitlines()
    assert heading.split() == ["turn", "begun", "took", "cost", "state", "tools", "prompt", "answer"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3", "4"]
    assert "Bash x2" in rows[1]
    assert rows[1].endswith("Blue anyway")
    assert "unknown  failed (RateLimitError)" in rows[2]
    assert "started" in rows[3]


def test_the_json_of_a_session(session: Store, command: RunCommand) -> None:
    shown = command("sessions", "show", FIRST[:6], "--json").json
    assert (shown["session_id"], shown["name"], shown["turn_count"]) == (FIRST, "colors", 4)
    keys = ("number", "state", "prompt", "text", "cost_usd", "unaccounted")
    assert [tuple(turn[key] for key in keys) for turn in shown["turns"]] == [
        (1, "succeeded", "My favorite color is blue", "Noted", 0.00063, False),
        (2, "succeeded", "What is it?", "Blue\n\nanyway", 0.00063, False),
        (3, "failed", "And now?", "", None, True),
        (4, "started", "Under way", "", None, False),
    ]
    assert shown["turns"][1]["tools"] == [{"name": "Bash", "calls": 2, "errors": 1}]
    assert shown["turns"][2]["error"]["status"] == 429


def test_only_the_last_turns(session: Store, command: RunCommand) -> None:
    shown = command("sessions", "show", "colors", "--json", "--last", "2").json
    assert ([turn["number"] for turn in shown["turns"]], shown["turn_count"]) == ([3, 4], 4)
    assert (
        len(command("sessions", "show", "colors", "--last", "1").out.partition("\n\n")[2].splitlines()) == 2
    )


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_turn_is_found_by_its_number(number: int, session: Store, command: RunCommand) -> None:
    shown = command("sessions", "show", "colors", "--turn", str(number), "--json").json
    assert set(shown) == {"session_id", "turns"}
    assert [turn["number"] for turn in shown["turns"]] == [number]


def test_a_turn_is_shown_whole(session: Store, command: RunCommand) -> None:
    text = command("sessions", "show", "colors", "--turn", "2").out
    assert "--- tools\nBash  ls -la\nBash  rm x  (failed)\n" in text
    assert "--- prompt\nWhat is it?\n" in text
    assert text.endswith("--- answer\nBlue\n\nanyway\n")


def test_a_turn_that_is_not_there(session: Store, command: RunCommand) -> None:
    done = command("sessions", "show", "colors", "--turn", "9")
    assert (done.code, done.out) == (2, "")
    assert f"session {FIRST} has 4 turns, and none is 9" in done.err


def test_the_recorded_responses(session: Store, command: RunCommand) -> None:
    whole = command("sessions", "show", "colors", "--raw").json
    assert [each and each["text"] for each in whole] == ["Noted", "Blue\n\nanyway", None, None]
    assert whole[0]["raw_response"]["total_cost_usd"] == 0.00063
    assert command("sessions", "show", "colors", "--raw", "--turn", "2").json == whole[1]
    assert command("sessions", "show", "colors", "--raw", "--turn", "3").out == "null\n"
    assert len(command("sessions", "show", "colors", "--raw", "--last", "3").json) == 3


@pytest.mark.parametrize("options", [["--raw", "--json"], ["--turn", "1", "--last", "1"]], ids=" ".join)
def test_what_contradicts_is_refused(options: list[str], session: Store, command: RunCommand) -> None:
    done = command("sessions", "show", "colors", *options)
    assert done.code == 2
    assert "cannot be given together" in done.err


def test_a_session_without_turns_is_shown(store: Store, command: RunCommand) -> None:
    from tests.cli.stored import new_session

    store.add_session(new_session(session_id=OTHER, parent_id=FIRST, parent_turn=2, turns=0))
    assert command("sessions", "show", OTHER, "--json").json["turns"] == []
    assert f"forked from  {FIRST}, turn 2" in command("sessions", "show", OTHER).out
    assert command("sessions", "show", OTHER, "--raw").out == "[]\n"


def test_an_ambiguous_id_lists_who_may_be_meant(store: Store, command: RunCommand) -> None:
    record(store, "one")
    record(store, "two", session_id=ALIKE)
    done = command("sessions", "show", FIRST[:8])
    assert (done.code, done.out) == (2, "")
    line, *candidates = done.err.splitlines()
    assert line.startswith(f"mcp-coder: 2 sessions are meant by '{FIRST[:8]}'; write more of the id")
    assert sorted(each.split()[0] for each in candidates) == [FIRST, ALIKE]


def test_an_unknown_id_says_where_it_looked(store: Store, command: RunCommand) -> None:
    done = command("sessions", "show", "nonsense")
    assert (done.code, done.out) == (7, "")
    assert done.err == (
        f"mcp-coder: no session 'nonsense' is recorded in {store.url}; try: mcp-coder sessions list\n"
    )


def test_nothing_of_a_turn_moves_the_cursor(store: Store, seen: RunCommand) -> None:
    events = tool_events(("Bash", {"command": f"x{CLEARS_SCREEN}"}, False))
    record(store, f"evil {CLEARS_SCREEN}prompt", f"evil\r{CLEARS_SCREEN}answer", events=events)
    for options in ([], ["--turn", "1"]):
        shown = seen("sessions", "show", FIRST[:6], *options).out
        assert "evil" in shown
        assert not {"\x07", "\u202e", "\r"} & set(shown)
        assert "\x1b[2J" not in shown


def test_a_long_session_is_shown_whole(store: Store, command: RunCommand) -> None:
    prompts = [f"prompt {number}" for number in range(260)]
    for prompt in prompts:
        journal(store, prompt)
    shown = command("sessions", "show", FIRST, "--json").json
    assert [turn["prompt"] for turn in shown["turns"]] == prompts
