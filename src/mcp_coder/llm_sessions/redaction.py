"""What is taken out of the records of this process: the known forms, the secrets of its environment, the caller's own.

The environment is read here, and only here; the work is ``llm_store.redact``'s, which is pure. ``MCP_CODER_REDACT=off``
turns it off, ``MCP_CODER_REDACT_PATTERNS`` adds regular expressions, one a line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import InvalidRequestError

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import TurnRecord
    from mcp_coder.llm_store.redact import Redactor

__all__ = ["new_redactor", "redactor_of"]


def new_redactor(env: Mapping[str, str] | None = None, redact: bool | Sequence[str] = True) -> Redactor:
    """Return what cleans the records of a turn.

    Args:
        env: variables that the agent is given over our own.
        redact: False: nothing is taken out; a list adds regular expressions.

    Raises:
        InvalidRequestError: one of the expressions is broken, or ``redact`` is no list of them.

    Example::

        text, found = new_redactor(redact=[r"ACME-[0-9]{8}"]).text("my number is ACME-12345678")
    """
    from mcp_coder.llm_store.redact import Redactor, secrets_in

    if not isinstance(redact, (bool, list, tuple)):
        raise InvalidRequestError(
            f"redact must be True, False or a list of regular expressions, not {type(redact).__name__}"
        )
    if redact is False or os.environ.get("MCP_CODER_REDACT", "").strip().lower() == "off":
        return Redactor.none()
    own = () if redact is True else tuple(redact)
    named = tuple(
        line for line in os.environ.get("MCP_CODER_REDACT_PATTERNS", "").splitlines() if line.strip()
    )
    secrets = dict.fromkeys([*secrets_in(os.environ), *secrets_in(env or {})])
    return Redactor(secrets=tuple(secrets), patterns=(*named, *own))


def redactor_of(turn: TurnRecord) -> Redactor:
    """Return what cleans the record of a turn whose caller is gone: as the caller wanted it, and with our environment.

    Secrets that only the agent was given (``env``) are in nobody's record, and so are not known any more.
    """
    kept = turn.options.get("redact", True)
    return new_redactor(redact=[str(each) for each in kept] if isinstance(kept, list) else bool(kept))
