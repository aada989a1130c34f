"""What the stand-in model answers where no rule says otherwise.

In comes a request body, out comes a reply that depends on nothing but the conversation in it. It recalls what it was
told, so that a test sees whether an agent really sent the history. Pure, deterministic.

======================================  ==========================================
prompt                                  answer
======================================  ==========================================
``My favorite color is blue``           ``Noted: my favorite color is blue``
``What is my favorite color?``          ``Your favorite color is blue``
... never told                          ``You have not told me your favorite color.``
``What did I say?``                     the prompts so far, numbered
anything else                           ``echo: `` and the prompt
(the output of a tool)                  ``The tool said: `` and the output
(a structured answer is asked for)      a value that fits the schema
======================================  ==========================================
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from .conversation import end_of, prompts_in, told_in, tool_outputs_in
from .model_replies import Reply
from .schema_sample import sample_of

_FACT = re.compile(r"\b(my|the) ([\w' -]{1,80}?) (is|are|was) ([^.!?\n]{1,200})(?![^.!\n]*\?)", re.IGNORECASE)
_QUESTION = re.compile(
    r"\b(?:what|who|where|when)(?:'s| is| are| was) (my|the) ([^?\n]{1,80})\?", re.IGNORECASE
)
_ASKS_FOR_ALL = re.compile(r"\bwhat (?:did|have) i (?:say|said|ask|asked|tell|told)\b", re.IGNORECASE)
_LONGEST_ECHO = 2000
_STRUCTURED = "StructuredOutput"


def default_reply(body: Mapping[str, Any]) -> Reply:
    """Return the answer to the conversation in ``body``; the table above says which."""
    schema = _schema_of_answer(body)
    if schema is not None:
        return Reply.text(json.dumps(sample_of(schema, _text_for_title(body))))
    end = end_of(body)
    structured = _structured_tool(body)
    if structured is not None and end in ("prompt", "notice"):
        return Reply.tool_use(_STRUCTURED, sample_of(structured, answer_to(body)))
    return Reply.text(_ANSWERS[end](body))


def answer_to(body: Mapping[str, Any]) -> str:
    """Return the text that answers the last prompt in ``body``, from the conversation alone."""
    prompts = prompts_in(body)
    if not prompts:
        return "echo: "
    prompt = prompts[-1]
    if _ASKS_FOR_ALL.search(prompt):
        return _list_of(prompts[:-1])
    if (question := _QUESTION.search(prompt)) is not None:
        return _recall(question[1], question[2], told_in(body))
    if (fact := _FACT.search(prompt)) is not None:
        return f"Noted: {fact[0][0].lower()}{fact[0][1:].rstrip()}"
    return f"echo: {_clipped(prompt)}"


def _recall(whose: str, what: str, told: list[str]) -> str:
    """Answer a question from what was told, the latest word first."""
    owner = "your" if whose.lower() == "my" else "the"
    wanted = what.strip().lower()
    for text in reversed(told):
        for fact in reversed(list(_FACT.finditer(text))):
            if fact[2].strip().lower() == wanted:
                return f"{owner.capitalize()} {what.strip()} {fact[3].lower()} {fact[4].strip()}"
    return f"You have not told me {owner} {what.strip()}."


def _list_of(prompts: list[str]) -> str:
    if not prompts:
        return "You have said nothing yet."
    return "You said:\n" + "\n".join(f"{number}. {_clipped(text)}" for number, text in enumerate(prompts, 1))


def _clipped(text: str) -> str:
    """Keep echoes of prompts of some megabytes short; the length stands for the rest."""
    return text if len(text) <= _LONGEST_ECHO else f"{text[:_LONGEST_ECHO]}… ({len(text)} characters)"


def _after_tool(body: Mapping[str, Any]) -> str:
    return "The tool said: " + "\n".join(tool_outputs_in(body))


def _after_notice(body: Mapping[str, Any]) -> str:  # noqa: ARG001 - a row of the table below
    return "Understood."


def _summary(body: Mapping[str, Any]) -> str:
    """Answer a request to compact the conversation so that it can still be recalled from afterwards."""
    lines = "\n".join(f"- {_clipped(text)}" for text in told_in(body))
    return f"<summary>\nThe user said:\n{lines}\n</summary>"


_ANSWERS = {
    "prompt": answer_to,
    "tool_result": _after_tool,
    "notice": _after_notice,
    "compaction": _summary,
    "nothing": answer_to,
}


def _schema_of_answer(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema that the answer's text must fit; agents ask so for titles."""
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    return schema if isinstance(schema, Mapping) else None


def _text_for_title(body: Mapping[str, Any]) -> str:
    return " ".join((prompts_in(body) or ["nothing"])[-1].split())[:60]


def _structured_tool(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the input schema of the tool by which Claude Code takes a structured answer."""
    for tool in body.get("tools") or []:
        if isinstance(tool, Mapping) and tool.get("name") == _STRUCTURED:
            return tool.get("input_schema") or {}
    return None
