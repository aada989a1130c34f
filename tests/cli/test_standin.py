"""``mcp-coder standin``: any command offline, or a server until it is stopped."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.cli.standin import environment_script

Run = Callable[..., Any]
MCP_CODER = [sys.executable, "-m", "mcp_coder"]


def test_a_command_runs_offline_in_a_private_home_that_is_gone_afterwards(run_cli: Run) -> None:
    script = 'printf "%s\\n" "$HOME" "$CLAUDE_CONFIG_DIR" "$ANTHROPIC_BASE_URL" "${CLAUDECODE-unset}"'
    env = {"CLAUDECODE": "1", "ANTHROPIC_MODEL": "from outside"}
    done = run_cli("standin", "--", "sh", "-c", script, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    home, config_dir, url, mark = done.stdout.splitlines()
    assert Path(config_dir).is_relative_to(home)
    assert url.startswith("http://127.0.0.1:")
    assert mark == "unset"
    assert not Path(home).exists()


def test_sessions_go_on_within_it(run_cli: Run) -> None:
    ask = shlex.join([*MCP_CODER, "prompt"])
    script = f"{ask} 'My favorite color is blue' && {ask} -qc 'What is my favorite color?'"
    done = run_cli("standin", "sh", "-c", script)
    assert done.stdout.splitlines() == ["Noted: my favorite color is blue", "Your favorite color is blue"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 137),
        (["no-such-command"], 127),
        (["/dev/null"], 126),
    ],
    ids=lambda value: str(value),
)
def test_the_exit_code_is_passed_on(command: list[str], code: int, run_cli: Run) -> None:
    done = run_cli("standin", "--", *command)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == (code in (126, 127))


def test_options_behind_the_command_are_the_commands_own(run_cli: Run) -> None:
    done = run_cli("standin", "echo", "--port", "x", "--help")
    assert done.stdout == "--port x --help\n"


def test_standard_input_is_the_commands(run_cli: Run) -> None:
    assert run_cli("standin", "--", "cat", input="hello").stdout == "hello"


def test_a_script_says_what_the_model_answers(run_cli: Run, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([{"prompt": "2 + 2", "reply": "4"}]))
    done = run_cli("standin", "--script", str(rules), "--", *MCP_CODER, "prompt", "What is 2 + 2?")
    assert (done.returncode, done.stdout) == (0, "4\n")


@pytest.mark.parametrize("content", ["", "{", '{"rules": [{"reply": {"sing": 1}}]}', "[1]"], ids=repr)
def test_a_wrong_script_is_one_line(content: str, run_cli: Run, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(content)
    done = run_cli("standin", "--script", str(rules), "true")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "rules.json" in done.stderr


def test_a_port_that_is_taken_is_one_line(run_cli: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_cli("standin", "--port", str(port), "true")
    assert done.returncode == 2
    assert done.stderr.startswith(f"mcp-coder: cannot serve on port {port}: ")


# --- serving


@contextmanager
def serving(*arguments: str) -> Iterator["tuple[subprocess.Popen[str], dict[str, str]]"]:
    with subprocess.Popen(
        [*MCP_CODER, "standin", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = process.stdout.read().splitlines()  # its end comes although the server goes on
            exports = [shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export ")]
            yield process, dict(exports)
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 129)])
def test_it_prints_the_environment_and_serves_until_stopped(number: signal.Signals, code: int) -> None:
    with serving() as (process, env):
        assert int(env["MCP_CODER_STANDIN_PID"]) == process.pid
        assert Path(env["CLAUDE_CONFIG_DIR"]).is_dir()
        with urllib.request.urlopen(env["ANTHROPIC_BASE_URL"]) as reply:
            assert reply.status == 200
        process.send_signal(number)
        _, hints = process.communicate(timeout=30)
    assert process.returncode == code
    assert "until stopped" in hints
    assert not Path(env["HOME"]).exists()


def test_a_shell_can_take_the_environment_and_go_on(tmp_path: Path) -> None:
    standin = shlex.join([*MCP_CODER, "standin"])
    ask = shlex.join([*MCP_CODER, "prompt"])
    script = (
        f'eval "$({standin} 2>/dev/null &)"; {ask} "My favorite color is blue"; kill "$MCP_CODER_STANDIN_PID"'
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (0, "Noted: my favorite color is blue\n"), done.stderr


def test_the_script_survives_every_value() -> None:
    env = {"A": "two words", "B": "it's $HOME `id`", "C": "", "D": "line\nfeed"}
    script = environment_script(env, ["GONE"]) + 'printf "%s|" "$A" "$B" "$C" "$D" "${GONE-unset}"'
    done = subprocess.run(["sh", "-c", script], env={"GONE": "x"}, capture_output=True, text=True, check=True)
    assert done.stdout == "two words|it's $HOME `id`||line\nfeed|unset|"
