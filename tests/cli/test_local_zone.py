"""The machine's own zone, as ``TZ`` or the system says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mcp_coder.cli.local_zone import LocalZone, now_here


@pytest.fixture
def oslo(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalZone]:
    """Set the clock of this process to Oslo."""
    monkeypatch.setenv("TZ", "Europe/Oslo")
    time.tzset()
    yield LocalZone()
    monkeypatch.undo()
    time.tzset()


def test_summer_and_winter_differ(oslo: LocalZone) -> None:
    winter, summer = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 7, 31, 12, tzinfo=UTC)
    assert winter.astimezone(oslo).isoformat() == "2026-01-31T13:00:00+01:00"
    assert summer.astimezone(oslo).isoformat() == "2026-07-31T14:00:00+02:00"
    assert summer.astimezone(oslo).tzname() == "CEST"
    assert f"{summer.astimezone(oslo):%H:%M}" == "14:00"
    assert summer.astimezone(oslo).dst() is None


def test_it_agrees_with_the_table_of_zones_through_both_changes(oslo: LocalZone) -> None:
    table = ZoneInfo("Europe/Oslo")
    for begins in (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)):
        for quarter in range(4 * 48):
            moment = begins + timedelta(minutes=15 * quarter)
            here, there = moment.astimezone(oslo), moment.astimezone(table)
            assert (here.replace(tzinfo=None), here.fold) == (there.replace(tzinfo=None), there.fold)
            assert here.astimezone(UTC) == moment


def test_the_present_is_the_present(oslo: LocalZone) -> None:
    assert abs(now_here() - datetime.now(UTC)) < timedelta(minutes=1)
    assert oslo.utcoffset(None) in (timedelta(hours=1), timedelta(hours=2))


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("Europe/Oslo", "Europe/Oslo"),
        (":Europe/Oslo", "Europe/Oslo"),
        ("/usr/share/zoneinfo/Europe/Oslo", "Europe/Oslo"),
        ("UTC", "UTC"),
        ("XYZ-5:30", "UTC+05:30"),
        ("", "UTC"),
    ],
)
def test_the_zone_has_a_name(
    setting: str, name: str, oslo: LocalZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", setting)
    time.tzset()
    assert str(LocalZone()) == name


def test_without_tz_the_system_says(oslo: LocalZone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ")
    time.tzset()
    assert str(LocalZone())
