"""Sessions out of a store into a file, and back into another store.

``export_sessions`` writes a file that holds everything of the sessions (``jsonl``), or one for reading (``markdown``):
whole or not at all, one turn in memory at a time. ``import_files`` takes such exports, and responses that were stored
one by one. It only ever adds: what a store has already stays as it is, and importing twice adds nothing. Secrets are
taken out both ways; ids, and which session was forked from which, are kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from mcp_coder._version import __version__
from mcp_coder.llm_errors import InvalidRequestError, SessionNotFoundError, StoreError
from mcp_coder.llm_providers import told_of
from mcp_coder.llm_sessions.import_sources import ToImport, examined
from mcp_coder.llm_sessions.importing import Importer, ImportReport
from mcp_coder.llm_sessions.redaction import new_redactor
from mcp_coder.llm_sessions.whole_file import whole_file
from mcp_coder.llm_store.base import SessionRecord, Store, TurnRecord
from mcp_coder.llm_store.exports import ExportWriter
from mcp_coder.llm_store.exports_markdown import session_heading, turn_section
from mcp_coder.llm_store.redacted_records import Redacts, WholeTurn, redacted_session, redacted_turn

__all__ = [
    "EXPORT_FORMATS",
    "ExportFormat",
    "ExportReport",
    "ImportReport",
    "Progress",
    "ToImport",
    "export_sessions",
    "import_file",
    "import_files",
]

ExportFormat = Literal["jsonl", "markdown"]
Progress = Callable[[int, int], None]
"""Told how much of how much is done."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What was exported.

    Attributes:
        sessions, turns: how many.
        under_way: how many of these turns had not ended; an import leaves them out.
        redactions: how many secrets were taken out now.
    """

    sessions: int
    turns: int
    under_way: int
    redactions: int


# --- export


def export_sessions(
    store: Store,
    session_ids: Iterable[str],
    file: str | Path | BinaryIO,
    *,
    format: ExportFormat = "jsonl",  # noqa: A002 - what callers mean
    redactor: Redacts | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write sessions, with all their turns, into a file.

    Args:
        store: where they are.
        session_ids: which; each is written once, a parent before its forks.
        file: a path (written whole or not at all, 0600, an old file is replaced), or a binary stream.
        format: ``"jsonl"`` holds everything and can be imported; ``"markdown"`` is for reading.
        redactor: takes secrets out once more, before they are written; None: as the environment says.
        progress: told, in turns, how far it is.

    Raises:
        SessionNotFoundError: one is not there; nothing was written.
        StoreError: the store cannot be read, or the path not written.
        OSError: the stream cannot be written.

    Example::

        export_sessions(store, [first["session_id"]], "session.jsonl")
    """
    if format not in EXPORT_FORMATS:
        raise InvalidRequestError(f"format must be one of {', '.join(EXPORT_FORMATS)}, not {format!r}")
    export = _Export(store, session_ids, redactor or new_redactor(), progress)
    if not isinstance(file, (str, Path)):
        return export.write(EXPORT_FORMATS[format](export), file)
    try:
        with whole_file(file) as stream:
            return export.write(EXPORT_FORMATS[format](export), stream)
    except OSError as exc:
        raise StoreError(f"cannot write the export to {file}: {exc.strerror or exc}") from exc


class _Export:
    """What is exported, record by record, without its secrets; it counts."""

    def __init__(
        self, store: Store, session_ids: Iterable[str], redactor: Redacts, progress: Progress | None
    ) -> None:
        self._store, self._redactor, self._progress = store, redactor, progress or _silent
        self._parents: dict[str, str | None] = {}
        self.announced = 0
        for session_id in dict.fromkeys(session_ids):
            session = store.session(session_id)
            self._parents[session_id] = session.parent_id
            self.announced += session.turns
        self._sessions = self._turns = self._under_way = self._redactions = 0

    @property
    def announced_sessions(self) -> int:
        """How many sessions there are to write."""
        return len(self._parents)

    def write(self, pieces: Iterable[bytes], stream: BinaryIO) -> ExportReport:
        """Write the pieces, and return what there was."""
        stream.writelines(pieces)
        stream.flush()
        return ExportReport(
            sessions=self._sessions,
            turns=self._turns,
            under_way=self._under_way,
            redactions=self._redactions,
        )

    def sessions(self) -> Iterator[SessionRecord]:
        """Return the sessions; one that was deleted since the export began is left out."""
        for session_id in _parents_first(self._parents):
            with contextlib.suppress(SessionNotFoundError):
                session, count = redacted_session(self._store.session(session_id), self._redactor)
                self._redactions += count
                self._sessions += 1
                yield session

    def turns(self, session_id: str) -> Iterator[WholeTurn]:
        """Return the turns of a session."""
        for turn in self._store.turns(session_id):
            whole, count = redacted_turn(self._whole(turn), self._redactor)
            self._redactions += count
            self._under_way += turn.state == "started"
            self._turns += 1
            yield whole
            self._progress(self._turns, max(self.announced, self._turns))

    def _whole(self, turn: TurnRecord) -> WholeTurn:
        response, events = self._store.response(turn.turn_id), self._store.events(turn.turn_id)
        return WholeTurn(turn=turn, response=response, events=events)

    def parent_turn_id(self, session: SessionRecord) -> str | None:
        """Return the last turn that a fork shares with the session that it was forked from."""
        if session.parent_id is None:
            return None
        first = next(iter(self._store.turns(session.session_id)), None)
        return None if first is None else first.parent_turn_id


def _silent(_done: int, _total: int) -> None:
    pass


def _parents_first(parents: Mapping[str, str | None]) -> Iterator[str]:
    """Return sessions in their order, but each behind the one that it was forked from."""
    done: set[str] = set()
    for session_id in parents:
        line: list[str] = []
        above: str | None = session_id
        while above is not None and above in parents and above not in done:
            line.append(above)
            done.add(above)
            above = parents[above]
        yield from reversed(line)


def _jsonl(export: _Export) -> Iterator[bytes]:
    writer = ExportWriter()
    yield writer.manifest(
        made_at=datetime.now(UTC),
        mcp_coder_version=__version__,
        sessions=export.announced_sessions,
        turns=export.announced,
    )
    for session in export.sessions():
        yield writer.session(session, parent_turn_id=export.parent_turn_id(session))
        for whole in export.turns(session.session_id):
            yield _turn_line(writer, whole)
    yield writer.end()


def _turn_line(writer: ExportWriter, whole: WholeTurn) -> bytes:
    try:
        return writer.turn(whole.turn, whole.response, whole.events)
    except (ValueError, TypeError) as exc:
        raise StoreError(
            f"turn {whole.turn.turn_id} cannot be exported: {exc}",
            session_id=whole.turn.session_id,
            turn_id=whole.turn.turn_id,
        ) from exc


def _markdown(export: _Export) -> Iterator[bytes]:
    for session in export.sessions():
        yield session_heading(session).encode()
        for whole in export.turns(session.session_id):
            yield turn_section(whole.turn, told_of(whole.turn.provider, whole.events)).encode()


EXPORT_FORMATS: Mapping[str, Callable[[_Export], Iterator[bytes]]] = {"jsonl": _jsonl, "markdown": _markdown}
"""The formats, each with what makes its pieces."""


# --- import


def import_file(
    store: Store,
    file: ToImport,
    *,
    redactor: Redacts | None = None,
    salvage: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import one file; see ``import_files``."""
    return import_files(store, [file], redactor=redactor, salvage=salvage, progress=progress)


def import_files(
    store: Store,
    files: Sequence[ToImport],
    *,
    redactor: Redacts | None = None,
    salvage: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Add what is in exports and stored responses to a store.

    All files are looked at before anything is written. Sessions that are there get only the turns that they lack, by
    their ids, at their end; nothing is overwritten. A stored response becomes a turn without a prompt; those of a
    session are put in the order of their times. Dying in the middle does no harm: import again.

    Args:
        store: where to.
        files: paths or binary streams: exports in ``jsonl``, and files of ``serialize_llm_response``.
        redactor: takes secrets out before they are written; None: as the environment says.
        salvage: of a damaged export take what is whole; otherwise it is refused.
        progress: told, in bytes, how far it is.

    Raises:
        InvalidRequestError: a file is neither.
        UnsupportedVersionError: a file was written by a newer major version.
        StoreError: an export is damaged (its message names the lines), or the store cannot be written.
        OSError: a file cannot be read.

    Example::

        report = import_files(store, ["session.jsonl"])
        print(report.sessions, report.turns, report.refused)
    """
    with examined(files, salvage=salvage) as sources:
        importer = Importer(store, redactor or new_redactor())
        total, done = sum(source.size for source in sources), 0
        for source in sources:
            for read in importer.take(source, salvage=salvage):
                (progress or _silent)(done + read, total)
            done += source.size
        return importer.report()
