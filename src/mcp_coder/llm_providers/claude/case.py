"""A turn to be judged, and what can be read from it without judging: what was said, which status, which signal.

In come what was asked, what the turn left behind and its ``result``; out come texts and numbers. Pure.
"""

from __future__ import annotations

import dataclasses
import json
import re

from mcp_coder.llm_providers.base import Outcome, RawEvent
from mcp_coder.llm_providers.claude.fields import (
    blocks_in,
    is_main_thread,
    list_in,
    mapping_in,
    number_in,
    text_in,
)
from mcp_coder.llm_requests import TurnRequest

__all__ = [
    "Case",
    "kind_of",
    "resets_at",
    "retrying_after",
    "said",
    "says_interrupted",
    "signal_of",
    "status_of",
    "words",
]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is judged.

    Attributes:
        request: what was asked.
        outcome: what the turn left behind.
        result: the ``result`` that answers the prompt; None where there is none.
    """

    request: TurnRequest
    outcome: Outcome
    result: RawEvent | None

    @property
    def raw(self) -> object:
        """What an error keeps as ``raw``: the result, else all that was printed, as text."""
        if self.result is not None:
            return self.result
        events = (json.dumps(event, ensure_ascii=False) for event in self.outcome.events)
        return "\n".join((*events, *self.outcome.unread, self.outcome.stderr)).strip()

    def of_result(self) -> RawEvent:
        """Return the result, or an empty event."""
        return self.result if self.result is not None else {}


def words(case: Case) -> str:
    """Return what the program said about a failure: in its result, else on stderr, else where there is any text."""
    result = case.of_result()
    errors = [text for text in list_in(result, "errors") if isinstance(text, str)]
    told = "\n".join(text for text in errors if not text.startswith("[ede_diagnostic]"))
    # A cut event is left out: it may hold any part of the conversation.
    lines = [line for line in case.outcome.unread if not line.lstrip().startswith(("{", "["))]
    sources = (text_in(result, "result"), told, case.outcome.stderr, *lines)
    return next((text for text in sources if text.strip()), "")


def said(case: Case) -> str:
    """Return what the program said about a failure, in one line of bearable length."""
    line = " ".join(words(case).split()).rstrip(".")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


_LONGEST = 240


def status_of(case: Case) -> int | None:
    """Return the HTTP status behind the failure: as the program reported it, else as its text has it."""
    for event in (case.of_result(), _last_failed_message(case)):
        reported = number_in(event, "api_error_status")
        if reported is not None:
            return int(reported)
    found = _STATUS.search(words(case))
    return int(found.group(1) or found.group(2)) if found else None


_STATUS = re.compile(r"(?:API Error:?|HTTP|Repeated|status(?: code)?)[\s:(]*([45]\d\d)\b|\(([45]\d\d)\)")


def retrying_after(case: Case) -> str:
    """Return the trouble with the model's service that the program was in at the end, such as ``"HTTP 529"``."""
    last = next((event for event in reversed(case.outcome.events) if _tells_of_service(event)), {})
    if text_in(last, "subtype") != "api_retry":
        return ""
    status = number_in(last, "error_status")
    return text_in(last, "error") or "an error" if status is None else f"HTTP {int(status)}"


def _tells_of_service(event: RawEvent) -> bool:
    return event.get("type") == "assistant" or event.get("subtype") == "api_retry"


def resets_at(case: Case) -> float | None:
    """Return when the limit ends, in Unix time: the last that the program reported, else from its text."""
    infos = [mapping_in(event, "rate_limit_info") for event in case.outcome.events]
    reported = [number for info in infos if (number := number_in(info, "resetsAt")) is not None]
    if reported:
        return float(reported[-1])
    found = _EPOCH.search(words(case))
    return float(found.group(1)) if found else None


_EPOCH = re.compile(r"(?:\||resets? at:? )(\d{10})\b", re.IGNORECASE)


def signal_of(case: Case) -> str | None:
    """Return the name of the signal by which somebody ended the program, if the exit code shows one."""
    code = case.outcome.exit_code or 0
    return _SIGNALS.get(-code if code < 0 else code - 128)


# Those that are sent to stop a program; one that crashed (SIGSEGV, SIGABRT, ...) failed by itself.
_SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 9: "SIGKILL", 15: "SIGTERM"}


def says_interrupted(case: Case) -> bool:
    """Return whether the last thing that the program told the model is that somebody interrupted it."""
    users = [event for event in case.outcome.events if event.get("type") == "user" and is_main_thread(event)]
    blocks = blocks_in(users[-1]) if users else ()
    return any(text_in(block, "text").startswith("[Request interrupted by user") for block in blocks)


def kind_of(case: Case) -> str:
    """Return the program's own word for the failure, such as ``"rate_limit"``; empty where it has none."""
    return text_in(_last_failed_message(case), "error")


def _last_failed_message(case: Case) -> RawEvent:
    """Return the message in which the program reported a failure, in its own words; it is no model's."""
    found = [event for event in case.outcome.events if event.get("type") == "assistant" and "error" in event]
    return found[-1] if found and is_main_thread(found[-1]) else {}
