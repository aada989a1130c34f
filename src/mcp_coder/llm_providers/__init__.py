"""The agents that mcp_coder can drive: a name comes in, a provider goes out, loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from mcp_coder.llm_errors import InvalidRequestError

if TYPE_CHECKING:
    from mcp_coder.llm_providers.base import Provider

__all__ = ["PROVIDERS", "provider_named"]

PROVIDERS = {"claude": ("mcp_coder.llm_providers.claude.provider", "ClaudeProvider")}
"""Name -> where its class is. To add an agent, add its row."""


def provider_named(name: str) -> Provider:
    """Return the provider of this name.

    Raises:
        InvalidRequestError: there is none.
    """
    try:
        module, cls = PROVIDERS[name]
    except KeyError:
        raise InvalidRequestError(f"provider must be one of {', '.join(PROVIDERS)}, not {name!r}") from None
    return cast("Provider", getattr(import_module(module), cls)())
