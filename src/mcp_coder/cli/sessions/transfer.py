"""``mcp-coder sessions export`` and ``import``: sessions into a file, and from files into a store."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, BinaryIO, cast

import click

from mcp_coder.cli import console, exit_codes, logs
from mcp_coder.cli.long_work import progress
from mcp_coder.cli.session_reference import find_session
from mcp_coder.cli.session_tables import counted
from mcp_coder.cli.store_choice import opened_store, store_option

if TYPE_CHECKING:
    from mcp_coder.llm_sessions.transfer import ExportFormat, ExportReport, ImportReport, ToImport
    from mcp_coder.llm_store.base import Store

__all__ = ["export", "import_sessions"]

_STANDARD = "-"
_MOST_REASONS = 20
_MARKDOWN = (".md", ".markdown")


@click.command()
@click.argument("sessions", nargs=-1, metavar="[ID...]")
@click.option("--all", "everything", is_flag=True, help="All sessions of the store.")
@click.option(
    "--output", "-o", metavar="FILE", default=_STANDARD, help="Write to FILE; else to standard output."
)
@click.option(
    "--format",
    "export_format",
    type=click.Choice(["jsonl", "markdown"]),
    help="jsonl holds everything and can be imported; markdown is for reading. Else as FILE is called.",
)
@store_option
@logs.log_options
def export(
    sessions: Sequence[str],
    everything: bool,
    output: str,
    export_format: ExportFormat | None,
    store: str | None,
) -> None:
    """Write sessions with all their turns to a file.

    \b
    mcp-coder sessions export 5fb8 -o session.jsonl
    mcp-coder sessions export nightly --format markdown | less
    """
    if everything == bool(sessions):
        raise click.UsageError("name the sessions to export, or all of them with --all, not both")
    chosen = export_format or ("markdown" if output.lower().endswith(_MARKDOWN) else "jsonl")
    with opened_store(store) as opened:
        report = _export(opened, _ids(opened, sessions), output, chosen)
    _say_exported(report, output)


def _ids(store: Store, sessions: Sequence[str]) -> Iterable[str]:
    """Return the ids of the sessions that are meant; all, where none is named."""
    if sessions:
        return [find_session(store, written).session_id for written in sessions]
    return (session.session_id for session in store.sessions())


def _export(store: Store, ids: Iterable[str], output: str, chosen: ExportFormat) -> ExportReport:
    from mcp_coder.llm_sessions.transfer import export_sessions

    to_standard = output == _STANDARD
    with _percent("exporting", shown=not (to_standard and _is_terminal(sys.stdout))) as show:
        file = cast("BinaryIO", _StandardOutput()) if to_standard else output
        return export_sessions(store, ids, file, format=chosen, progress=show)


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and stream.isatty()


def _say_exported(report: ExportReport, output: str) -> None:
    where = "" if output == _STANDARD else f" to {output}"
    taken_out = f"; {counted(report.redactions, 'secret')} taken out" if report.redactions else ""
    console.say(
        f"exported {counted(report.sessions, 'session')} with {counted(report.turns, 'turn')}{where}{taken_out}"
    )
    if report.under_way:
        console.note(f"{counted(report.under_way, 'turn')} had not ended; import leaves out what had not")


class _StandardOutput:
    """Standard output as a binary stream, which says what became of it in the words of ``console``."""

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Write pieces."""
        if sys.stdout is None:  # the caller closed it: mcp-coder ... >&-
            raise console.OutputLost("standard output is closed")
        for piece in pieces:
            with _failures_told():
                _write_all(sys.stdout.buffer, piece)

    def flush(self) -> None:
        """Flush what was written."""
        with _failures_told():
            sys.stdout.buffer.flush()


def _write_all(stream: BinaryIO, piece: bytes) -> None:
    """Write all of it: with ``PYTHONUNBUFFERED`` a pipe may not take it at once."""
    left = memoryview(piece)
    while left:
        left = left[stream.write(left) :]


@contextlib.contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as exc:
        console.close_output()
        raise console.ReaderGone from exc
    except OSError as exc:
        console.close_output()
        raise console.OutputLost(f"standard output cannot be written: {exc.strerror or exc}") from exc


# --- import


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--salvage", is_flag=True, help="Of a damaged export take what is whole.")
@store_option
@logs.log_options
@click.pass_context
def import_sessions(context: click.Context, files: Sequence[str], salvage: bool, store: str | None) -> None:
    """Add exported sessions, and stored responses, to the store.

    A FILE is what export wrote as jsonl, or a response that was stored with --store-response; - is standard input.
    Nothing that the store has is changed: importing twice adds nothing.
    """
    with opened_store(store) as opened:
        report = _import(opened, files, salvage=salvage)
    console.write_answer(f"{_imported(report)}\n")
    _note_what_was_left_out(report)
    context.exit(exit_codes.STORE_UNUSABLE if report.refused and not salvage else exit_codes.OK)


def _import(store: Store, files: Sequence[str], *, salvage: bool) -> ImportReport:
    from mcp_coder.llm_sessions.transfer import import_files

    sources: list[ToImport] = [_standard_input() if file == _STANDARD else file for file in files]
    with _percent("importing", shown=True) as show:
        try:
            return import_files(store, sources, salvage=salvage, progress=show)
        except OSError as exc:
            raise click.UsageError(f"cannot read {exc.filename or 'a file'}: {exc.strerror or exc}") from exc


def _standard_input() -> BinaryIO:
    if sys.stdin is None:  # the caller closed it: mcp-coder ... <&-
        raise click.UsageError("standard input is closed")
    return sys.stdin.buffer


def _imported(report: ImportReport) -> str:
    parts = [
        f"added {counted(report.sessions, 'session')} and {counted(report.turns, 'turn')}",
        f"{counted(report.turns_there, 'turn')} there already" if report.turns_there else "",
        f"{counted(report.refused, 'record')} refused" if report.refused else "",
        f"{counted(report.redactions, 'secret')} taken out" if report.redactions else "",
    ]
    return "; ".join(part for part in parts if part)


def _note_what_was_left_out(report: ImportReport) -> None:
    if report.under_way:
        console.note(f"{counted(report.under_way, 'turn')} left out: not ended when exported")
    if report.unknown:
        console.note(f"left out, since only a newer mcp_coder knows it: {', '.join(report.unknown)}")
    for reason in report.reasons[:_MOST_REASONS]:
        console.note(f"refused: {reason}")
    if report.refused > _MOST_REASONS:
        console.note(f"refused: {report.refused - _MOST_REASONS:,} more")


# --- both


@contextlib.contextmanager
def _percent(what: str, *, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show how far some work is, in hundredths."""
    if not shown:
        yield None
        return
    with progress(what, 100) as step:
        reached = 0

        def show(done: int, total: int) -> None:
            nonlocal reached
            percent = 100 * done // max(total, 1)
            for _ in range(reached, percent):
                step()
            reached = max(reached, percent)

        yield show
