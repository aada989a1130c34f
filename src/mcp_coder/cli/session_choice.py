"""Which session ``mcp-coder prompt`` goes on with, from the four ways to name one.

The flags come in, the arguments for the library go out: at most one of ``session_id`` and ``session``. Reads a stored
response, or asks which session is the latest of a directory; never begins a session itself.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path

import click

from mcp_coder.llm_errors import SessionNotFoundError, UnsupportedVersionError

__all__ = ["SessionChoice"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SessionChoice:
    """The flags that name a session.

    Attributes:
        session_id: ``--session-id``.
        session: ``--session``.
        newest: ``--continue-session``.
        response_file: ``--continue-session-from``.
        store: ``--store``: where an id that was shortened is looked up.
    """

    session_id: str | None = None
    session: str | None = None
    newest: bool = False
    response_file: str | None = None
    store: str | None = None

    def arguments(self, *, cwd: str | None, env: Mapping[str, str]) -> dict[str, str]:
        """Return what tells the library which session to go on with; empty for a new one.

        Args:
            cwd: the directory whose latest session ``--continue-session`` means; None: this one.
            env: variables for the agent, over our own: they may lead to another config directory.

        Raises:
            click.UsageError: two were named, or the file of one cannot be used.
            SessionNotFoundError: there is nothing to continue.
            StoreError: an id was shortened, and there is no record to look it up in.
        """
        self._refuse_two()
        if self.session is not None:
            return {"session": self.session}
        session_id = self._session_id(cwd, env)
        return {} if session_id is None else {"session_id": session_id}

    def _session_id(self, cwd: str | None, env: Mapping[str, str]) -> str | None:
        if self.newest:
            return _newest_session(cwd, env)
        if self.response_file is not None:
            return _session_of(self.response_file)
        return _whole_id(self.session_id, self.store)

    def _refuse_two(self) -> None:
        flags = {
            "--session-id": self.session_id is not None,
            "--session": self.session is not None,
            "--continue-session": self.newest,
            "--continue-session-from": self.response_file is not None,
        }
        given = [flag for flag, is_given in flags.items() if is_given]
        if len(given) > 1:
            raise click.UsageError(f"{' and '.join(given)} each name a session; give one of them")


_SHORT_ID = re.compile(r"[0-9a-f][0-9a-f-]{3,34}\Z")


def _whole_id(session_id: str | None, store: str | None) -> str | None:
    """Return the id of a recorded session that begins so; what is no beginning of an id, as it is."""
    if session_id is None or not _SHORT_ID.match(session_id):
        return session_id
    from mcp_coder.cli.session_reference import find_session
    from mcp_coder.cli.store_choice import recorded_in

    with recorded_in(store) as opened:
        return find_session(opened, session_id).session_id


def _newest_session(cwd: str | None, env: Mapping[str, str]) -> str:
    from mcp_coder.llm_providers.claude import transcripts

    directory = cwd or _here()
    config_dir = transcripts.config_dir({**os.environ, **env})
    session_id = None if config_dir is None else transcripts.newest_session(config_dir, directory)
    if session_id is None:
        searched = [] if config_dir is None else [config_dir]
        raise SessionNotFoundError(f"no session to continue in {directory}", searched=searched)
    return session_id


def _here() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError as exc:
        raise click.UsageError("this directory is gone; name another one with --cwd") from exc


def _session_of(file: str) -> str:
    """Return the session id in a stored response."""
    from mcp_coder.llm_serialization import deserialize_llm_response

    try:
        session_id = deserialize_llm_response(file).get("session_id")
    except OSError as exc:
        raise click.UsageError(f"cannot read the stored response {file!r}: {exc.strerror or exc}") from exc
    except UnsupportedVersionError:
        raise
    except ValueError as exc:
        raise click.UsageError(f"no stored response: {exc}") from exc
    if not isinstance(session_id, str):
        raise click.UsageError(f"the response in {file!r} belongs to no session: it has no session_id")
    return session_id
