"""Where ``--store-response`` puts an answer: the file that was named, or a place under the user's own data.

Never into the user's project unasked. The place is looked at before anything is started, so that no answer is paid
for that cannot be stored; if storing fails afterwards all the same, the error carries the answer.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_coder.llm_errors import StoreError

if TYPE_CHECKING:
    from mcp_coder.llm_types import LLMResponseDict

__all__ = ["check_place", "default_folder", "default_name", "store_response"]


def default_folder(env: Mapping[str, str]) -> Path:
    """Return the folder for answers that were given no file: in ``MCP_CODER_HOME``, else where the system wants it.

    Raises:
        StoreError: there is no such place here.
    """
    home = env.get("MCP_CODER_HOME")
    if not home:
        from platformdirs import user_data_dir

        home = user_data_dir("mcp-coder", appauthor=False)
    folder = Path(home).expanduser() if home.startswith("~") and "HOME" in env else Path(home)
    if not folder.is_absolute():
        # Without HOME and passwd entry "~" stays as it is, and would be made in the user's project.
        raise StoreError(f"{home} is no place for answers; set MCP_CODER_HOME or write --store-response=FILE")
    return folder / "responses"


def default_name(session_id: str | None, now: dt.datetime) -> str:
    """Return the file's name; the time, to the microsecond, and the session make it one of its own.

    >>> default_name("5fb8e1b7-5135-4c68-b20c-5f5a207a457a", dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC))
    'response_20260131T120000.000000Z_5fb8e1b7-5135-4c68-b20c-5f5a207a457a.json'
    """
    return f"response_{now.astimezone(dt.UTC):%Y%m%dT%H%M%S.%fZ}_{session_id or 'no-session'}.json"


def check_place(file: str, env: Mapping[str, str]) -> None:
    """See that an answer can be stored: in ``file``, or in the default place where that is empty.

    Raises:
        StoreError: it cannot.
    """
    path = Path(file) if file else default_folder(env)
    if file and path.is_dir():
        raise StoreError(f"cannot store the answer in {file}: it is a directory")
    place = next((place for place in (path, *path.absolute().parents) if place.exists()), path)
    if place != path and not place.is_dir():
        raise StoreError(f"cannot store the answer in {path}: {place} is no directory")
    if not os.access(place, os.W_OK):
        raise StoreError(f"cannot store the answer in {path}: {place} is not writable")


def store_response(response: LLMResponseDict, file: str, env: Mapping[str, str]) -> Path:
    """Store an answer in ``file``, or in the default place where that is empty; return where it is.

    Raises:
        StoreError: it could not be stored; ``response`` has it.
    """
    from mcp_coder.llm_serialization import serialize_llm_response

    name = default_name(response["session_id"], dt.datetime.now(dt.UTC))
    path = Path(file) if file else default_folder(env) / name
    try:
        serialize_llm_response(response, path)
    except (OSError, ValueError, TypeError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise StoreError(
            f"the answer could not be stored in {path}: {reason}",
            session_id=response["session_id"],
            response=dict(response),
        ) from exc
    return path
