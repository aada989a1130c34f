"""Rules for the stand-in model as JSON, for scripts that are not Python: the file that ``mcp-coder standin`` takes.

In comes JSON text or a file, out come the same frozen rules that Python code makes. Anything misspelt is a ValueError
that names the place; nothing is guessed.

A script is an array of rules, or an object with ``"rules"``. The first rule that applies answers::

    {"rules": [
        {"prompt": "2 + 2", "reply": "4"},
        {"prompt": {"regex": "^slow"}, "reply": {"chunks": ["a", "b"], "delay": 0.5}},
        {"prompt": "look", "reply": [{"text": "I look."}, {"tool_use": "Bash", "input": {"command": "ls"}}]},
        {"nth": 3, "times": 2, "reply": {"error": 529, "message": "busy", "headers": {"retry-after": "1"}}},
        {"prompt": "hang", "reply": {"hang": true, "after": "so far"}},
        {"prompt": "cut", "reply": {"cut": true, "after": "so far"}},
        {"prompt": "big", "reply": {"big": 1200000}, "times": 1}
    ]}

Conditions: ``prompt``, ``tool_output`` (a text, or ``{"regex": ...}``), ``session_id``, ``nth``, ``times``, ``at``, as
in :class:`.Rule`. A reply is a text, an object with one of ``text``, ``chunks``, ``tool_use``, ``error``,
``stream_error``, ``hang``, ``cut``, ``big``, or an array of such objects, which become blocks of one answer. Every
reply object may have ``wait`` (seconds before its first byte), ``usage`` (token counters) and ``stop_reason``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, TypeAlias

from .model_replies import Reply, Rule

_Object: TypeAlias = Mapping[str, Any]

_PLAIN_CONDITIONS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "session_id": ("a text", lambda given: isinstance(given, str)),
    "nth": ("a number from 1", lambda given: type(given) is int and given >= 1),
    "times": ("a number from 1", lambda given: type(given) is int and given >= 1),
    "at": ('"prompt", "tool_result" or "any"', lambda given: given in ("prompt", "tool_result", "any")),
}
_CONDITIONS = frozenset({"prompt", "tool_output", *_PLAIN_CONDITIONS})
_ANYWHERE = frozenset({"wait", "usage", "stop_reason"})


def load_rules(path: Path | str) -> tuple[Rule, ...]:
    """Read the rules in a JSON file (UTF-8). Raises OSError, or ValueError that says what is wrong with which rule."""
    return rules_from_json(Path(path).read_text(encoding="utf-8"))


def rules_from_json(text: str) -> tuple[Rule, ...]:
    """Return the rules in JSON text; see the module's docstring for the form. Raises ValueError.

    >>> rules_from_json('[{"prompt": "2 + 2", "reply": "4"}]')[0].prompt
    '2 + 2'
    """
    script = json.loads(text)
    rules = script.get("rules") if isinstance(script, dict) else script
    if not isinstance(rules, list):
        raise ValueError('a script is an array of rules, or an object with "rules"')  # noqa: TRY004 - one error for all
    return tuple(_rule(rule, f"rule {number}") for number, rule in enumerate(rules, 1))


def _rule(given: object, place: str) -> Rule:
    fields = dict(_object(given, place))
    if "reply" not in fields:
        raise ValueError(f'{place}: "reply" is missing')
    reply = _reply(fields.pop("reply"), f"{place}, reply")
    _refuse_unknown(fields, _CONDITIONS, place)
    return Rule(
        reply=reply, **{name: _condition(name, given, f"{place}, {name}") for name, given in fields.items()}
    )


def _condition(name: str, given: Any, place: str) -> Any:
    if name not in _PLAIN_CONDITIONS:
        return _text_or_pattern(given, place)
    wanted, is_right = _PLAIN_CONDITIONS[name]
    if not is_right(given):
        raise ValueError(f"{place}: {wanted} is expected")
    return given


def _text_or_pattern(given: object, place: str) -> str | re.Pattern[str]:
    if isinstance(given, str):
        return given
    if not (isinstance(given, dict) and set(given) == {"regex"}):
        raise ValueError(f'{place}: a text or {{"regex": "..."}} is expected')
    try:
        return re.compile(given["regex"])
    except re.error as wrong:
        raise ValueError(f"{place}: {wrong}") from wrong


def _reply(given: object, place: str) -> Reply:
    if isinstance(given, str):
        return Reply.text(given)
    if isinstance(given, list) and given:
        return reduce(add, (_reply(one, f"{place} {number}") for number, one in enumerate(given, 1)))
    return _one_reply(_object(given, place), place)


def _one_reply(given: _Object, place: str) -> Reply:
    form = next((name for name in _FORMS if name in given), None)
    if form is None:
        raise ValueError(f"{place}: one of {', '.join(_FORMS)} is expected")
    make, allowed = _FORMS[form]
    _refuse_unknown(given, {form, *allowed, *_ANYWHERE}, place)
    try:
        reply = make(given)
    except (TypeError, ValueError) as wrong:
        raise ValueError(f"{place}: {wrong}") from wrong
    reply = replace(reply, usage=given.get("usage"), stop_reason=given.get("stop_reason"))
    return reply.delayed(given["wait"]) if "wait" in given else reply


def _object(given: object, place: str) -> _Object:
    if not isinstance(given, dict):
        raise ValueError(f"{place}: an object is expected, not {json.dumps(given)[:40]}")  # noqa: TRY004 - as above
    return given


def _refuse_unknown(given: _Object, known: frozenset[str] | set[str], place: str) -> None:
    if unknown := sorted(set(given) - known):
        raise ValueError(f"{place}: unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")


def _error(given: _Object) -> Reply:
    message = given.get("message", "scripted")
    return Reply.error(int(given["error"]), given.get("type"), message, headers=given.get("headers"))


def _stream_error(given: _Object) -> Reply:
    message = given.get("message", "scripted")
    return Reply.stream_error(given["stream_error"], message, after=given.get("after", ""))


_FORMS: Mapping[str, tuple[Callable[[_Object], Reply], tuple[str, ...]]] = {
    "text": (lambda given: Reply.text(str(given["text"])), ()),
    "chunks": (lambda given: Reply.chunks(given["chunks"], delay=float(given.get("delay", 0))), ("delay",)),
    "tool_use": (lambda given: Reply.tool_use(given["tool_use"], given.get("input")), ("input",)),
    "error": (_error, ("type", "message", "headers")),
    "stream_error": (_stream_error, ("message", "after")),
    "hang": (lambda given: Reply.hang(after=given.get("after")), ("after",)),
    "cut": (lambda given: Reply.cut(after=given.get("after")), ("after",)),
    "big": (lambda given: Reply.big(int(given["big"])), ()),
}
