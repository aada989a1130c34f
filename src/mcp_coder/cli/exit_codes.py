"""What ``mcp-coder`` exits with, and what each code means: the one table behind the code, ``--help`` and the docs.

An error comes in, a number goes out. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcp_coder import llm_errors as errors

__all__ = ["EXIT_CODES", "MEANINGS", "OK", "exit_code_of", "signal_exit_code"]

OK = 0
FAILED = 1
USAGE = 2
STORE_UNUSABLE = 12
UNEXPECTED = 70
OUTPUT_LOST = 74
READER_GONE = 141

MEANINGS: Mapping[int, str] = {
    OK: "done",
    FAILED: "the agent failed, for another reason than those below",
    USAGE: "the command line or the request is wrong; nothing was started",
    3: "the agent's program is not here, or too old",
    4: "not logged in, or the key was refused",
    5: "rate limit, or the model's service failed: try again later",
    6: "a time limit ended the turn",
    7: "no such session, or it cannot be gone on with",
    8: "another turn of the session is under way: try again later",
    9: "a limit of turns or money, set by the call, ended the turn",
    10: "a tool was denied, with --on-denial error",
    11: "the agent's answer could not be read",
    STORE_UNUSABLE: "the store cannot be used or is damaged, or the answer could not be stored where you asked",
    13: "there is no such model, or not for this account",
    14: "the prompt, or the session with it, is too long for the model",
    15: "the turn was stopped from outside",
    16: "the prompt was a command of the agent itself; no model was asked",
    UNEXPECTED: "a fault in mcp-coder itself; --debug shows it",
    OUTPUT_LOST: "the answer could not be written to standard output",
    129: "ended by SIGHUP",
    130: "ended by Ctrl-C",
    READER_GONE: "whoever read standard output has closed it",
    143: "ended by SIGTERM",
}
"""Every exit code with its meaning; 128 and a signal's number follow the shells."""

EXIT_CODES: Mapping[type[BaseException], int] = {
    errors.LLMError: FAILED,
    errors.AgentError: FAILED,
    errors.InvalidRequestError: USAGE,
    errors.AgentNotFoundError: 3,
    errors.AuthenticationError: 4,
    errors.RateLimitError: 5,
    errors.ServerError: 5,
    errors.LLMTimeoutError: 6,
    errors.SessionError: 7,
    errors.SessionNotFoundError: 7,
    errors.SessionBusyError: 8,
    errors.LimitReachedError: 9,
    errors.PermissionDeniedError: 10,
    errors.ResponseFormatError: 11,
    errors.StoreError: STORE_UNUSABLE,
    errors.UnsupportedVersionError: STORE_UNUSABLE,
    errors.ModelNotFoundError: 13,
    errors.ContextWindowError: 14,
    errors.InterruptedTurnError: 15,
    errors.LocalCommandError: 16,
}
"""The exit code of every error that the library raises on purpose."""


def exit_code_of(error: BaseException) -> int:
    """Return the exit code for an error; one that nobody foresaw is ``UNEXPECTED``.

    >>> exit_code_of(errors.SessionBusyError("in use"))
    8
    """
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return UNEXPECTED


def signal_exit_code(number: int) -> int:
    """Return what a shell shows for a program that a signal ended: 128 and the signal's number."""
    return 128 + number
