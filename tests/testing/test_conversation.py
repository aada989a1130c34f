"""What counts as a prompt, on bodies as the real program sends them."""

from typing import Any

import pytest

from mcp_coder.testing.conversation import end_of, prompts_in, told_in, tool_outputs_in

REMINDER = "<system-reminder>\nAttribution for git commits:\n- End with: x\n</system-reminder>\n"
NOTICE = "<system-reminder>\n[SYSTEM NOTIFICATION - NOT USER INPUT]\nA task ended.\n</system-reminder>"
COMPACTED = (
    "This session is being continued from a previous conversation that ran out of context. Summary: blue"
)
COMPACT = "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.\n\n- Do NOT use Read"


def text(value: Any) -> Any:
    return {"type": "text", "text": value}


def user(*content: Any) -> Any:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant(value: Any) -> Any:
    return {"role": "assistant", "content": [text(value)]}


def tool_result(content: Any) -> Any:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, "is_error": False}


SYSTEM = {"role": "system", "content": "# Environment\nYou have been invoked ..."}

PROMPTS = {
    "first turn: reminder block, prompt, then a system message": (
        [user(text(REMINDER), text("first")), SYSTEM],
        ["first"],
    ),
    "plain string": ([user("first")], ["first"]),
    "reminder in front of a string": ([user(REMINDER + "first")], ["first"]),
    "reminders at both ends": ([user(REMINDER + "first\n" + REMINDER)], ["first"]),
    "two reminders in front": ([user(REMINDER + REMINDER + "first")], ["first"]),
    "a reminder in the middle belongs to the prompt": (
        [user("say <system-reminder>x</system-reminder> now")],
        ["say <system-reminder>x</system-reminder> now"],
    ),
    "a tag that is not closed": (
        [user("<system-reminder> what is this?")],
        ["<system-reminder> what is this?"],
    ),
    "a tag that is not opened": ([user("this </system-reminder>")], ["this </system-reminder>"]),
    "only a reminder": ([user(text(REMINDER))], []),
    "white space is kept": ([user("  - x \n\n")], ["  - x \n\n"]),
    "history": ([user("one"), assistant("a"), user("two")], ["one", "two"]),
    "a failed prompt merged with the next": ([user(text("failed\n"), text("next"))], ["failed", "next"]),
    "tool results": ([user("one"), assistant("a"), user(tool_result("42"))], ["one"]),
    "an image between": ([user({"type": "image", "source": {}}, text("what is it?"))], ["what is it?"]),
    "interrupted": ([user("one"), user(text("[Request interrupted by user]")), user("two")], ["one", "two"]),
    "interrupted, merged": ([user(text("[Request interrupted by user]\n"), text("two"))], ["two"]),
    "a local command": (
        [user(text("<local-command-caveat>x"), text("<command-name>/cost</command-name>"), text("two"))],
        ["two"],
    ),
    "compacted": ([user(text(COMPACTED), text("post"))], ["post"]),
    "a notice": ([user("one"), user(tool_result("x"), text(NOTICE))], ["one"]),
    "structured output is demanded": (
        [user("one"), user(text("[structured-output-enforce] You MUST"))],
        ["one"],
    ),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("messages", "prompts"), PROMPTS.values(), ids=PROMPTS)
def test_prompts_are_what_was_asked_and_nothing_else(messages: list[Any], prompts: list[str]) -> None:
    assert prompts_in({"messages": messages}) == prompts


ENDS = {
    "a prompt, though a system message follows": ([user(text(REMINDER), text("first")), SYSTEM], "prompt"),
    "a prompt with a reminder behind it": ([user(text("first"), text(REMINDER))], "prompt"),
    "a tool result": ([user("one"), user(tool_result("42"))], "tool_result"),
    "a tool result and a reminder": ([user("one"), user(tool_result("42"), text(REMINDER))], "tool_result"),
    "an image behind a prompt": ([user(text("what is it?"), {"type": "image"})], "prompt"),
    "a notice behind a tool result": ([user(tool_result("x"), text(NOTICE))], "notice"),
    "structured output is demanded": ([user(text("[structured-output-enforce] You MUST"))], "notice"),
    "compaction": ([user(text("one\n"), text(COMPACT))], "compaction"),
    "only a reminder": ([user(text(REMINDER))], "nothing"),
    "nothing": ([], "nothing"),
}


@pytest.mark.parametrize(("messages", "end"), ENDS.values(), ids=ENDS)
def test_the_end_says_what_the_model_is_asked_for(messages: list[Any], end: str) -> None:
    assert end_of({"messages": messages}) == end


def test_what_was_told_includes_a_summary_of_what_was_compacted_away() -> None:
    body = {"messages": [user(text(COMPACTED), text("<command-name>/compact</command-name>"), text("post"))]}
    assert told_in(body) == [COMPACTED, "post"]


def test_tool_outputs_are_those_of_the_last_message() -> None:
    body = {
        "messages": [
            user(tool_result("old")),
            assistant("a"),
            user(tool_result("new"), tool_result([text("a"), text("b"), {"type": "image"}]), text("and?")),
        ]
    }
    assert tool_outputs_in(body) == ["new", "a\nb"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": "x"},
        {"messages": ["x", 1]},
        {"messages": [{"role": "user"}, {"role": "user", "content": [1, "x", {}, {"type": "text"}]}]},
    ],
)
def test_bodies_of_another_shape_are_passed_over(body: Any) -> None:
    assert prompts_in(body) == []
    assert tool_outputs_in(body) == []
    assert end_of(body) == "nothing"


def test_a_prompt_of_megabytes_is_read_at_once() -> None:
    prompt = "  \n" * 1_000_000 + "end" + " " * 1_000_000
    assert prompts_in({"messages": [user(REMINDER + prompt + REMINDER)]}) == [prompt]
    assert prompts_in({"messages": [user(prompt)]}) == [prompt]
