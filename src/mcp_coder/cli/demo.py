"""``mcp-coder demo``: sessions that go on, by each method, across both, and warm: the real program, the stand-in model.

It checks what it shows: the same session id, and an answer that only somebody who was told could give. No account, no
network, nothing of the user's own settings; the exit code says whether all was as expected.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, exit_codes, logs
from mcp_coder.cli.demo_table import DemoTurn, demo_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcp_coder.llm_sessions.pool import SessionPool
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["demo"]

_TIMEOUT = 60.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Step:
    """A turn to show: in which of the two sessions, by which method, what is asked and what must be answered.

    ``warm``: its agent is kept for the next turn.
    """

    session: str
    method: str
    asked: str
    expected: str
    warm: bool = False


_STEPS: Sequence[_Step] = (
    _Step(
        session="first", method="cli", asked="My favorite color is blue", expected="favorite color is blue"
    ),
    _Step(
        session="first", method="cli", asked="What is my favorite color?", expected="favorite color is blue"
    ),
    _Step(session="second", method="api", asked="My favorite city is Oslo", expected="favorite city is Oslo"),
    _Step(
        session="second", method="api", asked="What is my favorite city?", expected="favorite city is Oslo"
    ),
    _Step(
        session="first", method="api", asked="What is my favorite color?", expected="favorite color is blue"
    ),
    _Step(session="first", method="cli", asked="My favorite number is 7", expected="number is 7", warm=True),
    _Step(session="first", method="cli", asked="What is my favorite number?", expected="is 7", warm=True),
)


@click.command()
@logs.log_options
@click.pass_context
def demo(context: click.Context) -> None:
    """Show sessions that go on: two turns by each method, one across both, and two in an agent that is kept.

    Runs the real program offline, against a model that we play: no account is needed and nothing is spent.
    """
    from mcp_coder.testing import standin

    logs.keep_quiet_unless_asked()
    with standin() as model, _environment(model.env, model.unset):
        project = model.home / "project"
        project.mkdir()
        turns = _run_all(str(project))
    _show(turns)
    context.exit(exit_codes.OK if all(turn.as_expected for turn in turns) else exit_codes.FAILED)


@contextlib.contextmanager
def _environment(env: Mapping[str, str], unset: Sequence[str]) -> Iterator[None]:
    """Lead every agent of this process to the stand-in, for a while."""
    before = dict(os.environ)
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_all(cwd: str) -> list[DemoTurn]:
    from mcp_coder.llm_sessions.pool import SessionPool

    latest: dict[str, LLMResponseDict] = {}
    with SessionPool(max_live=1) as pool:
        return [_run(step, latest, cwd, pool) for step in _STEPS]


def _run(step: _Step, latest: dict[str, LLMResponseDict], cwd: str, pool: SessionPool) -> DemoTurn:
    """Run one turn in its session, of which ``latest`` holds the response before, and replace that."""
    from mcp_coder.llm_interface import prompt_llm
    from mcp_coder.llm_providers.claude.usage import usage_of

    previous = latest.get(step.session)
    session_id = previous["session_id"] if previous else None
    started = time.monotonic()
    response = prompt_llm(
        step.asked,
        method=step.method,
        session_id=session_id,
        timeout=_TIMEOUT,
        cwd=cwd,
        pool=pool if step.warm else None,
    )
    latest[step.session] = response
    return DemoTurn(
        method=f"{step.method}, warm" if step.warm else step.method,
        asked=step.asked,
        answered=response["text"],
        session_id=response["session_id"] or "",
        seconds=time.monotonic() - started,
        cost_usd=usage_of(response, previous).cost_usd,
        as_expected=step.expected in response["text"] and session_id in (None, response["session_id"]),
    )


def _show(turns: Sequence[DemoTurn]) -> None:
    from rich.console import Console

    console_of_rich = Console(width=120, color_system=None)
    with console_of_rich.capture() as drawn:
        console_of_rich.print(demo_table(turns))
    lines = [line.rstrip() for line in drawn.get().splitlines() if line.strip()]
    good = sum(turn.as_expected for turn in turns)
    lines.append(f"{good} of {len(turns)} turns were answered as expected.")
    console.write_answer("\n".join(lines) + "\n")
