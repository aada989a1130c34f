"""What is answered where no rule says otherwise."""

import json
from typing import Any

import pytest

from mcp_coder.testing.default_answer import answer_to, default_reply
from mcp_coder.testing.model_replies import Reply


def body(*prompts: Any, **more: Any) -> Any:
    messages = []
    for prompt in prompts:
        messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": "ok"}]
    return {"messages": messages[:-1], **more}


ANSWERS = {
    "a fact": (["My favorite color is blue"], "Noted: my favorite color is blue"),
    "a fact in passing": (["Hi! Remember that my dog is Rex. Thanks."], "Noted: my dog is Rex"),
    "a fact of the world": (["The code word is falcon-7"], "Noted: the code word is falcon-7"),
    "recalled": (["My favorite color is blue", "What is my favorite color?"], "Your favorite color is blue"),
    "recalled later": (["My name is Ann", "hello", "What's my name?"], "Your name is Ann"),
    "recalled, of the world": (
        ["the code word is falcon", "What is the code word?"],
        "The code word is falcon",
    ),
    "the latest word": (["my dog is Rex", "My dog is Bo.", "What is my dog?"], "Your dog is Bo"),
    "one of several": (["my cat is Tom. my dog is Rex", "What is my cat?"], "Your cat is Tom"),
    "never told": (
        ["My dog is Rex", "What is my favorite color?"],
        "You have not told me your favorite color.",
    ),
    "never told, of the world": (["What is the code word?"], "You have not told me the code word."),
    "all of it": (["one", "two", "What did I say?"], "You said:\n1. one\n2. two"),
    "all of nothing": (["What have I told you?"], "You have said nothing yet."),
    "an echo": (["hello there"], "echo: hello there"),
    "nothing asked": ([], "echo: "),
}


@pytest.mark.parametrize(("prompts", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_the_answer_comes_from_the_conversation(prompts: list[str], answer: str) -> None:
    assert answer_to(body(*prompts)) == answer
    assert default_reply(body(*prompts)) == Reply.text(answer)


def test_an_echo_of_megabytes_is_short_and_names_the_length() -> None:
    assert answer_to(body("x" * 2_000_000)).endswith("… (2000000 characters)")


def test_a_tools_output_is_quoted() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "hello-42"}
    asked = {"messages": [{"role": "user", "content": "run"}, {"role": "user", "content": [result]}]}
    assert default_reply(asked) == Reply.text("The tool said: hello-42")


def test_a_notice_is_understood() -> None:
    notice = "<system-reminder>\n[SYSTEM NOTIFICATION - NOT USER INPUT]\nx</system-reminder>"
    assert default_reply(body(notice)) == Reply.text("Understood.")


def test_what_is_compacted_away_is_still_recalled() -> None:
    compact = "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools."
    summary = default_reply(body("My favorite color is blue", compact)).said
    assert summary.startswith("<summary>")
    continued = f"This session is being continued from a previous conversation. Summary:\n{summary}"
    assert answer_to(body(continued, "What is my favorite color?")) == "Your favorite color is blue"


def test_a_title_fits_the_schema_that_is_asked_for() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    asked = body("fix the\nlogin bug", output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(default_reply(asked).said) == {"title": "fix the login bug"}
    assert json.loads(default_reply({**asked, "messages": []}).said) == {"title": "nothing"}


STRUCTURED = {
    "name": "StructuredOutput",
    "input_schema": {"required": ["a"], "properties": {"a": {"type": "string"}}},
}


@pytest.mark.parametrize("tools", [[STRUCTURED], ["odd", {"name": "Bash"}, STRUCTURED]])
def test_a_structured_answer_is_given_by_its_tool(tools: Any) -> None:
    assert default_reply(body("hi", tools=tools)) == Reply.tool_use("StructuredOutput", a="echo: hi")


def test_a_structured_answer_without_schema_is_null() -> None:
    reply = default_reply(body("hi", tools=[{"name": "StructuredOutput"}]))
    assert reply == Reply.tool_use("StructuredOutput")


def test_a_structured_answer_that_was_taken_is_not_given_again() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "taken"}
    asked = {"tools": [STRUCTURED], "messages": [{"role": "user", "content": [result]}]}
    assert default_reply(asked) == Reply.text("The tool said: taken")
