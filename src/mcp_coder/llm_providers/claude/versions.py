"""Which version of Claude Code has what: whether a program found here can be driven, and what it lacks.

A version as the program prints it comes in, a yes or no (or a sentence) goes out. Nothing here does I/O.

The numbers were found by looking into the published programs: 1.0.109 is the first with every argument that a turn
always has (``--session-id`` came with 1.0.53 at the latest, ``--include-partial-messages`` last). 1.0.109 and 1.0.120
answer every ``--resume`` under a new id; 1.0.128 and 2.0.0 keep the id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp_coder.llm_requests import TurnRequest

__all__ = ["MINIMUM_VERSION", "lacking", "too_old"]

MINIMUM_VERSION = (1, 0, 109)
"""The oldest Claude Code that can be driven."""

_Version = tuple[int, ...]

_VERSION = re.compile(r"\s*(\d+)\.(\d+)\.(\d+)")

# Option -> the first version known to have what it needs, and whether a request asks for it.
_SINCE: Mapping[str, tuple[_Version, Callable[[TurnRequest], bool]]] = {
    'after_failure="drop"': ((1, 0, 128), lambda request: request.after_failure == "drop"),
    "max_budget_usd": ((2, 0, 28), lambda request: request.max_budget_usd is not None),
    "append_system_prompt": ((2, 0, 45), lambda request: request.append_system_prompt is not None),
    "json_schema": ((2, 0, 45), lambda request: request.json_schema is not None),
    # --fork-session is older, but only from here on it goes together with --session-id.
    "a fork": ((2, 0, 73), lambda request: request.fork or request.on_busy == "fork"),
}


def too_old(version: str) -> bool:
    """Return whether this version cannot be driven at all; an unknown one (``""``) is given a try.

    Example::

        too_old("1.0.60"), too_old("2.1.330"), too_old("")  # True, False, False
    """
    numbers = _numbers(version)
    return numbers is not None and numbers < MINIMUM_VERSION


def lacking(request: TurnRequest, version: str) -> str | None:
    """Say which option of the request this version does not have yet, or return None.

    Example::

        lacking(new_request("Hi", max_budget_usd=1), "2.0.0")  # "max_budget_usd needs Claude Code 2.0.28 or newer"
    """
    numbers = _numbers(version)
    for option, (since, asks_for) in _SINCE.items():
        if numbers is not None and numbers < since and asks_for(request):
            return f"{option} needs Claude Code {'.'.join(map(str, since))} or newer"
    return None


def _numbers(version: str) -> _Version | None:
    found = _VERSION.match(version)
    return tuple(map(int, found.groups())) if found else None
