"""The tree of errors is the one that is drawn, and every class of it survives being handled."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import re
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_coder import llm_errors
from mcp_coder.llm_errors import (
    AgentError,
    AgentNotFoundError,
    AuthenticationError,
    ClaudeAPIError,
    ContextWindowError,
    InterruptedTurnError,
    InvalidRequestError,
    LeaseWarning,
    LimitReachedError,
    LLMError,
    LLMTimeoutError,
    LocalCommandError,
    ModelNotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    SessionBusyError,
    SessionError,
    SessionNotFoundError,
    StoreError,
    UnsupportedVersionError,
)

CONTEXT: dict[str, object] = {"session_id": "s1", "turn_id": "t1", "raw": {"type": "result", "n": [1]}}
AGENT: dict[str, object] = {**CONTEXT, "status": 529, "returncode": 1, "stderr": "oops", "retryable": True}

# Every class, with all that it can be given.
EVERY: dict[type[LLMError], dict[str, object]] = {
    LLMError: {**CONTEXT, "retryable": True, "response": {"text": "paid"}},
    InvalidRequestError: {**CONTEXT},
    AgentNotFoundError: {"searched": ["/a", "/b"]},
    LLMTimeoutError: {**CONTEXT, "kind": "startup", "timeout": 2.5, "stderr": "slow"},
    AgentError: AGENT,
    AuthenticationError: AGENT,
    RateLimitError: AGENT,
    ServerError: AGENT,
    ModelNotFoundError: AGENT,
    ContextWindowError: AGENT,
    LimitReachedError: AGENT,
    InterruptedTurnError: AGENT,
    LocalCommandError: AGENT,
    ResponseFormatError: {**CONTEXT, "response": {"text": "half"}},
    SessionError: {**CONTEXT},
    SessionNotFoundError: {**CONTEXT, "searched": ["/a"]},
    SessionBusyError: {"session_id": "s1", "holder": {"pid": 7, "host": "here"}, "retryable": False},
    StoreError: {**CONTEXT, "response": {"text": "paid"}},
    UnsupportedVersionError: {**CONTEXT},
    PermissionDeniedError: {
        "session_id": "s1",
        "denials": [{"tool_name": "Bash"}],
        "response": {"text": "x"},
    },
}
LATER = {
    RateLimitError: ("resets_at", 99.5),
    LimitReachedError: ("limit", "budget"),
    LocalCommandError: ("text", "$1"),
}


def _new(cls: type[LLMError]) -> LLMError:
    error = cls("what happened, and what to do", **EVERY[cls])  # type: ignore[arg-type]  # EVERY knows what each takes
    if cls in LATER:
        setattr(error, *LATER[cls])
    return error


def _facts(error: BaseException) -> dict[str, object]:
    return {"class": type(error), "text": str(error), "args": error.args, **vars(error)}


# --- One class each -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_every_class_can_be_raised_printed_copied_and_pickled(cls: type[LLMError]) -> None:
    with pytest.raises(cls) as caught:
        raise _new(cls) from OSError("the cause")
    error = caught.value
    assert type(error) is cls
    assert str(error) == error.message == "what happened, and what to do"
    assert repr(error) == f"{cls.__name__}('what happened, and what to do')"
    assert traceback.format_exception_only(error)[-1].strip().endswith(": what happened, and what to do")
    for name, value in EVERY[cls].items():
        expected = tuple(value) if isinstance(value, list) else value
        assert getattr(error, name) == expected, name
    for again in (
        copy.copy(error),
        copy.deepcopy(error),
        *(pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
    ):
        assert _facts(again) == _facts(error)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_a_message_is_enough(cls: type[LLMError]) -> None:
    error = cls("why")
    assert str(error) == "why"
    assert (error.session_id, error.turn_id, error.raw, error.response) == (None, None, None, None)
    assert _facts(pickle.loads(pickle.dumps(error))) == _facts(error)


def test_every_class_is_in_the_table_of_this_test() -> None:
    assert set(EVERY) == set(_classes())


def test_notes_travel_along() -> None:
    error = SessionError("why")
    error.add_note("while testing")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while testing"]


# --- The tree -------------------------------------------------------------------------------------------------------


def _classes() -> Iterator[type[LLMError]]:
    todo: list[type[LLMError]] = [LLMError]
    while todo:
        cls = todo.pop()
        yield cls
        todo += [child for child in cls.__subclasses__() if child.__module__ == llm_errors.__name__]


def _drawn() -> dict[str, tuple[str | None, tuple[str, ...]]]:
    """Return name -> (parent, standard-library bases), as the module's docstring draws them."""
    drawn: dict[str, tuple[str | None, tuple[str, ...]]] = {}
    path: list[str] = []
    for line in inspect.cleandoc(llm_errors.__doc__ or "").splitlines():
        found = re.match(r"((?:    |[│├└ ─]{4})*)([A-Z]\w+(?:Error))(?: \(([\w., ]+)\))?(?:\s|$)", line)
        if not line.startswith("    ") or not found:
            continue
        depth = len(found[1]) // 4 - 1
        path[depth:] = [found[2]]
        drawn[found[2]] = (
            path[depth - 1] if depth else None,
            tuple((found[3] or "").replace(",", "").split()),
        )
    return drawn


def _real(cls: type[LLMError]) -> tuple[str | None, tuple[str, ...]]:
    ours = [base.__name__ for base in cls.__bases__ if issubclass(base, LLMError)]
    others = [base for base in cls.__bases__ if not issubclass(base, LLMError) and base is not Exception]
    names = tuple(
        base.__name__ if base.__module__ == "builtins" else f"{base.__module__}.{base.__name__}"
        for base in others
    )
    return (ours[0] if ours else None), names


def test_the_tree_is_the_one_that_is_drawn() -> None:
    assert _drawn() == {cls.__name__: _real(cls) for cls in _classes()}


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (InvalidRequestError, ValueError),
        (AgentNotFoundError, FileNotFoundError),
        (LLMTimeoutError, subprocess.TimeoutExpired),
        (LLMTimeoutError, TimeoutError),
        (AgentError, subprocess.CalledProcessError),
        (RateLimitError, subprocess.CalledProcessError),
        (ResponseFormatError, ValueError),
        (UnsupportedVersionError, ValueError),
        (UnsupportedVersionError, StoreError),
    ],
)
def test_who_catches_the_standard_librarys_class_catches_ours(
    cls: type[LLMError], base: type[Exception]
) -> None:
    with pytest.raises(base):
        raise _new(cls)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_the_attributes_of_a_standard_librarys_class_are_there(cls: type[LLMError]) -> None:
    error = _new(cls)
    for base, names in (
        (subprocess.TimeoutExpired, ("cmd", "timeout", "output", "stdout", "stderr")),
        (subprocess.CalledProcessError, ("cmd", "returncode", "output", "stdout", "stderr")),
        (OSError, ("errno", "strerror", "filename")),
    ):
        if isinstance(error, base):
            assert {name: getattr(error, name) for name in names}


def test_all_lists_what_is_public() -> None:
    tree = ast.parse(Path(llm_errors.__file__).read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert set(llm_errors.__all__) == defined | {"ClaudeAPIError"}


def test_claude_api_error_is_the_same_class() -> None:
    assert ClaudeAPIError is AgentError


def test_a_lease_warning_is_a_users_warning() -> None:
    assert issubclass(LeaseWarning, UserWarning)


# --- What a caller decides on ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_retryable_where_the_cause_is_expected_to_pass(cls: type[LLMError]) -> None:
    assert cls("why").retryable is (cls in {RateLimitError, ServerError, SessionBusyError})


@pytest.mark.parametrize(("kind", "retryable"), [("startup", True), ("inactivity", True), ("total", False)])
def test_a_timeout_is_retryable_by_its_clock(kind: str, retryable: bool) -> None:
    assert LLMTimeoutError("why", kind=kind).retryable is retryable


@pytest.mark.parametrize("given", [True, False])
def test_whoever_raises_knows_better(given: bool) -> None:
    assert LLMError("why", retryable=given).retryable is given
    assert AgentError("why", retryable=given).retryable is given
    assert ServerError("why", retryable=given).retryable is given
    assert SessionBusyError("why", retryable=given).retryable is given


def test_what_was_given_is_not_changed_later_by_the_giver() -> None:
    searched, holder, denials = ["/a"], {"pid": 1}, [{"tool_name": "Bash"}]
    errors = (
        AgentNotFoundError("x", searched=searched),
        SessionBusyError("x", holder=holder),
        PermissionDeniedError("x", denials=denials),
    )
    searched.append("/b")
    holder["pid"] = 2
    denials.clear()
    assert errors[0].searched == ("/a",)
    assert errors[1].holder == {"pid": 1}
    assert errors[2].denials == ({"tool_name": "Bash"},)
