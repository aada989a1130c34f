"""What turns cost, as the record has it: from which counter a turn's share is taken, and how it is read again.

The counting itself is the provider's (``usage``), pure; here is what it takes from the store.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import InvalidRequestError, SessionNotFoundError
from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_sessions.records import WARM, Reading

if TYPE_CHECKING:
    from mcp_coder.llm_events import Usage
    from mcp_coder.llm_providers.base import Entry, Provider, RawEvent
    from mcp_coder.llm_store.base import Store, TurnRecord, UsageRow

__all__ = ["baseline_before", "read_turn", "recompute", "usage_of_session"]


def baseline_before(
    store: Store,
    entry: Entry,
    source_id: str | None,
    *,
    newest_first: Iterator[TurnRecord] | None = None,
) -> dict[str, object]:
    """Return what is known of the agent's running counters before a turn that is about to begin.

    Args:
        store: the record.
        entry: how the turn enters its session.
        source_id: the session that it forks, if it does.
        newest_first: the turns of its session so far, where somebody reads them anyway; None: they are read here.

    Returns:
        What ``Provider.usage`` takes: ``counter``, ``contiguous``, ``forked``, ``first``, ``same_process``,
        ``earlier``.
    """
    turns = store.turns(entry.first_id, newest_first=True) if newest_first is None else newest_first
    found, contiguous, earlier = _last_counters(turns, look_back=1 if entry.warm else _LOOK_BACK)
    parent_id = None if found is not None else source_id or _parent_of(store, entry.first_id)
    forked = parent_id is not None
    while found is None and parent_id is not None:
        found, contiguous, earlier = _last_counters(
            store.turns(parent_id, newest_first=True), look_back=_LOOK_BACK
        )
        parent_id = _parent_of(store, parent_id)
    begun = found is None and not forked and entry.begin is not None
    before: dict[str, object] = {
        "counter": found,
        "contiguous": contiguous and not entry.moved,
        "forked": forked,
        "first": begun,
    }
    if entry.warm:
        return {**before, "same_process": True}
    return {**before, "earlier": earlier} if earlier else before


def _parent_of(store: Store, session_id: str) -> str | None:
    try:
        return store.session(session_id).parent_id
    except SessionNotFoundError:
        return None


def _last_counters(
    newest_first: Iterator[TurnRecord], *, look_back: int
) -> tuple[Mapping[str, object] | None, bool, list[Mapping[str, object]]]:
    """Return the counter of the last turn that has one, whether nothing was counted since, and those before it.

    An agent that was kept tells its totals at its end, over those of whoever went on in the session meanwhile: where
    one was, the next total may go on from an earlier counter than the last.
    """
    found, contiguous, kept = None, True, False
    earlier: list[Mapping[str, object]] = []
    for looked, turn in enumerate(newest_first, start=1):
        kept = kept or turn.options.get(WARM) is True
        if turn.counter is not None and found is None:
            found = turn.counter
        elif turn.counter is not None:
            earlier.append(turn.counter)
        elif found is None:
            contiguous = False  # it may have spent what a later total shows
        if found is not None and looked >= look_back:
            break
    return found, contiguous, earlier if kept else []


_LOOK_BACK = 6
"""How many turns are looked at for counters that a total may go on from."""


def read_turn(
    provider: Provider,
    events: Sequence[RawEvent],
    version: str,
    baseline: Mapping[str, object] | None,
    *,
    between: Sequence[RawEvent] = (),
) -> Reading:
    """Return what a turn's events say of what it used.

    What a kept agent did of its own accord before it (``between``) is on this turn's bill. A turn that was killed has
    none: all that it and they used is then in what a later total shows beyond its baseline.
    """
    counter = provider.counter(events)
    counted = events
    if between and counter is not None:
        counted = (*between, *events)
        counter = provider.counter(counted)
    return Reading(
        usage=provider.usage(counted, version=version, baseline=baseline),
        version=provider.reading,
        counter=counter,
        model=provider.main_model(events),
        finish=provider.finish(events),
    )


def usage_of_session(store: Store | None, session_id: str) -> UsageRow:
    """Return what the recorded turns of a session used, summed; nothing where nothing is recorded."""
    from mcp_coder.llm_store.reports import UsageRow

    nothing = Decimal(0)
    none = UsageRow(key=session_id, turns=0, cost_usd=nothing, unaccounted_turns=0, unrecorded_usd=nothing)
    if store is None:
        return none
    try:
        session = store.session(session_id)
    except SessionNotFoundError:
        return none
    names = {field.name for field in dataclasses.fields(UsageRow)} - {"key", "models"}
    return UsageRow(key=session_id, **{name: getattr(session, name) for name in names})


def recompute(store: Store) -> Iterator[tuple[str, bool]]:
    """Read every turn's raw record again, and put right what was worked out of it by an older reading.

    Yields:
        Each turn's id, and whether anything changed.

    Raises:
        StoreError: the store cannot be used.
    """
    for session in store.sessions():
        provider = _known(session.provider)
        for turn in store.turns(session.session_id):
            if turn.state != "started":
                yield turn.turn_id, provider is not None and _reread(store, provider, turn)


def _known(name: str) -> Provider | None:
    """Return the provider of this name; None for one of another version, whose sessions were imported."""
    try:
        return provider_named(name)
    except InvalidRequestError:
        return None


def _reread(store: Store, provider: Provider, turn: TurnRecord) -> bool:
    events = store.events(turn.turn_id)
    if not events:
        return False  # imported without them, or nothing was printed: there is nothing better than what stands there
    between, events = provider.own_events(events, turn.turn_id) if turn.options.get(WARM) else ((), events)
    reading = read_turn(provider, events, turn.agent_version, turn.baseline, between=between)
    if reading.version == turn.reading and reading.model == turn.model and _alike(reading.usage, turn.usage):
        return False
    store.reread_turn(turn.turn_id, reading.usage, reading=reading.version, model=reading.model)
    return True


def _alike(read: Usage, kept: Usage) -> bool:
    """Return whether both say the same: a store keeps billionths of a dollar, the agent prints a float's noise."""
    return _in_billionths(read) == _in_billionths(kept)


def _in_billionths(usage: Usage) -> Usage:
    models = [dataclasses.replace(each, cost_usd=_rounded(each.cost_usd)) for each in usage.models]
    return dataclasses.replace(
        usage,
        cost_usd=_rounded(usage.cost_usd),
        total_cost_usd=_rounded(usage.total_cost_usd),
        baseline_usd=_rounded(usage.baseline_usd),
        unrecorded_usd=_rounded(usage.unrecorded_usd),
        models=tuple(sorted(models, key=lambda each: each.model)),
    )


def _rounded(dollars: Decimal | None) -> Decimal | None:
    return None if dollars is None else round(dollars, 9)
