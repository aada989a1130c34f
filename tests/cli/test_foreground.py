"""A command in the foreground: its exit code, its environment, and the signals that reach it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mcp_coder.cli.foreground import run_in_foreground

_RUNS = (
    "import os, sys; from mcp_coder.cli.foreground import run_in_foreground as run; "
    "sys.exit(run(sys.argv[1:], os.environ))"
)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)],
)
def test_the_exit_code_is_passed_on_as_by_a_shell(script: str, code: int) -> None:
    assert run_in_foreground(["sh", "-c", script], os.environ) == code


def test_the_environment_is_the_one_given() -> None:
    assert run_in_foreground(["/bin/sh", "-c", 'test "$A" = b && test -z "$HOME"'], {"A": "b"}) == 0


def test_a_command_that_is_not_there_raises() -> None:
    with pytest.raises(FileNotFoundError):
        run_in_foreground(["/no/such/command"], {})


def test_handlers_are_as_they_were_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_in_foreground(["true"], os.environ)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "QUIT", "USR1", "USR2"])
def test_signals_reach_the_command_which_may_answer_them(name: str) -> None:
    script = f"trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [sys.executable, "-c", _RUNS, "bash", "-c", script],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.Signals[f"SIG{name}"])
        try:
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()  # leaving it waits for its end
    assert (process.returncode, output) == (9, f"got {name}\n")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); {_RUNS}"
    script = "kill -HUP $PPID; echo alive"
    done = subprocess.run(
        [sys.executable, "-c", code, "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_ctrl_c_on_a_terminal_reaches_the_command_once(on_terminal: Callable[..., Any]) -> None:
    script = "n=0; trap 'n=$((n+1))' INT; echo ready >&2; sleep 1 & wait $!; sleep 0.5; echo $n; exit 5"
    run = on_terminal("standin", "--", "bash", "-c", script)
    run.read_until("ready")
    run.press_ctrl_c()
    assert run.finish() == (5, "1\n")
