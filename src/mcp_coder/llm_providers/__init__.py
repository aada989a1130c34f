"""The agents that mcp_coder can drive: a name comes in, a provider goes out, loaded when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from mcp_coder.llm_errors import InvalidRequestError

if TYPE_CHECKING:
    from mcp_coder.llm_events import TurnEvent
    from mcp_coder.llm_providers.base import Provider

__all__ = ["PROVIDERS", "provider_named", "told_of"]

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


_TELLERS = {"claude": ("mcp_coder.llm_providers.claude.telling", "told_in")}
"""Name -> where the function is that reads its raw events. To add an agent, add its row."""


def told_of(name: str, events: Iterable[Mapping[str, object]]) -> Iterable[TurnEvent]:
    """Return what a watcher is told of a turn's raw events; nothing of those of an agent that is not known here."""
    if name not in _TELLERS:
        return ()
    module, function = _TELLERS[name]
    read = cast(
        "Callable[[Iterable[Mapping[str, object]]], Iterable[TurnEvent]]",
        getattr(import_module(module), function),
    )
    return read(events)
