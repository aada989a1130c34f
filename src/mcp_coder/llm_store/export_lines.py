"""The lines of an export as lines: each has its number and a checksum, so that what is damaged is told by its line.

A line is a JSON object: its number, one value under the name of its kind, and last a SHA-256 over all that stands
before it. The first line, a manifest, says which format this is; the last one has the SHA-256 of all lines before it,
so that a file that was cut is never taken for a whole one. What the values mean is not known here (``exports``). One
line is held at a time. Nothing here does I/O.
"""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mcp_coder.llm_errors import UnsupportedVersionError

__all__ = ["EXPORT_VERSION", "Flaw", "Frame", "LineWriter", "fields_of", "flaws_of", "frames", "is_export"]

EXPORT_VERSION = "1.0"
"""MAJOR.MINOR of the format that is written."""

_MAJOR = EXPORT_VERSION.partition(".")[0]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Flaw:
    """What is wrong with a file.

    Attributes:
        line: where, counted from 1.
        reason: what, to be read behind "line 7".
        damage: the file is not as it was written; else it is, and what stands there cannot be used.
    """

    line: int
    reason: str
    damage: bool = True

    def __str__(self) -> str:
        return f"line {self.line} {self.reason}"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A line whose checksum fits.

    Attributes:
        line: where it stands, from 1; ``place`` where it was written.
        kind: ``"manifest"``, ``"end"``, or what is in it.
        body: all of it but the checksum.
    """

    line: int
    place: int
    kind: str
    body: bytes


# --- writing


class LineWriter:
    """Makes the lines of one export, each ended by a line feed, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._lines = 0
        self._all = hashlib.sha256()

    def manifest(self, fields: Mapping[str, object]) -> bytes:
        """Return the first line; ``fields`` are not empty."""
        return self._line(f'{{"mcp_coder_export":"{EXPORT_VERSION}",', f",{_json(fields)[1:-1]}")

    def value(self, kind: str, fields: Mapping[str, object]) -> bytes:
        """Return the line of a value.

        Raises:
            ValueError, TypeError: it holds what JSON cannot.
        """
        return self._line("{", f',"{kind}":{_json(fields)}')

    def end(self, fields: Mapping[str, object]) -> bytes:
        """Return the last line."""
        return self.value("end", {**fields, "sha256_of_lines": self._all.hexdigest()})

    def _line(self, begin: str, rest: str) -> bytes:
        body = f'{begin}"line":{self._lines + 1}{rest}'.encode()
        line = body + _tail(body) + b"\n"
        self._lines += 1
        self._all.update(line)
        return line


def _tail(body: bytes) -> bytes:
    return b',"sha256":"%s"}' % hashlib.sha256(body).hexdigest().encode()


_TAIL_LENGTH = len(_tail(b""))

# Characters that are escaped although JSON does not ask for it: halves of a character, which UTF-8 cannot hold; line
# ends of other programs; and those by which a text could steer the terminal that it is shown on.
_ESCAPED = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def _json(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


# --- reading


_MANIFEST = re.compile(rb'\s*\{\s*"mcp_coder_export"\s*:\s*"([^"]{0,40})"')
_BODY = re.compile(rb'\{(?:("mcp_coder_export"):"[^"]*",)?"line":([1-9][0-9]{0,17}),"([a-z_]+)":')


def is_export(head: bytes) -> bool:
    """Return whether this is how an export begins, be its first line damaged; ``head``: its first lines."""
    head = head.removeprefix(codecs.BOM_UTF8)
    if _MANIFEST.match(head):
        return True
    return any(_frame(0, line.rstrip(b"\r")) is not None for line in head.split(b"\n"))


def fields_of(frame: Frame) -> dict[str, Any]:
    """Return the value of a line; of a manifest all of it.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        found = json.loads(frame.body + b"}", parse_constant=_refuse_constant)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    value = found if frame.kind == "manifest" else found[frame.kind]
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - the file is wrong, not the argument's type
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def flaws_of(lines: Iterable[bytes]) -> Iterator[Flaw]:
    """Return what is wrong with the lines of an export, without reading what stands in them.

    Raises:
        UnsupportedVersionError: it was written by a newer major version.
    """
    return (found for found in frames(lines) if isinstance(found, Flaw))


def frames(lines: Iterable[bytes]) -> Iterator[Frame | Flaw]:
    r"""Return the lines that are whole, and behind or between them what is wrong; ``\r\n`` and blank lines are allowed.

    Raises:
        UnsupportedVersionError: it was written by a newer major version.
    """
    order, number = _Order(), 0
    for number, line in enumerate(lines, 1):
        content = line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").rstrip(b"\r\n")
        if not content.strip():
            continue
        _refuse_newer(content)
        frame = _frame(number, content)
        if frame is None:
            yield order.broken(number)
        else:
            if frame.kind == "manifest":  # also of another export, put behind the first
                yield from order.begin_again(number)
                order = _Order(frame)
            yield from order.whole(frame)
            yield frame
        order.add(content)
    yield from order.finish(number + 1)


def _refuse_newer(content: bytes) -> None:
    found = _MANIFEST.match(content)
    if found is not None and found[1].partition(b".")[0] != _MAJOR.encode():
        raise UnsupportedVersionError(
            f"Incompatible version: {found[1].decode(errors='replace')} (this mcp_coder reads exports of {_MAJOR}.x)"
        )


def _frame(line: int, content: bytes) -> Frame | None:
    body = content[:-_TAIL_LENGTH]
    found = _BODY.match(body)
    if found is None or content[-_TAIL_LENGTH:] != _tail(body):
        return None
    kind = "manifest" if found[1] else found[3].decode()
    return Frame(line=line, place=int(found[2]), kind=kind, body=body)


class _Order:
    """Tells which lines of an export are missing or out of place, and whether its end is there."""

    def __init__(self, manifest: Frame | None = None) -> None:
        self._manifest = manifest
        self._highest = 0
        self._ended = False
        self._after_broken = False
        """The line before was broken, so that it is not known which one it was."""
        self._flawed = False
        self._all = hashlib.sha256()

    def broken(self, line: int) -> Flaw:
        """Take a line whose checksum does not fit."""
        self._after_broken = True
        return self._flaw(line, "was changed or cut off: its checksum does not fit")

    def whole(self, frame: Frame) -> Iterator[Flaw]:
        """Take a line whose checksum fits."""
        if self._ended:
            yield self._flaw(frame.line, "stands behind the last line of its export")
        elif frame.place <= self._highest:
            yield self._flaw(frame.line, f"is out of place: it was written as line {frame.place}")
        elif frame.place > self._highest + 1 and not self._after_broken:
            yield self._flaw(frame.line, f"follows a gap: {_missing(self._highest + 1, frame.place - 1)}")
        self._highest = max(self._highest, frame.place)
        self._after_broken = False
        if frame.kind == "end":
            yield from self._end(frame)

    def _end(self, frame: Frame) -> Iterator[Flaw]:
        self._ended = True
        if not self._flawed and _fields(frame).get("sha256_of_lines") != self._all.hexdigest():
            yield self._flaw(frame.line, "belongs to other lines than those before it")

    def begin_again(self, line: int) -> Iterator[Flaw]:
        """Take the manifest of the export that follows; this one must have come to its end."""
        if (self._highest or self._after_broken) and not self._ended:
            yield self._flaw(line, "begins an export, and the one before it has no end")

    def add(self, content: bytes) -> None:
        """Take a line into the checksum of all."""
        self._all.update(content + b"\n")

    def finish(self, line: int) -> Iterator[Flaw]:
        """Take the end of the file, where ``line`` would have come."""
        if self._ended:
            return
        announced = _fields(self._manifest).get("turns") if self._manifest else None
        told = f" ({announced} turns were announced)" if isinstance(announced, int) else ""
        yield self._flaw(line, f"is missing: the file was cut off before its end{told}")

    def _flaw(self, line: int, reason: str) -> Flaw:
        self._flawed = True
        return Flaw(line=line, reason=reason)


def _fields(frame: Frame) -> Mapping[str, object]:
    try:
        return fields_of(frame)
    except ValueError:
        return {}


def _missing(first: int, last: int) -> str:
    return f"line {first} is missing" if first == last else f"lines {first} to {last} are missing"
