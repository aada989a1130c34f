"""The zone of this machine's clock: whose days and months people mean, and what it is called.

Nothing comes in but ``TZ`` and the system's setting; a ``tzinfo`` goes out that knows summer time, as a fixed offset
would not. It needs no table of zones.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo

__all__ = ["LocalZone", "now_here"]

_SETTING = "/etc/localtime"
_TABLES = "/zoneinfo/"


class LocalZone(tzinfo):
    """The zone of this machine; ``str`` of it is its name, such as ``Europe/Oslo``.

    Example::

        datetime.now(LocalZone()).utcoffset()  # that of today; in winter another than in summer
    """

    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        """Return how far the clock is ahead of UTC at a moment of its own."""
        return _on_clock(moment).utcoffset()

    def dst(self, moment: datetime | None, /) -> timedelta | None:
        """Return None: the system does not say how much of the offset is summer time."""
        del moment
        return None

    def tzname(self, moment: datetime | None, /) -> str | None:
        """Return what the system calls the offset of that moment, such as ``CET``."""
        return _on_clock(moment).tzname()

    def fromutc(self, moment: datetime, /) -> datetime:
        """Return what the clock shows at a moment of UTC."""
        shown = moment.replace(tzinfo=UTC).astimezone()
        clock = shown.replace(tzinfo=self)
        second_time = (
            clock.utcoffset() != shown.utcoffset()
        )  # the hour that is shown twice, when summer time ends
        return clock.replace(fold=1) if second_time else clock

    def __str__(self) -> str:
        return _name() or f"UTC{datetime.now().astimezone().isoformat()[-6:]}".removesuffix("+00:00")


def _on_clock(moment: datetime | None) -> datetime:
    naive = datetime.now() if moment is None else moment.replace(tzinfo=None)  # noqa: DTZ005 - the clock's own time
    return naive.astimezone()


def _name() -> str:
    """Return the zone's name in the table of zones, or nothing where the system does not tell."""
    named = os.environ.get("TZ")
    place = os.path.realpath(_SETTING) if named is None else named.removeprefix(":")
    _, is_file, name = place.rpartition(_TABLES)
    is_name = named is not None and "/" in place and not place.startswith("/")
    return name.removeprefix("Etc/") if is_file or is_name else ""


def now_here() -> datetime:
    """Return the present, in this machine's zone."""
    return datetime.now(LocalZone())
