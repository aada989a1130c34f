"""A recorded session in the agent's own program, on a terminal, by hand.

The session's lease is held meanwhile, so that no turn of ours runs beside it; what is said there is the agent's own
and not recorded. The next turn of ours goes on behind it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import InvalidRequestError, SessionError
from mcp_coder.llm_providers import provider_named
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.sessions import settled_session
from mcp_coder.llm_requests import TurnRequest

if TYPE_CHECKING:
    from mcp_coder.llm_providers.base import Agent, Provider
    from mcp_coder.llm_store.base import SessionRecord

__all__ = ["Opening", "opened_by_hand"]

_SECONDS = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """How the agent's program is opened on a session: arguments, directory, environment."""

    command: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]


@contextlib.contextmanager
def opened_by_hand(session: SessionRecord) -> Iterator[Opening]:
    """Hold a session for somebody who opens it by hand.

    Raises:
        AgentNotFoundError: the program is not here.
        InvalidRequestError: the session's directory is gone.
        SessionBusyError: it is in a turn.
        SessionError: the agent has no such session yet.
    """
    provider = provider_named(session.provider)
    agent, config = _located(provider, session.config_dir)
    with settled_session(provider, agent, session.session_id, Deadline.after(0.001), lambda: False) as card:
        native_id = card.native_id if card is not None else session.native_id or session.session_id
        if provider.fingerprint(agent, native_id) is None:
            raise SessionError(
                "the agent has no session to open: nothing was asked in it here yet",
                session_id=session.session_id,
            )
        yield Opening(
            command=provider.open_command(agent, native_id),
            cwd=_directory(session, card.cwd if card is not None else None),
            env={**os.environ, **config},
        )


def _located(provider: Provider, config_dir: str | None) -> tuple[Agent, Mapping[str, str]]:
    """Return the program, and what must be set so that it finds the session.

    A configuration directory that is the agent's own anyway is not named: with it named, its login may stand elsewhere.
    """
    agent = provider.locate(TurnRequest(question=""), Deadline.after(_SECONDS))
    if config_dir in (None, agent.config_dir):
        return agent, {}
    config = provider.config_environment(config_dir or "")
    return provider.locate(TurnRequest(question="", env=config), Deadline.after(_SECONDS)), config


def _directory(session: SessionRecord, of_card: str | None) -> str:
    cwd = of_card or session.cwd or os.getcwd()
    if not os.path.isdir(cwd):
        raise InvalidRequestError(
            f"the session's own directory {cwd!r} is gone; make it again, or prompt the session with --cwd",
            session_id=session.session_id,
        )
    return cwd
