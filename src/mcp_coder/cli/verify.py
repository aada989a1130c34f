"""``mcp-coder verify``: what is installed here, and whether it answers.

Without ``--live`` nothing is asked of a model. The exit code is 0 where all that was looked at works, and 1 otherwise.
"""

from __future__ import annotations

import json
import platform
import time
from typing import TYPE_CHECKING

import click

from mcp_coder._version import __version__
from mcp_coder.cli import console, exit_codes, logs
from mcp_coder.cli.render import money, report_lines
from mcp_coder.llm_errors import LLMError
from mcp_coder.llm_requests import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["report_rows", "verify"]

_LIVE_PROMPT = "Answer with the one word: ready"
_LIVE_TIMEOUT = 120.0
_LOG_IN = "no login and no key can be seen here; run {program} once and log in, or set ANTHROPIC_API_KEY"


@click.command()
@click.option("--live", is_flag=True, help="Also run a real turn, which costs a little.")
@click.option(
    "--method", type=click.Choice(METHODS), default="cli", show_default=True, help="Of the real turn."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logs.log_options
@click.pass_context
def verify(context: click.Context, live: bool, method: str, as_json: bool) -> None:
    """Say which agent is installed, its version, whether it is logged in, and whether it works."""
    from mcp_coder.llm_providers.claude.claude_executable_finder import verify_claude_installation

    logs.keep_quiet_unless_asked()
    report: dict[str, object] = {
        "mcp_coder_version": __version__,
        "python_version": platform.python_version(),
        **verify_claude_installation(),
    }
    works = bool(report.get("works"))
    if live:
        report["live"] = turn = _live_turn(method) if works else _not_tried(method)
        works = bool(turn["works"])
    _print(report, as_json=as_json)
    if works and not report.get("credentials") and not live:
        console.note(_LOG_IN.format(program=report.get("path")))
    context.exit(exit_codes.OK if works else exit_codes.FAILED)


def _live_turn(method: str) -> dict[str, object]:
    from mcp_coder.llm_interface import prompt_llm
    from mcp_coder.llm_providers.claude.usage import usage_of

    started = time.monotonic()
    try:
        response = prompt_llm(_LIVE_PROMPT, method=method, timeout=_LIVE_TIMEOUT)
    except LLMError as error:
        return {"method": method, "works": False, "error": f"{type(error).__name__}: {error}"}
    return {
        "method": method,
        "works": True,
        "error": None,
        "text": response["text"],
        "session_id": response["session_id"],
        "seconds": round(time.monotonic() - started, 2),
        "cost": money(usage_of(response).cost_usd),
    }


def _not_tried(method: str) -> dict[str, object]:
    return {"method": method, "works": False, "error": "not tried, since the program does not work"}


def _print(report: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        console.write_json(json.dumps(report, indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        console.write_answer(report_lines(report_rows(report)))


_ROWS = (
    ("mcp_coder_version", "mcp-coder"),
    ("python_version", "python"),
    ("path", "program"),
    ("source", "found by"),
    ("version", "version"),
    ("sdk_version", "sdk"),
    ("config_dir", "sessions in"),
    ("credentials", "logged in"),
    ("works", "works"),
    ("error", "problem"),
)


def report_rows(report: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what a person wants to know of the report, in order; what is unknown is left out.

    >>> report_rows({"path": "/usr/bin/claude", "works": True, "error": None})
    [('program', '/usr/bin/claude'), ('works', 'yes')]
    """
    rows = [(label, _shown(report.get(key))) for key, label in _ROWS]
    live = report.get("live")
    if isinstance(live, dict):
        rows.append(("real turn", _shown_turn(live)))
    return [(label, value) for label, value in rows if value]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _shown_turn(turn: Mapping[str, object]) -> str:
    if not turn["works"]:
        return f"failed by {turn['method']}: {turn['error']}"
    return f"answered {turn['text']!r} by {turn['method']} in {turn['seconds']} s, cost {turn['cost']}"
