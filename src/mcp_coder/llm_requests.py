"""What a turn is asked: one frozen record with its options, checked before anything is started.

A caller's keyword arguments come in, a ``TurnRequest`` goes out, or one ``InvalidRequestError`` that says what was
wrong and what to do. Nothing here does I/O, reads a clock or the environment.

To add an option: a field in ``TurnRequest`` and its twin in ``TurnOptions`` (a test holds them together), a row in the
provider's table of flags, and a flag on the command line.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypedDict

from mcp_coder.llm_errors import InvalidRequestError

__all__ = [
    "DEFAULT_METHOD",
    "DEFAULT_TIMEOUT",
    "MAX_QUESTION_BYTES",
    "TurnOptions",
    "TurnRequest",
    "agent_part",
    "new_request",
]

MAX_QUESTION_BYTES = 10 * 1024 * 1024
"""The longest prompt that is sent, in bytes of UTF-8. Claude Code itself refuses from about 3 MB on."""

_MOST = 10**9  # seconds, dollars, turns: far beyond it the system's own clocks overflow

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _DefaultSeconds(int):
    """A number of seconds that can be told from the same number given by a caller."""

    __slots__ = ()


class _DefaultName(str):
    """A name that can be told from the same name given by a caller."""

    __slots__ = ()


# A default that the environment may replace (MCP_CODER_TIMEOUT, MCP_CODER_METHOD) must be told from an explicit
# argument of the same value, which always wins; callers and help(...) see plain 30 and "cli".
DEFAULT_TIMEOUT: float = _DefaultSeconds(30)
DEFAULT_METHOD: str = _DefaultName("cli")


class PathLike(Protocol):
    """What has a path as text, such as ``pathlib.Path``."""

    def __fspath__(self) -> str:
        """Return the path."""


class TurnOptions(TypedDict, total=False):
    """The keyword-only options of ``ask_llm``, ``prompt_llm`` and their like, by both methods alike.

    ``TurnRequest`` says what each means.
    """

    model: str | None
    system_prompt: str | None
    append_system_prompt: str | None
    permission_mode: str | None
    allowed_tools: Sequence[str]
    disallowed_tools: Sequence[str]
    mcp_config: str | PathLike | Mapping[str, object] | None
    add_dirs: Sequence[str | PathLike]
    max_turns: int | None
    max_budget_usd: float | None
    json_schema: Mapping[str, object] | None
    env: Mapping[str, str]
    fork: bool
    session: str | None
    startup_timeout: float | None
    inactivity_timeout: float | None
    on_busy: Literal["wait", "error", "fork"]
    after_failure: Literal["keep", "drop"]
    on_denial: Literal["record", "error"]
    require_mcp: Sequence[str]
    extra_args: Mapping[str, str | None]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TurnRequest:
    """What one turn is asked. Make it with ``new_request``, which checks it.

    Attributes:
        question: the prompt, as it is to arrive.
        provider: which agent, e.g. ``"claude"``.
        method: ``"cli"`` (the agent's program) or ``"api"`` (its Python SDK).
        session_id: the session to go on with; None begins a new one.
        timeout: seconds for the whole call up to the answer, waiting for the session included; None: no limit.
        cwd: the directory to run in; None: the session's own, for a new session the caller's.
        model: the model or its alias; None: the agent's own choice.
        system_prompt: replaces the agent's system prompt.
        append_system_prompt: is added to the agent's system prompt.
        permission_mode: how tool permissions are decided, in the agent's own words (see ``PERMISSION_MODES``).
        allowed_tools: tools that need no permission, e.g. ``["Read", "Bash(git *)"]``.
        disallowed_tools: tools that are not to be used.
        mcp_config: MCP servers to add: a file's path, or what such a file would hold as a mapping.
        add_dirs: more directories that the agent may touch.
        max_turns: the most model calls in this turn; passed: ``LimitReachedError``.
        max_budget_usd: the most dollars to begin another model call at; passed: ``LimitReachedError``.
        json_schema: a JSON Schema; the answer's text is then JSON that fits it.
        env: environment variables for the agent, over the caller's own.
        fork: begin a new session with the past of ``session_id``.
        session: a name instead of an id: the same name is always the same session, begun or gone on.
        startup_timeout: seconds until the agent's first sign of life; None: min(60, timeout).
        inactivity_timeout: seconds of silence in mid-turn; None: min(600, timeout).
        on_busy: another turn of the session is under way: ``"wait"``, ``"error"`` (at once) or ``"fork"``.
        after_failure: the prompt of a failed turn before this one: ``"keep"`` it in the history or ``"drop"`` it.
        on_denial: a tool that was denied: ``"record"`` it in the answer, or raise ``"error"``.
        require_mcp: names of MCP servers without which an answer does not count.
        extra_args: the agent's own flags that have no name here: ``{"effort": "high", "strict-mcp-config": None}``.
    """

    question: str
    provider: str = "claude"
    method: str = "cli"
    session_id: str | None = None
    timeout: float | None = 30.0
    cwd: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    append_system_prompt: str | None = None
    permission_mode: str | None = None
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()
    mcp_config: str | Mapping[str, object] | None = None
    add_dirs: tuple[str, ...] = ()
    max_turns: int | None = None
    max_budget_usd: float | None = None
    json_schema: Mapping[str, object] | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fork: bool = False
    session: str | None = None
    startup_timeout: float | None = None
    inactivity_timeout: float | None = None
    on_busy: str = "wait"
    after_failure: str = "keep"
    on_denial: str = "record"
    require_mcp: tuple[str, ...] = ()
    extra_args: Mapping[str, str | None] = dataclasses.field(default_factory=dict)


_ELSEWHERE: Mapping[str, object] = {
    "question": "",
    "session_id": None,
    "session": None,
    "fork": False,
    "cwd": None,
    "timeout": None,
    "startup_timeout": None,
    "inactivity_timeout": None,
    "on_busy": "wait",
    "after_failure": "keep",
    "on_denial": "record",
    "require_mcp": (),
}
"""What of a request an agent's program is not started with: how the session is entered, and what the turn decides."""


def agent_part(request: TurnRequest) -> TurnRequest:
    """Return what of a request its agent is started with: two turns with an equal part can share one agent."""
    return dataclasses.replace(request, **_ELSEWHERE)  # type: ignore[arg-type]  # each has its field's type


METHODS = ("cli", "api")
PERMISSION_MODES = ("default", "acceptEdits", "plan", "bypassPermissions", "dontAsk", "auto", "manual")


def new_request(question: str, **arguments: object) -> TurnRequest:
    """Return the checked record of what a turn is asked.

    Args:
        question: the prompt.
        arguments: the other fields of ``TurnRequest``.

    Raises:
        InvalidRequestError: a value is wrong, or two do not go together; the message says which and what to do.
        TypeError: there is no such option.

    Example::

        request = new_request("Say hello", method="api", timeout=60, model="haiku")
    """
    _refuse_unknown(arguments)
    checked = {name: _CHECKS[name](name, value) for name, value in arguments.items()}
    request = TurnRequest(question=_question(question), **checked)  # type: ignore[arg-type]  # each row gives its field's type
    _check_together(request)
    return request


def _refuse_unknown(arguments: Mapping[str, object]) -> None:
    for name in arguments:
        if name not in _CHECKS:
            raise TypeError(f"unknown option {name!r}; known are: {', '.join(sorted(_CHECKS))}")


def _check_together(request: TurnRequest) -> None:
    if request.session is not None and request.session_id is not None:
        raise InvalidRequestError("give session_id or session (a name), not both")
    if request.fork and request.session_id is None and request.session is None:
        raise InvalidRequestError("fork needs the session to fork from: give session_id")
    if request.system_prompt is not None and request.append_system_prompt is not None:
        raise InvalidRequestError("give system_prompt or append_system_prompt, not both")


def _question(value: object) -> str:
    text = _text("question", value)
    size = len(text.encode("utf-8"))
    if size > MAX_QUESTION_BYTES:
        raise InvalidRequestError(
            f"question is {size:,} bytes long; at most {MAX_QUESTION_BYTES:,} can be sent: "
            "put long material into a file and name it in the prompt"
        )
    return text


def _text(name: str, value: object) -> str:
    """Check a text that the agent will read."""
    text = _characters(name, value)
    if not text.strip():
        raise InvalidRequestError(f"{name} is blank")
    return text


def _characters(name: str, value: object) -> str:
    """Check that it is a text of characters that arrive as they are."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a text, not {_kind(value)}")
    if "\0" in value:
        raise InvalidRequestError(
            f"{name} contains a NUL character at position {value.index(chr(0))}; remove it"
        )
    found = _SURROGATE.search(value)
    if found:
        raise InvalidRequestError(
            f"{name} contains a lone surrogate ({found.group()!a}) at position {found.start()}, which is no "
            "character; decode the input with errors='replace'"
        )
    return str(value)


def _session_id(name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise InvalidRequestError(
            f"{name} must be a text, not {_kind(value)}: if {_shown(value)} is meant as the time limit, "
            f"write timeout={_shown(value)}"
        )
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a text, not {_kind(value)}")
    if not _UUID.match(value):
        raise InvalidRequestError(
            f"{name} must be a UUID as an earlier answer gave it "
            f"(like 123e4567-e89b-42d3-a456-426614174000), not {_shown(value)}"
        )
    return value


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRequestError(f"{name} must be a number of seconds or None, not {_kind(value)}")
    if not 0 < value <= _MOST:
        raise InvalidRequestError(
            f"{name} must be more than 0 and at most {_MOST:,} seconds, not {_shown(value)}; None means no limit"
        )
    return float(value)


def _positive_int(name: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise InvalidRequestError(f"{name} must be a whole number from 1 to {_MOST:,}, not {_shown(value)}")
    return value


def _optional_path(name: str, value: object) -> str | None:
    return None if value is None else _path(name, value)


def _path(name: str, value: object) -> str:
    fspath = getattr(value, "__fspath__", None)
    plain = fspath() if callable(fspath) else value
    if isinstance(plain, bytes):
        raise InvalidRequestError(f"{name} must be a text or a Path, not bytes")
    return _text(name, plain)


def _optional_text(name: str, value: object) -> str | None:
    return None if value is None else _text(name, value)


def _word(name: str, value: object) -> str | None:
    """Check a short text that will stand in the program's arguments."""
    text = _optional_text(name, value)
    if text is not None and len(text) > 1000:
        raise InvalidRequestError(f"{name} is {len(text)} characters long; at most 1000 make sense")
    return text


def _one_of(*allowed: str) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            choices = ", ".join(repr(choice) for choice in allowed)
            raise InvalidRequestError(f"{name} must be one of {choices}, not {_shown(value)}")
        return str(value)

    return check


def _permission_mode(name: str, value: object) -> str | None:
    return None if value is None else _one_of(*PERMISSION_MODES)(name, value)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequestError(f"{name} must be True or False, not {_kind(value)}")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidRequestError(f"{name} must be a list of texts, not {_kind(value)}")
    return tuple(_text(f"{name}[{place}]", item) for place, item in enumerate(value))


def _paths(name: str, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidRequestError(f"{name} must be a list of paths, not {_kind(value)}")
    return tuple(_path(f"{name}[{place}]", item) for place, item in enumerate(value))


def _mapping(name: str, value: object) -> Mapping[str, object] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidRequestError(f"{name} must be a mapping with text keys, not {_kind(value)}")
    return dict(value)


def _mcp_config(name: str, value: object) -> str | Mapping[str, object] | None:
    return _mapping(name, value) if isinstance(value, Mapping) else _optional_path(name, value)


def _budget(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MOST:
        raise InvalidRequestError(
            f"{name} must be a number of US dollars above 0 and at most {_MOST:,}, not {_shown(value)}"
        )
    return float(value)


def _env(name: str, value: object) -> Mapping[str, str]:
    checked = _mapping(name, value) or {}
    for key, item in checked.items():
        if not key or "=" in key or not isinstance(item, str) or not _fits_environment(key + item):
            # The value may be a secret: only the name is shown.
            raise InvalidRequestError(
                f"{name}[{key!r}] is no environment variable: names without '=', texts as values, no NUL"
            )
    return {key: str(item) for key, item in checked.items()}


def _fits_environment(text: str) -> bool:
    """Say whether the text can be handed over; bytes that were no text, as ``os.environ`` shows them, can."""
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False


_FLAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")


def _extra_args(name: str, value: object) -> Mapping[str, str | None]:
    checked = _mapping(name, value) or {}
    for key, item in checked.items():
        if not _FLAG_NAME.match(key):
            raise InvalidRequestError(f"{name}: {key!r} is no flag; write 'effort', not '--effort' or '-e'")
        if item is not None:
            _characters(f"{name}[{key!r}]", item)  # blank has a meaning to some flags: {"tools": ""}
    return {key: None if item is None else str(item) for key, item in checked.items()}


def _session_name(name: str, value: object) -> str | None:
    text = _word(name, value)
    if text is not None and text != text.strip():
        raise InvalidRequestError(f"{name} {text!r} begins or ends with a blank; remove it")
    return text


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        return f"a very long {_kind(value)}"
    return text if len(text) <= 80 else text[:77] + "..."


_CHECKS: Mapping[str, Callable[[str, object], object]] = {
    "provider": _one_of("claude"),
    "method": _one_of(*METHODS),
    "session_id": _session_id,
    "timeout": _seconds,
    "cwd": _optional_path,
    "model": _word,
    "system_prompt": _optional_text,
    "append_system_prompt": _optional_text,
    "permission_mode": _permission_mode,
    "allowed_tools": _texts,
    "disallowed_tools": _texts,
    "mcp_config": _mcp_config,
    "add_dirs": _paths,
    "max_turns": _positive_int,
    "max_budget_usd": _budget,
    "json_schema": _mapping,
    "env": _env,
    "fork": _flag,
    "session": _session_name,
    "startup_timeout": _seconds,
    "inactivity_timeout": _seconds,
    "on_busy": _one_of("wait", "error", "fork"),
    "after_failure": _one_of("keep", "drop"),
    "on_denial": _one_of("record", "error"),
    "require_mcp": _texts,
    "extra_args": _extra_args,
}
