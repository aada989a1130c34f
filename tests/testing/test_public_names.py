"""The public names of mcp_coder.testing."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_coder import testing

NAMES = [
    "STORE_PROMISES",
    "Die",
    "Exit",
    "FakeCall",
    "FakeClaude",
    "Hang",
    "LeaveChild",
    "ModelServer",
    "Print",
    "PrintBytes",
    "RecordedRequest",
    "Reply",
    "Rule",
    "Script",
    "Sleep",
    "StandIn",
    "Stderr",
    "Turn",
    "WaitForEof",
    "WaitForPrompt",
    "check_store_promises",
    "load_rules",
    "prompts_in",
    "rules_from_json",
    "standin",
    "standin_environment",
]


def test_the_names_are_these() -> None:
    assert testing.__all__ == NAMES
    assert set(NAMES) <= set(dir(testing))


@pytest.mark.parametrize("name", NAMES)
def test_each_name_leads_to_something_documented(name: str) -> None:
    assert getattr(testing, name).__doc__


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        testing.nothing  # noqa: B018


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import mcp_coder.testing; print(set(sys.modules) - before)"
    source = str(Path(__file__).parents[2] / "src")
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": source}, capture_output=True, text=True
    )
    loaded = set(run.stdout.strip().strip("{}").replace("'", "").split(", "))
    assert loaded <= {"mcp_coder", "mcp_coder.testing", "__future__"}
