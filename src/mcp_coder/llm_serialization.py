"""Responses as JSON text, and as files.

In goes a response, out comes readable JSON (two spaces, Unicode as it is), and back. The promise:

1. What is loaded equals what was stored. A value for which this would not hold (a ``datetime``, a tuple,
   NaN, a number as a key) is refused by name before anything is written; nothing is ever turned into a
   string on the way.
2. Every 1.x is read, whichever program wrote it; keys that we do not know stay, at every depth.
3. A file is there whole or not at all: a new one takes the place of the old one in a single step.
4. Only the owner can read what we write (files 0600, folders that we make 0700), whatever the umask.

``to_json_string`` and ``from_json_string`` are pure; the functions that touch files stand at the end.
"""

import codecs
import contextlib
import json
import math
import os
import re
import reprlib
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from mcp_coder.llm_errors import UnsupportedVersionError
from mcp_coder.llm_types import LLM_RESPONSE_VERSION, LLMResponseDict

__all__ = ["deserialize_llm_response", "from_json_string", "serialize_llm_response", "to_json_string"]

_MAJOR = LLM_RESPONSE_VERSION.partition(".")[0]
_READABLE_VERSION = re.compile(rf"{_MAJOR}\.[0-9]+")

# Python reads JSON with one stack frame a level, of a thousand in all. What we write must be readable
# from inside a caller's program as well, so it may need half of them.
_MAX_NESTING = 500
_TOO_DEEP = f"nested too deeply (or inside itself); {_MAX_NESTING} levels are certain to work"

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

_ENCODING_OF_MARK = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with UTF-16's mark, so it is asked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def to_json_string(response: LLMResponseDict) -> str:
    r"""Return ``response`` as JSON text that ``from_json_string`` turns back into an equal one.

    The text can always be encoded as UTF-8: a lone surrogate, which UTF-8 lacks, is written as ``\udXXX``.
    The version is not judged here, so what a newer minor wrote can be stored again as it is.

    Raises:
        TypeError: something in it would not come back as it is; the message names its place, as in
            ``raw_response.session_info.started_at: datetime is not JSON; …``.
        ValueError: it holds itself, or is nested too deeply.

    Example:
        >>> print(to_json_string({"version": "1.0", "text": "Grüße"}))
        {
          "version": "1.0",
          "text": "Grüße"
        }
    """
    _refuse_what_would_be_lost(response)
    try:
        text = json.dumps(response, indent=2, ensure_ascii=False, allow_nan=False)
    except RecursionError as exc:  # little stack was left to us
        raise ValueError(f"response: {_TOO_DEEP}") from exc
    return _SURROGATE.sub(_escape, text) if _has_surrogate(text) else text


def from_json_string(json_str: str) -> LLMResponseDict:
    """Return the response that ``json_str`` holds, with all its keys, the unknown ones too.

    Only the version is demanded; a response that somebody made by hand may lack other keys. A byte order
    mark in front is skipped.

    Raises:
        ValueError: ``Missing 'version' field``; or it is no JSON object, or holds what a response cannot
            (NaN, a number too large).
        UnsupportedVersionError: ``Incompatible version: 2.0``, with the version found (a ``ValueError``).
        json.JSONDecodeError: it is no JSON, or is cut off (a ``ValueError`` too).

    Example:
        >>> from_json_string('{"version": "1.7", "text": "Hi", "mood": "good"}')
        {'version': '1.7', 'text': 'Hi', 'mood': 'good'}
    """
    return _response_in(json_str, where="")


# --- Text to response: ``where`` is what every message begins with -----------------------------------------


def _response_in(text: str, *, where: str) -> LLMResponseDict:
    document = _parsed(text.removeprefix("\ufeff"), where)
    if not isinstance(document, dict):
        raise ValueError(f"{where}a response is a JSON object; found {type(document).__name__}")  # noqa: TRY004 - the text is wrong, not the argument's type
    if "version" not in document:
        raise ValueError(f"{where}Missing 'version' field")
    version = document["version"]
    if not (isinstance(version, str) and _READABLE_VERSION.fullmatch(version)):
        found = version[:50] if isinstance(version, str) else f"{reprlib.repr(version)}, which is no string"
        message = f"{where}Incompatible version: {found} (this mcp_coder reads {_MAJOR}.x)"
        raise UnsupportedVersionError(message)
    return cast("LLMResponseDict", document)


def _parsed(text: str, where: str) -> object:
    """Return what ``text`` holds, strictly: no constant that is not JSON, no float that became infinite."""
    if not text.strip():
        raise json.JSONDecodeError(f"{where}Empty, no JSON there", text, 0)
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
    except json.JSONDecodeError as exc:
        raise json.JSONDecodeError(f"{where}{exc.msg}", exc.doc, exc.pos) from exc
    except RecursionError as exc:
        raise ValueError(f"{where}{_TOO_DEEP}") from exc
    except ValueError as exc:  # ours from the two hooks, and Python's limit on the digits of an int
        raise ValueError(f"{where}{exc}") from exc


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite_float(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise ValueError(f"{reprlib.repr(literal)} is larger than a float can be")
    return number


# --- Response to text: what JSON cannot hold ---------------------------------------------------------------


def _refuse_what_would_be_lost(response: object) -> None:
    """Raise for the first value that would not come back equal. A loop, so that no depth exhausts it."""
    if not isinstance(response, dict):
        raise TypeError(f"a response is a dict, not {type(response).__name__}")
    todo: list[tuple[_Container, str, int]] = [(response, "", 1)]
    while todo:
        container, path, depth = todo.pop()
        if depth > _MAX_NESTING:
            raise ValueError(f"{path[:60]}…: {_TOO_DEEP}")
        for step, value in _entries(container, path):
            if isinstance(value, (dict, list)):
                todo.append((value, _join(path, step), depth + 1))
            elif flaw := _flaw_of(value):
                raise TypeError(f"{_join(path, step)}: {flaw}")


def _entries(container: "_Container", path: str) -> Iterable[tuple[object, object]]:
    """Return steps and values; raise for a key that is no text, which JSON would silently make one."""
    if isinstance(container, list):
        return enumerate(container)
    for key in container:
        if flaw := _text_flaw(key) if isinstance(key, str) else _FLAW_OF_KEY:
            raise TypeError(f"{path or 'response'}, key {reprlib.repr(key)}: {flaw}")
    return container.items()


def _join(path: str, step: object) -> str:
    """Return the path as one would write it: ``raw_response.raw_messages[3]['a b']``."""
    if not (isinstance(step, str) and step.isidentifier()):
        return f"{path}[{step!r}]"
    return f"{path}.{step}" if path else step


def _flaw_of(value: object) -> str | None:
    """Say why ``value``, no dict and no list, would not come back equal; ``None`` if it would."""
    for kind, flaw_of in _FLAWS:
        if isinstance(value, kind):
            return flaw_of(value)
    return f"{type(value).__name__} is not JSON; make it a string, a number, a list or a dict first"


def _text_flaw(text: str) -> str | None:
    r"""Refuse the two halves of a character: ``"\ud83d\ude00"`` would come back as one character."""
    if not text.isascii() and _has_surrogate(text) and _SURROGATE_PAIR.search(text):
        return "two surrogates side by side that JSON would join into one character; join them first"
    return None


def _int_flaw(number: int) -> str | None:
    try:
        int.__repr__(number)
    except ValueError as exc:  # Python's own limit, sys.set_int_max_str_digits
        return str(exc)
    return None


def _float_flaw(number: float) -> str | None:
    return None if math.isfinite(number) else f"{float(number)} is not JSON; make it null or a string first"


_Container = dict[object, object] | list[object]
_FLAW_OF_KEY = "JSON's keys are strings, it would come back as one"
# Subclasses count as what they are made of (an OrderedDict, a StrEnum): they equal what comes back.
_FLAWS: tuple[tuple[type, Callable[..., str | None]], ...] = (
    (str, _text_flaw),
    (int, _int_flaw),
    (float, _float_flaw),
    (type(None), lambda _: None),
    (tuple, lambda _: "a tuple would come back as a list; make it a list first"),
)


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()  # much faster than a search, and nearly always all there is to do
    except UnicodeEncodeError:
        return True
    return False


def _escape(surrogate: re.Match[str]) -> str:
    return f"\\u{ord(surrogate[0]):04x}"


# --- Files -------------------------------------------------------------------------------------------------


def serialize_llm_response(response: LLMResponseDict, filepath: Path | str) -> None:
    """Store ``response`` in ``filepath``: exactly the text of ``to_json_string``, in UTF-8.

    Missing folders are made; an existing file is replaced in one step, by ``write_file_atomically``.

    Raises:
        TypeError, ValueError: as ``to_json_string``, and nothing has been written.
        OSError: the file could not be written; an old one is as it was.

    Example:
        >>> serialize_llm_response(response, "answers/monday.json")  # doctest: +SKIP
    """
    write_file_atomically(Path(filepath), to_json_string(response).encode())


def deserialize_llm_response(filepath: Path | str) -> LLMResponseDict:
    """Return the response stored in ``filepath``.

    The file may be in UTF-8, with or without a byte order mark, or in UTF-16 or UTF-32 with one (which
    is what Windows PowerShell writes).

    Raises:
        OSError: the file could not be read (``FileNotFoundError``, …).
        ValueError, UnsupportedVersionError, json.JSONDecodeError: as ``from_json_string``; the message
            begins with the file. Bytes that are no text are a ``json.JSONDecodeError`` too.

    Example:
        >>> deserialize_llm_response("answers/monday.json")["text"]  # doctest: +SKIP
        'Noted: blue'
    """
    where = f"{filepath}: "
    return _response_in(_decoded(Path(filepath).read_bytes(), where), where=where)


def _decoded(data: bytes, where: str) -> str:
    """Return the text; a file that is cut in the middle of a character is cut JSON like any other."""
    encoding = next((name for mark, name in _ENCODING_OF_MARK if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        before = exc.object[: exc.start].decode(encoding, errors="replace")
        raise json.JSONDecodeError(f"{where}Not {encoding} ({exc.reason})", before, len(before)) from exc


def write_file_atomically(path: Path, data: bytes, *, sync_folder: bool = True) -> None:
    """Write ``data`` to ``path`` so that a reader, or a crash, sees the old file or the new one, whole.

    The new file is on disk, not only in memory, when this returns; without ``sync_folder`` a machine that loses its
    power may be left with the old one. It is 0600, missing folders are made
    0700, whatever the umask. A link stays, and what it points to is written. A device or a pipe
    (``/dev/stdout``) is written to, never replaced. Of writers at the same time the last one wins.

    Raises:
        OSError: it could not be written; an old file is as it was, and no part of a new one is left.
    """
    if _is_no_file(path):
        path.write_bytes(data)
        return
    target = Path(os.path.realpath(path))
    _make_folder(target.parent)
    # Not made from the target's name, which may be as long as a name can be.
    temporary = target.with_name(f".mcp_coder-{os.urandom(8).hex()}.tmp")
    try:
        _write_new_file(temporary, data)
        temporary.replace(target)
    except OSError as exc:  # tell the file that was asked for, not our temporary one
        raise OSError(exc.errno, exc.strerror, str(path)) from exc
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    if sync_folder:
        _sync_folder(target.parent)


def _is_no_file(path: Path) -> bool:
    """Say whether something is there that a file must not replace. Links in a circle raise ``OSError``."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _write_new_file(path: Path, data: bytes) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        path.chmod(0o600)  # an odd umask takes bits away from the owner as well
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _make_folder(folder: Path) -> None:
    """Make ``folder`` and the missing ones above it, each 0700 (``mkdir(parents=True)`` would not)."""
    for missing in reversed([place for place in (folder, *folder.parents) if not place.is_dir()]):
        with contextlib.suppress(FileExistsError):  # another writer was faster
            missing.mkdir(0o700)
            missing.chmod(0o700)
            _sync_folder(missing.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the folder's list of names to disk, where a folder can be opened at all (not on Windows)."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
