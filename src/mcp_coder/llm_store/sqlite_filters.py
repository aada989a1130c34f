"""A ``SessionFilter`` -> conditions in SQL on the table ``sessions``, and their parameters. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp_coder.llm_store.base import SessionFilter
from mcp_coder.llm_store.rows import project_name
from mcp_coder.llm_store.values import micros

__all__ = ["conditions"]


def _project(value: str) -> tuple[str, dict[str, object]]:
    path = value.rstrip("/\\") or value
    by_name = {"project_name": project_name(value)}
    if path == by_name["project_name"]:
        return "sessions.project_name = :project_name", dict(by_name)
    # By its name too: that is what has an index.
    return "sessions.project_name = :project_name AND rtrim(sessions.project, '/\\') = :project", {
        **by_name,
        "project": path,
    }


def _equal(column: str) -> Callable[[Any], tuple[str, dict[str, object]]]:
    return lambda value: (f"sessions.{column} = :{column}", {column: value})


_CONDITIONS: dict[str, Callable[[Any], tuple[str, dict[str, object]]]] = {
    "project": _project,
    "provider": _equal("provider"),
    "tag": lambda tag: ("sessions.id IN (SELECT session FROM session_tags WHERE tag = :tag)", {"tag": tag}),
    "name": _equal("name"),
    "since": lambda when: ("sessions.updated_at >= :changed_since", {"changed_since": micros(when)}),
    "until": lambda when: ("sessions.updated_at < :changed_until", {"changed_until": micros(when)}),
    "parent_id": _equal("parent_id"),
}


def conditions(which: SessionFilter) -> tuple[str, dict[str, object]]:
    """Return the conditions of a filter, joined by ``AND`` (``"true"`` where there are none), and their parameters."""
    parts, parameters = [], {}
    for name, condition in _CONDITIONS.items():
        value = getattr(which, name)
        if value is not None:
            sql, values = condition(value)
            parts.append(sql)
            parameters.update(values)
    return " AND ".join(parts) or "true", parameters
