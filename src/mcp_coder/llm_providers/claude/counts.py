"""Tokens and dollars: read from one counter of the program's, added up, differenced, rounded.

Counters as the program prints them come in, plain counts go out. Dollars are decimals of what was printed. Junk in a
counter is nothing: zero tokens, unknown dollars. Nothing here does I/O or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from operator import add, sub
from typing import NamedTuple

from mcp_coder.llm_providers.claude.fields import mapping_in, number_in

__all__ = [
    "NOISE",
    "Count",
    "Models",
    "Tokens",
    "as_printed",
    "by_model",
    "dollars_in",
    "grown",
    "larger",
    "of_model",
    "of_models",
    "of_usage",
    "rounded",
    "summed",
    "tokens_in",
]


class Tokens(NamedTuple):
    """Tokens sent, written, read from the cache and written to it: none is in two of these."""

    sent: int = 0
    written: int = 0
    cache_read: int = 0
    cache_written: int = 0


class Count(NamedTuple):
    """Tokens and dollars of a model, or of several together.

    ``thinking`` is the part of the tokens written that was thinking. None: it was not said.
    """

    tokens: Tokens = Tokens()
    thinking: int | None = None
    dollars: Decimal | None = None


Models = Mapping[str, Count]
"""What was counted, by model."""

NOISE = Decimal("1e-9")
"""Dollars are given out and compared in steps of this. The program prints sums of binary fractions, which are off by
far less; no token costs less."""

_MOST_TOKENS, _MOST_DOLLARS = 10**15, 10**9
"""Far beyond what anybody can use: what is more is junk."""


# --- reading


def tokens_in(counters: Mapping[str, object], key: str) -> int:
    """Return the count under ``key``; zero where there is none."""
    found = number_in(counters, key)
    return int(found) if found is not None and 0 <= found <= _MOST_TOKENS else 0


def dollars_in(counters: Mapping[str, object], key: str) -> Decimal | None:
    """Return dollars exactly as they were printed: the shortest decimal of the number, not its binary value."""
    found = number_in(counters, key)
    return Decimal(str(abs(found))) if found is not None and 0 <= found <= _MOST_DOLLARS else None  # -0.0


_USAGE_KEYS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_MODEL_KEYS = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")


def of_usage(usage: Mapping[str, object]) -> Count:
    """Return the tokens of a ``usage`` object, the program's or the model's."""
    details = mapping_in(usage, "output_tokens_details")
    return Count(_tokens(usage, _USAGE_KEYS), thinking=_thinking(details, "thinking_tokens"))


def of_model(counters: Mapping[str, object]) -> Count:
    """Return the tokens and dollars of one model among a result's models."""
    return Count(
        _tokens(counters, _MODEL_KEYS),
        thinking=_thinking(counters, "thinkingTokens"),
        dollars=dollars_in(counters, "costUSD"),
    )


def _tokens(counters: Mapping[str, object], keys: Iterable[str]) -> Tokens:
    return Tokens._make(tokens_in(counters, key) for key in keys)


def _thinking(counters: Mapping[str, object], key: str) -> int | None:
    return None if number_in(counters, key) is None else tokens_in(counters, key)


def of_models(models: Mapping[str, object]) -> Models:
    """Return the tokens and dollars of a result's models."""
    return {name: of_model(mapping_in(models, name)) for name in models}


def as_printed(models: Models) -> dict[str, object]:
    """Return models as plain JSON that ``of_models`` reads; zero tokens are left out."""
    return {name: _as_printed(count) for name, count in models.items()}


def _as_printed(count: Count) -> dict[str, object]:
    tokens = zip((*_MODEL_KEYS, "thinkingTokens"), (*count.tokens, count.thinking), strict=True)
    dollars = {} if count.dollars is None else {"costUSD": float(count.dollars)}
    return {**{key: number for key, number in tokens if number}, **dollars}


# --- counting


def summed(counts: Iterable[Count]) -> Count:
    """Return all together. Thinking is summed where it is said; dollars are unknown as soon as some are."""
    total = Count(dollars=Decimal(0))
    for count in counts:
        total = _together(total, count)
    return total


def by_model(counts: Iterable[tuple[str, Count]]) -> Models:
    """Return what was counted under each name together."""
    found: dict[str, Count] = {}
    for name, count in counts:
        found[name] = _together(found[name], count) if name in found else count
    return found


def larger(one: Count, other: Count) -> Count:
    """Return the larger of each of the tokens: two counts of one message, of which the earlier was not whole."""
    tokens = Tokens._make(map(max, one.tokens, other.tokens))
    return Count(tokens, thinking=max(_thinking_of(one, other), default=None))


def grown(now: Models, then: Models) -> Models | None:
    """Return by how much running totals have grown, by each model that has; None: they do not go on from there."""
    growth = {name: _more(count, then.get(name, _NOTHING)) for name, count in now.items()}
    gone = any(any(count.tokens) for name, count in then.items() if name not in now)
    if gone or any(min(count.tokens) < 0 for count in growth.values()):
        return None
    return {name: count for name, count in growth.items() if any(count.tokens) or count.dollars}


_NOTHING = Count(dollars=Decimal(0))


def _together(one: Count, other: Count) -> Count:
    thinking = _thinking_of(one, other)
    return Count(
        Tokens._make(map(add, one.tokens, other.tokens)),
        thinking=sum(thinking) if thinking else None,
        dollars=_if_known(add, one.dollars, other.dollars),
    )


def _more(now: Count, then: Count) -> Count:
    return Count(
        Tokens._make(map(sub, now.tokens, then.tokens)),
        # A program that does not count thinking yet says nothing of it: then nothing of it is in the total.
        thinking=None if now.thinking is None else max(now.thinking - (then.thinking or 0), 0),
        dollars=_if_known(sub, now.dollars, then.dollars),
    )


def _thinking_of(*counts: Count) -> list[int]:
    return [count.thinking for count in counts if count.thinking is not None]


def _if_known(
    compute: Callable[[Decimal, Decimal], Decimal], one: Decimal | None, other: Decimal | None
) -> Decimal | None:
    return None if one is None or other is None else compute(one, other)


def rounded(dollars: Decimal) -> Decimal:
    """Return dollars to a billionth, without trailing zeros.

    >>> rounded(Decimal("0.049283999999999994"))
    Decimal('0.049284')
    """
    return Decimal(f"{dollars.quantize(NOISE).normalize():f}")
