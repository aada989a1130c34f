"""What a store says of what it holds: hits of a search, sums of what was used, the findings of a check.

Plain records; nothing here does I/O. ``base`` has their names too, and is where they are meant to be taken from.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

__all__ = ["SearchHit", "StoreReport", "UsageBy", "UsageReport", "UsageRow"]

UsageBy = Literal["day", "week", "month", "session", "model", "project"]
"""What a sum is made for. A week begins on Monday."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class SearchHit:
    """A turn that holds the words: ``snippet`` shows them, each between ``\\x02`` and ``\\x03``."""

    session_id: str
    turn_id: str
    number: int
    started_at: datetime
    snippet: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UsageRow:
    """What was used, summed over the turns of one key.

    Attributes:
        key: the day, week or month by its first day (``2026-01-31``, ``2026-01``), the session's id, the model or
            the project; empty where the turns have none.
        turns: how many; in a sum by model, those in which it had a part.
        cost_usd: the sum of what is known; each dollar is counted once, whatever was forked from what.
        unaccounted_turns: how many ended turns have no known cost.
        unrecorded_usd: see ``SessionRecord``; None in a sum by model, where it cannot be told.
        models: the same for each model, where it was asked for.
    """

    key: str
    turns: int
    cost_usd: Decimal
    unaccounted_turns: int
    unrecorded_usd: Decimal | None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    models: tuple[UsageRow, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class UsageReport:
    """Rows in the order of their keys (time) or of cost, the highest first (the others), and their total."""

    rows: tuple[UsageRow, ...]
    total: UsageRow


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class StoreReport:
    """What a check of a store found.

    Attributes:
        problems: a sentence each; empty: it is sound.
        notes: what its user should know, a sentence each (its size, a network file system).
        size_bytes: on disk; 0 where it has none.
        sessions, turns: how many.
        unfinished: how many turns are ``started``.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    size_bytes: int
    sessions: int
    turns: int
    unfinished: int
