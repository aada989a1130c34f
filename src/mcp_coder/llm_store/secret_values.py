"""A value in the escapes of JSON text, at any depth of JSON within JSON. Pure."""

from __future__ import annotations

import functools
import re

__all__ = ["in_escapes", "unescaped"]

# Encoders write any character as \uXXXX, and these so: JSON within JSON has the more backslashes the deeper it is.
_SHORT_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_UNICODE_ESCAPES = re.compile(r"\\u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4})*")


def unescaped(text: str) -> str:
    """Return a text to which all escaped forms of a text lead, in few passes; it is for comparing only."""
    while "\\\\" in text:
        text = text.replace("\\\\", "\\")
    text = _UNICODE_ESCAPES.sub(_characters, text).replace("\\", "")
    for character, letter in _SHORT_ESCAPES.items():
        text = text.replace(character, letter)
    return text


def _characters(escapes: re.Match[str]) -> str:
    return bytes.fromhex(escapes[0].replace("\\u", "")).decode("utf-16-be", "surrogatepass")


@functools.lru_cache(maxsize=64)
def in_escapes(value: str) -> re.Pattern[str]:
    """Return what finds a value in whatever escapes: each character itself, or as JSON writes it after backslashes."""
    return re.compile("".join(_in_escape(*unit) for unit in re.findall(r"(\\*)([^\\]?)", value) if any(unit)))


def _in_escape(backslashes: str, character: str) -> str:
    codes = re.findall("....", character.encode("utf-16-be", "surrogatepass").hex())
    plain, short = re.escape(character), _SHORT_ESCAPES.get(character)
    unicode = "(?i:" + r"\\++".join(f"u{code}" for code in codes) + ")"
    escaped = [short, unicode] if short else [unicode] if codes else []
    after = "|".join([plain, *escaped] if backslashes or character in '"/' else escaped)
    # Not from within a run of backslashes: each would be read again and again.
    return rf"(?<!\\)\\++(?:{after})" if backslashes else rf"(?:{plain}|(?<!\\)\\++(?:{after}))"
