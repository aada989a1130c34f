"""A filter as SQL: a condition for each of its fields, and nothing of theirs in the text."""

from __future__ import annotations

import dataclasses

import pytest

from mcp_coder.llm_store.base import SessionFilter
from mcp_coder.llm_store.sqlite_filters import conditions
from mcp_coder.testing.store_samples import at

EACH = {
    "project": "/a'; DROP TABLE sessions",
    "provider": "x' OR 1",
    "tag": "t'",
    "name": "n'",
    "since": at(1),
    "until": at(2),
    "parent_id": "p'",
}


def test_every_field_has_a_condition() -> None:
    assert set(EACH) == {field.name for field in dataclasses.fields(SessionFilter)}
    sql, parameters = conditions(SessionFilter(**EACH))  # type: ignore[arg-type]  # by name
    assert sql.count(" AND ") == len(EACH)  # the project has two
    assert "'; DROP" not in sql
    assert set(EACH) - {"since", "until"} <= set(parameters)


def test_no_filter_is_no_condition() -> None:
    assert conditions(SessionFilter()) == ("true", {})


@pytest.mark.parametrize(
    ("project", "parameters"),
    [
        ("name", {"project_name": "name"}),
        ("/a/name", {"project_name": "name", "project": "/a/name"}),
        ("/a/name/", {"project_name": "name", "project": "/a/name"}),
        (r"C:\a\name", {"project_name": "name", "project": r"C:\a\name"}),
        ("/", {"project_name": "/"}),
    ],
)
def test_a_project_is_a_path_or_a_name(project: str, parameters: dict[str, str]) -> None:
    assert conditions(SessionFilter(project=project))[1] == parameters
