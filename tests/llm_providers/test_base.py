"""The records between a turn and a provider: frozen, keyword-only, with safe defaults."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from pathlib import Path

import pytest

from mcp_coder.llm_providers import base
from mcp_coder.llm_providers.base import Agent, Entry, Live, Outcome, Provider

RECORDS = [cls for cls in vars(base).values() if dataclasses.is_dataclass(cls)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda cls: cls.__name__)
def test_a_record_is_frozen_and_keyword_only(record: type) -> None:
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]  # of every dataclass
    assert all(field.kw_only for field in dataclasses.fields(record))
    assert not hasattr(record, "__dict__") or "__dict__" not in vars(record)


@pytest.mark.parametrize("record", RECORDS, ids=lambda cls: cls.__name__)
def test_every_field_that_is_described_exists(record: type) -> None:
    described = inspect.getdoc(record) or ""
    if "Attributes:" in described:
        for field in dataclasses.fields(record):
            assert f"\n    {field.name}: " in described


def test_all_lists_what_is_public() -> None:
    tree = ast.parse(Path(base.__file__).read_text("utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    assert set(base.__all__) == {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("protocol", [Live, Provider])
def test_every_promise_of_a_protocol_is_in_words(protocol: type) -> None:
    promises = {name: found for name, found in vars(protocol).items() if not name.startswith("_")}
    assert [name for name, found in promises.items() if not inspect.getdoc(found)] == []


@pytest.mark.parametrize(
    ("entry", "native_id"),
    [
        ({"begin": "b"}, "b"),
        ({"resume": "r"}, "r"),
        ({"resume": "r", "resume_at": "m"}, "r"),
        ({"resume": "r", "fork": True, "begin": "b"}, "b"),
        ({}, "first"),
    ],
)
def test_the_id_that_the_agent_is_expected_to_answer_with(entry: dict[str, object], native_id: str) -> None:
    assert Entry(first_id="first", cwd="/", **entry).native_id == native_id  # type: ignore[arg-type]


def test_an_outcome_of_nothing_claims_nothing() -> None:
    outcome = Outcome(
        entry=Entry(first_id="f", cwd="/"),
        agent=Agent(program="p", version="", config_dir=None, env={}),
        method="cli",
    )
    assert not outcome.complete
    assert (outcome.events, outcome.exit_code, outcome.stopped) == ((), None, None)
