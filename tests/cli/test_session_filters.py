"""Options -> a filter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mcp_coder.cli.session_filters import limit_option, new_filter, period_options, which_options
from mcp_coder.llm_store.base import SessionFilter


def asked(*arguments: str) -> dict[str, object]:
    """Return what a command with all of these options is called with."""
    found: dict[str, object] = {}

    @click.command()
    @which_options
    @period_options("sessions changed")
    @limit_option(20, "How many.")
    def command(**options: object) -> None:
        found.update(options)

    done = CliRunner().invoke(command, arguments)
    if done.exit_code:
        raise ValueError(done.output)
    return found


def test_without_options_everything_is_meant() -> None:
    options = asked()
    assert options.pop("limit") == 20
    assert set(options.values()) == {None}
    assert new_filter() == SessionFilter()


def test_moments_are_read_as_beginnings_and_ends() -> None:
    options = asked("--since", "2026-01-31T00:00Z", "--until", "2026-01-31T00:00Z", "--limit", "0")
    assert options["since"] == options["until"] == datetime(2026, 1, 31, tzinfo=UTC)
    day = asked("--since", "2026-01-31", "--until", "2026-01-31")
    assert isinstance(day["since"], datetime)
    assert isinstance(day["until"], datetime)
    assert (day["until"] - day["since"]).days == 1


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="names no moment"):
        asked("--since", "soon")


@pytest.mark.parametrize("project", ["/home/dev/x", "website", "x y"])
def test_a_project_stays_as_it_was_written(project: str) -> None:
    assert new_filter(project=project).project == project


@pytest.mark.parametrize("written", [".", "./", "~/x", "sub/folder"])
def test_a_relative_path_becomes_a_whole_one(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    project = new_filter(project=written).project
    assert project is not None
    assert Path(project).is_relative_to(tmp_path.resolve())


def test_the_others_are_handed_on() -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    assert new_filter(provider="claude", tag="ci", since=moment, until=moment) == SessionFilter(
        provider="claude", tag="ci", since=moment, until=moment
    )
