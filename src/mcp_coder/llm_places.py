"""Where files go that are ours: private ones (0600 in directories of 0700), and never in the user's project.

``MCP_CODER_HOME`` wins, then the convention of the system (``platformdirs``). What is under way has a place on any
machine: without a HOME, without a passwd entry and on read-only disks it is the directory for temporary files. What is
kept has not: nobody would look for it there.
"""

from __future__ import annotations

import contextlib
import os
import tempfile

from mcp_coder.llm_errors import InvalidRequestError

__all__ = ["absolute_path", "data_directory", "private_directory", "state_directory"]


def absolute_path(path: str) -> str:
    """Return a path made absolute from the current directory.

    Raises:
        InvalidRequestError: it is relative and the current directory no longer exists.
    """
    try:
        return os.path.abspath(path)
    except FileNotFoundError as error:
        raise InvalidRequestError(
            f"{path!r} is relative, and the current directory no longer exists; give an absolute path"
        ) from error


def state_directory() -> str:
    """Return the directory that holds what is under way, made if it was missing.

    Raises:
        OSError: no place on this machine can be written, not even the one for temporary files.
    """
    place = _first_writable("user_state_dir")
    if place is None:
        place = os.path.join(tempfile.gettempdir(), f"mcp-coder-{_user()}")
        private_directory(place)
    return place


def data_directory() -> str:
    """Return the directory that holds what is kept for the user, made if it was missing.

    Raises:
        OSError: there is none that can be written; the message says what to do.
    """
    place = _first_writable("user_data_dir")
    if place is None:
        raise PermissionError("no directory for this user's data can be written here; set MCP_CODER_HOME")
    return place


def _first_writable(kind: str) -> str | None:
    for place in _candidates(kind):
        with contextlib.suppress(OSError):
            private_directory(place)
            if os.access(place, os.W_OK | os.X_OK):
                return place
    return None


def _candidates(kind: str) -> list[str]:
    named = os.environ.get("MCP_CODER_HOME")
    if named:
        return [absolute_path(named)]
    import platformdirs

    try:
        place = getattr(platformdirs, kind)("mcp-coder", appauthor=False)
    except (RuntimeError, KeyError, OSError):  # no HOME and no passwd entry
        return []
    return [place] if os.path.isabs(place) else []  # without a home, "~" stays as it is


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def private_directory(path: str) -> None:
    """Make a directory with its parents, for this user alone, whatever the umask.

    Raises:
        OSError: it cannot be made, or (in a place that others can write to) it belongs to somebody else.
    """
    if not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent and not os.path.isdir(parent):
            private_directory(parent)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)
    elif hasattr(os, "getuid") and os.stat(path).st_uid not in (os.getuid(), 0):
        raise PermissionError(f"{path} belongs to another user")
