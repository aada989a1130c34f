"""Which session is meant, from the four ways to name one."""

import itertools
import json
import os
from pathlib import Path

import click
import pytest
from tests.cli.stored import ALIKE, FIRST, record

from mcp_coder.cli.session_choice import SessionChoice
from mcp_coder.llm_errors import SessionNotFoundError, UnsupportedVersionError
from mcp_coder.llm_store.base import Store

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"
OTHER = "00000000-0000-4000-8000-000000000000"

WAYS: dict[str, dict[str, object]] = {
    "--session-id": {"session_id": SESSION},
    "--session": {"session": "nightly"},
    "--continue-session": {"newest": True},
    "--continue-session-from": {"response_file": "r.json"},
}


def arguments(choice: SessionChoice) -> dict[str, str]:
    return choice.arguments(cwd=None, env={})


def stored(path: Path, **changes: object) -> str:
    response = {"version": "1.0", "text": "Noted", "session_id": SESSION, **changes}
    path.write_text(json.dumps(response))
    return str(path)


def transcript(config_dir: Path, cwd: Path, session_id: str, *, age: int) -> None:
    """Put what the agent leaves behind for a session of ``cwd``."""
    name = "".join(char if char.isalnum() else "-" for char in str(cwd.resolve()))
    path = config_dir / "projects" / name / f"{session_id}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")
    os.utime(path, (1_000_000 - age, 1_000_000 - age))


def test_nothing_named_is_a_new_session() -> None:
    assert arguments(SessionChoice()) == {}


def test_an_id_and_a_name_are_handed_on() -> None:
    assert arguments(SessionChoice(session_id=SESSION)) == {"session_id": SESSION}
    assert arguments(SessionChoice(session="nightly")) == {"session": "nightly"}


def test_the_beginning_of_a_recorded_id_is_enough(store: Store) -> None:
    record(store, session_id=FIRST)
    for written in (FIRST[:4], FIRST[:8], FIRST[:35]):
        assert arguments(SessionChoice(session_id=written)) == {"session_id": FIRST}
        assert arguments(SessionChoice(session_id=written, store=store.url)) == {"session_id": FIRST}
    record(store, session_id=ALIKE)
    with pytest.raises(click.UsageError, match="2 sessions are meant"):
        arguments(SessionChoice(session_id=FIRST[:4]))


def test_a_beginning_of_no_recorded_id_is_no_session(store: Store) -> None:
    with pytest.raises(SessionNotFoundError, match="no session 'abcd1234'"):
        arguments(SessionChoice(session_id="abcd1234"))


@pytest.mark.parametrize("written", ["abc", "--help", "../../x", "", "ABCD1234", "nightly", FIRST])
def test_what_is_no_beginning_of_an_id_is_left_to_the_library(written: str) -> None:
    assert arguments(SessionChoice(session_id=written, store="off")) == {"session_id": written}


@pytest.mark.parametrize(("one", "two"), list(itertools.combinations(WAYS, 2)))
def test_two_ways_at_once_are_one_clear_error(one: str, two: str) -> None:
    choice = SessionChoice(**WAYS[one], **WAYS[two])  # type: ignore[arg-type]
    with pytest.raises(click.UsageError) as caught:
        arguments(choice)
    assert caught.value.message == f"{one} and {two} each name a session; give one of them"


def test_the_newest_session_of_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, here, there = tmp_path / "config", tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    transcript(config, here, OTHER, age=100)
    transcript(config, here, SESSION, age=10)
    transcript(config, there, OTHER, age=0)
    monkeypatch.chdir(here)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "elsewhere"))
    env = {"CLAUDE_CONFIG_DIR": str(config)}
    choice = SessionChoice(newest=True)
    assert choice.arguments(cwd=None, env=env) == {"session_id": SESSION}
    assert choice.arguments(cwd=str(there), env=env) == {"session_id": OTHER}


def test_nothing_to_continue_is_an_error_and_no_new_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    with pytest.raises(SessionNotFoundError, match="no session to continue in") as caught:
        SessionChoice(newest=True).arguments(cwd=str(tmp_path), env={})
    assert caught.value.searched == (str(tmp_path.resolve()),)


def test_a_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(click.UsageError, match="this directory is gone"):
        arguments(SessionChoice(newest=True))


def test_the_session_of_a_stored_response(tmp_path: Path) -> None:
    file = stored(tmp_path / "r.json")
    assert arguments(SessionChoice(response_file=file)) == {"session_id": SESSION}


@pytest.mark.parametrize("session_id", [None, 7])
def test_a_response_without_a_session(session_id: object, tmp_path: Path) -> None:
    file = stored(tmp_path / "r.json", session_id=session_id)
    with pytest.raises(click.UsageError, match="has no session_id"):
        arguments(SessionChoice(response_file=file))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe\xff"], ids=repr)
def test_what_is_no_stored_response(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(content)
    with pytest.raises(click.UsageError, match=r"no stored response: .*r\.json"):
        arguments(SessionChoice(response_file=str(file)))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"cannot read the stored response .*No such file"):
        arguments(SessionChoice(response_file=str(tmp_path / "none.json")))


def test_a_response_of_a_newer_version_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedVersionError, match=r"Incompatible version: 2\.0"):
        arguments(SessionChoice(response_file=stored(tmp_path / "r.json", version="2.0")))
