import ast
import re
import typing
from pathlib import Path

from mcp_coder import llm_types
from mcp_coder.llm_types import LLM_RESPONSE_VERSION, LLMResponseDict

FIELDS = {
    "version": str,
    "timestamp": str,
    "text": str,
    "session_id": str | None,
    "method": str,
    "provider": str,
    "raw_response": dict[str, object],
}


def test_exactly_two_names_are_public() -> None:
    assert sorted(llm_types.__all__) == ["LLMResponseDict", "LLM_RESPONSE_VERSION"]


def test_the_version_is_major_minor() -> None:
    assert LLM_RESPONSE_VERSION == "1.0"
    assert re.fullmatch(r"\d+\.\d+", LLM_RESPONSE_VERSION)


def test_a_response_has_exactly_these_seven_fields_in_this_order() -> None:
    assert list(typing.get_type_hints(LLMResponseDict).items()) == list(FIELDS.items())
    assert LLMResponseDict.__required_keys__ == frozenset(FIELDS)


def test_a_response_is_a_plain_dict_at_run_time() -> None:
    response = LLMResponseDict(
        version=LLM_RESPONSE_VERSION,
        timestamp="2026-01-31T12:00:00+00:00",
        text="blue",
        session_id=None,
        method="cli",
        provider="claude",
        raw_response={},
    )
    assert type(response) is dict
    assert list(response) == list(FIELDS)


def test_the_module_imports_nothing_but_typing() -> None:
    source = Path(llm_types.__file__).read_text(encoding="utf-8")
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["from typing import TypedDict"]
