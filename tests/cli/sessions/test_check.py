"""``sessions check``: what is said of a sound store, and of a damaged one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import journal, record

from mcp_coder.cli.sessions.check import report_rows
from mcp_coder.llm_store.base import Store, StoreReport


def test_a_sound_store(store: Store, command: RunCommand) -> None:
    record(store)
    journal(store)
    done = command("sessions", "check")
    assert (done.code, done.err) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in done.lines)
    assert (rows["store"], rows["sound"], rows["sessions"], rows["turns"]) == (store.url, "yes", "1", "2")
    assert rows["unfinished"].startswith("1 turn: ")
    assert "recomputed" not in rows


def test_the_json_of_a_check(store: Store, command: RunCommand) -> None:
    record(store)
    shown = command("sessions", "check", "--json").json
    assert shown.pop("size_bytes") > 0
    assert shown == {
        "store": store.url,
        "sound": True,
        "problems": [],
        "notes": [],
        "sessions": 1,
        "turns": 1,
        "unfinished": 0,
    }


def test_turns_are_worked_out_again(store: Store, command: RunCommand) -> None:
    record(store)
    record(store)
    shown = command("sessions", "check", "--recompute", "--json").json
    assert shown["recomputed"]["turns"] == 2
    assert 0 <= shown["recomputed"]["changed"] <= 2
    assert "read again" in command("sessions", "check", "--recompute").out


def test_a_damaged_store_is_a_failure(store: Store, command: RunCommand, tmp_path: Path) -> None:
    for number in range(40):
        record(store, f"prompt {number} " * 200)
    store.close()
    file = tmp_path / "test.sqlite"
    data = bytearray(file.read_bytes())
    half = len(data) // 2
    data[half : half + 20_000] = b"\xff" * 20_000
    file.write_bytes(data)
    done = command("sessions", "check")
    assert done.code == 12
    assert "problem" in done.out or "mcp-coder: " in done.err


def test_what_is_no_store_is_a_failure(command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_bytes(b"no store at all" * 100)
    done = command("sessions", "check", "--store", f"sqlite:///{tmp_path}/x.sqlite")
    assert (done.code, done.out) == (12, "")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("report", "again", "rows"),
    [
        (
            StoreReport(
                problems=("torn", "lost"),
                notes=("large",),
                size_bytes=3 * 10**9,
                sessions=1,
                turns=2,
                unfinished=0,
            ),
            None,
            [
                ("store", "memory:"),
                ("sound", "no"),
                ("problem", "torn"),
                ("problem", "lost"),
                ("note", "large"),
                ("size", "3.0 GB"),
                ("sessions", "1"),
                ("turns", "2"),
            ],
        ),
        (
            StoreReport(problems=(), notes=(), size_bytes=0, sessions=0, turns=1200, unfinished=0),
            {"turns": 1200, "changed": 3},
            [
                ("store", "memory:"),
                ("sound", "yes"),
                ("size", "0 B"),
                ("sessions", "0"),
                ("turns", "1,200"),
                ("read again", "1,200 turns, of which 3 changed"),
            ],
        ),
    ],
    ids=["damaged", "read again"],
)
def test_what_a_person_is_told(
    report: StoreReport, again: dict[str, int] | None, rows: list[tuple[str, str]]
) -> None:
    assert report_rows("memory:", report, again) == rows
