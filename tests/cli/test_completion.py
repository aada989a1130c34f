"""Tab completion: the script of each shell, and what it asks us for."""

import shutil
import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_calls_us_back(shell: str, run_cli: Run) -> None:
    done = run_cli("completion", shell)
    assert done.returncode == 0
    assert "_MCP_CODER_COMPLETE" in done.stdout
    assert "mcp-coder" in done.stdout


@pytest.mark.parametrize(
    ("shell", "like"), [("/usr/bin/fish", "function"), ("/bin/zsh", "#compdef"), (None, "complete -o nosort")]
)
def test_the_own_shell_is_the_default(shell: str | None, like: str, run_cli: Run) -> None:
    done = run_cli("completion", env={"SHELL": shell})
    assert like in done.stdout


def test_a_shell_without_completion_is_a_usage_error(run_cli: Run) -> None:
    done = run_cli("completion", env={"SHELL": "/bin/tcsh"})
    assert done.returncode == 2
    assert "there is no completion for 'tcsh'" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "number", "offered"),
    [
        ("mcp-coder ", 1, ["prompt", "sessions", "usage", "verify", "demo", "standin", "completion"]),
        ("mcp-coder ver", 1, ["verify"]),
        ("mcp-coder prompt --sess", 2, ["--session-id", "--session"]),
        ("mcp-coder prompt --method ", 3, ["cli", "api"]),
        ("mcp-coder sessions re", 2, ["rename", "resume", "recover"]),
        ("mcp-coder sessions list --l", 3, ["--limit"]),
        ("mcp-coder usage mo", 2, ["monthly", "model"]),
    ],
)
def test_what_is_offered(words: str, number: int, offered: list[str], run_cli: Run) -> None:
    env = {"_MCP_CODER_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    done = run_cli(env=env)
    assert sorted(line.partition(",")[2] for line in done.stdout.splitlines()) == sorted(offered)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script(run_cli: Run) -> None:
    script = run_cli("completion", "bash").stdout
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
