"""Value <-> what a column holds: times, money, counts, text and structures, as SQL keeps and adds them up.

Times are whole microseconds since 1970 in UTC; money is whole units of 10^-9 US dollars, so that sums are exact;
unknown is None. Structures are JSON text, None where they are empty. A text that UTF-8 cannot hold, with a lone
surrogate in it, is bytes. Nothing here does I/O.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from mcp_coder.llm_errors import InvalidRequestError

__all__ = [
    "EPOCH",
    "Row",
    "UnreadableError",
    "count_from",
    "dollars_from",
    "json_text",
    "keys_for",
    "micros",
    "nano_from",
    "plain",
    "plain_mapping",
    "storable",
    "storable_text",
    "stored_text",
    "time_from",
]

Row = dict[str, object]
"""The values of a row by column."""


class UnreadableError(ValueError):
    """What stands in a column is not what was written there: the file is damaged. It never shows what it found."""


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NANO = 1_000_000_000
_CENTS_AND_LESS = Context(prec=60, rounding=ROUND_HALF_EVEN)
"""Of our own: a caller may have set the precision of theirs."""
_LARGEST = 10**18
"""What is larger than this, in a counter or in units of 10^-9 dollars, is no count: SQL could not add it up."""
_KEYS_AT_ONCE = 256


# --- time, money, counts


def micros(when: datetime) -> int:
    """Return a time as microseconds since 1970.

    Raises:
        InvalidRequestError: it has no time zone.
    """
    if when.tzinfo is None:
        raise InvalidRequestError(f"{when.isoformat()} has no time zone; use aware times, datetime.now(UTC)")
    return (when - EPOCH) // _MICROSECOND


def time_from(value: int) -> datetime:
    """Return the time of a number of microseconds since 1970, in UTC."""
    return EPOCH + timedelta(0, 0, value)


def nano_from(dollars: Decimal | None) -> int | None:
    """Return dollars in units of 10^-9, rounded half to even; None for what is unknown or no amount.

    Example:
        >>> nano_from(Decimal("0.0492839999999999941"))
        49284000
    """
    if dollars is None or not dollars.is_finite() or dollars.copy_abs() >= _LARGEST // _NANO:
        return None
    return int(_CENTS_AND_LESS.to_integral_value(_CENTS_AND_LESS.scaleb(dollars, 9)))


@functools.lru_cache(maxsize=4096)
def dollars_from(nano: int | None) -> Decimal | None:
    """Return units of 10^-9 dollars as dollars, without zeros at the end.

    Example:
        >>> dollars_from(49284000)
        Decimal('0.049284')
    """
    if nano is None:
        return None
    whole, rest = divmod(nano, _NANO)
    return Decimal(whole) if rest == 0 else _CENTS_AND_LESS.normalize(Decimal(f"{nano}E-9"))


def count_from(value: int) -> int:
    """Return a counter, or 0 for what is none: negative, or too large to be added up."""
    return value if 0 <= value < _LARGEST else 0


def keys_for(started_at: int) -> tuple[int, int]:
    """Return between which numbers the key of a turn lies, by its beginning in microseconds.

    Keys go by time, so that what is looked up by key comes in the order of time. A hundredth of a second has 256 of
    them; where they are used up, those of the next are taken.
    """
    first = started_at // 10_000 * _KEYS_AT_ONCE
    return first, first + _KEYS_AT_ONCE - 1


# --- text


def storable_text(text: str) -> str | bytes:
    """Return a text as it is stored: as bytes if UTF-8 cannot hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def stored_text(value: str | bytes) -> str:
    """Return the text that ``storable_text`` stored."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def storable(row: Mapping[str, object]) -> Row:
    """Return a row whose texts can all be stored."""
    return {name: storable_text(value) if isinstance(value, str) else value for name, value in row.items()}


def plain(row: Sequence[Any]) -> Sequence[Any]:
    """Return a row without blobs: with the texts that ``storable`` had made bytes of."""
    if bytes not in map(type, row):
        return row
    return tuple(stored_text(value) if type(value) is bytes else value for value in row)


def plain_mapping(value: object) -> object:
    """Return a mapping as JSON has it; ``TypeError`` for anything else. What ``json`` asks about strangers."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=plain_mapping)


def json_text(value: object) -> str | None:
    """Return a structure as JSON text, lone surrogates as they are; None for an empty one."""
    if not value:
        return None
    return _ENCODER.encode(value)
