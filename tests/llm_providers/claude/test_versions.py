"""Which versions can be driven, and what each lacks."""

from __future__ import annotations

import pytest

from mcp_coder.llm_providers.claude.versions import MINIMUM_VERSION, lacking, too_old
from mcp_coder.llm_requests import new_request


@pytest.mark.parametrize(
    ("version", "refused"),
    [
        ("0.2.66", True),
        ("1.0.60", True),
        ("1.0.108", True),
        ("1.0.109", False),
        ("1.0.110", False),
        ("2.0.0", False),
        ("2.1.330", False),
        ("2.1.330 (Claude Code)", False),
        ("1.0.9-beta (Claude Code)", True),
        ("10.0.0", False),
        ("", False),
        ("dev", False),
        ("1.0", False),
    ],
)
def test_too_old(version: str, refused: bool) -> None:
    assert too_old(version) is refused


def test_the_minimum_itself_will_do() -> None:
    assert not too_old(".".join(map(str, MINIMUM_VERSION)))


@pytest.mark.parametrize(
    ("options", "last_without", "first_with", "named"),
    [
        ({"after_failure": "drop"}, "1.0.127", "1.0.128", "after_failure"),
        ({"max_budget_usd": 1}, "2.0.27", "2.0.28", "max_budget_usd"),
        ({"append_system_prompt": "x"}, "2.0.44", "2.0.45", "append_system_prompt"),
        ({"json_schema": {}}, "2.0.44", "2.0.45", "json_schema"),
        ({"on_busy": "fork"}, "2.0.72", "2.0.73", "a fork"),
        ({"fork": True, "session": "x"}, "2.0.72", "2.0.73", "a fork"),
    ],
    ids=["drop", "budget", "append", "schema", "busy-fork", "fork"],
)
def test_lacking(options: dict[str, object], last_without: str, first_with: str, named: str) -> None:
    request = new_request("Hi", **options)
    assert lacking(request, last_without) == f"{named} needs Claude Code {first_with} or newer".replace(
        "after_failure", 'after_failure="drop"'
    )
    assert lacking(request, first_with) is None
    assert lacking(request, "") is None


def test_a_plain_request_lacks_nothing_in_the_oldest_version() -> None:
    assert lacking(new_request("Hi"), "1.0.109") is None
