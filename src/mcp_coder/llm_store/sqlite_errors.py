"""What SQLite and the system say when a store cannot be used -> one ``StoreError`` that says what to do.

Foreign exceptions come in, ours go out; a table, by SQLite's own codes and the system's. Nothing else in the store
looks at either. Nothing here does I/O.
"""

from __future__ import annotations

import errno
import sqlite3

from mcp_coder.llm_errors import StoreError
from mcp_coder.llm_store.values import UnreadableError

__all__ = ["FOREIGN", "store_error"]

FOREIGN = (sqlite3.Error, OSError, UnreadableError, UnicodeDecodeError)
"""What is translated."""

_FULL = "there is no room left for it (disk or quota full); nothing was recorded. Make room, then call again"
_BUSY = "another process has been writing to it for too long; nothing was recorded. Try again, or end that process"
_DENIED = (
    "it cannot be written: check the permissions of the file and of its directory, or name another store"
)
_DAMAGED = (
    "the file is damaged, or is no store of mcp_coder. `mcp-coder sessions check` says how much; save what is readable "
    "with `mcp-coder sessions export`, or with `sqlite3 FILE .recover | sqlite3 NEW_FILE`, then move the file away"
)
_DISK = "reading or writing failed (disk error, quota, or a network file system that went away); nothing was recorded"
_NO_PLACE = "it cannot be opened: check that its directory exists and that you may read and write there"
_TOO_LARGE = "a text in it is larger than SQLite takes (1 GB)"

_BY_SQLITE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_READONLY: _DENIED,
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_AUTH: _DENIED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_CANTOPEN: _NO_PLACE,
    sqlite3.SQLITE_TOOBIG: _TOO_LARGE,
}

_BY_SYSTEM = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: _DENIED,
    errno.EIO: _DISK,
    errno.ENOENT: _NO_PLACE,
    errno.ENOTDIR: _NO_PLACE,
    errno.EISDIR: _NO_PLACE,
}


def store_error(error: Exception, url: str) -> StoreError:
    """Return the error that tells a caller what an exception of SQLite or of the system means for a store."""
    if _shows_what_it_found(error):
        return StoreError(f"the store {url} cannot be used: {_DAMAGED}")
    advice = _advice(error)
    what = f"{advice} ({error})" if advice else str(error) or type(error).__name__
    return StoreError(f"the store {url} cannot be used: {what}", retryable=advice == _BUSY)


def _shows_what_it_found(error: Exception) -> bool:
    """Return whether what could not be read stands in the error: nobody should find it there."""
    unread = (UnreadableError, UnicodeDecodeError)
    return isinstance(error, unread) or str(error).startswith("Could not decode to UTF-8")


def _advice(error: Exception) -> str:
    if isinstance(error, OSError):
        return _BY_SYSTEM.get(error.errno or 0, "")
    code = getattr(error, "sqlite_errorcode", None)
    # The low byte is the kind of error, the others say more about it.
    return _BY_SQLITE.get(code & 0xFF, "") if code is not None else ""
