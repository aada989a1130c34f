"""Which store a command reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.commands import RunCommand
from tests.cli.stored import FIRST, record

from mcp_coder.cli.store_choice import chosen_url, opened_store, recorded_in
from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_store import open_store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have a place of our own, and no store chosen by the environment."""
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path))
    monkeypatch.delenv("MCP_CODER_STORE", raising=False)
    return tmp_path


def test_the_option_wins_then_the_environment_then_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_url(None) == f"sqlite:///{home}/store-1.sqlite"
    monkeypatch.setenv("MCP_CODER_STORE", "memory:")
    assert chosen_url(None) == "memory:"
    assert chosen_url("sqlite:///x") == "sqlite:///x"
    monkeypatch.setenv("MCP_CODER_STORE", "")
    assert chosen_url(None) == f"sqlite:///{home}/store-1.sqlite"


@pytest.mark.parametrize("off", ["off", "OFF", " off "])
def test_off_says_that_nothing_is_recorded(off: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_STORE", off)
    with pytest.raises(
        StoreError, match=f"nothing is recorded: MCP_CODER_STORE is {off.strip()}; name a store"
    ):
        chosen_url(None)
    with pytest.raises(StoreError, match=f"nothing is recorded: --store is {off.strip()}; name a store"):
        chosen_url(off)
    assert chosen_url("memory:") == "memory:"


def test_a_store_is_closed_whatever_happens(home: Path) -> None:
    def fail() -> None:
        with opened_store(None) as store:
            record(store)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with recorded_in(None) as store:
        assert store.session(FIRST).turns == 1


def test_reading_makes_no_store(home: Path, command: RunCommand) -> None:
    url = f"sqlite:///{home}/no/such/store.sqlite"
    with recorded_in(url) as store:
        assert store.url == url
        assert list(store.sessions()) == []
    assert command("sessions", "list", "--json", "--store", url).out == "[]\n"
    assert command("usage", "--store", url).code == 0
    assert f"is recorded in {url}" in command("sessions", "delete", "x", "--yes", "--store", url).err
    assert not (home / "no").exists()


def test_a_store_is_made_where_something_is_to_be_recorded(home: Path) -> None:
    with opened_store(f"sqlite:///{home}/new.sqlite") as store:
        record(store)
    assert (home / "new.sqlite").is_file()


def test_a_command_reads_the_store_that_it_is_given(home: Path, command: RunCommand) -> None:
    other = f"sqlite:///{home}/other.sqlite"
    store = open_store(other)
    record(store)
    store.close()
    assert command("sessions", "list", "--json").out == "[]\n"
    assert len(command("sessions", "list", "--json", "--store", other).json) == 1


@pytest.mark.parametrize(
    "url",
    ["off", "nonsense", "postgresql://x/y", "sqlite:///", "sqlite:////dev"],
)
def test_a_store_that_cannot_be_used_is_one_line_and_code_12(url: str, command: RunCommand) -> None:
    for words in (["sessions", "list"], ["usage"], ["sessions", "check"], ["sessions", "show", "x"]):
        done = command(*words, "--store", url)
        assert (done.code, done.out) == (12, "")
        assert done.err.startswith("mcp-coder: ")
        assert done.err.count("\n") == 1
