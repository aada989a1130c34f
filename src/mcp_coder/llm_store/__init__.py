"""Where sessions and turns are recorded.

``open_store`` turns a URL into a store that keeps the promises of ``base.Store``. A dialect is loaded when it is
first opened.
"""

from __future__ import annotations

TYPE_CHECKING = (
    False  # known to type checkers; importing typing here would slow every start of the command line
)
if TYPE_CHECKING:
    from mcp_coder.llm_store.base import Store

__all__ = ["default_store_url", "open_store"]

_FILE_NAME = "store-1.sqlite"
"""The number rises when a store of a new format shall stand beside the old one, not before."""

_SQLITE = "sqlite:///"
_MEMORY = "memory:"


def open_store(url: str | None = None) -> Store:
    """Open a store, made where it is missing.

    Args:
        url: ``sqlite:///relative/path.sqlite``, ``sqlite:////absolute/path.sqlite``, or ``memory:`` for one that
            lives as long as it is open; None: the user's own (``default_store_url``).

    Raises:
        StoreError: it cannot be opened, or the URL names no store that there is; the message says what to do.
        UnsupportedVersionError: only a newer mcp_coder may write to it.

    Example::

        store = open_store("sqlite:///sessions.sqlite")
        for session in store.sessions(limit=10):
            print(session.session_id, session.title, session.cost_usd)
    """
    url = default_store_url() if url is None else str(url)
    if url == _MEMORY:
        return _sqlite(url, None)
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        return _sqlite_file(url.removeprefix(_SQLITE))
    raise _unknown(url)


def default_store_url() -> str:
    """Return the URL of the user's own store: a file in the user's data directory, or in ``MCP_CODER_HOME``.

    Raises:
        StoreError: there is no directory for the user's data.
    """
    from mcp_coder.llm_errors import StoreError
    from mcp_coder.llm_places import data_directory

    try:
        return f"{_SQLITE}{data_directory()}/{_FILE_NAME}"
    except OSError as error:
        raise StoreError(f"there is no place for a store: {error}") from error


def _sqlite_file(path: str) -> Store:
    import os

    from mcp_coder.llm_places import absolute_path

    place = absolute_path(os.path.expanduser(path))
    return _sqlite(_SQLITE + place, place)


def _sqlite(url: str, path: str | None) -> Store:
    from mcp_coder.llm_store.sqlite import SQLiteStore

    return SQLiteStore(url, path)


def _unknown(url: str) -> Exception:
    from mcp_coder.llm_errors import StoreError

    scheme, found, _ = url.partition(":")
    if not found or "/" in scheme or len(scheme) < 2:  # a path, on Windows one with a drive
        return StoreError(f"{url!r} is no URL of a store; for a file write {_SQLITE}{url or 'path'}")
    return StoreError(
        f"there is no kind of store for {_without_password(url)!r}; there are sqlite:///relative/path.sqlite, "
        "sqlite:////absolute/path.sqlite and memory:"
    )


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    user, found, place = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}:...@{place}" if found and ":" in user else url
