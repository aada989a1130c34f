from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import MCP_CODER, RunCli, TerminalRun
from tests.llm_store.export_samples import SESSION_ID, add_turn, contents, halves, response, session, turn

from mcp_coder.llm_serialization import serialize_llm_response
from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import Store

OTHER_ID = "123e4567-e89b-42d3-a456-426614174000"
SECRET = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz"


def url(tmp_path: Path, name: str) -> str:
    return f"sqlite:///{tmp_path}/{name}.sqlite"


@contextlib.contextmanager
def opened(tmp_path: Path, name: str) -> Iterator[Store]:
    with contextlib.closing(open_store(url(tmp_path, name))) as store:
        yield store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store of two sessions; commands find it by themselves."""
    with opened(tmp_path, "from") as found:
        found.add_session(session(name="nightly", tags=("ci",)))
        add_turn(found, response("one"))
        add_turn(found, response("two"), prompt="What is it? Grüße \x1b[2J")
        found.add_session(session(session_id=OTHER_ID, name="other", native_id=OTHER_ID))
        add_turn(
            found, session_id=OTHER_ID, turn_id="019c1410-6400-7000-8000-0000000000f1", native_id=OTHER_ID
        )
        yield found


@pytest.fixture
def run(store: Store, run_cli: RunCli, tmp_path: Path) -> RunCli:
    """Run ``mcp-coder sessions`` on that store."""

    def run(*arguments: str, **given: Any) -> subprocess.CompletedProcess[str]:
        env = {"MCP_CODER_STORE": url(tmp_path, "from"), **given.pop("env", {})}
        return run_cli("sessions", *arguments, env=env, cwd=tmp_path, **given)

    return run


def same(tmp_path: Path, *names: str) -> bool:
    found = []
    for name in names:
        with opened(tmp_path, name) as store:
            found.append(contents(store))
    return all(each == found[0] for each in found)


# --- export and import


def test_a_session_goes_through_a_file_into_another_store(run: RunCli, tmp_path: Path) -> None:
    done = run("export", "5fb8", OTHER_ID, "-o", "out.jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "exported 2 sessions with 3 turns to out.jsonl\n"
    done = run("import", "out.jsonl", "--store", url(tmp_path, "to"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "added 2 sessions and 3 turns\n", "")
    assert same(tmp_path, "from", "to")
    again = run("import", "out.jsonl", "--store", url(tmp_path, "to"))
    assert again.stdout == "added 0 sessions and 0 turns; 3 turns there already\n"


def test_without_a_file_it_is_written_to_standard_output(run: RunCli) -> None:
    done = run("export", "nightly")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["line"] for line in lines] == [1, 2, 3, 4, 5]
    assert done.stderr == "exported 1 session with 2 turns\n"
    assert "\x1b" not in done.stdout
    assert "Grüße" in done.stdout


def test_it_goes_through_a_pipe(store: Store, tmp_path: Path) -> None:
    program = " ".join(MCP_CODER)
    commands = f"{program} sessions export --all | {program} sessions import - --store {url(tmp_path, 'to')}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {commands}"],
        env={**os.environ, "MCP_CODER_STORE": url(tmp_path, "from")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "added 2 sessions and 3 turns\n")
    assert same(tmp_path, "from", "to")


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_an_export_is_utf_8_whatever_standard_output_speaks(
    encoding: str, store: Store, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*MCP_CODER, "sessions", "export", "nightly"],
        env={**os.environ, "MCP_CODER_STORE": url(tmp_path, "from"), "PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert "Grüße" in done.stdout.decode("utf-8")


def test_all_sessions_of_a_store(run: RunCli) -> None:
    done = run("export", "--all")
    assert done.stderr == "exported 2 sessions with 3 turns\n"


@pytest.mark.parametrize(
    ("options", "is_markdown"),
    [
        (["-o", "out.md"], True),
        (["--output=OUT.MARKDOWN"], True),
        (["-o", "out.txt"], False),
        (["-o", "out.txt", "--format", "markdown"], True),
        (["-o", "out.md", "--format", "jsonl"], False),
    ],
    ids=lambda value: str(value),
)
def test_the_format_is_as_asked_for_or_as_the_file_is_called(
    options: list[str], is_markdown: bool, run: RunCli, tmp_path: Path
) -> None:
    assert run("export", "nightly", *options).returncode == 0
    (written,) = (path for path in tmp_path.iterdir() if path.stem.lower() == "out")
    assert written.read_text("utf-8").startswith("# nightly\n") is is_markdown


def test_markdown_can_be_read_from_standard_output(run: RunCli) -> None:
    done = run("export", "nightly", "--format", "markdown")
    assert "## Turn 2" in done.stdout
    assert "What is it? Grüße ␛[2J" in done.stdout


def test_secrets_are_taken_out_both_ways(run: RunCli, store: Store, tmp_path: Path) -> None:
    add_turn(store, prompt=f"my key is {SECRET}")
    done = run("export", "nightly", "-o", "out.jsonl")
    assert done.stderr == "exported 1 session with 3 turns to out.jsonl; 1 secret taken out\n"
    assert SECRET not in (tmp_path / "out.jsonl").read_text("utf-8")
    env = {"MCP_CODER_REDACT": "off"}
    run("export", "nightly", "-o", "raw.jsonl", env=env)
    assert SECRET in (tmp_path / "raw.jsonl").read_text("utf-8")
    done = run("import", "raw.jsonl", "--store", url(tmp_path, "to"))
    assert done.stdout == "added 1 session and 3 turns; 1 secret taken out\n"


def test_turns_under_way_are_told(run: RunCli, store: Store, tmp_path: Path) -> None:
    begun, _ = halves(turn(turn_id="019c1410-6400-7000-8000-00000000000f"))
    store.begin_turn(begun)
    done = run("export", "nightly", "-o", "out.jsonl")
    assert "note: 1 turn had not ended; import leaves out what had not\n" in done.stderr
    done = run("import", "out.jsonl", "--store", url(tmp_path, "to"))
    assert (done.returncode, done.stdout) == (0, "added 1 session and 2 turns\n")
    assert done.stderr == "note: 1 turn left out: not ended when exported\n"


def test_stored_responses_are_imported(run: RunCli, tmp_path: Path) -> None:
    for name, text, second in (("b", "two", 2), ("a", "one", 1)):
        timestamp = f"2026-01-31T12:00:0{second}+00:00"
        serialize_llm_response(response(text, timestamp=timestamp), tmp_path / f"{name}.json")
    done = run("import", "b.json", "a.json", "--store", url(tmp_path, "to"))
    assert (done.returncode, done.stdout) == (0, "added 1 session and 2 turns\n")
    with opened(tmp_path, "to") as found:
        assert [each.text for each in found.turns(SESSION_ID)] == ["one", "two"]


# --- what can go wrong


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["export"], 2, "name the sessions to export, or all of them with --all, not both"),
        (
            ["export", "--all", "nightly"],
            2,
            "name the sessions to export, or all of them with --all, not both",
        ),
        (["export", "nothing"], 7, "no session 'nothing' is recorded in"),
        (["export", "nightly", "-o", "."], 12, "cannot write the export to .: Is a directory"),
        (["export", "nightly", "-o", "/dev/full"], 12, "cannot write the export to /dev/full: No space left"),
        (["export", "nightly", "--format", "xml"], 2, "Invalid value for '--format'"),
        (["import"], 2, "Missing argument 'FILE...'"),
        (["import", "nothing"], 2, "cannot read nothing: No such file or directory"),
        (["import", "."], 2, "cannot read .: Is a directory"),
        (
            ["import", "from.sqlite"],
            2,
            "from.sqlite is neither an export of sessions nor a stored response: ",
        ),
        (["import", "newer.jsonl"], 12, "newer.jsonl: Incompatible version: 2.0"),
        (["import", "cut.jsonl"], 12, "cut.jsonl is damaged: line 3 was changed or cut off"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_failures_are_one_line_and_a_code(
    arguments: list[str], code: int, message: str, run: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "newer.jsonl").write_text('{"mcp_coder_export": "2.0"}\n')
    (tmp_path / "cut.jsonl").write_text("".join(run("export", "nightly").stdout.splitlines(True)[:2]) + "{")
    done = run(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert message in line


def test_a_damaged_export_can_be_salvaged(run: RunCli, tmp_path: Path) -> None:
    lines = run("export", "nightly").stdout.splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:3]) + lines[3][:40])
    done = run("import", "cut.jsonl", "--salvage", "--store", url(tmp_path, "to"))
    assert (done.returncode, done.stdout) == (0, "added 1 session and 1 turn; 2 records refused\n")
    assert done.stderr.splitlines() == [
        "note: refused: cut.jsonl: line 4 was changed or cut off: its checksum does not fit",
        "note: refused: cut.jsonl: line 5 is missing: the file was cut off before its end (2 turns were announced)",
    ]


def test_what_was_refused_is_told_and_fails_the_command(run: RunCli, tmp_path: Path) -> None:
    names = []
    for number in range(25):
        names.append(f"{number}.json")
        serialize_llm_response(response(session_id=None), tmp_path / names[-1])
    done = run("import", *names, "--store", url(tmp_path, "to"))
    assert (done.returncode, done.stdout) == (12, "added 0 sessions and 0 turns; 25 records refused\n")
    notes = done.stderr.splitlines()
    assert notes[0] == "note: refused: 0.json: it belongs to no session: it has no session_id"
    assert notes[20:] == ["note: refused: 5 more"]


def test_fields_of_a_newer_version_are_named(run: RunCli, tmp_path: Path) -> None:
    from mcp_coder.llm_store.export_lines import LineWriter

    writer = LineWriter()
    lines = [writer.manifest({"turns": 0}), writer.value("attachment", {"x": 1}), writer.end({})]
    (tmp_path / "x.jsonl").write_bytes(b"".join(lines))
    done = run("import", "x.jsonl")
    assert done.returncode == 0
    assert done.stderr == "note: left out, since only a newer mcp_coder knows it: attachment\n"


# --- standard output


def test_a_reader_that_goes_away_is_no_failure_to_talk_about(store: Store, tmp_path: Path) -> None:
    for number in range(20):
        add_turn(store, turn_id=f"019c1410-6400-7000-8000-0000000001{number:02}", prompt="long " * 10_000)
    script = f"{' '.join(MCP_CODER)} sessions export --all | head -c 100 > /dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "MCP_CODER_STORE": url(tmp_path, "from")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        ("> /dev/full", "standard output cannot be written: No space left on device"),
        (">&-", "standard output is closed"),
    ],
)
def test_a_standard_output_that_cannot_be_written_is_told(
    redirection: str, message: str, store: Store, tmp_path: Path
) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(MCP_CODER)} sessions export --all {redirection}"],
        env={**os.environ, "MCP_CODER_STORE": url(tmp_path, "from")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stdout) == (74, "")
    assert done.stderr == f"mcp-coder: {message}\n"


def test_a_standard_input_that_is_closed_is_told(store: Store, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(MCP_CODER)} sessions import - <&-"],
        env={**os.environ, "MCP_CODER_STORE": url(tmp_path, "from")},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("mcp-coder: standard input is closed")


def test_all_of_it_is_written_to_a_pipe_that_takes_little_at_once(store: Store, tmp_path: Path) -> None:
    add_turn(store, prompt="long " * 100_000)
    command = subprocess.Popen(
        [*MCP_CODER, "sessions", "export", "nightly"],
        env={**os.environ, "MCP_CODER_STORE": url(tmp_path, "from"), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert command.stdout is not None
    with command, command.stdout as output:
        (tmp_path / "x.jsonl").write_bytes(b"".join(iter(lambda: output.read(1000), b"")))
    with opened(tmp_path, "to") as to:
        from mcp_coder.llm_sessions.transfer import import_file

        assert import_file(to, tmp_path / "x.jsonl").turns == 3


# --- a terminal


def test_a_bar_is_shown_on_a_terminal_and_only_there(
    store: Store, on_terminal: Callable[..., TerminalRun], tmp_path: Path
) -> None:
    env = {"MCP_CODER_STORE": url(tmp_path, "from")}
    place = tmp_path / "out.jsonl"
    code, output = (
        exporting := on_terminal("sessions", "export", "--all", "-o", str(place), env=env)
    ).finish()
    assert (code, output) == (0, "")
    assert "exporting" in exporting.shown
    assert "exported 2 sessions with 3 turns" in exporting.shown
    importing = on_terminal("sessions", "import", str(place), "--store", url(tmp_path, "to"), env=env)
    assert importing.finish() == (0, "added 2 sessions and 3 turns\n")
    assert "importing" in importing.shown


def test_nothing_is_drawn_over_an_export_that_a_person_reads(store: Store, tmp_path: Path) -> None:
    script = (
        "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'mcp_coder', 'sessions', 'export', 'nightly',"
        " '--format', 'markdown']) >> 8)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "MCP_CODER_STORE": url(tmp_path, "from"), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "exporting" not in done.stdout
    assert "\x1b" not in done.stdout
    assert "## Turn 2" in done.stdout
