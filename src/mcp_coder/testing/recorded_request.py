"""The record of one request that the stand-in model received, and what kind of request it was.

In come the parts of an HTTP request; out comes a frozen record that tests ask. Pure: it never receives anything itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .conversation import End, end_of, prompts_in, tool_outputs_in

Kind = Literal["turn", "subagent", "side", "count_tokens", "probe", "unknown"]

_SIDE_CLASSES = ("compaction", "auxiliary", "side_reply")


@dataclass(frozen=True, kw_only=True)
class RecordedRequest:
    """One request, as it arrived.

    ``headers`` have lower-case names. ``body`` is the decoded JSON object, empty where there was none. ``time`` is
    aware UTC. ``number`` counts the requests of this kind from 1, ``session_number`` those of this kind and session.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    time: datetime
    size: int = 0
    """Bytes of the body."""
    number: int = 0
    session_number: int = 0
    kind: Kind = field(default="unknown")

    @property
    def session_id(self) -> str | None:
        """The agent's session, from the header ``X-Claude-Code-Session-Id``; None where there is none."""
        return self.headers.get("x-claude-code-session-id")

    @property
    def agent_id(self) -> str | None:
        """The sub-agent that asks; None for the main agent."""
        return self.headers.get("x-claude-code-agent-id")

    @property
    def model(self) -> str:
        """The model asked for, or an empty text."""
        return str(self.body.get("model", ""))

    @property
    def end(self) -> End:
        """What the conversation ends with: a prompt, a tool's output, or something the agent says itself."""
        return end_of(self.body)

    @property
    def prompts(self) -> list[str]:
        """Every prompt that the model sees in this request, oldest first."""
        return prompts_in(self.body)

    @property
    def prompt(self) -> str | None:
        """The prompt that is asked here; None where the request goes on from a tool's output or a notice."""
        return self.prompts[-1] if self.end == "prompt" else None

    @property
    def tool_outputs(self) -> list[str]:
        """What the tools returned that the model had called, as text."""
        return tool_outputs_in(self.body)


def kind_of(method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> Kind:
    """Return what a request is for; ``headers`` have lower-case names.

    ``"turn"``: the main agent asks for its next message, the only kind that tests usually count. ``"subagent"``: the
    same of a sub-agent. ``"side"``: work beside the turns, such as a title or a summary. ``"count_tokens"``,
    ``"probe"`` (GET or HEAD) and ``"unknown"`` (answered with 404) never reach the rules.
    """
    if method in ("GET", "HEAD"):
        return "probe"
    return (
        _KINDS_OF_POST.get(path.partition("?")[0], _unknown)(headers, body) if method == "POST" else "unknown"
    )


def _kind_of_message(headers: Mapping[str, str], body: Mapping[str, Any]) -> Kind:
    if _is_side_work(headers, body):
        return "side"
    return "subagent" if "x-claude-code-agent-id" in headers else "turn"


def _is_side_work(headers: Mapping[str, str], body: Mapping[str, Any]) -> bool:
    """Tell titles, summaries and the like from turns.

    The agent does not name them to a server that is not its maker's, so the shape decides: a turn of Claude Code has
    tools or thinking (even where all tools are switched off), and its answer is free text.
    """
    if headers.get("x-claude-code-request-class") in _SIDE_CLASSES or end_of(body) == "compaction":
        return True
    if not headers.get("user-agent", "").startswith("claude-cli/"):
        return False
    return "format" in (body.get("output_config") or {}) or not (body.get("tools") or body.get("thinking"))


def _unknown(headers: Mapping[str, str], body: Mapping[str, Any]) -> Kind:  # noqa: ARG001 - a row of the table below
    return "unknown"


def _count_tokens(headers: Mapping[str, str], body: Mapping[str, Any]) -> Kind:  # noqa: ARG001 - as above
    return "count_tokens"


_KINDS_OF_POST = {"/v1/messages": _kind_of_message, "/v1/messages/count_tokens": _count_tokens}
