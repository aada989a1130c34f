"""Which store a turn is recorded in: the caller's choice, the environment's, the default; never a broken call."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_coder.llm_errors import InvalidRequestError, NotRecordedWarning, StoreError
from mcp_coder.llm_sessions import stores
from mcp_coder.llm_sessions.stores import Recording, chosen_store
from mcp_coder.llm_store import default_store_url, open_store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path))
    monkeypatch.delenv("MCP_CODER_STORE", raising=False)
    yield tmp_path
    stores.close_all()


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def recording_of(choice: str | None) -> Recording:
    with chosen_store(choice) as recording:
        return recording


def test_the_default_is_one_file_that_nobody_named(home: Path) -> None:
    with chosen_store(None) as recording:
        assert recording.store is not None
        assert (recording.store.url, recording.named) == (default_store_url(), False)
    assert (home / "store-1.sqlite").is_file()


def test_the_caller_wins_over_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_STORE", url_of(home / "theirs.sqlite"))
    for choice, expected in ((None, "theirs.sqlite"), (url_of(home / "mine.sqlite"), "mine.sqlite")):
        with chosen_store(choice) as recording:
            assert recording.store is not None
            assert (recording.store.url, recording.named) == (url_of(home / expected), True)


@pytest.mark.parametrize("word", ["off", " OFF "])
def test_off_records_nowhere(monkeypatch: pytest.MonkeyPatch, home: Path, word: str) -> None:
    assert recording_of(word).store is None
    monkeypatch.setenv("MCP_CODER_STORE", word)
    assert recording_of(None).store is None
    assert list(home.iterdir()) == []


def test_an_open_store_is_taken_as_it_is_and_left_open(home: Path) -> None:
    mine = open_store("memory:")
    with chosen_store(mine) as recording:
        assert (recording.store, recording.named) == (mine, True)
    assert list(mine.sessions()) == []
    mine.close()


@pytest.mark.parametrize("choice", [3, b"off", object(), {}])
def test_what_is_no_store_is_refused(choice: object) -> None:
    with pytest.raises(InvalidRequestError, match="store must be a URL"), chosen_store(choice):  # type: ignore[arg-type]
        raise AssertionError


def test_a_store_that_would_be_gone_with_the_call_is_refused() -> None:
    with pytest.raises(StoreError, match="open_store"), chosen_store("memory:"):
        raise AssertionError


def test_a_named_store_that_cannot_be_opened_is_an_error(home: Path) -> None:
    (home / "broken.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError), chosen_store(url_of(home / "broken.sqlite")):
        raise AssertionError


def test_a_default_store_that_cannot_be_opened_is_a_warning(home: Path) -> None:
    (home / "store-1.sqlite").write_bytes(b"no database" * 1000)
    with pytest.warns(NotRecordedWarning, match="not recorded"):
        assert recording_of(None).store is None


def test_without_any_place_for_it_the_default_store_is_a_warning(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("in the way")
    monkeypatch.setenv("MCP_CODER_HOME", str(home / "file" / "below"))
    with pytest.warns(NotRecordedWarning, match="MCP_CODER_HOME"):
        assert recording_of(None).store is None


def test_turns_of_one_store_share_it(home: Path) -> None:
    with chosen_store(None) as one, chosen_store(None) as two:
        assert one.store is two.store
    with chosen_store(None) as three:
        assert three.store is one.store


def test_few_stores_stay_open(home: Path) -> None:
    first = recording_of(url_of(home / "0.sqlite")).store
    for number in range(1, 8):
        recording_of(url_of(home / f"{number}.sqlite"))
    with chosen_store(url_of(home / "0.sqlite")) as again:
        assert again.store is not first


def test_a_store_in_use_is_not_closed(home: Path) -> None:
    with chosen_store(url_of(home / "0.sqlite")) as held:
        for number in range(1, 8):
            recording_of(url_of(home / f"{number}.sqlite"))
        assert held.store is not None
        assert list(held.store.sessions()) == []


def test_a_store_whose_file_is_gone_is_made_anew(home: Path) -> None:
    recording_of(None)
    for path in home.glob("store-1.sqlite*"):
        path.unlink()
    with chosen_store(None) as again:
        assert again.store is not None
        assert list(again.store.sessions()) == []
    assert (home / "store-1.sqlite").is_file()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_fork_uses_it_too(home: Path) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with stores._lock:
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if recording_of(None).store is not None else 1)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        release.set()
        thread.join()
