"""The statements of a dialect, by name, from its ``queries.sql``: a dialect's name comes in, texts go out.

A text begins with a line ``-- name: <name>`` and ends before the next one; comments are left out. ``{other}`` in it
stands for the text of that name; what no text is called stays, for whoever asks for it with ``filled``.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping

__all__ = ["filled", "load_queries", "read_sql"]

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n?", re.MULTILINE)
_PLACE = re.compile(r"\{(\w+)\}")


def read_sql(dialect: str, name: str) -> str:
    """Return a ``.sql`` file of the package.

    Through the loader that brought this module, as ``importlib.resources`` would, without the 25 ms of its import.
    """
    path = os.path.join(os.path.dirname(__file__), "sql", dialect, name)
    spec = globals()["__spec__"]
    data: bytes = spec.loader.get_data(path)
    return data.decode()


@functools.cache
def load_queries(dialect: str) -> Mapping[str, str]:
    """Return the texts of a dialect's ``queries.sql`` by name."""
    return parsed(read_sql(dialect, "queries.sql"))


def parsed(text: str) -> Mapping[str, str]:
    """Return the texts in a file of named ones."""
    _, *rest = _NAME.split(text)
    texts = {name: _COMMENT.sub("", body).strip() for name, body in zip(rest[::2], rest[1::2], strict=True)}
    return {name: _resolved(body, texts) for name, body in texts.items()}


def _resolved(body: str, texts: Mapping[str, str]) -> str:
    while (found := _PLACE.sub(lambda place: texts.get(place[1], place[0]), body)) != body:
        body = found
    return body


def filled(text: str, **parts: str) -> str:
    """Return a statement with each ``{name}`` replaced."""
    for name, part in parts.items():
        text = text.replace(f"{{{name}}}", part)
    return text
