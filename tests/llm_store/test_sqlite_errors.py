"""What SQLite and the system raise becomes one error that says what to do."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from mcp_coder.llm_errors import StoreError, UnsupportedVersionError
from mcp_coder.llm_store.sqlite_errors import FOREIGN, store_error


def of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "advice", "retryable"),
    [
        (of_sqlite(sqlite3.SQLITE_FULL), "Make room", False),
        (of_sqlite(sqlite3.SQLITE_BUSY), "Try again", True),
        (of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), "Try again", True),
        (of_sqlite(sqlite3.SQLITE_LOCKED), "Try again", True),
        (of_sqlite(sqlite3.SQLITE_READONLY), "check the permissions", False),
        (of_sqlite(sqlite3.SQLITE_READONLY_DIRECTORY), "check the permissions", False),
        (of_sqlite(sqlite3.SQLITE_CORRUPT), "sessions export", False),
        (of_sqlite(sqlite3.SQLITE_CORRUPT_VTAB), "sessions export", False),
        (of_sqlite(sqlite3.SQLITE_NOTADB), ".recover", False),
        (of_sqlite(sqlite3.SQLITE_IOERR_FSYNC), "disk error", False),
        (of_sqlite(sqlite3.SQLITE_CANTOPEN), "check that its directory exists", False),
        (of_sqlite(sqlite3.SQLITE_TOOBIG), "1 GB", False),
        (of_sqlite(sqlite3.SQLITE_ERROR), "what SQLite says", False),
        (sqlite3.ProgrammingError("closed"), "closed", False),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "Make room", False),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "check the permissions", False),
        (PermissionError("no place"), "no place", False),
        (OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), "check that its directory exists", False),
        (OSError(), "OSError", False),
    ],
    ids=lambda value: str(value)[:20] or None,
)
def test_an_error_says_what_to_do_and_which_store(error: Exception, advice: str, retryable: bool) -> None:
    found = store_error(error, "sqlite:////x.sqlite")
    assert type(found) is StoreError
    assert advice in str(found)
    assert "sqlite:////x.sqlite" in str(found)
    assert found.retryable is retryable


@pytest.mark.parametrize("name", [name for name in vars(sqlite3) if name.endswith("Error")])
def test_every_error_of_sqlite_is_translated(name: str) -> None:
    assert issubclass(getattr(sqlite3, name), FOREIGN)


def test_our_own_errors_are_not_translated_again() -> None:
    assert not issubclass(StoreError, FOREIGN)
    assert not issubclass(UnsupportedVersionError, FOREIGN)
