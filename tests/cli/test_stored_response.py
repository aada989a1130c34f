"""Where answers are stored: in the file that was named, else in a private place, never in the user's project."""

import datetime as dt
import json
import os
import stat
from pathlib import Path

import pytest

from mcp_coder.cli.stored_response import check_place, default_folder, default_name, store_response
from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_types import LLMResponseDict

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"
RESPONSE: LLMResponseDict = {
    "version": "1.0",
    "timestamp": "2026-01-31T12:00:00+00:00",
    "text": "Noted",
    "session_id": SESSION,
    "method": "cli",
    "provider": "claude",
    "raw_response": {},
}
needs_rights = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere"
)


def test_the_default_place_is_private_and_named_after_time_and_session(tmp_path: Path) -> None:
    env = {"MCP_CODER_HOME": str(tmp_path / "home")}
    path = store_response(RESPONSE, "", env)
    assert path.parent == tmp_path / "home" / "responses"
    assert path.name.startswith("response_20")
    assert path.name.endswith(f"Z_{SESSION}.json")
    assert json.loads(path.read_text()) == RESPONSE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_answers_do_not_collide(tmp_path: Path) -> None:
    env = {"MCP_CODER_HOME": str(tmp_path)}
    assert len({store_response(RESPONSE, "", env) for _ in range(20)}) == 20


def test_names_are_in_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=2))
    name = default_name(None, dt.datetime(2026, 1, 31, 1, 2, 3, 4, tzinfo=east))
    assert name == "response_20260130T230203.000004Z_no-session.json"


def test_a_named_file_is_used_as_it_is_and_folders_are_made(tmp_path: Path) -> None:
    file = tmp_path / "new" / "answer.json"
    assert store_response(RESPONSE, str(file), {}) == file
    assert json.loads(file.read_text()) == RESPONSE


def test_without_mcp_coder_home_it_is_the_users_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    folder = default_folder({})
    assert folder.is_relative_to(tmp_path)
    assert folder.parts[-2:] == ("mcp-coder", "responses")


def test_without_any_home_it_is_an_error_and_not_a_folder_in_the_project() -> None:
    with pytest.raises(StoreError, match="write --store-response=FILE"):
        default_folder({"MCP_CODER_HOME": "~/somewhere"})


@pytest.mark.parametrize("file", ["answer.json", "new/answer.json", ""])
def test_a_place_that_can_be_written_passes_and_nothing_is_made(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_place(file, {"MCP_CODER_HOME": str(tmp_path / "home")})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_and_a_device_pass(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    check_place(str(tmp_path / "old.json"), {})
    check_place(os.devnull, {})


def test_a_directory_and_a_file_in_the_way_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is a directory"):
        check_place(str(tmp_path), {})
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is no directory"):
        check_place(str(tmp_path / "file" / "answer.json"), {})


@needs_rights
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="is not writable"):
        check_place(str(tmp_path / "answer.json"), {})


def test_an_answer_that_cannot_be_stored_is_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"could not be stored in .*: Not a directory") as caught:
        store_response(RESPONSE, str(tmp_path / "file" / "answer.json"), {})
    assert caught.value.response == RESPONSE
    assert caught.value.session_id == SESSION


def test_an_answer_that_is_no_json_is_in_the_error(tmp_path: Path) -> None:
    response = {**RESPONSE, "raw_response": {"when": dt.datetime.now(dt.UTC)}}
    with pytest.raises(StoreError, match="datetime is not JSON"):
        store_response(response, str(tmp_path / "answer.json"), {})  # type: ignore[arg-type]
