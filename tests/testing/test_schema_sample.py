"""Values that fit a schema."""

from typing import Any

import pytest

from mcp_coder.testing.schema_sample import sample_of

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 18},
        "nick": {"type": "string"},
    },
    "required": ["name", "age"],
}

SAMPLES = [
    ({"type": "string"}, "text"),
    ({"type": "integer"}, 0),
    ({"type": "number", "minimum": 1.5}, 1.5),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({}, None),
    ({"type": ["null", "string"]}, "text"),
    ({"type": ["null"]}, None),
    ({"const": 7}, 7),
    ({"enum": ["a", "b"]}, "a"),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 0),
    ({"oneOf": [{"type": "string"}]}, "text"),
    ({"anyOf": []}, None),
    ({"type": "array", "items": {"type": "string"}}, []),
    ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["text", "text"]),
    (PERSON, {"name": "text", "age": 18}),
    ({"properties": {"a": {}}, "required": ["a", "b"]}, {"a": None, "b": None}),
    ({"$ref": "#/$defs/P", "$defs": {"P": PERSON}}, {"name": "text", "age": 18}),
    ({"$ref": "#/definitions/P", "definitions": {"P": {"type": "string"}}}, "text"),
    ({"$ref": "#/$defs/Q"}, None),
]


@pytest.mark.parametrize(("schema", "value"), SAMPLES)
def test_the_smallest_value_that_fits(schema: dict[str, Any], value: Any) -> None:
    assert sample_of(schema, "text") == value
