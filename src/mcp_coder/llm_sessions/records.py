"""What is written of a turn: pure.

The facts of a turn come in (how it was begun, what it left, how it was judged), the records of the store go out. What
must not be written is taken out here, on decoded values; what the caller is handed is never touched.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mcp_coder._version import __version__
from mcp_coder.llm_errors import InterruptedTurnError, LLMError, LLMTimeoutError
from mcp_coder.llm_requests import TurnRequest
from mcp_coder.llm_store.base import NewTurn, TurnEnding
from mcp_coder.llm_store.frozen_records import Record, record

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeGuard

    from mcp_coder.llm_events import Usage
    from mcp_coder.llm_providers.base import Finish, Outcome, TurnBegun
    from mcp_coder.llm_store.redact import Redactor
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["WARM", "CleanEvents", "Reading", "ending_from", "new_turn", "request_of"]

WARM = "warm"
"""Among the options of a journal: the agent is one that is kept between turns."""
_ELSEWHERE = {"question", "provider", "method", "session_id", "session", "cwd", "model", "env"}
"""What a record has in fields of its own; of ``env`` only the names are kept."""


@record(frozen=True, kw_only=True)
class Reading(Record):
    """What was worked out of a turn's events: what it used, and where it left the session.

    Attributes:
        usage: what it used; ``version`` of the code that worked it out.
        counter: what the next turn's usage will be worked out against.
        model: the model that answered.
        finish: how far it came.
    """

    usage: Usage
    version: int
    counter: Mapping[str, object] | None
    model: str | None
    finish: Finish


def new_turn(
    begun: TurnBegun,
    *,
    started_at: datetime,
    host: str,
    project: str,
    carried: Sequence[str],
    baseline: Mapping[str, object],
    redactor: Redactor,
    redact: bool | Sequence[str] = True,
) -> NewTurn:
    """Return the journal of a turn that is about to be given to its agent.

    What the caller wants to be taken out (``redact``) is kept with it: the record may be written by somebody else.
    """
    request, entry = begun.request, begun.entry
    prompt, in_prompt = redactor.text(request.question)
    options, in_options = redactor.value({**_options(request), **({WARM: True} if begun.kept else {})})
    if redact is not True:
        options = {**cast("Mapping[str, object]", options), "redact": _kept_choice(redact, redactor)}
    return NewTurn(
        turn_id=begun.turn_id,
        session_id=entry.first_id,
        provider=request.provider,
        method=request.method,
        prompt=prompt,
        started_at=started_at,
        session_name=None if entry.fork else request.session,
        native_id=entry.native_id,
        cwd=entry.cwd,
        project=project,
        config_dir=begun.agent.config_dir,
        parent_id=begun.source_id,
        parent_point=entry.resume_at if entry.fork else None,
        model=request.model,
        agent_version=begun.agent.version,
        mcp_coder_version=__version__,
        host=host,
        directory=begun.files.directory,
        options=cast("Mapping[str, object]", options),
        carried=tuple(carried),
        baseline=baseline,
        redactions=in_prompt + in_options,
    )


def _kept_choice(redact: bool | Sequence[str], redactor: Redactor) -> object:
    """Return what is to be taken out as it may be written: not a pattern that spells a secret out."""
    return (
        [each for each in redact if not redactor.text(each)[1]]
        if isinstance(redact, (list, tuple))
        else redact
    )


def _options(request: TurnRequest) -> dict[str, object]:
    given = {
        field.name: getattr(request, field.name)
        for field in dataclasses.fields(request)
        if field.name not in _ELSEWHERE and getattr(request, field.name) != field.default
    }
    kept = {
        name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value
    }
    return {**kept, "env": sorted(request.env)} if request.env else kept


def request_of(prompt: str, options: Mapping[str, object]) -> TurnRequest:
    """Return as much of a turn's request as judging it takes, from what its journal kept."""
    schema, servers = options.get("json_schema"), options.get("require_mcp")
    return TurnRequest(
        question=prompt,
        json_schema=schema if isinstance(schema, Mapping) else None,
        require_mcp=tuple(map(str, servers)) if isinstance(servers, list) else (),
        on_denial=str(options.get("on_denial", "record")),
    )


class CleanEvents:
    """What an agent told in a turn, without what must not be written: each event cleaned once, as early as it is there.

    Example::

        clean = CleanEvents(redactor)
        clean.take(events)  # while there is time
        written, found = clean.all_of([*events, *later])
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._done: dict[int, tuple[Mapping[str, object], Mapping[str, object], int]] = {}
        """By the identity of an event, which it keeps alive: it, the same clean, and how much was taken out."""
        self._taken: dict[int, int] = {}
        """How many were taken of each list that grows, by its place."""

    def take(self, *growing: Sequence[Mapping[str, object]]) -> None:
        """Clean those that are new in lists that grow; the same lists each time."""
        for place, events in enumerate(growing):
            new = events[self._taken.get(place, 0) :]
            self.all_of(new)
            self._taken[place] = self._taken.get(place, 0) + len(new)

    def all_of(self, events: Sequence[Mapping[str, object]]) -> tuple[list[Mapping[str, object]], int]:
        """Return these events clean, and how much was taken out of them."""
        done = [self._done.get(id(event)) or self._cleaned(event) for event in events]
        return [clean for _, clean, _ in done], sum(found for _, _, found in done)

    def response(self, raw: Mapping[str, object]) -> tuple[dict[str, object], int]:
        """Return a raw response clean, and how much was taken out; messages in it may have been taken before."""
        lists = {name: self.all_of(value) for name, value in raw.items() if _are_mappings(value)}
        rest, found = self._redactor.value({name: None if name in lists else raw[name] for name in raw})
        clean = {
            new: lists[name][0] if name in lists else value
            for name, (new, value) in zip(raw, rest.items(), strict=True)
        }
        return clean, found + sum(each for _, each in lists.values())

    def _cleaned(self, event: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object], int]:
        done = self._done[id(event)] = (event, *self._redactor.value(event))
        return done


def _are_mappings(value: object) -> TypeGuard[list[Mapping[str, object]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def ending_from(
    outcome: Outcome,
    *,
    ended_at: datetime,
    response: LLMResponseDict | None,
    error: LLMError | None,
    notices: Sequence[str],
    reading: Reading,
    redactor: Redactor,
    clean_events: CleanEvents | None = None,
) -> TurnEnding:
    """Return how a turn ended, without what must not be written; ``clean_events`` has what was done of that already."""
    answer = cast("LLMResponseDict | None", response or (error.response if error is not None else None))
    clean_events = clean_events or CleanEvents(redactor)
    events, in_events = clean_events.all_of([*outcome.between, *outcome.events])
    raw, in_raw = _clean_response(answer, outcome, clean_events) if answer else ({}, 0)
    kept = {
        "answer": {**answer, "raw_response": None} if answer else None,
        "error": None if error is None else _error(error),
        "notices": list(notices),
    }
    clean, redactions = redactor.value(kept)
    written = cast("dict[str, object]", clean)
    stored = cast("LLMResponseDict | None", written["answer"])
    if stored is not None:
        stored = {**stored, "raw_response": raw}
    return TurnEnding(
        state=_state(error),
        ended_at=ended_at,
        text="" if stored is None else stored["text"],
        response=stored,
        error=cast("Mapping[str, object] | None", written["error"]),
        events=events,
        usage=reading.usage,
        reading=reading.version,
        model=reading.model,
        native_id=reading.finish.native_id,
        point=reading.finish.point if reading.finish.answered else None,
        counter=reading.counter,
        notices=tuple(cast("list[str]", written["notices"])),
        redactions=redactions + in_events + in_raw,
    )


def _clean_response(
    answer: LLMResponseDict, outcome: Outcome, clean_events: CleanEvents
) -> tuple[dict[str, object], int]:
    """Return an answer's raw response clean; where it is one of the events, that was cleaned already."""
    raw = answer["raw_response"]
    event = next((event for event in reversed(outcome.events) if event == raw), None)
    if event is None:
        return clean_events.response(raw)
    (clean,), found = clean_events.all_of([event])
    return dict(clean), found


def _state(error: LLMError | None) -> str:
    if error is None:
        return "succeeded"
    return "interrupted" if isinstance(error, (InterruptedTurnError, LLMTimeoutError)) else "failed"


def _error(error: LLMError) -> dict[str, object]:
    found = {
        name: getattr(error, name, None) for name in ("status", "kind", "limit", "resets_at", "returncode")
    }
    told = {name: value for name, value in found.items() if value is not None}
    return {"class": type(error).__name__, "message": error.message, "retryable": error.retryable, **told}
