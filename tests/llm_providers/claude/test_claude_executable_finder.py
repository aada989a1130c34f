"""One program is chosen, in one order, and asked for its version once."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import mcp_coder
from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_providers.claude.claude_executable_finder import (
    find_claude_executable,
    locate_claude,
    program_version,
    verify_claude_installation,
)

SOURCE = str(Path(mcp_coder.__file__).parents[1])
SYSTEM_PLACES = [Path("/usr/local/bin/claude"), Path("/opt/homebrew/bin/claude")]
nothing_in_system_places = pytest.mark.skipif(
    any(path.exists() for path in SYSTEM_PLACES), reason="claude is installed for all users here"
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shell scripts pose as the program")


def _program(path: Path, body: str = "echo '2.1.5 (Claude Code)'", mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)
    return str(path)


def _env(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin"), **more}


def _use(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    for name in ("MCP_CODER_CLAUDE", "CLAUDE_CONFIG_DIR", *os.environ):
        if name.startswith(("MCP_CODER_", "CLAUDE", "ANTHROPIC_")):
            monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)


# --- Order ----------------------------------------------------------------------------------------------------------


def test_the_named_program_comes_first(tmp_path: Path) -> None:
    _program(tmp_path / "bin/claude")
    named = _program(tmp_path / "my claude", "echo 2.1.6")
    assert locate_claude(_env(tmp_path, MCP_CODER_CLAUDE=named)) == (named, "2.1.6")


def test_a_named_program_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = _program(tmp_path / "claude")
    monkeypatch.chdir(tmp_path)
    assert locate_claude(_env(tmp_path, MCP_CODER_CLAUDE="./claude"))[0] == named


@pytest.mark.parametrize("kind", ["missing", "directory", "not executable"])
def test_a_wrong_named_program_is_an_error_and_never_passed_over(tmp_path: Path, kind: str) -> None:
    _program(tmp_path / "bin/claude")
    named = tmp_path / "named"
    if kind == "directory":
        named.mkdir()
    elif kind == "not executable":
        _program(named, mode=0o644)
    with pytest.raises(AgentNotFoundError, match="MCP_CODER_CLAUDE names") as caught:
        locate_claude(_env(tmp_path, MCP_CODER_CLAUDE=str(named)))
    assert caught.value.searched == (str(named),)


def test_an_empty_name_counts_as_none(tmp_path: Path) -> None:
    program = _program(tmp_path / "bin/claude")
    assert locate_claude(_env(tmp_path, MCP_CODER_CLAUDE=""))[0] == program


def test_path_comes_before_the_places_of_an_installation(tmp_path: Path) -> None:
    installed = _program(tmp_path / "home/.local/bin/claude")
    assert locate_claude(_env(tmp_path))[0] == installed
    second = _program(tmp_path / "bin2/claude")
    env = _env(tmp_path, PATH=f"{tmp_path / 'bin'}:{tmp_path / 'bin2'}")
    assert locate_claude(env)[0] == second
    first = _program(tmp_path / "bin/claude")
    assert locate_claude(env)[0] == first


@pytest.mark.parametrize(
    "place",
    [".local/bin", ".claude/local", ".npm-global/bin", ".bun/bin", ".yarn/bin", "node_modules/.bin"],
)
@nothing_in_system_places
def test_the_usual_places_of_an_installation(tmp_path: Path, place: str) -> None:
    installed = _program(tmp_path / "home" / place / "claude")
    assert locate_claude(_env(tmp_path))[0] == installed


def test_what_cannot_be_run_is_passed_over_in_path(tmp_path: Path) -> None:
    _program(tmp_path / "bin/claude", mode=0o644)
    (tmp_path / "bin2/claude").mkdir(parents=True)
    program = _program(tmp_path / "bin3/claude")
    path = os.pathsep.join(str(tmp_path / name) for name in ("bin", "bin2", "bin3"))
    assert locate_claude(_env(tmp_path, PATH=path))[0] == program


def test_a_program_in_the_current_directory_is_not_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "project/claude")
    program = _program(tmp_path / "bin/claude")
    monkeypatch.chdir(tmp_path / "project")
    assert locate_claude(_env(tmp_path, PATH=f".::{tmp_path / 'bin'}"))[0] == program


@nothing_in_system_places
def test_the_program_in_the_wheel_comes_last(tmp_path: Path) -> None:
    path, version = locate_claude(_env(tmp_path))
    assert Path(path).parts[-3:] == ("claude_agent_sdk", "_bundled", "claude")
    assert version.count(".") == 2


@nothing_in_system_places
def test_slow_places_are_looked_at_only_when_asked_and_after_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program(tmp_path / "home/.nvm/versions/node/v20.1.0/bin/claude")
    _use(monkeypatch, _env(tmp_path))
    for fast_mode in (True, False):
        found = find_claude_executable(fast_mode=fast_mode)
        assert found is not None
        assert "_bundled" in found


def _python_without_the_sdk(code: str, env: dict[str, str], *flags: str) -> str:
    """Run code in an interpreter that sees our source and the standard library alone."""
    done = subprocess.run(
        [sys.executable, "-S", *flags, "-c", code],
        env={**env, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FIND = "from mcp_coder.llm_providers.claude.claude_executable_finder import *\n"


@nothing_in_system_places
def test_slow_places_are_found_where_nothing_else_is(tmp_path: Path) -> None:
    program = _program(tmp_path / "home/.nvm/versions/node/v20.1.0/bin/claude")
    code = f"{FIND}print(find_claude_executable(return_none_if_not_found=True, fast_mode=%s))"
    assert _python_without_the_sdk(code % True, _env(tmp_path)) == "None"
    assert _python_without_the_sdk(code % False, _env(tmp_path)) == program


@nothing_in_system_places
def test_nothing_found_says_where_it_looked_and_what_to_install(tmp_path: Path) -> None:
    code = f"""{FIND}import json
try:
    find_claude_executable()
except FileNotFoundError as error:
    print(json.dumps([str(error), error.searched, verify_claude_installation()]))
"""
    message, searched, report = json.loads(_python_without_the_sdk(code, _env(tmp_path)))
    assert "MCP_CODER_CLAUDE" in message
    assert "install" in message
    assert searched[0] == str(tmp_path / "bin/claude")
    assert str(tmp_path / "home/.local/bin/claude") in searched
    assert report["found"] is False
    assert report["works"] is False
    assert report["error"] == message
    assert report["searched"] == searched
    assert report["sdk_version"] is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody unknown")
def test_no_home_and_no_entry_in_the_password_file() -> None:
    known = {entry.pw_uid for entry in pwd.getpwall()}
    stranger = next(uid for uid in range(54321, 60000) if uid not in known)
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to others
        Path(name).chmod(0o755)
        program = _program(Path(name, "claude"))
        # The first call imports all that is needed: the interpreter itself may be closed to others.
        code = f"""{FIND}import os; verify_claude_installation(); os.setuid({stranger})
print(find_claude_executable(), verify_claude_installation()["config_dir"])"""
        assert _python_without_the_sdk(code, {"PATH": name}) == f"{program} None"


def test_the_sdk_is_not_imported() -> None:
    code = (
        f"{FIND}import sys; locate_claude(); print([m for m in sys.modules if m.startswith('claude_agent')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


# --- Versions -------------------------------------------------------------------------------------------------------


def test_the_version_is_asked_once_for_as_long_as_the_file_is_the_same(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "claude"
    _program(program, f"echo x >> '{asked}'; echo '2.1.5 (Claude Code)'")
    link = tmp_path / "link"
    link.symlink_to(program)
    assert [program_version(str(path)) for path in (program, program, link)] == ["2.1.5"] * 3
    assert asked.read_text() == "x\n"
    _program(program, f"echo x >> '{asked}'; echo '2.1.60 (Claude Code)'")
    assert program_version(str(program)) == "2.1.60"
    assert asked.read_text() == "x\nx\n"


def test_the_version_beside_the_program_in_the_wheel_saves_asking(tmp_path: Path) -> None:
    program = _program(tmp_path / "_bundled/claude", "exit 1")
    (tmp_path / "_bundled/claude.version").write_text("2.1.7 (Claude Code)\n")
    assert program_version(program) == "2.1.7"


@pytest.mark.parametrize("beside", [None, "", "soon"])
def test_without_a_version_beside_it_the_program_is_asked(tmp_path: Path, beside: str | None) -> None:
    program = _program(tmp_path / "_bundled/claude")
    if beside is not None:
        (tmp_path / "_bundled/claude.version").write_text(beside)
    assert program_version(program) == "2.1.5"


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ("echo '2.1.330 (Claude Code)'", "2.1.330"),
        ("echo; echo 'a wrapper says hello'; echo 2.2.0-beta.1", "2.2.0-beta.1"),
        ("echo '2.1.9'; echo warning >&2", "2.1.9"),
        ("echo dev", ""),
        ("true", ""),
    ],
)
def test_what_it_says(tmp_path: Path, body: str, version: str) -> None:
    assert locate_claude(_env(tmp_path, MCP_CODER_CLAUDE=_program(tmp_path / "c", body)))[1] == version


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("#!/bin/sh\necho broken >&2\nexit 3\n", "ended with 3: broken"),
        ("#!/bin/sh\necho 'on stdout'\nexit 1\n", "ended with 1: on stdout"),
        ("#!/no/such/node\n", "No such file"),
        ("\x7fELF nonsense", "xec format"),
        ("#!/bin/sh\nkill -9 $$\n", "ended with -9"),
    ],
)
def test_one_that_cannot_be_run_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, why: str
) -> None:
    program = tmp_path / "claude"
    program.write_text(content)
    program.chmod(0o755)
    _use(monkeypatch, _env(tmp_path, MCP_CODER_CLAUDE=str(program)))
    with pytest.raises(AgentNotFoundError, match=why) as caught:
        locate_claude()
    assert str(program) in str(caught.value)
    assert caught.value.searched == (str(program),)
    assert find_claude_executable() == str(program)
    assert find_claude_executable(test_execution=True, return_none_if_not_found=True) is None
    with pytest.raises(AgentNotFoundError, match=why):
        find_claude_executable(test_execution=True)


def test_one_that_vanishes_says_so(tmp_path: Path) -> None:
    with pytest.raises(AgentNotFoundError, match="No such file"):
        program_version(str(tmp_path / "gone"))


@pytest.mark.long
def test_one_that_hangs_is_given_up(tmp_path: Path) -> None:
    program = _program(tmp_path / "claude", "exec sleep 300")
    with pytest.raises(AgentNotFoundError, match="longer than 10 s"):
        program_version(program)


def test_too_old_names_both_versions(tmp_path: Path) -> None:
    program = _program(tmp_path / "c", "echo '1.0.60 (Claude Code)'")
    with pytest.raises(AgentNotFoundError, match=r"1\.0\.60.* 1\.0\.109 or newer"):
        locate_claude(_env(tmp_path, MCP_CODER_CLAUDE=program))


# --- verify ---------------------------------------------------------------------------------------------------------


def test_verify_reports_a_working_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path / "bin/claude")
    _use(monkeypatch, _env(tmp_path, ANTHROPIC_API_KEY="s3cret"))
    report = verify_claude_installation()
    assert report["sdk_version"]
    assert "s3cret" not in repr(report)
    del report["sdk_version"]
    assert report == {
        "found": True,
        "path": program,
        "version": "2.1.5",
        "works": True,
        "error": None,
        "source": "PATH",
        "searched": (),
        "config_dir": str((tmp_path / "home/.claude").resolve()),
        "api_key": True,
        "credentials": True,
    }


@pytest.mark.parametrize("body", ["echo '1.0.60 (Claude Code)'", "exit 9"])
def test_verify_reports_one_that_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    program = _program(tmp_path / "bin/claude", body)
    _use(monkeypatch, _env(tmp_path))
    report = verify_claude_installation()
    assert (report["found"], report["works"], report["path"]) == (True, False, program)
    assert program in str(report["error"])
    assert report["api_key"] is False


def test_verify_really_runs_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path / "_bundled/claude", "exit 1")
    (tmp_path / "_bundled/claude.version").write_text("2.1.7 (Claude Code)\n")
    _use(monkeypatch, _env(tmp_path, MCP_CODER_CLAUDE=program))
    assert verify_claude_installation()["works"] is False


@pytest.mark.parametrize(
    ("given", "credentials"),
    [
        ({}, False),
        ({"ANTHROPIC_API_KEY": ""}, False),
        ({"ANTHROPIC_AUTH_TOKEN": "x"}, True),
        ({"CLAUDE_CODE_OAUTH_TOKEN": "x"}, True),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, True),
    ],
)
def test_verify_guesses_whether_it_is_logged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], credentials: bool
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    _program(tmp_path / "bin/claude")
    _use(monkeypatch, _env(tmp_path, CLAUDE_CONFIG_DIR=str(config), **given))
    assert verify_claude_installation()["credentials"] is credentials
    (config / ".credentials.json").write_text("{}")
    assert verify_claude_installation()["credentials"] is True
