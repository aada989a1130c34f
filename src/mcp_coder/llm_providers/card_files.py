"""A session's card on disk: in two files, of which the newer one holds.

``<first id>.json`` is on the disk itself once it is written, and replaced whole. That is done where something changes
which nothing else could tell after a power cut: what the agent calls the session, where it runs, whether there is
anything to go on from. ``<first id>.now`` is the card after any other change, and while a turn is under way: a line
with its checksum, written over the one before the last. That takes a tenth of the time of a new file, let alone of one
that is waited for, and is done twice in every turn. It outlives us, but it may not outlive the machine's power. What is
left then is an earlier card, whose fingerprint shows that the session has gone on since; the next turn does as if
somebody had gone on by hand.

Write them under the session's lease only (an alias, which is always on the disk, needs none); reading takes none.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from mcp_coder.llm_providers.cards import Card, card_from_json, card_to_json
from mcp_coder.llm_serialization import write_file_atomically

__all__ = ["CardFiles"]

_LASTING, _NOW = ".json", ".now"
_PLACES, _PLACE_BYTES = 2, 8192
"""A card in ``.now`` is written over the one before the last, so that the last holds until it is there, whole."""
_SERIAL = "serial"


class CardFiles:
    """The files of one card.

    Args:
        directory: where the leases of its agent's configuration directory stand.
        name: the session's first id; for a card that only leads to another, what that session is also called.
    """

    def __init__(self, directory: str, name: str) -> None:
        self._base = os.path.join(directory, name)
        self._serial: int | None = None
        """The number of the last writing; None: not looked yet."""
        self._lasting: object = None
        """What a power cut leaves."""

    def read(self) -> Card | None:
        """Return the card as it is now; None without one."""
        lasting = _told_in(_text_in(self._base + _LASTING))
        told = [lasting, *map(_told_in, _texts_of_now(self._base + _NOW))]
        self._serial, self._lasting = max(map(_serial_of, told)), _must_last(lasting)
        newest_first = sorted(told, key=_serial_of, reverse=True)
        return next(filter(None, map(_card_in, newest_first)), None)

    def write(self, card: Card) -> None:
        """Replace the card.

        Raises:
            OSError: it cannot be written; the old one holds.
        """
        if self._serial is None:
            self.read()
        serial = (self._serial or 0) + 1
        told = card_to_json(card)
        lasts = not card.agent and _must_last(told) != self._lasting
        data = json.dumps({**told, _SERIAL: serial}).encode()
        line = b"%b %b\n" % (_checksum(data), data)
        if lasts or len(line) > _PLACE_BYTES:
            write_file_atomically(Path(self._base + _LASTING), data, sync_folder=False)
            self._lasting = _must_last(told)
        else:
            _write_over(self._base + _NOW, serial % _PLACES, line)
        self._serial = serial

    def remove(self) -> None:
        """Remove the card."""
        for kind in (_NOW, _LASTING):
            with contextlib.suppress(OSError):
                os.unlink(self._base + kind)
        self._serial = self._lasting = None


_Told = Mapping[str, object]


def _told_in(text: bytes) -> _Told:
    """Return what stands in a file; nothing where it cannot be read."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _serial_of(told: _Told) -> int:
    serial = told.get(_SERIAL)
    return serial if isinstance(serial, int) else 0


def _card_in(told: _Told) -> Card | None:
    return card_from_json({name: value for name, value in told.items() if name != _SERIAL})


def _text_in(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _texts_of_now(path: str) -> list[bytes]:
    """Return what stands whole in the places of a file."""
    data = _text_in(path)
    lines = (data[at : at + _PLACE_BYTES].partition(b"\n")[0] for at in range(0, len(data), _PLACE_BYTES))
    parts = (line.partition(b" ") for line in lines)
    return [text for checksum, _, text in parts if text and checksum == _checksum(text)]


def _write_over(path: str, place: int, line: bytes) -> None:
    """Write a line into its place; what is left behind it of a longer one is not read."""
    number = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not os.fstat(number).st_size:
            os.chmod(path, 0o600)  # an odd umask takes bits away from the owner as well
        os.lseek(number, place * _PLACE_BYTES, os.SEEK_SET)
        if os.write(number, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(number)


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)


def _must_last(told: _Told) -> object:
    """Return what of a card nothing else tells, should the machine lose its power."""
    return [told.get(name) for name in _LASTING_FIELDS], bool(told.get("finished"))


_LASTING_FIELDS = ("first_id", "native_id", "cwd", "config_dir", "origin", "origin_point", "failed")
