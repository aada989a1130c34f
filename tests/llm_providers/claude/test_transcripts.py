"""Native sessions are found, moved and put where the real program looks for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mcp_coder
from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_providers.claude.claude_executable_finder import locate_claude
from mcp_coder.llm_providers.claude.transcripts import (
    config_dir,
    find_transcript,
    home_directory,
    newest_session,
    read_transcript,
    write_transcript,
)
from mcp_coder.testing import StandIn, standin

ID = "123e4567-e89b-42d3-a456-426614174000"
OTHER_ID = "223e4567-e89b-42d3-a456-426614174000"


# --- Where --------------------------------------------------------------------------------------------------------


def test_the_config_dir_is_the_named_one_as_a_real_path(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    env = {"CLAUDE_CONFIG_DIR": str(tmp_path / "link"), "HOME": "/nowhere"}
    assert config_dir(env) == str(real.resolve())


@pytest.mark.parametrize("env", [{}, {"CLAUDE_CONFIG_DIR": ""}])
def test_else_it_is_in_the_home_directory(tmp_path: Path, env: dict[str, str]) -> None:
    assert config_dir({**env, "HOME": str(tmp_path)}) == str((tmp_path / ".claude").resolve())


def test_a_relative_one_is_taken_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_dir({"CLAUDE_CONFIG_DIR": "~/c"}) == str(tmp_path.resolve() / "~/c")


def test_its_characters_are_composed_as_the_program_does() -> None:
    assert config_dir({"CLAUDE_CONFIG_DIR": "/e\u0301"}) == "/\u00e9"


@pytest.mark.skipif(os.name == "nt", reason="there is no password file")
@pytest.mark.parametrize("env", [{}, {"HOME": ""}])
def test_without_home_the_password_file_is_asked(env: dict[str, str]) -> None:
    import pwd

    assert home_directory(env) == pwd.getpwuid(os.getuid()).pw_dir
    assert config_dir(env) == os.path.realpath(f"{home_directory(env)}/.claude")


# --- Finding and reading --------------------------------------------------------------------------------------------


def _transcript(config: Path, project: str, name: str, data: str = "{}\n", age: int = 0) -> Path:
    path = config / "projects" / project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)
    os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    return path


def test_a_transcript_is_found_in_whatever_project_it_is(tmp_path: Path) -> None:
    path = _transcript(tmp_path, "-b", f"{ID}.jsonl", "line\n")
    _transcript(tmp_path, "-a", f"{OTHER_ID}.jsonl")
    assert find_transcript(str(tmp_path), ID) == path
    assert read_transcript(str(tmp_path), ID) == b"line\n"


def test_of_several_the_newest_counts(tmp_path: Path) -> None:
    _transcript(tmp_path, "-a", f"{ID}.jsonl", age=10)
    newest = _transcript(tmp_path, "-b", f"{ID}.jsonl", age=5)
    _transcript(tmp_path, "-c", f"{ID}.jsonl", age=20)
    assert find_transcript(str(tmp_path), ID) == newest


def test_what_cannot_be_resumed_is_none(tmp_path: Path) -> None:
    _transcript(tmp_path, "-a", f"{ID}.jsonl", "")
    (tmp_path / "projects/-b" / f"{ID}.jsonl").mkdir(parents=True)
    (tmp_path / "projects/file").write_text("no project")
    assert find_transcript(str(tmp_path), ID) is None
    assert read_transcript(str(tmp_path), ID) is None


def test_no_config_dir_is_no_transcript(tmp_path: Path) -> None:
    assert find_transcript(str(tmp_path / "missing"), ID) is None
    assert newest_session(str(tmp_path / "missing"), str(tmp_path)) is None


@pytest.mark.parametrize("native_id", ["*", "../x", "../../secret", "", ".", "a/b", "-x", f"{ID}\n"])
def test_an_id_cannot_lead_anywhere_else(tmp_path: Path, native_id: str) -> None:
    _transcript(tmp_path, "-a", f"{ID}.jsonl")
    (tmp_path / "projects/x.jsonl").write_text("no transcript")
    (tmp_path / "secret.jsonl").write_text("no transcript")
    before = sorted(tmp_path.rglob("*"))
    assert find_transcript(str(tmp_path), native_id) is None
    with pytest.raises(InvalidRequestError, match="cannot be the id"):
        write_transcript(str(tmp_path), str(tmp_path), native_id, b"x")
    assert sorted(tmp_path.rglob("*")) == before


_AS_SOMEBODY_ELSE = """
import os, sys
from mcp_coder.llm_providers.claude.transcripts import find_transcript, newest_session, read_transcript
config, native_id = sys.argv[1:]
newest_session(config, config)  # loads all that is needed: the interpreter itself may be closed to others
os.setuid(65533)
print(find_transcript(config, native_id), read_transcript(config, native_id), newest_session(config, config))
"""


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_read_is_none() -> None:
    def seen() -> str:
        argv = [sys.executable, "-c", _AS_SOMEBODY_ELSE, str(config), ID]
        env = {"PYTHONPATH": str(Path(mcp_coder.__file__).parents[1])}
        return subprocess.run(
            argv, env=env, capture_output=True, text=True, timeout=60, check=True
        ).stdout.strip()

    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to others
        config = Path(name)
        config.chmod(0o755)
        path = _transcript(config, "-a", f"{ID}.jsonl", "{}")
        assert seen() == f"{path} b'{{}}' None"
        path.chmod(0)
        assert seen() == f"{path} None None"
        path.parent.chmod(0)
        assert seen() == "None None None"
        path.parent.parent.chmod(0)
        assert seen() == "None None None"


# --- Writing --------------------------------------------------------------------------------------------------------


def test_a_written_transcript_is_private_and_found(tmp_path: Path) -> None:
    config = tmp_path / "config"
    data = b'{"torn'
    path = write_transcript(str(config), str(tmp_path), ID, data)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert find_transcript(str(config), ID) == path
    assert write_transcript(str(config), str(tmp_path), ID, b"new") == path
    assert read_transcript(str(config), ID) == b"new"


# --- The newest of a directory --------------------------------------------------------------------------------------


def test_the_newest_session_is_the_one_last_worked_on(tmp_path: Path) -> None:
    config, here, there = tmp_path / "config", str(tmp_path / "here"), str(tmp_path / "there")
    for cwd, native_id, age in ((here, ID, 10), (here, OTHER_ID, 20), (there, str(uuid.uuid4()), 0)):
        path = write_transcript(str(config), cwd, native_id, b"{}\n")
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    assert newest_session(str(config), here) == ID


def test_what_is_no_session_of_its_own_does_not_count(tmp_path: Path) -> None:
    config, cwd = str(tmp_path / "config"), str(tmp_path)
    project = write_transcript(config, cwd, "agent-a1b2c3", b"{}\n").parent
    (project / f"{OTHER_ID}.jsonl").touch()
    (project / f"{OTHER_ID}.json").write_text("{}")
    (project / OTHER_ID).mkdir()
    (project / "memory").mkdir()
    assert newest_session(config, cwd) is None
    write_transcript(config, cwd, ID, b"{}\n")
    assert newest_session(config, cwd) == ID


# --- The real program -----------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> Iterator[StandIn]:
    with standin() as running:
        yield running


def _turn(model: StandIn, prompt: str, *flags: str, cwd: Path, config: Path) -> str:
    """Run one turn of the real program and return its answer."""
    message = {"type": "user", "message": {"role": "user", "content": prompt}}
    done = subprocess.run(
        [
            locate_claude()[0],
            *("-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose"),
            *flags,
        ],
        input=json.dumps(message) + "\n",
        env=model.environ(CLAUDE_CONFIG_DIR=str(config)),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return str(next((event.get("result") for event in events if event["type"] == "result"), done.stderr))


def test_a_session_goes_on_where_its_transcript_was_put(model: StandIn, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    native_id = str(uuid.uuid4())
    _turn(model, "My favorite color is blue", f"--session-id={native_id}", cwd=first, config=first / "c")
    data = read_transcript(str(first / "c"), native_id)
    assert data is not None

    refused = _turn(model, "Still there?", f"--resume={native_id}", cwd=second, config=second / "c")
    assert "blue" not in refused
    write_transcript(str(second / "c"), str(second), native_id, data)
    answer = _turn(
        model, "What is my favorite color?", f"--resume={native_id}", cwd=second, config=second / "c"
    )
    assert "blue" in answer
    assert model.server.prompts() == ["My favorite color is blue", "What is my favorite color?"]
    gone_on = read_transcript(str(second / "c"), native_id)
    assert gone_on is not None
    assert gone_on.startswith(data)
    assert newest_session(str(second / "c"), str(second)) == native_id


def _symlinked(base: Path) -> Path:
    (base / "real").mkdir()
    (base / "link").symlink_to(base / "real")
    return base / "link"


def _long(base: Path, length: int, filling: str) -> Path:
    """Return a directory whose path has ``length`` characters, in parts that a file system takes."""
    path = str(base)
    while len(path) < length:
        rest = length - len(path) - 1
        path += "/" + filling * (rest if rest <= 60 else min(60, rest - 2))
    return Path(path)


@pytest.mark.parametrize(
    "directory",
    [
        pytest.param(lambda base: base / "p_x.y z-1", id="marks"),
        pytest.param(lambda base: base / "grüße-日本-e\u0301-😀", id="unicode"),
        pytest.param(_symlinked, id="link"),
        pytest.param(lambda base: _long(base, 200, "x"), id="200"),
        pytest.param(lambda base: _long(base, 201, "x"), id="201"),
        pytest.param(lambda base: _long(base, 260, "ü"), id="long-unicode"),
        pytest.param(lambda base: _long(base, 220, "😀"), id="long-emoji"),
    ],
)
def test_the_folder_of_a_directory_is_the_one_that_the_program_makes(
    model: StandIn, tmp_path: Path, directory: Callable[[Path], Path]
) -> None:
    cwd = directory(tmp_path)
    cwd.mkdir(parents=True, exist_ok=True)
    native_id = str(uuid.uuid4())
    _turn(model, "Hi", f"--session-id={native_id}", cwd=cwd, config=tmp_path / "config")
    assert newest_session(str(tmp_path / "config"), str(cwd)) == native_id
    made = find_transcript(str(tmp_path / "config"), native_id)
    assert write_transcript(str(tmp_path / "config"), str(cwd), native_id, b"x") == made
