"""Places: private, found on any machine, gone when they should be."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_coder import llm_places as places


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "mcp home"))
    return tmp_path / "mcp home"


def test_the_named_home_wins(home: Path) -> None:
    assert places.state_directory() == str(home)
    assert mode(home) == 0o700


def test_a_relative_home_does_not_move_with_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MCP_CODER_HOME", "state")
    assert places.state_directory() == str(tmp_path / "state")


def test_without_a_named_home_it_is_where_the_system_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MCP_CODER_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.state_directory() == str(tmp_path / ".local" / "state" / "mcp-coder")


def test_a_home_that_cannot_be_made_gives_way_to_a_temporary_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "file" / "below"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert places.state_directory() == str(tmp_path / f"mcp-coder-{os.getuid()}")


def test_no_home_and_no_passwd_entry_is_no_crash(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can take another user id")
    nobody = max(entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid < 60_000) + 777
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents:
        if parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    code = (
        f"import os, sys; os.setgroups([]); os.setgid({nobody}); os.setuid({nobody}); sys.path.insert(0, sys.argv[1])\n"
        "from mcp_coder.llm_places import state_directory\nprint(state_directory())"
    )
    source = str(Path(places.__file__).parents[1])
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import platformdirs, tempfile, mcp_coder.llm_places\n{code}",
            source,
        ],
        env={"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / f"mcp-coder-{nobody}")


def test_private_directories_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        places.private_directory(str(tmp_path / "a" / "b"))
        os.umask(0)
        places.private_directory(str(tmp_path / "c" / "d"))
    finally:
        os.umask(old)
    assert {mode(tmp_path / each) for each in ("a", "a/b", "c", "c/d")} == {0o700}


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    places.private_directory(str(tmp_path))
    assert mode(tmp_path) == 0o755


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        places.private_directory(str(theirs))


def test_what_is_kept_is_where_the_system_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCP_CODER_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places.data_directory() == str(tmp_path / ".local" / "share" / "mcp-coder")


def test_what_is_kept_is_never_put_into_a_temporary_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MCP_CODER_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises(PermissionError, match="set MCP_CODER_HOME"):
        places.data_directory()
