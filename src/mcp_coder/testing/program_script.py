"""What the program that poses as ``claude`` does in one call, as frozen records.

In come a few words of a test, out comes a script, and its JSON form, which the program reads when it is started.
Pure: no program is started here.

Texts and events may hold ``{{session_id}}``, ``{{prompt}}``, ``{{resume}}`` (the id in ``--resume``), ``{{uuid}}`` (new
each time), ``{{pid}}``, ``{{cwd}}``, ``{{model}}``, ``{{version}}``, ``{{turn}}`` and ``{{call}}`` (both from 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn as the real program plays it: wait for a prompt, print an init, an assistant and a result event.

    ``result`` is merged over the result event, ``init`` over the init event, ``without`` names keys of the result event
    that are left out. ``before`` are lines printed between the assistant's and the result. ``delay`` are seconds of
    silence before the answer. The booleans leave parts out; ``session_id`` gives this turn's events another session.
    """

    text: str = "You said: {{prompt}}"
    cost: float = 0.01
    input_tokens: int = 1000
    output_tokens: int = 10
    result: Mapping[str, Any] = field(default_factory=dict)
    init: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    before: tuple[Mapping[str, Any] | str, ...] = ()
    delay: float = 0.0
    session_id: str | None = None
    waits_for_prompt: bool = True
    prints_init: bool = True
    prints_assistant: bool = True
    prints_result: bool = True


@dataclass(frozen=True, kw_only=True)
class WaitForPrompt:
    """Wait for a user's message on stdin and print nothing; the end of stdin counts too."""


@dataclass(frozen=True, kw_only=True)
class WaitForEof:
    """Wait until stdin is closed; prompts that come meanwhile are not answered."""


@dataclass(frozen=True)
class Print:
    """Print one line: a mapping as JSON, a text as it is."""

    line: Mapping[str, Any] | str


@dataclass(frozen=True)
class PrintBytes:
    """Print bytes as they are, without a line feed."""

    data: bytes


@dataclass(frozen=True)
class Stderr:
    """Write a text to stderr, as it is."""

    text: str


@dataclass(frozen=True)
class Sleep:
    """Do nothing for some seconds, or until the turn under way is interrupted."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Hang:
    """Do nothing for ever, or until the turn under way is interrupted; after a result, nothing but a signal helps."""


@dataclass(frozen=True)
class Exit:
    """Exit at once with a code."""

    code: int = 0


@dataclass(frozen=True)
class Die:
    """Die by a signal, such as ``"SIGKILL"``."""

    signal: str = "SIGKILL"


@dataclass(frozen=True, kw_only=True)
class LeaveChild:
    """Start a process that outlives the program: it sleeps ``seconds``.

    ``holds_output``: it keeps stdout and stderr open. ``own_group``: in a process group of its own, as tools are.
    ``stubborn``: it ignores SIGINT, SIGTERM and SIGHUP. :class:`.FakeClaude` ends it when it is closed.
    """

    seconds: float = 300.0
    holds_output: bool = True
    own_group: bool = True
    stubborn: bool = False


Step: TypeAlias = (
    Turn | WaitForPrompt | WaitForEof | Print | PrintBytes | Stderr | Sleep | Hang | Exit | Die | LeaveChild
)


@dataclass(frozen=True, kw_only=True)
class Script:
    """What one call does. After the last step the program serves further prompts until stdin ends, then exits.

    An interrupt on stdin, or SIGINT, ends the turn under way with an aborted result, and what follows up to the next
    turn is skipped; a turn begins with a prompt (:class:`Turn`, :class:`WaitForPrompt`) and ends with a result.

    ``session``: ``"asked"`` is the id in ``--session-id`` or ``--resume``; ``"new_on_resume"`` another at each
    resume, as old programs do; ``"new"`` always another; any other text is the id. ``counter``: whether cost and
    tokens are totals of the session (``"cumulative"``) or of the process (``"per_process"``). ``output``: ``"asked"``
    follows ``--output-format`` and ``--verbose``; ``"lines"``, ``"array"``, ``"object"`` (the last event, indented)
    are forced. ``cut_at``: stdout ends after so many bytes, and the program exits 0. ``ignores``: signals by name.
    ``reads_stdin`` False: stdin is never read, so no prompt is waited for. ``obeys_interrupt`` False: an interrupt on
    stdin is acknowledged and nothing happens.
    """

    steps: tuple[Step, ...] = (Turn(),)
    session: Literal["asked", "new", "new_on_resume"] | str = "asked"
    counter: Literal["cumulative", "per_process"] = "cumulative"
    output: Literal["asked", "lines", "array", "object"] = "asked"
    cut_at: int | None = None
    ignores: tuple[str, ...] = ()
    reads_stdin: bool = True
    obeys_interrupt: bool = True


def script_as_json(script: Script) -> dict[str, Any]:
    """Return the plain form of a script that the program reads."""
    return {**asdict(script), "steps": [_step_as_json(step) for step in script.steps]}


def _step_as_json(step: Step) -> dict[str, Any]:
    if isinstance(step, PrintBytes):
        return {"do": "PrintBytes", "data": step.data.decode("latin-1")}
    return {"do": type(step).__name__, **asdict(step)}
