"""``sessions list``: order, filters, shapes, and what a person sees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import ALIKE, BEGUN, CLEARS_SCREEN, FIRST, OTHER, new_session, record

from mcp_coder.llm_events import Usage
from mcp_coder.llm_store.base import Store

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def three(store: Store) -> Store:
    """Record three sessions, a day apart."""
    record(store, "first", session_id=FIRST, project="/home/dev/one")
    record(store, "second", session_id=ALIKE, started_at=BEGUN + timedelta(days=1), project="/home/dev/two")
    record(store, "third", session_id=OTHER, started_at=BEGUN + timedelta(days=2), session_name="nightly")
    store.tag_session(FIRST, add=["ci"])
    return store


def test_the_last_changed_comes_first(three: Store, command: RunCommand) -> None:
    done = command("sessions", "list", "--json")
    assert (done.code, done.err) == (0, "")
    assert [each["title"] for each in done.json] == ["third", "second", "first"]
    assert {key: done.json[0][key] for key in ("session_id", "name", "turns", "cost_usd", "updated_at")} == {
        "session_id": OTHER,
        "name": "nightly",
        "turns": 1,
        "cost_usd": 0.00063,
        "updated_at": "2026-02-02T12:00:01.250000+00:00",
    }


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        (["--project", "/home/dev/one"], ["first"]),
        (["--project", "two"], ["second"]),
        (["--provider", "claude"], ["third", "second", "first"]),
        (["--provider", "another"], []),
        (["--tag", "ci"], ["first"]),
        (["--since", "2026-02-01"], ["third", "second"]),
        (["--until", "2026-02-01"], ["second", "first"]),
        (["--since", "2026-02-01", "--until", "2026-02-01T23:00Z"], ["second"]),
        (["--limit", "1"], ["third"]),
        (["--limit", "0"], ["third", "second", "first"]),
    ],
    ids=" ".join,
)
def test_the_options_select(options: list[str], titles: list[str], three: Store, command: RunCommand) -> None:
    assert [each["title"] for each in command("sessions", "list", "--json", *options).json] == titles


def test_a_project_is_named_by_its_directory_too(
    store: Store,
    command: RunCommand,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    project = tmp_path_factory.mktemp("project")
    record(store, "here", project=str(project.resolve()))
    record(store, "elsewhere", session_id=OTHER, project="/home/dev/one")
    monkeypatch.chdir(project)
    assert [each["title"] for each in command("sessions", "list", "--json", "--project", ".").json] == [
        "here"
    ]


def test_for_programs_columns_are_aligned_and_ids_whole(three: Store, command: RunCommand) -> None:
    done = command("sessions", "list", "--limit", "2")
    assert done.lines == [
        "session                               changed           turns     cost  project  name     title",
        f"{OTHER}  2026-02-02 12:00      1  $0.0006  project  nightly  third",
        f"{ALIKE}  2026-02-01 12:00      1  $0.0006  two               second",
    ]
    assert done.err == "note: there are more than 2; --limit 0 lists all\n"


def test_where_all_is_shown_nothing_is_said(three: Store, command: RunCommand) -> None:
    assert command("sessions", "list", "--limit", "3").err == ""
    assert command("sessions", "list", "--limit", "0").err == ""


def test_an_empty_store_is_no_failure(store: Store, command: RunCommand) -> None:
    assert command("sessions", "list", "--json").out == "[]\n"
    done = command("sessions", "list")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"note: no session is recorded in {store.url}, or none is as asked for\n"


def test_a_person_sees_a_table_with_short_ids(three: Store, seen: RunCommand) -> None:
    done = seen("sessions", "list")
    assert done.code == 0
    assert done.plain[0].split() == [
        "session",
        "changed",
        "turns",
        "cost",
        "project",
        "name",
        "tags",
        "title",
    ]
    assert {line.split()[0] for line in done.plain[2:]} == {FIRST[:10], ALIKE[:10], OTHER[:8]}
    assert FIRST not in done.out
    assert all(len(line) <= 100 for line in done.plain)


def test_no_title_moves_the_cursor(store: Store, command: RunCommand, seen: RunCommand) -> None:
    record(store, f"evil {CLEARS_SCREEN}title\r\nbelow", session_name=f"name{CLEARS_SCREEN}")
    for shown in (command("sessions", "list").out, seen("sessions", "list").out):
        assert "evil [2J" in shown
        assert not {"\x07", "\u202e", "\r"} & set(shown)
        assert "\x1b[2J" not in shown


def test_unknown_cost_is_shown(store: Store, command: RunCommand) -> None:
    record(store, state="interrupted", response=None, usage=Usage())
    done = command("sessions", "list")
    assert "unknown            1" in done.lines[1]
    (listed,) = command("sessions", "list", "--json").json
    assert (listed["cost_usd"], listed["unaccounted_turns"]) == (0.0, 1)


@pytest.mark.parametrize(
    "options",
    [["--since", "soon"], ["--limit", "-1"], ["--limit", "many"], ["--nothing"], ["word"]],
    ids=" ".join,
)
def test_a_wrong_option_is_one_line(options: list[str], store: Store, command: RunCommand) -> None:
    done = command("sessions", "list", *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mcp-coder: ")
    assert done.err.count("\n") == 1


def test_a_list_for_a_program_loads_nothing_heavy(three: Store) -> None:
    code = (
        "import sys\n"
        "from mcp_coder.cli.main import run\n"
        "run(['sessions', 'list'])\n"
        "heavy = {'claude_agent_sdk', 'rich', 'asyncio', 'logging', 'psutil', 'mcp_coder.testing',\n"
        "         'mcp_coder.cli.prompt', 'mcp_coder.llm_providers', 'mcp_coder.llm_serialization'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def add_many(store: Store, count: int) -> None:
    """Record sessions that a pipe cannot hold all at once."""
    for number in range(count):
        session_id = f"00000000-0000-4000-8000-{number:012}"
        store.add_session(new_session(session_id=session_id, title="x" * 500, turns=0))


def test_a_reader_that_leaves_early_is_no_fault(store: Store, run_cli: RunCli) -> None:
    add_many(store, 260)
    command = f"{sys.executable} -m mcp_coder sessions list --limit 0 --json | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_many_sessions_are_listed_whole(store: Store, command: RunCommand) -> None:
    add_many(store, 260)
    listed = command("sessions", "list", "--json", "--limit", "0").json
    assert len({each["session_id"] for each in listed}) == 260
    assert len(command("sessions", "list", "--limit", "0").lines) == 261
