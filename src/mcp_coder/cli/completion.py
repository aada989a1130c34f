"""``mcp-coder completion``: prints the script that makes a shell complete our commands and options."""

from __future__ import annotations

import os

import click

from mcp_coder.cli import console, logs

__all__ = ["COMPLETE_VARIABLE", "completion"]

COMPLETE_VARIABLE = "_MCP_CODER_COMPLETE"
"""The variable by which the script asks us for completions."""

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@logs.log_options
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script for tab completion; SHELL is by default the one you use.

    For bash: mcp-coder completion bash > ~/.local/share/bash-completion/completions/mcp-coder
    """
    from click.shell_completion import get_completion_class

    name = shell or _own_shell()
    maker = get_completion_class(name)
    if maker is None:
        raise click.UsageError(f"there is no completion for {name!r}; write one of {', '.join(_SHELLS)}")
    group = context.find_root().command
    console.write_answer(maker(group, {}, "mcp-coder", COMPLETE_VARIABLE).source())


def _own_shell() -> str:
    return os.path.basename(os.environ.get("SHELL", "")) or "bash"
