"""Commands that are imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from mcp_coder.cli.lazy_commands import LazyCommands


def test_a_command_is_imported_when_asked_for_and_not_before() -> None:
    code = (
        "import sys\n"
        "from mcp_coder.cli.lazy_commands import LazyCommands\n"
        "commands = LazyCommands({'verify': 'mcp_coder.cli.verify:verify', 'gone': 'no.such.module:x'})\n"
        "found = lambda: 'mcp_coder.cli.verify' in sys.modules\n"
        "print(found(), list(commands), len(commands), 'verify' in commands, 'x' in commands, found())\n"
        "print(commands['verify'].name, found(), commands.get('x'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False ['verify', 'gone'] 2 True False False", "verify True None"]


def test_a_command_is_the_same_each_time_and_can_be_put_in_and_taken_out() -> None:
    commands = LazyCommands({"verify": "mcp_coder.cli.verify:verify"})
    assert commands["verify"] is commands["verify"]
    commands["own"] = own = click.Command("own")
    assert list(commands.values()) == [commands["verify"], own]
    del commands["verify"]
    assert list(commands) == ["own"]
    with pytest.raises(KeyError):
        commands["verify"]
