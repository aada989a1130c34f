"""What a turn may be asked: each check and its neighbours."""

from __future__ import annotations

import collections
import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, get_args, get_origin

import pytest

from mcp_coder import llm_requests
from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_requests import (
    DEFAULT_METHOD,
    DEFAULT_TIMEOUT,
    MAX_QUESTION_BYTES,
    METHODS,
    PERMISSION_MODES,
    TurnOptions,
    TurnRequest,
    agent_part,
    new_request,
)

ID = "123e4567-e89b-42d3-a456-426614174000"
SURROGATE = "a\ud800b"


class Text(str):
    __slots__ = ()


def _refused(message: str, /, question: object = "Hi", **arguments: object) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        new_request(question, **arguments)  # type: ignore[arg-type]  # that is the test
    return caught.value


def _taken(name: str, value: object) -> object:
    needed: dict[str, object] = {"session_id": ID} if name == "fork" else {}
    return getattr(new_request("Hi", **needed, **{name: value}), name)


# --- The record -----------------------------------------------------------------------------------------------------


def test_a_question_is_enough() -> None:
    assert new_request("Hi") == TurnRequest(question="Hi")


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        new_request("Hi").model = "haiku"  # type: ignore[misc]  # that is the test


def test_every_field_is_described() -> None:
    described = inspect.getdoc(TurnRequest) or ""
    for field in dataclasses.fields(TurnRequest):
        assert f"\n    {field.name}: " in described


def test_an_unknown_option_is_a_type_error_that_lists_the_known() -> None:
    with pytest.raises(TypeError, match="unknown option 'modle'; known are: add_dirs, after_failure, "):
        new_request("Hi", modle="haiku")


def test_every_option_is_checked() -> None:
    fields = {field.name for field in dataclasses.fields(TurnRequest)} - {"question"}
    assert set(llm_requests._CHECKS) == fields


# --- Options and request agree --------------------------------------------------------------------------------------

POSITIONAL = {"question", "provider", "method", "session_id", "timeout", "cwd"}


def _stored(hint: object) -> object:
    """Return what a caller's type becomes in the record: paths and literals are texts there, sequences tuples."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return str
    if hint is llm_requests.PathLike:
        return str
    if origin is Sequence:
        return tuple[_stored(args[0]), ...]  # type: ignore[misc]  # made at run time
    if origin in (types.UnionType, typing.Union):
        return typing.Union[tuple(_stored(arg) for arg in args)]  # noqa: UP007  # of types known at run time
    return hint


def test_options_and_request_agree_field_by_field() -> None:
    options, request = typing.get_type_hints(TurnOptions), typing.get_type_hints(TurnRequest)
    assert {name: _stored(hint) for name, hint in options.items()} == {
        name: hint for name, hint in request.items() if name not in POSITIONAL
    }
    assert [*options] == [name for name in request if name not in POSITIONAL]


@pytest.mark.parametrize("name", ["on_busy", "after_failure", "on_denial"])
def test_the_literals_are_what_is_taken(name: str) -> None:
    for value in get_args(typing.get_type_hints(TurnOptions)[name]):
        assert _taken(name, value) == value
    _refused(f"{name} must be one of .*, not 'never'", **{name: "never"})
    _refused(f"{name} must be one of .*, not None", **{name: None})


def test_the_defaults_can_be_told_from_the_same_value_given() -> None:
    assert (DEFAULT_TIMEOUT, DEFAULT_METHOD) == (30, "cli")
    assert (f"{DEFAULT_TIMEOUT}", f"{DEFAULT_METHOD}") == ("30", "cli")
    assert type(DEFAULT_TIMEOUT) is not int
    assert type(DEFAULT_METHOD) is not str
    request = new_request("Hi", timeout=DEFAULT_TIMEOUT, method=DEFAULT_METHOD)
    assert (type(request.timeout), type(request.method)) == (float, str)


# --- Texts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        "Hi",
        "- x",
        "--help",
        "$(id)",
        "a\r\nb",
        "😀",
        "\t.\n",
        "\ufeff!",
        "/cost",
        pytest.param("x" * MAX_QUESTION_BYTES, id="longest"),
    ],
)
def test_a_question_stays_as_it_is(question: str) -> None:
    assert new_request(question).question == question


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "question is blank"),
        (" \t\r\n\u3000", "question is blank"),
        ("a\0b", "question contains a NUL character at position 1"),
        (SURROGATE, r"question contains a lone surrogate \('\\ud800'\) at position 1"),
        ("\udcff", "errors='replace'"),
        ("x" * (MAX_QUESTION_BYTES + 1), "question is 10,485,761 bytes long; at most 10,485,760"),
        ("é" * (MAX_QUESTION_BYTES // 2 + 1), "question is 10,485,762 bytes long"),
        (None, "question must be a text, not None"),
        (b"Hi", "question must be a text, not bytes"),
        (["Hi"], "question must be a text, not list"),
    ],
    ids=["empty", "blank", "nul", "surrogate", "low", "long", "bytes-count", "none", "bytes", "list"],
)
def test_a_question_that_would_not_arrive_is_refused(question: object, message: str) -> None:
    error = _refused(message, question)
    assert len(str(error)) < 300


def test_a_text_of_a_class_of_its_own_is_a_plain_text_in_the_record() -> None:
    assert type(new_request(Text("Hi")).question) is str
    assert type(_taken("model", Text("haiku"))) is str


TEXTS = ["model", "system_prompt", "append_system_prompt", "session", "cwd", "mcp_config"]


@pytest.mark.parametrize("name", TEXTS)
def test_an_optional_text(name: str) -> None:
    assert _taken(name, None) is None
    assert _taken(name, "-x é") == "-x é"
    for wrong, message in (
        ("", "is blank"),
        ("\n", "is blank"),
        ("a\0", "NUL"),
        (SURROGATE, "surrogate"),
        (7, "must be a text, not int"),
        (b"x", "not bytes"),
    ):
        _refused(f"{name} .*{message}", **{name: wrong})


@pytest.mark.parametrize("name", ["model", "session"])
def test_a_name_of_more_than_a_thousand_characters_is_a_mistake(name: str) -> None:
    assert _taken(name, "x" * 1000) == "x" * 1000
    _refused(f"{name} is 1001 characters long", **{name: "x" * 1001})


@pytest.mark.parametrize("session", [" x", "x ", "x\n"])
def test_a_session_name_has_no_blank_around_it(session: str) -> None:
    _refused("begins or ends with a blank", session=session)
    assert _taken("session", "my  work") == "my  work"


# --- Session ids ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_id", [ID, ID.upper(), "00000000-0000-0000-0000-000000000000", None])
def test_a_session_id_stays_as_it_is(session_id: str | None) -> None:
    """The program tells large letters from small ones."""
    assert _taken("session_id", session_id) == session_id


@pytest.mark.parametrize(
    "session_id",
    [
        "",
        " ",
        "--dangerously-skip-permissions",
        "../../x",
        "my-title",
        ID[:-1],
        f"{ID}0",
        f"{ID}\n",
        f" {ID}",
        ID.replace("-", ""),
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        ID.replace("1", "\uff11"),
        pytest.param("x" * 100_000, id="long"),
    ],
)
def test_what_is_no_session_id_is_refused(session_id: str) -> None:
    error = _refused("session_id must be a UUID as an earlier answer gave it", session_id=session_id)
    assert len(str(error)) < 300


@pytest.mark.parametrize("seconds", [60, 0, 2.5, 10**5000], ids=["60", "0", "2.5", "huge"])
def test_a_number_in_its_place_is_an_old_positional_timeout(seconds: float) -> None:
    error = _refused("if .* is meant as the time limit, write timeout=", session_id=seconds)
    assert len(str(error)) < 300


@pytest.mark.parametrize("wrong", [True, b"x", Path(ID), [ID]])
def test_other_things_in_its_place(wrong: object) -> None:
    error = _refused("session_id must be a text", session_id=wrong)
    assert "timeout" not in str(error)


# --- Numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["timeout", "startup_timeout", "inactivity_timeout"])
def test_seconds(name: str) -> None:
    assert _taken(name, None) is None
    for value in (30, 0.001, 10**9):
        taken = _taken(name, value)
        assert (taken, type(taken)) == (value, float)
    for wrong in (0, -1, -0.0, math.inf, -math.inf, math.nan, 10**9 + 1, 10**400, 10**5000, 1e300):
        assert (
            len(str(_refused(f"{name} must be more than 0 and at most .* None means no", **{name: wrong})))
            < 300
        )
    for wrong_kind in (True, "30", [30], ID):
        _refused(f"{name} must be a number of seconds or None, not ", **{name: wrong_kind})


def test_max_turns() -> None:
    assert _taken("max_turns", None) is None
    assert _taken("max_turns", 1) == 1
    assert _taken("max_turns", 10**9) == 10**9
    for wrong in (0, -1, 1.0, True, "1", 10**9 + 1, 10**5000):
        _refused("max_turns must be a whole number from 1 to 1,000,000,000, not", max_turns=wrong)


def test_max_budget_usd() -> None:
    assert _taken("max_budget_usd", None) is None
    for value in (1, 0.0001, 10**9):
        assert _taken("max_budget_usd", value) == value
    for wrong in (0, -1.5, math.inf, math.nan, True, "1", 10**400):
        _refused("max_budget_usd must be a number of US dollars above 0", max_budget_usd=wrong)


# --- Choices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("provider", ("claude",)), ("method", METHODS), ("permission_mode", PERMISSION_MODES)],
)
def test_choices(name: str, allowed: Sequence[str]) -> None:
    for value in allowed:
        assert _taken(name, value) == value
        assert type(_taken(name, Text(value))) is str
    for wrong in ("", "CLI", "gpt", 7, ("cli",)):
        error = _refused(f"{name} must be one of ", **{name: wrong})
        assert all(repr(value) in str(error) for value in allowed)


def test_no_permission_mode_is_the_agents_own() -> None:
    assert _taken("permission_mode", None) is None


def test_fork_is_a_truth_value() -> None:
    assert _taken("fork", True) is True
    assert _taken("fork", False) is False
    for wrong in (1, "yes", None):
        _refused("fork must be True or False", session_id=ID, fork=wrong)


# --- Lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["allowed_tools", "disallowed_tools", "require_mcp"])
def test_lists_of_texts(name: str) -> None:
    assert _taken(name, None) == ()
    assert _taken(name, []) == ()
    assert _taken(name, ["Read", "Bash(git *)"]) == ("Read", "Bash(git *)")
    assert _taken(name, collections.deque(["Read"])) == ("Read",)
    _refused(f"{name} must be a list of texts, not str", **{name: "Read"})
    _refused(f"{name} must be a list of texts, not set", **{name: {"Read"}})
    _refused(rf"{name}\[0\] must be a text, not int", **{name: b"Read"})
    _refused(rf"{name}\[1\] is blank", **{name: ["Read", ""]})
    _refused(rf"{name}\[0\] contains a NUL", **{name: ["\0"]})


def test_lists_of_paths() -> None:
    assert _taken("add_dirs", None) == ()
    assert _taken("add_dirs", ["a", PurePosixPath("/b c")]) == ("a", "/b c")
    _refused("add_dirs must be a list of paths, not str", add_dirs="a")
    _refused("add_dirs must be a list of paths, not PurePosixPath", add_dirs=PurePosixPath("/b"))
    _refused(r"add_dirs\[0\] must be a text or a Path, not bytes", add_dirs=[b"a"])


@pytest.mark.parametrize("name", ["cwd", "mcp_config"])
def test_a_path_may_be_a_path(name: str) -> None:
    assert _taken(name, PurePosixPath("/a b")) == "/a b"


# --- Mappings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mcp_config", "json_schema"])
def test_mappings(name: str) -> None:
    given = {"a": {"b": [1]}}
    taken = _taken(name, types.MappingProxyType(given))
    assert (taken, type(taken)) == (given, dict)
    assert taken is not given
    assert _taken(name, None) is None
    _refused(f"{name} must be a mapping with text keys", **{name: {1: "a"}})


def test_a_schema_is_no_text() -> None:
    _refused("json_schema must be a mapping with text keys, not str", json_schema="{}")


def test_env() -> None:
    given = {"A": "1", "B": "", "é": "a=b\n", "BYTES": "\udcff"}
    taken = _taken("env", given)
    assert (taken, _taken("env", None)) == (given, {})
    assert isinstance(taken, Mapping)
    _refused("env must be a mapping with text keys, not list", env=["A=1"])
    _refused("env must be a mapping with text keys", env={1: "a"})
    for name, value in (
        ("", "x"),
        ("A=B", "x"),
        ("A", 1),
        ("A", None),
        ("A", "x\0"),
        ("A\0", "x"),
        ("A", "\ud800"),
    ):
        _refused("is no environment variable", env={name: value})


def test_the_value_of_a_wrong_variable_is_not_shown() -> None:
    assert "s3cret" not in str(_refused("KEY", env={"KEY": "s3cret\0"}))


def test_extra_args() -> None:
    given = {"effort": "high", "strict-mcp-config": None, "tools": "", "x": "-y"}
    assert (_taken("extra_args", given), _taken("extra_args", None)) == (given, {})
    for wrong in ("--effort", "-e", "", "a b", "a=b", "é", "a\n"):
        _refused("extra_args: .* is no flag; write 'effort'", extra_args={wrong: None})
    _refused("extra_args must be a mapping", extra_args=["effort"])
    _refused(r"extra_args\['effort'\] must be a text, not int", extra_args={"effort": 3})
    _refused(r"extra_args\['effort'\] contains a NUL", extra_args={"effort": "\0"})


# --- Together -------------------------------------------------------------------------------------------------------


def test_a_session_by_id_or_by_name_but_not_both() -> None:
    _refused(r"give session_id or session \(a name\), not both", session_id=ID, session="work")


def test_a_fork_needs_a_session() -> None:
    _refused("fork needs the session to fork from", fork=True)
    assert new_request("Hi", fork=True, session_id=ID).fork
    assert new_request("Hi", fork=True, session="work").fork


def test_what_an_agent_is_started_with_outlives_its_turn() -> None:
    session = {"model": "haiku", "method": "api", "env": {"A": "b"}, "max_turns": 3}
    first = new_request("Hi", **session)
    second = new_request(
        "And now?",
        **session,
        session_id=ID,
        cwd="/x",
        timeout=None,
        startup_timeout=1,
        inactivity_timeout=2,
        on_busy="error",
        after_failure="drop",
        on_denial="error",
        require_mcp=["files"],
    )
    assert agent_part(first) == agent_part(second)
    assert agent_part(agent_part(second)) == agent_part(second)
    kept = agent_part(second)
    assert (kept.model, kept.method, kept.env, kept.max_turns) == ("haiku", "api", {"A": "b"}, 3)
    assert (kept.question, kept.session_id, kept.timeout) == ("", None, None)


@pytest.mark.parametrize(
    "other",
    [
        {"model": "opus"},
        {"method": "api"},
        {"env": {"A": "b"}},
        {"max_turns": 3},
        {"allowed_tools": ["Read"]},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_start_is_another_agent(other: dict[str, object]) -> None:
    assert agent_part(new_request("Hi")) != agent_part(new_request("Hi", **other))


def test_one_system_prompt() -> None:
    _refused("give system_prompt or append_system_prompt", system_prompt="a", append_system_prompt="b")
