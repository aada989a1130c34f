"""Calls of the C library that Python has no names for, on Linux: by hand, since nothing else here needs a compiler."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

__all__ = ["checked", "libc"]


@functools.cache
def libc() -> ctypes.CDLL:
    """Return the C library.

    Raises:
        ImportError: this Python was built without ``ctypes``.
    """
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """Return what a call returned.

    Raises:
        OSError: it failed.
    """
    import ctypes

    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
