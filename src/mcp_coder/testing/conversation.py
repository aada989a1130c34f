"""Read a conversation as it arrives in a request body of the Messages API.

In comes the decoded body of ``POST /v1/messages``; out come the prompts that a person (or a caller) gave, what the
conversation ends with, and the outputs of tools. An agent surrounds prompts with much that nobody typed: reminders,
notices, records of local commands, summaries. It is told apart here, and nowhere else.

Pure: no input or output, no clock. Never raises on a body of an unexpected shape; what it cannot read it passes over.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

End = Literal["prompt", "tool_result", "notice", "compaction", "nothing"]

_OPEN, _CLOSE = "<system-reminder>", "</system-reminder>"
_NOTICE = "[SYSTEM NOTIFICATION"

COMPACTED = "This session is being continued from a previous conversation"
COMPACTION = "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools."

# How texts begin that stand where a prompt stands, although the agent wrote them itself.
_WRITTEN_BY_THE_AGENT = (
    "[Request interrupted by user",
    "[structured-output-enforce]",
    "<local-command-caveat>",
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<command-name>",
    "<command-message>",
    "<task-notification>",
    COMPACTED,
    COMPACTION,
)


def prompts_in(body: Mapping[str, Any]) -> list[str]:
    """Return the prompts of the conversation in ``body``, oldest first.

    Each text block counts as one prompt: an agent merges a prompt that failed with the next one into one message of
    two blocks, and both are seen here. Reminders and tool results are left out.

    >>> prompts_in({"messages": [{"role": "user", "content": "<system-reminder>x</system-reminder>Hello"}]})
    ['Hello']
    """
    return [text for text in _user_texts(body) if _is_prompt(text)]


def told_in(body: Mapping[str, Any]) -> list[str]:
    """Return the prompts, and the summaries that stand for prompts that were compacted away, oldest first."""
    return [text for text in _user_texts(body) if _is_prompt(text) or text.startswith(COMPACTED)]


def tool_outputs_in(body: Mapping[str, Any]) -> list[str]:
    """Return the outputs of the tools that the last message of the user's side reports, as text."""
    blocks = _blocks(_last_user_message(body))
    return [_flat_text(block.get("content")) for block in blocks if block.get("type") == "tool_result"]


def end_of(body: Mapping[str, Any]) -> End:
    """Return what the conversation ends with, so what the model is asked for.

    ``"prompt"``: a person's prompt. ``"tool_result"``: the output of a tool. ``"notice"``: something that the agent
    says itself, such as the end of a background task. ``"compaction"``: a request for a summary of the conversation.
    """
    for block in reversed(_blocks(_last_user_message(body))):
        if (end := _end_of_block(block)) is not None:
            return end
    return "nothing"


def _end_of_block(block: Mapping[str, Any]) -> End | None:
    if block.get("type") == "tool_result":
        return "tool_result"
    if block.get("type") != "text":
        return None
    return _end_of_text(str(block.get("text", "")))


def _end_of_text(text: str) -> End | None:
    bare = _without_reminders(text)
    if not bare.strip():
        return "notice" if _NOTICE in text else None
    if bare.startswith(COMPACTION):
        return "compaction"
    return "prompt" if _is_prompt(bare) else "notice"


def _is_prompt(text: str) -> bool:
    return not text.lstrip().startswith(_WRITTEN_BY_THE_AGENT)


def _user_texts(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of the user's side without reminders, those that hold nothing else left out."""
    for message in _messages(body):
        if message.get("role") == "user":
            yield from _texts(_blocks(message))


def _texts(blocks: list[Mapping[str, Any]]) -> Iterator[str]:
    for position, block in enumerate(blocks):
        if block.get("type") != "text":
            continue
        text = _without_reminders(str(block.get("text", "")))
        if position + 1 < len(blocks):
            text = text.removesuffix(
                "\n"
            )  # put there when blocks were merged; the last block is as it was given
        if text.strip():
            yield text


def _without_reminders(text: str) -> str:
    """Cut whole reminders off both ends; a text without any comes back as it is, white space included.

    By plain searches, not one regular expression: prompts of some megabytes pass through here.
    """
    while (bare := text.lstrip()).startswith(_OPEN) and (end := bare.find(_CLOSE)) >= 0:
        text = bare[end + len(_CLOSE) :].removeprefix("\n")
    while (bare := text.rstrip()).endswith(_CLOSE) and (start := bare.rfind(_OPEN)) >= 0:
        text = bare[:start].removesuffix("\n")
    return text


def _messages(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = body.get("messages")
    return [one for one in messages if isinstance(one, Mapping)] if isinstance(messages, list) else []


def _last_user_message(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last message of the user's side: one of role ``system`` may follow it."""
    return next((one for one in reversed(_messages(body)) if one.get("role") == "user"), {})


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [one for one in content if isinstance(one, Mapping)] if isinstance(content, list) else []


def _flat_text(content: object) -> str:
    blocks = _blocks({"content": content})
    return "\n".join(str(one.get("text", "")) for one in blocks if one.get("type") == "text")
