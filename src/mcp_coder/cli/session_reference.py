"""Which session a person means: the beginning of an id, as git takes it, or a name.

A text and a store come in, one session goes out, or an error that says what to write instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mcp_coder.cli.render import one_line
from mcp_coder.llm_errors import SessionNotFoundError

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import SessionRecord, Store

__all__ = ["AmbiguousSessionError", "NotRecordedError", "find_session"]

_MOST_CANDIDATES = 20


class NotRecordedError(SessionNotFoundError):
    """The store has no such session."""


class AmbiguousSessionError(click.UsageError):
    """More than one session is meant.

    Attributes:
        details: the sessions that may be meant, a line each.
    """

    def __init__(self, message: str, details: Sequence[str]) -> None:
        super().__init__(message)
        self.details = tuple(details)


def find_session(store: Store, written: str) -> SessionRecord:
    """Return the session that is meant: the one of this id, else of this name, else the one whose id begins so.

    Raises:
        NotRecordedError: there is none.
        AmbiguousSessionError: there is more than one.
    """
    if not written.strip():
        raise click.UsageError("an id or a name of a session is needed, not an empty text")
    meant = _meant(store, written)
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise NotRecordedError(
            f"no session {one_line(written, 80)!r} is recorded in {store.url}", searched=[store.url]
        )
    many = f"more than {_MOST_CANDIDATES}" if len(meant) > _MOST_CANDIDATES else str(len(meant))
    raise AmbiguousSessionError(
        f"{many} sessions are meant by {one_line(written, 80)!r}; write more of the id",
        [_candidate(each) for each in meant[:_MOST_CANDIDATES]],
    )


def _meant(store: Store, written: str) -> Sequence[SessionRecord]:
    """Return the sessions of the first way to mean one in which there are any, one more than are listed."""
    from mcp_coder.llm_store.base import SessionFilter

    most = _MOST_CANDIDATES + 1
    alike = store.sessions_like(written, limit=most)
    exact = [each for each in alike if each.session_id == written]
    return exact or list(store.sessions(SessionFilter(name=written), limit=most)) or alike


def _candidate(session: SessionRecord) -> str:
    """Return a session in a line."""
    about = one_line(session.name or session.title, 60)
    return f"  {session.session_id}  {session.updated_at:%Y-%m-%d %H:%M} UTC  {about}".rstrip()
