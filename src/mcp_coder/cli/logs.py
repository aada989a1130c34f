"""``-v`` and ``--debug``, which every command takes: the log of the library on standard error.

Nothing is set up unless it is asked for, and ``logging`` is not imported before that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import logging

__all__ = ["is_debugging", "is_enabled", "keep_quiet_unless_asked", "log_options"]

_LOGGER = "mcp_coder"
_HANDLER = "mcp-coder's standard error"
_DEBUG_LEVEL = 10  # logging.DEBUG, without importing it
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def log_options(function: _Decorated) -> _Decorated:
    """Add ``-v/--verbose`` and ``--debug`` to a command or a group."""
    for decorate in (_DEBUG, _VERBOSE):
        function = decorate(function)
    return function


def _enabling(level: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def enable(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
        del context, parameter
        if asked:
            _enable(level)

    return enable


_VERBOSE = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_enabling("INFO"),
    help="Log what happens to standard error.",
)
_DEBUG = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_enabling("DEBUG"),
    help="Log every detail, prompts included, and show the traceback of a failure.",
)


def _enable(level: str) -> None:
    import logging

    logger = logging.getLogger(_LOGGER)
    if not is_enabled():
        handler = logging.StreamHandler()
        handler.name = _HANDLER
        handler.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(handler)
    if not logger.level or logger.level > logging.getLevelNamesMapping()[level]:
        logger.setLevel(level)


def is_enabled() -> bool:
    """Return whether the log goes to standard error."""
    return any(handler.name == _HANDLER for handler in _logger().handlers)


def is_debugging() -> bool:
    """Return whether every detail was asked for."""
    return is_enabled() and _logger().level == _DEBUG_LEVEL


def keep_quiet_unless_asked() -> None:
    """Keep ``logging`` from printing warnings by itself, which it does where nobody listens: they come as notes."""
    import logging

    _logger().addHandler(logging.NullHandler())


def _logger() -> logging.Logger:
    import logging

    return logging.getLogger(_LOGGER)
