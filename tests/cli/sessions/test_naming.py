"""``sessions rename`` and ``tag``."""

from __future__ import annotations

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import FIRST, OTHER, record

from mcp_coder.llm_store.base import Store


@pytest.fixture
def two(store: Store) -> Store:
    """Record two sessions."""
    record(store)
    record(store, session_id=OTHER, session_name="nightly")
    return store


def test_a_session_gets_a_name_by_which_it_is_meant(two: Store, command: RunCommand) -> None:
    done = command("sessions", "rename", FIRST[:8], "my colors")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"session {FIRST} is now named my colors\n"
    assert two.session(FIRST).name == "my colors"
    assert command("sessions", "rename", "my colors", "my colors").code == 0
    assert command("sessions", "rename", "my colors", "another").code == 0
    assert two.session(FIRST).name == "another"


def test_a_name_is_taken_away(two: Store, command: RunCommand) -> None:
    done = command("sessions", "rename", "nightly", "--clear")
    assert (done.code, done.out) == (0, f"session {OTHER} has no name now\n")
    assert two.session(OTHER).name is None


def test_a_name_of_another_is_refused(two: Store, command: RunCommand) -> None:
    done = command("sessions", "rename", FIRST, "nightly")
    assert done.code == 2
    assert f"session {OTHER} is named 'nightly' already" in done.err
    assert two.session(FIRST).name is None


@pytest.mark.parametrize("name", ["", " ", " x", "x ", "two\nlines", "a\x1b[2J", "x" * 201], ids=ascii)
def test_a_name_that_could_not_be_written_again_is_refused(
    name: str, two: Store, command: RunCommand
) -> None:
    done = command("sessions", "rename", FIRST, name)
    assert done.code == 2
    assert "cannot be a name" in done.err
    assert two.session(FIRST).name is None


@pytest.mark.parametrize("arguments", [[FIRST], [FIRST, "x", "--clear"]], ids=len)
def test_a_name_or_clear(arguments: list[str], two: Store, command: RunCommand) -> None:
    done = command("sessions", "rename", *arguments)
    assert done.code == 2
    assert "give a new name, or --clear" in done.err


def test_tags_come_and_go(two: Store, command: RunCommand) -> None:
    assert command("sessions", "tag", "nightly", "--add", "b", "--add", "a").out == f"session {OTHER}: a, b\n"
    assert (
        command("sessions", "tag", "nightly", "--remove", "a", "--add", "c").out == f"session {OTHER}: b, c\n"
    )
    assert command("sessions", "tag", "nightly").out == f"session {OTHER}: b, c\n"
    assert command("sessions", "tag", "nightly", "--remove", "b", "--remove", "c").out == (
        f"session {OTHER}: no tags\n"
    )


def test_a_tag_cannot_both_come_and_go(two: Store, command: RunCommand) -> None:
    done = command("sessions", "tag", "nightly", "--add", "a", "--remove", "a")
    assert done.code == 2
    assert "a cannot be both added and removed" in done.err


def test_a_tag_that_could_not_be_written_again_is_refused(two: Store, command: RunCommand) -> None:
    assert command("sessions", "tag", "nightly", "--add", "a\nb").code == 2
    assert two.session(OTHER).tags == ()


@pytest.mark.parametrize("words", [["rename", "nonsense", "x"], ["tag", "nonsense"]], ids=" ".join)
def test_an_unknown_session(words: list[str], two: Store, command: RunCommand) -> None:
    assert command("sessions", *words).code == 7
