"""The log appears on standard error when it is asked for, and never by itself."""

import subprocess
import sys

import pytest

_PROGRAM = """
import logging, sys
from mcp_coder.cli import logs
import click

@click.group()
@logs.log_options
def group(): pass

@group.command()
@logs.log_options
def command():
    logs.keep_quiet_unless_asked()
    logger = logging.getLogger("mcp_coder.inner")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logger.log(level, "at %s", level)
    logging.getLogger("other").info("other")
    print(logs.is_enabled(), logs.is_debugging())

group()
"""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, timeout=30, check=True
    )


@pytest.mark.parametrize(
    ("arguments", "shown", "state"),
    [
        (["command"], [], "False False"),
        (["command", "-v"], ["at 20", "at 30"], "True False"),
        (["-v", "command"], ["at 20", "at 30"], "True False"),
        (["--verbose", "command"], ["at 20", "at 30"], "True False"),
        (["command", "--debug"], ["at 10", "at 20", "at 30"], "True True"),
        (["--debug", "command", "-v"], ["at 10", "at 20", "at 30"], "True True"),
        (["-v", "command", "--debug"], ["at 10", "at 20", "at 30"], "True True"),
    ],
    ids=" ".join,
)
def test_what_is_logged_where(arguments: list[str], shown: list[str], state: str) -> None:
    done = run(*arguments)
    assert [line.partition("mcp_coder.inner: ")[2] for line in done.stderr.splitlines()] == shown
    assert done.stdout.strip() == state


def test_logging_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys; from mcp_coder.cli import logs; sys.exit('logging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
