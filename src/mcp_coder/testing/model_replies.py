"""What the stand-in model answers, and when: replies and rules.

In come a few words of a test (``Reply.text("hello")``), out come frozen records that say what to send step by step, and
whether a rule applies to a recorded request. Pure: nothing here sends, waits or counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

from .recorded_request import Kind, RecordedRequest


class Waitable(Protocol):
    """What a reply can be held until: a :class:`threading.Event`."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set, at most ``timeout`` seconds; return whether it is set."""
        ...


@dataclass(frozen=True, kw_only=True)
class Say:
    """Send text; goes on in the block of text that is open, or opens one."""

    text: str


@dataclass(frozen=True, kw_only=True)
class UseTool:
    """Ask the agent to run a tool. ``id`` None: the server makes one up."""

    name: str
    input: Mapping[str, Any]
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class NextBlock:
    """Close the block of content that is open: the next text opens a new one."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Send nothing for some seconds. Before the first content not even the status line is sent."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Send nothing until ``until`` is set, the client leaves or the server closes; None: only the last two."""

    until: Waitable | None = None


@dataclass(frozen=True, kw_only=True)
class Fail:
    """Report an error in the middle of a streamed answer, as the API does when it is overloaded."""

    type: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Close the connection, whatever was sent so far."""


Step: TypeAlias = Say | UseTool | NextBlock | Pause | Hold | Fail | Cut

ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def status_of(error_type: str) -> int:
    """Return the HTTP status that belongs to an error type; 500 for one that is not known."""
    return next((status for status, known in ERROR_TYPES.items() if known == error_type), 500)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer of the stand-in model, made by the class methods, joined by ``+``.

    >>> Reply.text("Let me look.") + Reply.tool_use("Bash", command="ls")
    ... # doctest: +ELLIPSIS
    Reply(...)

    ``usage`` overrides the token counters by name, ``stop_reason`` the reason that would follow from the content.
    """

    steps: tuple[Step, ...] = ()
    status: int = 200
    error_type: str | None = None
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, int] | None = None
    stop_reason: str | None = None

    @classmethod
    def text(cls, text: str) -> Reply:
        """Answer with one text."""
        return cls(steps=(Say(text=text),))

    @classmethod
    def chunks(cls, texts: Sequence[str], *, delay: float = 0.0) -> Reply:
        """Answer with one text that arrives in pieces, ``delay`` seconds between them."""
        steps: list[Step] = []
        for text in texts:
            steps += [Pause(seconds=delay), Say(text=text)] if steps and delay else [Say(text=text)]
        return cls(steps=tuple(steps))

    @classmethod
    def tool_use(cls, name: str, tool_input: Mapping[str, Any] | None = None, /, **inputs: Any) -> Reply:
        """Let the agent run the tool ``name``, for real; it asks again with the tool's output.

        The input is given as a mapping or as keywords: ``Reply.tool_use("Bash", command="ls")``.
        """
        return cls(steps=(UseTool(name=name, input={**(tool_input or {}), **inputs}),))

    @classmethod
    def error(
        cls,
        status: int,
        error_type: str | None = None,
        message: str = "scripted",
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Answer with an HTTP status and an error object; its type follows from the status where none is given."""
        kind = error_type or ERROR_TYPES.get(status, "api_error")
        return cls(status=status, error_type=kind, message=message, headers=headers or {})

    @classmethod
    def stream_error(cls, error_type: str, message: str = "scripted", *, after: str = "") -> Reply:
        """Begin to answer with status 200, then report an error inside the stream.

        A request that does not stream (Claude Code sends one when a stream failed) gets the error's status instead.
        """
        return cls(steps=(Say(text=after), Fail(type=error_type, message=message)))

    @classmethod
    def hang(cls, *, after: str | None = None, until: Waitable | None = None, then: str = "") -> Reply:
        """Fall silent: before the answer (``after=None``: no byte is sent) or once ``after`` has been sent.

        Ends when ``until`` is set, and ``then`` follows; otherwise when the client leaves or the server closes.
        """
        begun: tuple[Step, ...] = () if after is None else (Say(text=after),)
        return cls(steps=(*begun, Hold(until=until), Say(text=then)))

    @classmethod
    def cut(cls, *, after: str | None = None) -> Reply:
        """Close the connection: before any byte (``after=None``) or once ``after`` has been sent."""
        begun: tuple[Step, ...] = () if after is None else (Say(text=after),)
        return cls(steps=(*begun, Cut()))

    @classmethod
    def big(cls, nbytes: int) -> Reply:
        """Answer with ``nbytes`` bytes of ASCII in numbered lines, so that what is missing can be named."""
        return cls.text(numbered_lines(nbytes))

    def delayed(self, seconds: float) -> Reply:
        """Return the same reply, its first byte held back for some seconds."""
        return replace(self, steps=(Pause(seconds=seconds), *self.steps))

    def with_usage(self, **counters: int) -> Reply:
        """Return the same reply with these token counters, such as ``input_tokens=100, output_tokens=5``."""
        return replace(self, usage={**(self.usage or {}), **counters})

    def __add__(self, other: Reply) -> Reply:
        """Several blocks of content in one answer; what is not a step is taken from the left side first."""
        return replace(
            self,
            steps=(*self.steps, NextBlock(), *other.steps),
            usage=self.usage or other.usage,
            stop_reason=self.stop_reason or other.stop_reason,
        )

    @property
    def said(self) -> str:
        """The text that it says, all blocks together."""
        return "".join(step.text for step in self.steps if isinstance(step, Say))

    @property
    def uses_tools(self) -> bool:
        """Whether the agent is asked to run a tool."""
        return any(isinstance(step, UseTool) for step in self.steps)


def numbered_lines(nbytes: int) -> str:
    """Return exactly ``nbytes`` ASCII characters: lines of 64, each beginning with its number."""
    lines = nbytes // 64 + 1
    return "".join(f"{number:09d} {'.' * 53}\n" for number in range(lines))[:nbytes]


ReplySource: TypeAlias = Reply | Callable[[RecordedRequest], Reply]
At: TypeAlias = Literal["prompt", "tool_result", "any"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When to give which reply. All conditions that are given must hold.

    ``prompt``: part of the prompt that is asked, or a compiled pattern to search in it; holds for requests that end
    with a prompt only. ``tool_output``: the same for the output of the tool that a request ends with.
    ``session_id``: of this session. ``nth``: the nth turn request from 1 (of the session, where one is given).
    ``when``: any question about the request. ``times``: how often it applies, None for always.

    ``at`` says what the request must end with; where it is not given it follows: ``"prompt"`` for a rule with a
    ``prompt`` or with a reply that uses a tool (otherwise the agent would run it for ever), ``"tool_result"`` for
    one with a ``tool_output``, else ``"any"``. ``kinds``: which kinds of request the rule is for.
    """

    reply: ReplySource
    prompt: str | re.Pattern[str] | None = None
    tool_output: str | re.Pattern[str] | None = None
    session_id: str | None = None
    nth: int | None = None
    when: Callable[[RecordedRequest], bool] | None = None
    times: int | None = None
    at: At | None = None
    kinds: frozenset[Kind] = frozenset({"turn", "subagent"})

    def applies_to(self, request: RecordedRequest) -> bool:
        """Say whether every condition holds for ``request``."""
        return request.kind in self.kinds and all(holds(self, request) for holds in _CONDITIONS)

    def reply_to(self, request: RecordedRequest) -> Reply:
        """Return the reply, asking for it where it depends on the request."""
        return self.reply if isinstance(self.reply, Reply) else self.reply(request)


def _effective_at(rule: Rule) -> At:
    if rule.at is not None:
        return rule.at
    if rule.tool_output is not None:
        return "tool_result"
    uses_tools = isinstance(rule.reply, Reply) and rule.reply.uses_tools
    return "prompt" if rule.prompt is not None or uses_tools else "any"


def _is_in(wanted: str | re.Pattern[str], text: str) -> bool:
    return wanted in text if isinstance(wanted, str) else wanted.search(text) is not None


def _ends_rightly(rule: Rule, request: RecordedRequest) -> bool:
    wanted = _effective_at(rule)
    return wanted in ("any", request.end)


def _prompt_matches(rule: Rule, request: RecordedRequest) -> bool:
    return rule.prompt is None or _is_in(rule.prompt, request.prompt or "")


def _output_matches(rule: Rule, request: RecordedRequest) -> bool:
    wanted = rule.tool_output
    return wanted is None or any(_is_in(wanted, output) for output in request.tool_outputs)


def _session_matches(rule: Rule, request: RecordedRequest) -> bool:
    return rule.session_id in (None, request.session_id)


def _nth_matches(rule: Rule, request: RecordedRequest) -> bool:
    number = request.number if rule.session_id is None else request.session_number
    return rule.nth in (None, number)


def _when_holds(rule: Rule, request: RecordedRequest) -> bool:
    return rule.when is None or rule.when(request)


_CONDITIONS = (_ends_rightly, _session_matches, _nth_matches, _prompt_matches, _output_matches, _when_holds)
