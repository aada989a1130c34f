"""A URL becomes a store, or one error that says how to write it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_store import default_store_url, open_store
from mcp_coder.testing.promise import recorded


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_default_is_a_file_of_the_user(home: Path) -> None:
    store = open_store()
    recorded(store)
    store.close()
    assert (home / "store-1.sqlite").exists()
    assert store.url == default_store_url() == f"sqlite:///{home}/store-1.sqlite"


def test_a_relative_path_begins_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///deep/er/s.sqlite")
    store.close()
    assert (tmp_path / "deep" / "er" / "s.sqlite").exists()
    assert store.url == f"sqlite:///{tmp_path}/deep/er/s.sqlite"


def test_an_absolute_path_has_four_slashes(tmp_path: Path) -> None:
    store = open_store(f"sqlite:////{str(tmp_path).lstrip('/')}/s.sqlite")
    store.close()
    assert (tmp_path / "s.sqlite").exists()


@pytest.mark.parametrize("name", ["with blank ?x=1&mode=ro#.sqlite", "größe %41.sqlite", "~x"])
def test_any_file_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/{name}")
    recorded(store)
    store.close()
    assert (tmp_path / name).exists()


def test_a_home_is_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store("sqlite:///~/s.sqlite").close()
    assert (tmp_path / "s.sqlite").exists()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("store.sqlite", "write sqlite:///store.sqlite"),
        ("/var/lib/store.sqlite", "write sqlite:////var/lib/store.sqlite"),
        (r"C:\store.sqlite", r"write sqlite:///C:\store.sqlite"),
        ("", "is no URL of a store"),
        ("postgres://host/db", "there is no kind of store for 'postgres://host/db'; there are sqlite:///"),
        ("sqlite://", "no kind of store"),
        ("sqlite:///", "no kind of store"),
        ("memory", "is no URL of a store"),
        ("off", "is no URL of a store"),
    ],
)
def test_what_is_no_url_is_told_how_to_be_one(url: str, hint: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert hint in str(caught.value)


def test_a_password_in_a_url_is_not_told() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("postgres://user:s3cret-pass@host/db")
    assert "s3cret-pass" not in str(caught.value)


def test_a_place_that_cannot_be_had_is_a_store_error(home: Path) -> None:
    home.write_text("a file")
    with pytest.raises(StoreError, match="MCP_CODER_HOME"):
        open_store()


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(f"sqlite:///{tmp_path}")


def test_importing_it_loads_no_database() -> None:
    code = "import sys, mcp_coder.llm_store; print({'sqlite3', 'zstandard', 'typing'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"
