"""``mcp-coder standin``: the stand-in model, for one command or until it is stopped.

It serves on loopback, in a private home that is gone afterwards; nothing of the user's own settings is read or changed.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, exit_codes, logs
from mcp_coder.cli.foreground import CANNOT_EXECUTE, NOT_FOUND, run_in_foreground
from mcp_coder.cli.signals import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcp_coder.testing import Rule, StandIn

__all__ = ["environment_script", "standin"]


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--script",
    type=click.Path(exists=True, dir_okay=False),
    help="A JSON file of rules for the model's answers.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port on 127.0.0.1; else a free one."
)
@logs.log_options
@click.pass_context
def standin(context: click.Context, command: Sequence[str], script: str | None, port: int) -> None:
    """Run COMMAND offline, against a model that we play; its exit code is passed on.

    Without COMMAND: print the environment to set, and serve until stopped.

    \b
    mcp-coder standin -- mcp-coder prompt "My favorite color is blue"
    eval "$(mcp-coder standin &)"; ...; kill "$MCP_CODER_STANDIN_PID"
    """
    with _served(script, port) as model:
        context.exit(_run(command, model) if command else _serve(model))


@contextlib.contextmanager
def _served(script: str | None, port: int) -> Iterator[StandIn]:
    from mcp_coder import testing

    with contextlib.ExitStack() as stack:
        try:
            model = stack.enter_context(testing.standin(rules=_rules(script), port=port))
        except OSError as exc:
            raise click.UsageError(f"cannot serve on port {port}: {exc.strerror or exc}") from exc
        yield model


def _rules(script: str | None) -> Sequence[Rule]:
    from mcp_coder.testing import load_rules

    if script is None:
        return ()
    try:
        return tuple(load_rules(Path(script)))
    except ValueError as exc:
        raise click.UsageError(f"{script}: {exc}") from exc


def _run(command: Sequence[str], model: StandIn) -> int:
    try:
        return run_in_foreground(command, model.environ())
    except FileNotFoundError:
        console.say(f"mcp-coder: there is no command {command[0]!r}")
        return NOT_FOUND
    except OSError as exc:
        console.say(f"mcp-coder: cannot run {command[0]!r}: {exc.strerror or exc}")
        return CANNOT_EXECUTE


def _serve(model: StandIn) -> int:
    """Print the environment and serve until stopped."""
    env = {**model.env, "MCP_CODER_STANDIN_PID": str(os.getpid())}
    try:
        console.write_answer(environment_script(env, model.unset))
        console.say(
            f"serving on {model.server.url} until stopped (Ctrl-C); set the lines above in another shell"
        )
        console.close_output()  # so that eval "$(mcp-coder standin &)" goes on
        threading.Event().wait()
    except Stopped as stop:
        if stop.number not in (signal.SIGINT, signal.SIGTERM):
            raise
    return exit_codes.OK


def environment_script(env: Mapping[str, str], unset: Sequence[str]) -> str:
    """Return lines for a POSIX shell that set the environment.

    >>> print(environment_script({"HOME": "/tmp/a b"}, ["CLAUDECODE"]), end="")
    unset CLAUDECODE
    export HOME='/tmp/a b'
    """
    lines = [f"unset {name}" for name in unset]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in env.items()]
    return "".join(line + "\n" for line in lines)
