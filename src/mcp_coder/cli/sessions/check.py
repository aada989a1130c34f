"""``mcp-coder sessions check``: whether the store is sound, how large it is, and its sums worked out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mcp_coder.cli import console, exit_codes, logs
from mcp_coder.cli.long_work import progress
from mcp_coder.cli.session_tables import counted, size
from mcp_coder.cli.store_choice import recorded_in, store_option

if TYPE_CHECKING:
    from mcp_coder.llm_store.base import Store, StoreReport

__all__ = ["check", "report_rows"]


@click.command()
@click.option(
    "--recompute",
    is_flag=True,
    help="Work tokens and cost out anew from what the agent printed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@logs.log_options
@click.pass_context
def check(context: click.Context, recompute: bool, as_json: bool, store: str | None) -> None:
    """Say whether the store is sound, and how large it is."""
    with recorded_in(store) as opened:
        report, again = _checked(opened), None
        if recompute:
            again = _recompute(opened, report.turns)
            report = _checked(opened) if report.problems else report  # sums that were wrong may be right now
        _write(opened.url, report, again, as_json=as_json)
    context.exit(exit_codes.STORE_UNUSABLE if report.problems else exit_codes.OK)


def _checked(store: Store) -> StoreReport:
    with progress("checking"):
        return store.check()


def _recompute(store: Store, turns: int) -> dict[str, int]:
    """Read every turn again; return how many were read, and how many changed."""
    from mcp_coder.llm_sessions.ledger import recompute

    read = changed = 0
    with progress("reading turns again", turns) as step:
        for _, is_changed in recompute(store):
            read, changed = read + 1, changed + is_changed
            step()
    return {"turns": read, "changed": changed}


def _write(url: str, report: StoreReport, again: dict[str, int] | None, *, as_json: bool) -> None:
    if as_json:
        from mcp_coder.cli.session_json import json_text, store_document

        about = {} if again is None else {"recomputed": again}
        console.write_json(json_text(store_document(report, store=url, **about)))
        return
    from mcp_coder.cli.render import report_lines

    console.write_answer(report_lines(report_rows(url, report, again)))


def report_rows(url: str, report: StoreReport, again: dict[str, int] | None) -> list[tuple[str, str]]:
    """Return what a person wants to know of a check."""
    unfinished = counted(report.unfinished, "turn")
    rows = [
        ("store", url),
        ("sound", "no" if report.problems else "yes"),
        *(("problem", problem) for problem in report.problems),
        *(("note", note) for note in report.notes),
        ("size", size(report.size_bytes)),
        ("sessions", f"{report.sessions:,}"),
        ("turns", f"{report.turns:,}"),
    ]
    if report.unfinished:
        rows.append(("unfinished", f"{unfinished}: under way, or for mcp-coder sessions recover to settle"))
    if again is not None:
        rows.append(
            ("read again", f"{counted(again['turns'], 'turn')}, of which {again['changed']:,} changed")
        )
    return rows
