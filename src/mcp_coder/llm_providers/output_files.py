"""The file that a program prints to while it is read: what was read is taken away, what was not read stays.

The program appends to it. To empty the file behind a read would lose a line that is printed between the two. On Linux
a hole is made where was what was read: the file then begins with it, and ``output_in`` leaves it out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING

from mcp_coder.llm_providers.kernel_calls import checked, libc

if TYPE_CHECKING:
    import io

__all__ = ["open_output", "output_in", "take_away_read"]

_LARGEST_HOLE = 256 * 1024 * 1024
"""Beyond that it is emptied all the same: a limit of the user's for files counts holes, and so do many who copy."""
_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2


def open_output(path: str) -> io.FileIO:
    """Open such a file to be read from its beginning, and for ``take_away_read``.

    Raises:
        OSError: it cannot be opened.
    """
    return open(path, "r+b", buffering=0)


def take_away_read(file: io.FileIO) -> None:
    """Take away what was read of the file; the next read goes on behind it.

    Where there are no holes (not on Linux, or not in this file system), a line printed in this very moment is lost.

    Raises:
        OSError: it cannot be written.
    """
    read = file.tell()
    if read > _LARGEST_HOLE or (read and not _make_hole(file.fileno(), read)):
        file.truncate(0)
        file.seek(0)


def _make_hole(descriptor: int, size: int) -> bool:
    """Make a hole at the beginning of a file; return whether that can be done."""
    if sys.platform != "linux":
        return False
    # The last two: a C library without the call, or a Python without ctypes.
    with contextlib.suppress(OSError, AttributeError, ImportError):
        import ctypes

        fallocate = libc().fallocate
        fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
        checked(fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, 0, size))
        return True
    return False


def output_in(path: str) -> bytes:
    """Return what stands in such a file and was not taken away.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        file.seek(_first_data(file.fileno()))
        return file.read().lstrip(b"\0")  # a hole is made of whole blocks; the rest is zeros


def _first_data(descriptor: int) -> int:
    if sys.platform != "linux":
        return 0
    try:
        return os.lseek(descriptor, 0, os.SEEK_DATA)
    except OSError as error:  # it is empty, or all of it is a hole; or the file system does not tell
        return os.fstat(descriptor).st_size if error.errno == errno.ENXIO else 0
