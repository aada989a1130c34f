"""What a stored response says of what its turn used, against what the store knows of the turns before it.

Counters come in, a ``Reading`` goes out; what cannot be known is None. Whether anything happened between two stored
responses is never known: where the agent printed only totals, what they grew by is kept as unrecorded, and not guessed
to be this turn's. Nothing is written here.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mcp_coder.llm_events import Usage
from mcp_coder.llm_providers import PROVIDERS, provider_named
from mcp_coder.llm_providers.base import Entry, Finish
from mcp_coder.llm_providers.claude.fields import mapping_in, number_in
from mcp_coder.llm_sessions.ledger import baseline_before, read_turn
from mcp_coder.llm_sessions.records import Reading

if TYPE_CHECKING:
    from mcp_coder.llm_sessions.stored_responses import StoredAnswer
    from mcp_coder.llm_store.base import Store

__all__ = ["reading_of"]

_NOTHING = Reading(usage=Usage(), version=0, counter=None, model=None, finish=Finish())


def reading_of(store: Store, answer: StoredAnswer, *, late: bool) -> Reading:
    """Return what is to be recorded of the usage of a stored response.

    Args:
        store: the turns before it.
        answer: the response.
        late: it comes behind turns that are younger, so that nothing is known of the counters before it.
    """
    if answer.provider not in PROVIDERS:
        return _NOTHING
    entry = Entry(first_id=answer.session_id, resume=answer.session_id, cwd="")
    known = {} if late else {**baseline_before(store, entry, None), "contiguous": False}
    reading = read_turn(provider_named(answer.provider), answer.events, answer.version, known)
    open_end = _may_have_gone_on(answer)
    usage = reading.usage
    if late or open_end:
        cost = None if open_end else usage.cost_usd
        usage = dataclasses.replace(usage, cost_usd=cost, baseline_usd=None, unrecorded_usd=None)
    return dataclasses.replace(reading, usage=usage)


def _may_have_gone_on(answer: StoredAnswer) -> bool:
    """Return whether the agent may have gone on behind its answer, with sub-agents, of which no result tells."""
    result = answer.events[-1] if answer.events and answer.method != "api" else {}
    answers_one = mapping_in(result, "origin").get("kind") == "task-notification"
    return not answers_one and bool(number_in(mapping_in(result, "subagent_stats"), "started_in_background"))
