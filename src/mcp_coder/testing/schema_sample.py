"""Make up a value that fits a JSON schema: the stand-in model's answer where a structured one is asked for.

In come a schema and a text, out comes the smallest fitting value with the text in its strings. Pure. It covers what
people write by hand and what pydantic makes; it never raises, and an exotic schema may get a value that does not fit.
"""

from collections.abc import Callable, Mapping
from typing import Any

_Schema = Mapping[str, Any]


def sample_of(schema: _Schema, text: str = "") -> Any:
    """Return a value that fits ``schema``; strings in it are ``text``.

    >>> sample_of({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})
    {'n': 0}
    """
    return _sample(schema, text, schema)


def _sample(schema: _Schema, text: str, root: _Schema) -> Any:
    for key, pick in _PICKS.items():
        if key in schema:
            return pick(schema, text, root)
    return _MAKERS.get(_type_of(schema), _null)(schema, text, root)


def _type_of(schema: _Schema) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    return str(next((one for one in kind if one != "null"), "null")) if isinstance(kind, list) else str(kind)


def _resolve(schema: _Schema, text: str, root: _Schema) -> Any:
    name = str(schema["$ref"]).rpartition("/")[2]
    found = {**root.get("definitions", {}), **root.get("$defs", {})}.get(name, {})
    return _sample(found, text, root)


def _first_choice(schema: _Schema, text: str, root: _Schema) -> Any:
    choices = schema.get("anyOf") or schema.get("oneOf") or [{}]
    return _sample(choices[0], text, root)


def _object(schema: _Schema, text: str, root: _Schema) -> Any:
    properties = schema.get("properties", {})
    return {name: _sample(properties.get(name, {}), text, root) for name in schema.get("required", [])}


def _array(schema: _Schema, text: str, root: _Schema) -> Any:
    return [_sample(schema.get("items", {}), text, root)] * int(schema.get("minItems", 0))


def _number(schema: _Schema, text: str, root: _Schema) -> Any:  # noqa: ARG001 - a row of the tables below
    return schema.get("minimum", 0)


def _string(schema: _Schema, text: str, root: _Schema) -> Any:  # noqa: ARG001 - as above
    return text


def _true(schema: _Schema, text: str, root: _Schema) -> Any:  # noqa: ARG001 - as above
    return True


def _null(schema: _Schema, text: str, root: _Schema) -> Any:  # noqa: ARG001 - as above
    return None


_Maker = Callable[[_Schema, str, _Schema], Any]

_PICKS: Mapping[str, _Maker] = {
    "const": lambda schema, _text, _root: schema["const"],
    "enum": lambda schema, _text, _root: schema["enum"][0],
    "$ref": _resolve,
    "anyOf": _first_choice,
    "oneOf": _first_choice,
}
_MAKERS: Mapping[str, _Maker] = {
    "object": _object,
    "array": _array,
    "integer": _number,
    "number": _number,
    "string": _string,
    "boolean": _true,
}
