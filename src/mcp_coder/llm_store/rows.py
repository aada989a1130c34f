"""Record <-> row: how the records of a store are written in the columns of a table, and read back.

Records come in and rows go out, and the other way around; each value as ``values`` has it. Nothing here does I/O.

The order of the values in a row is that of the columns in ``sql/<dialect>/queries.sql``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from mcp_coder.llm_events import ModelUsage, Usage
from mcp_coder.llm_store.base import NewTurn, SessionRecord, TurnEnding, TurnRecord
from mcp_coder.llm_store.frozen_records import filled
from mcp_coder.llm_store.json_objects import JsonObject, scan_json
from mcp_coder.llm_store.values import (
    EPOCH,
    Row,
    count_from,
    dollars_from,
    json_text,
    micros,
    nano_from,
    plain,
    stored_text,
    time_from,
)

__all__ = [
    "begun_record",
    "ending_row",
    "model_rows",
    "models_by_turn",
    "new_session_row",
    "project_name",
    "session_from_row",
    "session_row",
    "title_of",
    "turn_from_row",
    "turn_row",
    "usage_row",
]

_TITLE_LENGTH = 100


def title_of(prompt: str) -> str:
    """Return the beginning of a prompt, in one line."""
    line = " ".join(prompt[: 4 * _TITLE_LENGTH].split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1].rstrip() + "…"


def project_name(project: str | None) -> str | None:
    """Return the last name in the path of a project; None without one."""
    names = re.split(r"[/\\]+", project.rstrip("/\\")) if project else [""]
    return names[-1] or project or None


# --- a session


def session_row(session: SessionRecord) -> Row:
    """Return the row of a session that has no turns here."""
    return {
        "session_id": session.session_id,
        "provider": session.provider,
        "native_id": session.native_id,
        "name": session.name,
        "title": session.title,
        "cwd": session.cwd,
        "project": session.project,
        "project_name": project_name(session.project),
        "config_dir": session.config_dir,
        "parent_id": session.parent_id,
        "parent_turn": session.parent_turn,
        "created_at": micros(session.created_at),
        "updated_at": micros(session.updated_at),
        "kept": 1,
        "number": 0,
    }


def new_session_row(turn: NewTurn, number: int, parent_turn: int | None) -> Row:
    """Return the row of a session with a turn of a number: its first one, or what a later one adds to it."""
    return {
        "session_id": turn.session_id,
        "provider": turn.provider,
        "native_id": turn.native_id,
        "name": turn.session_name,
        "title": title_of(turn.prompt) if number == 1 else "",
        "cwd": turn.cwd,
        "project": turn.project,
        "project_name": project_name(turn.project),
        "config_dir": turn.config_dir,
        "parent_id": turn.parent_id,
        "parent_turn": parent_turn,
        "created_at": micros(turn.started_at),
        "updated_at": micros(turn.started_at),
        "kept": 0,
        "number": number,
    }


def session_from_row(row: Sequence[Any]) -> SessionRecord:
    """Return the session of a row of ``session_columns``."""
    values = plain(row)
    return filled(
        SessionRecord,
        {
            "session_id": values[0],
            "provider": values[1],
            "native_id": values[2],
            "name": values[3],
            "title": values[4],
            "tags": _tags(values[5]),
            "cwd": values[6],
            "project": values[7],
            "config_dir": values[8],
            "parent_id": values[9],
            "parent_turn": values[10],
            "created_at": EPOCH + timedelta(0, 0, values[11]),
            "updated_at": EPOCH + timedelta(0, 0, values[12]),
            "turns": values[13],
            "cost_usd": dollars_from(values[14]),
            "unaccounted_turns": values[15],
            "unrecorded_usd": dollars_from(values[16]),
            "input_tokens": values[17],
            "output_tokens": values[18],
            "cache_read_tokens": values[19],
            "cache_write_tokens": values[20],
        },
    )


def _tags(text: str | None) -> tuple[str, ...]:
    return tuple(sorted(text.split("\x1f"))) if text else ()


# --- a turn


def turn_row(turn: NewTurn) -> Row:
    """Return what is written of a turn when it begins; its session, number and parent are the store's to give."""
    return {
        "turn_id": turn.turn_id,
        "state": "started",
        "started_at": micros(turn.started_at),
        "model": turn.model,
        "provider": turn.provider,
        "method": turn.method,
        "native_id": turn.native_id,
        "cwd": turn.cwd,
        "config_dir": turn.config_dir,
        "agent_version": turn.agent_version,
        "mcp_coder_version": turn.mcp_coder_version,
        "host": turn.host,
        "directory": turn.directory,
        "redactions": turn.redactions,
        "options": json_text(turn.options),
        "carried": json_text(turn.carried),
        "baseline": json_text(turn.baseline),
    }


def begun_record(turn: NewTurn, number: int, parent_turn_id: str | None) -> TurnRecord:
    """Return the record of a turn that has just begun, as it would be read back."""
    return filled(
        TurnRecord,
        {
            "turn_id": turn.turn_id,
            "session_id": turn.session_id,
            "number": number,
            "parent_turn_id": parent_turn_id,
            "state": "started",
            "provider": turn.provider,
            "method": turn.method,
            "prompt": turn.prompt,
            "text": "",
            "started_at": time_from(micros(turn.started_at)),
            "ended_at": None,
            "error": None,
            "usage": Usage(),
            "reading": 0,
            "model": turn.model,
            "native_id": turn.native_id,
            "point": None,
            "cwd": turn.cwd,
            "config_dir": turn.config_dir,
            "agent_version": turn.agent_version,
            "mcp_coder_version": turn.mcp_coder_version,
            "host": turn.host,
            "directory": turn.directory,
            "options": dict(turn.options),
            "counter": None,
            "baseline": dict(turn.baseline) if turn.baseline else None,
            "carried": tuple(turn.carried),
            "notices": (),
            "redactions": turn.redactions,
        },
    )


def ending_row(ending: TurnEnding) -> Row:
    """Return what is written of a turn when it ends, its text and its raw record apart."""
    return {
        "state": ending.state,
        "ended_at": micros(ending.ended_at),
        "native_id": ending.native_id,
        "point": ending.point,
        "redactions": ending.redactions,
        "notices": json_text(ending.notices),
        "error": json_text(ending.error),
        "counter": json_text(ending.counter),
        **usage_row(ending.usage, ending.reading, ending.model),
    }


def usage_row(usage: Usage, reading: int, model: str | None) -> Row:
    """Return what is written of what a turn used, its models apart."""
    return {
        "cost_nano": nano_from(usage.cost_usd),
        "unrecorded_nano": nano_from(usage.unrecorded_usd),
        "input_tokens": count_from(usage.input_tokens),
        "output_tokens": count_from(usage.output_tokens),
        "cache_read_tokens": count_from(usage.cache_read_tokens),
        "cache_write_tokens": count_from(usage.cache_write_tokens),
        "thinking_tokens": None if usage.thinking_tokens is None else count_from(usage.thinking_tokens),
        "total_cost_nano": nano_from(usage.total_cost_usd),
        "baseline_nano": nano_from(usage.baseline_usd),
        "basis": usage.basis,
        "reading": reading,
        "model": model,
    }


def model_rows(usage: Usage) -> list[Row]:
    """Return a row for each model that had a part in a turn."""
    return [
        {
            "place": place,
            "model": each.model,
            "cost_nano": nano_from(each.cost_usd),
            "input_tokens": count_from(each.input_tokens),
            "output_tokens": count_from(each.output_tokens),
            "cache_read_tokens": count_from(each.cache_read_tokens),
            "cache_write_tokens": count_from(each.cache_write_tokens),
        }
        for place, each in enumerate(usage.models)
    ]


def models_by_turn(rows: Iterable[Sequence[Any]]) -> dict[int, tuple[ModelUsage, ...]]:
    """Return the models of each turn, by the turn's key, from rows of ``model_columns`` in their order."""
    found: dict[int, tuple[ModelUsage, ...]] = {}
    for row in rows:
        key, model, cost, sent, written, cache_read, cache_written = row
        usage = ModelUsage(
            model=stored_text(model),
            input_tokens=sent,
            output_tokens=written,
            cache_read_tokens=cache_read,
            cache_write_tokens=cache_written,
            cost_usd=dollars_from(cost),
        )
        found[key] = (*found[key], usage) if key in found else (usage,)
    return found


def turn_from_row(row: Sequence[Any], models: tuple[ModelUsage, ...] = ()) -> TurnRecord:
    """Return the turn of a row of ``turn_columns``, whose first value is the turn's key."""
    values = plain(row)
    fields = {
        "turn_id": values[1],
        "session_id": values[2],
        "number": values[3],
        "parent_turn_id": values[4],
        "state": values[5],
        "started_at": EPOCH + timedelta(0, 0, values[6]),
        "ended_at": None if values[7] is None else EPOCH + timedelta(0, 0, values[7]),
        "usage": _usage_from(values, models),
        "reading": values[18],
        "model": values[19],
        "provider": values[20],
        "method": values[21],
        "native_id": values[22],
        "point": values[23],
        "cwd": values[24],
        "config_dir": values[25],
        "agent_version": values[26],
        "mcp_coder_version": values[27],
        "host": values[28],
        "directory": values[29],
        "redactions": values[30],
        "options": scan_json(values[31]) if values[31] else {},
        "carried": tuple(scan_json(values[32])) if values[32] else (),
        "notices": tuple(scan_json(values[33])) if values[33] else (),
        "error": scan_json(values[34]) if values[34] else None,
        "counter": JsonObject(values[35]) if values[35] else None,
        "baseline": JsonObject(values[36]) if values[36] else None,
        "prompt": values[37],
        "text": values[38],
    }
    return filled(TurnRecord, fields)


def _usage_from(values: Sequence[Any], models: tuple[ModelUsage, ...]) -> Usage:
    return Usage(
        cost_usd=dollars_from(values[8]),
        unrecorded_usd=dollars_from(values[9]),
        input_tokens=values[10],
        output_tokens=values[11],
        cache_read_tokens=values[12],
        cache_write_tokens=values[13],
        thinking_tokens=values[14],
        total_cost_usd=dollars_from(values[15]),
        baseline_usd=dollars_from(values[16]),
        basis=values[17],
        models=models,
    )
