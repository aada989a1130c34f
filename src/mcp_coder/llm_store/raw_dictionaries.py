"""The dictionaries that turns are packed with: a number comes in, the bytes of ``dictionaries/<number>.jsonl`` go out.

Each is a sample of what an agent prints in a turn. What was released is never edited: stores keep a copy of those that
they were written with, and it must be the same.
"""

from __future__ import annotations

import functools
import os

__all__ = ["CURRENT", "raw_dictionary"]

CURRENT = 1
"""The one that turns are packed with now. A store has it from a migration."""


@functools.cache
def raw_dictionary(number: int) -> bytes:
    """Return a dictionary, through the loader that brought this module."""
    path = os.path.join(os.path.dirname(__file__), "dictionaries", f"{number}.jsonl")
    spec = globals()["__spec__"]
    found: bytes = spec.loader.get_data(path)
    return found
