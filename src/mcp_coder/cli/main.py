"""The way in: the group of commands, and ``main``, which runs one and turns its end into an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from mcp_coder._version import __version__
from mcp_coder.cli import console, exit_codes, logs
from mcp_coder.cli.completion import COMPLETE_VARIABLE
from mcp_coder.cli.lazy_commands import LazyCommands
from mcp_coder.cli.signals import stopped_by_signals

__all__ = ["cli", "main", "run"]

_PROGRAM = "mcp-coder"
_COMMANDS = {
    "prompt": "mcp_coder.cli.prompt:prompt",
    "sessions": "mcp_coder.cli.sessions:sessions",
    "usage": "mcp_coder.cli.usage:usage",
    "verify": "mcp_coder.cli.verify:verify",
    "demo": "mcp_coder.cli.demo:demo",
    "standin": "mcp_coder.cli.standin:standin",
    "completion": "mcp_coder.cli.completion:completion",
}
"""The commands and where they are, each imported when it is asked for. To add a command, add its row."""
_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(
    f"  {code:>3}  {meaning}" for code, meaning in exit_codes.MEANINGS.items()
)


@click.group(
    _PROGRAM,
    commands=LazyCommands(_COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXIT_CODES,
)
@click.version_option(__version__, prog_name=_PROGRAM)
@logs.log_options
def cli() -> None:
    """Durable sessions for coding agents: prompt one, and go on with it.

    Answers go to standard output, everything else to standard error.
    """


def main() -> NoReturn:
    """Run the command line of this process."""
    code = run(sys.argv[1:])
    # The interpreter's end would search all that was ever loaded for cycles: a tenth of a short command's time.
    gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; whatever happens, no agent that it started is left.

    Example::

        run(["prompt", "My favorite color is blue"])
    """
    console.prepare()
    with stopped_by_signals():
        try:
            return _invoke(list(arguments) or ["--help"])
        except SystemExit:
            raise
        except BaseException as error:  # noqa: BLE001 - the outermost place: everything becomes a line and a code
            _end_agents()
            from mcp_coder.cli import failures  # a command that succeeds does not wait for them

            return failures.report(
                error,
                output_format=failures.output_format_in(arguments),
                debug=logs.is_debugging(),
            )


def _invoke(arguments: list[str]) -> int:
    if os.environ.get(COMPLETE_VARIABLE):
        cli.main(arguments, prog_name=_PROGRAM)  # exits
    try:
        # Not cli.main(): it has words and exit codes of its own for failures and Ctrl-C.
        with cli.make_context(_PROGRAM, arguments) as context:
            cli.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    return exit_codes.OK


def _end_agents() -> None:
    """End what a command that failed may have left running in other threads."""
    stopping = sys.modules.get("mcp_coder.llm_providers.stopping")
    if stopping is not None:
        stopping.stop_all()
