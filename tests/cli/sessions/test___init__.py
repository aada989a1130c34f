"""The group of commands."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.commands import RunCommand

from mcp_coder.cli.sessions import sessions


def test_without_a_command_it_shows_them(command: RunCommand) -> None:
    done = command("sessions")
    assert (done.code, done.err) == (0, "")
    assert done.out == command("sessions", "--help").out
    assert all(f"  {name}" in done.out for name in sessions.commands)


def test_a_command_is_imported_when_it_is_called_and_not_before() -> None:
    code = (
        "import sys\n"
        "from mcp_coder.cli.main import cli\n"
        "print(sorted(name for name in sys.modules if name.startswith('mcp_coder.cli.sessions')))\n"
        "cli.commands['sessions'].commands['list']\n"
        "print(sorted(name for name in sys.modules if name.startswith('mcp_coder.cli.sessions')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['mcp_coder.cli.sessions', 'mcp_coder.cli.sessions.listing']"]


def test_a_mistyped_command_is_one_line(command: RunCommand) -> None:
    done = command("sessions", "lst")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "'list'" in done.err
