"""Claude Code's own record of its sessions: where it is, and how to take it from one machine to another.

A config directory and a native session id come in; paths and bytes go out. What stands inside a transcript is never
read: it is undocumented and changes. Claude Code keeps ``<config>/projects/<name made from the directory>/<id>.jsonl``
and resumes a session wherever under ``projects`` its transcript stands (before 2.1.247 only from its directory).

Nothing is written but by ``write_transcript``; nothing here raises because something is missing or may not be read.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_serialization import write_file_atomically

__all__ = [
    "config_dir",
    "find_transcript",
    "home_directory",
    "newest_session",
    "read_transcript",
    "transcript_size",
    "write_transcript",
]

_NATIVE_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*\Z")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_NOT_ALPHANUMERIC = re.compile(r"[^0-9A-Za-z]")
_LONGEST_NAME = 200


def home_directory(env: Mapping[str, str]) -> str | None:
    """Return the home directory as the program finds it: ``HOME``, else the password file; None if neither has it.

    Without either the program does not start at all; with any ``HOME``, even a missing one, it does.
    """
    named = env.get("USERPROFILE" if os.name == "nt" else "HOME")
    if named:
        return named
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):
        return None


def config_dir(env: Mapping[str, str]) -> str | None:
    """Return the real path of the directory in which the program keeps its sessions; None where it has none.

    Args:
        env: the environment that the program will be given. A relative ``CLAUDE_CONFIG_DIR`` is taken from the
            current directory (the program takes it from the one it runs in); ``~`` has no meaning in it.

    Example::

        config_dir({"HOME": "/home/me"})  # "/home/me/.claude"
    """
    named = env.get("CLAUDE_CONFIG_DIR")
    if not named:
        home = home_directory(env)
        if home is None:
            return None
        named = str(Path(home, ".claude"))
    # The program composes the characters of this path (and of no other) before it uses it.
    return os.path.realpath(unicodedata.normalize("NFC", named))


def find_transcript(config_dir: str, native_id: str) -> Path | None:
    """Return the session's transcript, the newest if there are several; None if there is none that can be seen."""
    found = _newest_of(config_dir, native_id)
    return None if found is None else Path(found[0])


def transcript_size(config_dir: str, native_id: str) -> int | None:
    """Return how many bytes the session's transcript has; None if there is none that can be seen."""
    found = _newest_of(config_dir, native_id)
    return None if found is None else found[1].st_size


def _newest_of(config_dir: str, native_id: str) -> tuple[str, os.stat_result] | None:
    if not _NATIVE_ID.match(native_id):
        return None
    # Texts, not paths, and one look at each: every turn looks four times, at each project of the user's.
    projects = os.path.join(config_dir, "projects")
    try:
        places = [os.path.join(projects, name, f"{native_id}.jsonl") for name in os.listdir(projects)]
    except OSError:
        return None
    found = [(place, state) for place in places if (state := _state_of(place)) is not None]
    return max(found, key=lambda each: each[1].st_mtime_ns, default=None)


def _state_of(path: str) -> os.stat_result | None:
    """Return the state of a file with something in it, or None: the program cannot resume an empty one."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state if stat.S_ISREG(state.st_mode) and state.st_size > 0 else None


def read_transcript(config_dir: str, native_id: str) -> bytes | None:
    """Return the session's transcript, byte by byte; None if there is none that can be read."""
    path = find_transcript(config_dir, native_id)
    try:
        return None if path is None else path.read_bytes()
    except OSError:
        return None


def write_transcript(config_dir: str, cwd: str, native_id: str, data: bytes) -> Path:
    """Put a transcript where the program looks for it when it runs in ``cwd``; one that is there is replaced.

    Returns:
        The file, whole and on disk, for this user alone.

    Raises:
        InvalidRequestError: ``native_id`` could not be the id of a session.
        OSError: it could not be written.
    """
    if not _NATIVE_ID.match(native_id):
        raise InvalidRequestError(f"{native_id!r} cannot be the id of a session of Claude Code")
    path = _project(config_dir, cwd) / f"{native_id}.jsonl"
    write_file_atomically(path, data)
    return path


def newest_session(config_dir: str, cwd: str) -> str | None:
    """Return the id of the session that was last worked on in this directory; None if there is none.

    Two directories whose paths differ only in marks (``a-b``, ``a_b``) are one to the program, and so here.
    """
    found = [
        path for path in _entries(_project(config_dir, cwd)) if path.suffix == ".jsonl" and _is_session(path)
    ]
    newest = max(found, key=_modified, default=None)
    return None if newest is None else newest.stem


def _is_session(path: Path) -> bool:
    """Say whether it is a session's own transcript; those of sub-agents have names of another form."""
    return _UUID.match(path.stem) is not None and _state_of(str(path)) is not None


def _entries(directory: Path) -> Iterator[Path]:
    try:
        yield from directory.iterdir()
    except OSError:
        return


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it has just been removed
        return 0


def _project(config_dir: str, cwd: str) -> Path:
    return Path(config_dir, "projects", _munged(os.path.realpath(cwd)))


def _munged(path: str) -> str:
    """Return the name of a directory's folder, as the program makes it: it counts and hashes UTF-16 units."""
    units = _utf16_units(path)
    name = "".join(_NOT_ALPHANUMERIC.sub("-", chr(unit)) for unit in units)
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}-{_base36(_hash(units))}"


def _utf16_units(text: str) -> tuple[int, ...]:
    # What a path holds that is no UTF-8 is U+FFFD to the program.
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode("utf-16-le")
    return struct.unpack(f"<{len(readable) // 2}H", readable)


def _hash(units: tuple[int, ...]) -> int:
    """Return ``hash = hash * 31 + unit``, kept to a signed 32-bit number at each step, without its sign."""
    value = 0
    for unit in units:
        value = (value * 31 + unit + 2**31) % 2**32 - 2**31
    return abs(value)


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = digits[digit] + text
    return text or "0"
