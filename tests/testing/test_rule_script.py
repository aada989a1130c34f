"""Rules as JSON, and what is said of a script that is wrong."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.testing.model_replies import Reply, Rule
from mcp_coder.testing.rule_script import load_rules, rules_from_json

REPLIES = {
    "a text": ("4", Reply.text("4")),
    "text": ({"text": "4"}, Reply.text("4")),
    "chunks": ({"chunks": ["a", "b"], "delay": 0.5}, Reply.chunks(["a", "b"], delay=0.5)),
    "a tool": ({"tool_use": "Bash", "input": {"command": "ls"}}, Reply.tool_use("Bash", command="ls")),
    "a tool without input": ({"tool_use": "X"}, Reply.tool_use("X")),
    "an error": (
        {"error": 529, "type": "overloaded_error", "message": "busy", "headers": {"retry-after": "1"}},
        Reply.error(529, "overloaded_error", "busy", headers={"retry-after": "1"}),
    ),
    "an error, short": ({"error": 401}, Reply.error(401)),
    "an error in the stream": (
        {"stream_error": "api_error", "after": "a"},
        Reply.stream_error("api_error", after="a"),
    ),
    "a hang": ({"hang": True}, Reply.hang()),
    "a hang in mid-answer": ({"hang": True, "after": "a"}, Reply.hang(after="a")),
    "a cut": ({"cut": True, "after": "a"}, Reply.cut(after="a")),
    "big": ({"big": 70}, Reply.big(70)),
    "wait": ({"text": "a", "wait": 2}, Reply.text("a").delayed(2)),
    "usage": (
        {"text": "a", "usage": {"output_tokens": 1}, "stop_reason": "max_tokens"},
        replace(Reply.text("a").with_usage(output_tokens=1), stop_reason="max_tokens"),
    ),
    "blocks": ([{"text": "a"}, {"tool_use": "X"}], Reply.text("a") + Reply.tool_use("X")),
}


@pytest.mark.parametrize(("given", "reply"), REPLIES.values(), ids=REPLIES)
def test_a_reply_is_the_one_that_python_makes(given: Any, reply: Reply) -> None:
    assert rules_from_json(json.dumps([{"reply": given}])) == (Rule(reply=reply),)


def test_conditions_are_those_of_a_rule(tmp_path: Path) -> None:
    conditions: dict[str, Any] = {"session_id": "s", "nth": 2, "times": 1, "at": "any"}
    script = {"rules": [{"prompt": {"regex": "^a"}, "tool_output": "b", "reply": "c", **conditions}]}
    (tmp_path / "rules.json").write_text(json.dumps(script))
    expected = Rule(reply=Reply.text("c"), prompt=re.compile("^a"), tool_output="b", **conditions)
    assert load_rules(tmp_path / "rules.json") == (expected,)


WRONG = {
    "no JSON": ("{", "Expecting"),
    "no rules": ("3", "a script is an array of rules"),
    "another object": ("{}", "a script is an array of rules"),
    "a rule that is none": ("[3]", "rule 1: an object is expected, not 3"),
    "no reply": ('[{"prompt": "x"}]', 'rule 1: "reply" is missing'),
    "a misspelt condition": ('[{"promt": "x", "reply": "y"}]', "rule 1: unknown: promt"),
    "an odd prompt": ('[{"prompt": 3, "reply": "y"}]', "rule 1, prompt: a text or"),
    "a pattern that is none": ('[{"prompt": {"regex": "("}, "reply": "y"}]', "rule 1, prompt: missing"),
    "a wrong number": ('[{"nth": "3", "reply": "y"}]', "rule 1, nth: a number from 1 is expected"),
    "a wrong place": ('[{"at": "prompts", "reply": "y"}]', 'rule 1, at: "prompt", "tool_result" or "any"'),
    "no known reply": ('[{"reply": {"txt": "y"}}]', "rule 1, reply: one of text, chunks"),
    "an empty reply": ('[{"reply": []}]', "rule 1, reply: an object is expected"),
    "an unknown word": (
        '[{"reply": "a"}, {"reply": {"text": "y", "dely": 3}}]',
        "rule 2, reply: unknown: dely",
    ),
    "a wrong kind": ('[{"reply": {"error": "many"}}]', "rule 1, reply: invalid literal"),
    "in a block": ('[{"reply": [{"text": "a"}, {"x": 1}]}]', "rule 1, reply 2: one of"),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        rules_from_json(text)
