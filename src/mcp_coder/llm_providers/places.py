"""Where files go that are ours: private ones (0600 in directories of 0700), and never in the user's project.

``MCP_CODER_HOME`` wins, then the convention of the system (``platformdirs``), then the directory for temporary files:
without a HOME, without a passwd entry and on read-only disks there is still a place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_providers.base import TurnFiles

__all__ = [
    "absolute_path",
    "new_turn_files",
    "private_directory",
    "remove_turn_files",
    "set_aside",
    "state_directory",
]


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
    """Return the directory that holds our own state, made if it was missing.

    Raises:
        OSError: no place on this machine can be written, not even the one for temporary files.
    """
    for place in _candidates():
        with contextlib.suppress(OSError):
            private_directory(place)
            if os.access(place, os.W_OK | os.X_OK):
                return place
    place = os.path.join(tempfile.gettempdir(), f"mcp-coder-{_user()}")
    private_directory(place)
    return place


def _candidates() -> list[str]:
    named = os.environ.get("MCP_CODER_HOME")
    if named:
        return [absolute_path(named)]
    import platformdirs

    try:
        place = platformdirs.user_state_dir("mcp-coder", appauthor=False)
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


def new_turn_files() -> TurnFiles:
    """Make the private directory of a new turn and return where its files go."""
    turn_id = str(uuid.uuid4())
    directory = os.path.join(state_directory(), "turns", turn_id)
    private_directory(directory)
    return TurnFiles(
        turn_id=turn_id,
        directory=directory,
        output=os.path.join(directory, "output.jsonl"),
        errors=os.path.join(directory, "stderr.txt"),
    )


def set_aside(files: TurnFiles) -> None:
    """Make way for a second process of the same turn, keeping what the first one printed beside it."""
    for path in (files.output, files.errors):
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, f"{path}.refused")


def remove_turn_files(directory: str) -> None:
    """Remove the private directory of a turn, if it is still there."""
    shutil.rmtree(directory, ignore_errors=True)
