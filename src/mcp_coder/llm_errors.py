"""Every error that mcp_coder raises on purpose, as one tree: a class for each different reaction of a caller.

::

    LLMError
    ├── InvalidRequestError (ValueError)        your call is wrong; nothing was started
    ├── AgentNotFoundError (FileNotFoundError)  the agent's program is not here, or too old
    ├── LLMTimeoutError (subprocess.TimeoutExpired, TimeoutError)   .kind: "startup", "inactivity", "total"
    ├── AgentError (subprocess.CalledProcessError)   it ran and failed; .status: the HTTP status behind it
    │   ├── AuthenticationError                 log in, or set a key
    │   ├── RateLimitError                      wait until .resets_at
    │   ├── ServerError                         the model's service failed; later it may not
    │   ├── ModelNotFoundError                  ask for another model
    │   ├── ContextWindowError                  send less, or begin a new session
    │   ├── LimitReachedError                   .limit: "turns" or "budget", as the call asked for
    │   ├── InterruptedTurnError                somebody stopped the turn
    │   └── LocalCommandError                   the agent answered itself (.text), no model was asked
    ├── ResponseFormatError (ValueError)        it printed what this version cannot read; .raw has it
    ├── SessionError
    │   ├── SessionNotFoundError                .searched: where the session was looked for
    │   └── SessionBusyError                    .holder: who is in a turn of it now
    ├── StoreError                              .response: the answer that could not be recorded
    │   └── UnsupportedVersionError (ValueError)    written by a newer version of mcp_coder
    └── PermissionDeniedError                   .denials; only where the caller asked for it

What a caller decides on is in attributes, never only in the text. The standard-library bases are there for callers
who catch those already. Every class can be raised, printed, copied and pickled. Nothing here does I/O.

Warnings: ``LeaseWarning`` (sessions on this machine are protected in a narrower place than usual),
``NotRecordedWarning`` (a turn is not in the store).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

__all__ = [
    "AgentError",
    "AgentNotFoundError",
    "AuthenticationError",
    "ClaudeAPIError",
    "ContextWindowError",
    "InterruptedTurnError",
    "InvalidRequestError",
    "LLMError",
    "LLMTimeoutError",
    "LeaseWarning",
    "LimitReachedError",
    "LocalCommandError",
    "ModelNotFoundError",
    "NotRecordedWarning",
    "PermissionDeniedError",
    "RateLimitError",
    "ResponseFormatError",
    "ServerError",
    "SessionBusyError",
    "SessionError",
    "SessionNotFoundError",
    "StoreError",
    "UnsupportedVersionError",
]


class LLMError(Exception):
    """Anything that mcp_coder raises on purpose.

    Attributes:
        session_id: the session's first id, if one was known; go on with it.
        turn_id: the turn that failed, if one was begun.
        raw: what the agent printed that led here (its ``result`` event, or text), unchanged.
        retryable: whether the cause is expected to pass by itself, so that the same call may succeed later. It does
            not say that the agent did not see the prompt: a failed prompt stays in the agent's history unless the
            next call says ``after_failure="drop"``.
        response: the answer that was paid for but could not be handed over in the ordinary way, if there is one.

    Example::

        try:
            answer = ask_llm("...", session_id=session_id)
        except LLMError as error:
            print(error, error.session_id, error.retryable)
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        session_id: str | None = None,
        turn_id: str | None = None,
        raw: object = None,
        retryable: bool | None = None,
        response: Mapping[str, object] | None = None,
    ) -> None:
        # Not super().__init__: the standard-library bases further along the MRO want other arguments.
        Exception.__init__(self, message)
        self.message = message
        self.session_id = session_id
        self.turn_id = turn_id
        self.raw = raw
        self.response = response
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message), self.__dict__.copy()


def _rebuild(cls: type[LLMError], message: str) -> LLMError:
    """Make an error for copy and pickle; its attributes follow as state."""
    error = cls.__new__(cls, message)
    LLMError.__init__(error, message)
    return error


class InvalidRequestError(LLMError, ValueError):
    """The call itself is wrong: question, timeout, provider, method, session id or an option. Nothing was started."""


class AgentNotFoundError(LLMError, FileNotFoundError):
    """The agent's program is not here, or is too old to be driven.

    Attributes:
        searched: the places that were looked at, in order.
    """

    def __init__(self, message: str, *, searched: Sequence[str] = ()) -> None:
        LLMError.__init__(self, message)
        self.searched = tuple(searched)


class LLMTimeoutError(LLMError, subprocess.TimeoutExpired, TimeoutError):
    """A time limit ended the turn; the agent was stopped.

    Attributes:
        kind: which clock: ``"startup"`` (no sign of life after the prompt), ``"inactivity"`` (silent for too long)
            or ``"total"`` (the whole call took longer than ``timeout``).
        timeout: the limit that was passed, in seconds.
        cmd: the program, without its arguments. ``output`` and ``stderr`` are what it had printed.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "total",
        timeout: float = 0.0,
        stderr: str | None = None,
        session_id: str | None = None,
        turn_id: str | None = None,
        raw: object = None,
    ) -> None:
        LLMError.__init__(
            self, message, session_id=session_id, turn_id=turn_id, raw=raw, retryable=kind != "total"
        )
        self.kind = kind
        self.cmd = "agent"
        self.timeout = timeout
        self.output = None
        self.stderr: str | None = stderr  # type: ignore[assignment]  # text here; bytes in the base's stub


class AgentError(LLMError, subprocess.CalledProcessError):
    """The agent ran and failed.

    Attributes:
        status: the HTTP status of the model's service behind it, or None.
        returncode: the exit code of the agent's program (0 where it hid the failure).
        stderr: what it printed there.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        returncode: int | None = None,
        stderr: str | None = None,
        session_id: str | None = None,
        turn_id: str | None = None,
        raw: object = None,
        retryable: bool | None = None,
    ) -> None:
        LLMError.__init__(self, message, session_id=session_id, turn_id=turn_id, raw=raw, retryable=retryable)
        self.status = status
        self.returncode = 0 if returncode is None else returncode
        self.cmd = "agent"
        self.output = None
        self.stderr = stderr


ClaudeAPIError = AgentError
"""The name that earlier callers know; the same class."""


class AuthenticationError(AgentError):
    """The agent is not logged in, or its key was refused (401, 403)."""


class RateLimitError(AgentError):
    """The model's service asks to slow down, or a quota is used up (429).

    Attributes:
        resets_at: when the limit ends, as Unix time in seconds, if the agent said so; else None.
    """

    retryable = True
    resets_at: float | None = None


class ServerError(AgentError):
    """The model's service failed (5xx, 529 "overloaded" included)."""

    retryable = True


class ModelNotFoundError(AgentError):
    """The model that was asked for does not exist, or is not open to this account (404)."""


class ContextWindowError(AgentError):
    """The prompt, or the session with it, is longer than the model takes."""


class LimitReachedError(AgentError):
    """A limit that the call itself set ended the turn; what it used until then is in ``raw``.

    Attributes:
        limit: ``"turns"`` (``max_turns``) or ``"budget"`` (``max_budget_usd``).
    """

    limit: str = "turns"


class InterruptedTurnError(AgentError):
    """The turn was stopped from outside: a signal, ``stop_all()``, or an interrupt by the caller."""


class LocalCommandError(AgentError):
    """The prompt was a command that the agent answers itself (such as ``/cost``); no model was asked.

    Attributes:
        text: what the agent answered.
    """

    text: str = ""


class ResponseFormatError(LLMError, ValueError):
    """The agent printed what this version of mcp_coder cannot read as an answer; ``raw`` has it."""


class SessionError(LLMError):
    """Something is wrong with the session rather than with the turn."""


class SessionNotFoundError(SessionError):
    """Neither the agent nor mcp_coder knows this session here.

    Attributes:
        searched: the places that were looked at.
    """

    def __init__(
        self,
        message: str,
        *,
        searched: Sequence[str] = (),
        session_id: str | None = None,
        turn_id: str | None = None,
        raw: object = None,
    ) -> None:
        LLMError.__init__(self, message, session_id=session_id, turn_id=turn_id, raw=raw)
        self.searched = tuple(searched)


class SessionBusyError(SessionError):
    """Another turn of this session is under way; nothing was sent.

    Attributes:
        holder: who runs it, as far as is known: ``pid`` with ``host`` and ``since`` of the process that waits for
            the agent, or ``pid`` with ``started`` and ``boot`` of the agent itself; else an empty mapping.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        holder: Mapping[str, object] | None = None,
        session_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        LLMError.__init__(self, message, session_id=session_id, retryable=retryable)
        self.holder = dict(holder or {})


class StoreError(LLMError):
    """A store that the caller named cannot be used; ``response`` has the answer if one was already paid for."""


class UnsupportedVersionError(StoreError, ValueError):
    """Something stored was written by a newer version of mcp_coder than this one."""


class PermissionDeniedError(LLMError):
    """The agent was denied a tool, and the call asked for that to be an error (``on_denial="error"``).

    Attributes:
        denials: the denied tool calls, as the agent listed them.
    """

    def __init__(
        self,
        message: str,
        *,
        denials: Sequence[Mapping[str, object]] = (),
        session_id: str | None = None,
        raw: object = None,
        response: Mapping[str, object] | None = None,
    ) -> None:
        LLMError.__init__(self, message, session_id=session_id, raw=raw, response=response)
        self.denials = tuple(denials)


class LeaseWarning(UserWarning):
    """The agent's own directory cannot be written, so sessions are protected only among this user's processes."""


class NotRecordedWarning(UserWarning):
    """A turn runs, but the default store, which nobody named, cannot record it; the message says why."""
