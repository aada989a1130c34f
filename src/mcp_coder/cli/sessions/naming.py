"""``mcp-coder sessions rename`` and ``tag``: what people call their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, logs
from mcp_coder.cli.render import one_line
from mcp_coder.cli.session_reference import find_session
from mcp_coder.cli.store_choice import recorded_in, store_option

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import SessionRecord, Store

__all__ = ["rename", "tag"]

_LONGEST = 200


def _checked(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return a name as it was written; one that could not be read or written again is refused."""
    del context, parameter
    if value is not None and (value != one_line(value) or not value or len(value) > _LONGEST):
        raise click.UsageError(
            f"{one_line(value, 80)!r} cannot be a name: it is blank, begins or ends with a blank, has a character "
            f"that cannot be shown, or more than {_LONGEST} characters"
        )
    return value


def _all_checked(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Sequence[str]:
    for value in values:
        _checked(context, parameter, value)
    return values


@click.command()
@click.argument("session", metavar="ID")
@click.argument("name", required=False, callback=_checked)
@click.option("--clear", is_flag=True, help="Take its name away.")
@store_option
@logs.log_options
def rename(session: str, name: str | None, clear: bool, store: str | None) -> None:
    """Name a session, so that it can be meant by its name."""
    if clear == (name is not None):
        raise click.UsageError("give a new name, or --clear to take the name away")
    with recorded_in(store) as opened:
        found = find_session(opened, session)
        if name is not None:
            _refuse_taken(opened, found, name)
        opened.rename_session(found.session_id, name)
    said = "has no name now" if name is None else f"is now named {name}"
    console.write_answer(f"session {found.session_id} {said}\n")


def _refuse_taken(store: Store, session: SessionRecord, name: str) -> None:
    from mcp_coder.llm_store.base import SessionFilter

    for other in store.sessions(SessionFilter(name=name), limit=2):
        if other.session_id != session.session_id:
            raise click.UsageError(f"session {other.session_id} is named {name!r} already")


@click.command()
@click.argument("session", metavar="ID")
@click.option(
    "--add", multiple=True, metavar="TAG", callback=_all_checked, help="Give it this tag; repeatable."
)
@click.option("--remove", multiple=True, metavar="TAG", help="Take this tag away; repeatable.")
@store_option
@logs.log_options
def tag(session: str, add: Sequence[str], remove: Sequence[str], store: str | None) -> None:
    """Give a session tags, take others away, and print its tags."""
    both = sorted(set(add) & set(remove))
    if both:
        raise click.UsageError(f"{', '.join(both)} cannot be both added and removed")
    with recorded_in(store) as opened:
        found = find_session(opened, session)
        if add or remove:
            opened.tag_session(found.session_id, add=add, remove=remove)
            found = opened.session(found.session_id)
    tags = ", ".join(found.tags) or "no tags"
    console.write_answer(f"session {found.session_id}: {tags}\n")
