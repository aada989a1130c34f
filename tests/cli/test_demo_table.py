"""The table of the demonstration."""

from __future__ import annotations

import io

from mcp_coder.cli.demo_table import DemoTurn, demo_table

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"


def test_the_table_shows_each_turn_and_takes_nothing_for_markup() -> None:
    from rich.console import Console

    turn = DemoTurn(
        method="cli",
        asked="[bold]My[/bold] color is blue",
        answered="Noted",
        session_id=SESSION,
        seconds=1.25,
        cost_usd=None,
        as_expected=False,
    )
    written = io.StringIO()
    Console(file=written, width=150).print(demo_table([turn]))
    row = next(line for line in written.getvalue().splitlines() if "cli" in line)
    assert row.split() == [
        "cli",
        "[bold]My[/bold]",
        "color",
        "is",
        "blue",
        "Noted",
        SESSION[:8],
        "1.25",
        "unknown",
        "WRONG",
    ]
