"""The table of flags: whole, and each gives the library what it takes."""

import typing
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import click
import pytest

from mcp_coder.cli.options import CALL_FLAGS, TURN_FLAGS, SectionedCommand, given_options
from mcp_coder.llm_requests import TurnOptions, TurnRequest, new_request

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"
HINTS = typing.get_type_hints(TurnOptions, localns={"PathLike": PathLike})
FLAGS = {str(flag.name): flag for flag in (*TURN_FLAGS, *CALL_FLAGS)}


def parse(*arguments: str) -> dict[str, object]:
    command = click.Command("prompt", params=[*TURN_FLAGS, *CALL_FLAGS])
    with command.make_context("prompt", list(arguments)) as context:
        return given_options(context.params)


def test_every_option_of_a_turn_has_a_flag_and_every_flag_is_one() -> None:
    assert {flag.name for flag in TURN_FLAGS} == set(TurnOptions.__annotations__)


def test_every_other_argument_of_a_call_has_a_flag() -> None:
    fields = set(TurnRequest.__dataclass_fields__)
    assert {flag.name for flag in CALL_FLAGS} == fields - set(TurnOptions.__annotations__) - {"question"}


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_named_after_its_option(name: str) -> None:
    long = [option for option in FLAGS[name].opts if option.startswith("--")]
    kebab = "--" + name.replace("_", "-")
    renamed = {"fork": "--fork-session", "env": "--env"}
    assert renamed.get(name, kebab) in long or kebab.removesuffix("s") in long


@pytest.mark.parametrize("name", ["on_busy", "after_failure", "on_denial"])
def test_choices_are_those_of_the_library(name: str) -> None:
    kind = FLAGS[name].type
    assert isinstance(kind, click.Choice)
    assert tuple(kind.choices) == typing.get_args(HINTS[name])


def test_lists_and_pairs_are_repeatable_and_nothing_else() -> None:
    for flag in TURN_FLAGS:
        many = typing.get_origin(HINTS[str(flag.name)]) in (Sequence, Mapping)  # with "| None" it is a union
        assert flag.multiple == many, flag.name


GIVEN: dict[str, tuple[list[str], object]] = {
    "model": (["--model", "haiku"], "haiku"),
    "system_prompt": (["--system-prompt", "Be terse"], "Be terse"),
    "append_system_prompt": (["--append-system-prompt", "Be terse"], "Be terse"),
    "permission_mode": (["--permission-mode", "plan"], "plan"),
    "allowed_tools": (["--allowed-tool", "Read", "--allowed-tools", "Bash(git *)"], ("Read", "Bash(git *)")),
    "disallowed_tools": (["--disallowed-tool", "Write", "--disallowed-tools=Edit"], ("Write", "Edit")),
    "mcp_config": (["--mcp-config", '{"mcpServers": {}}'], {"mcpServers": {}}),
    "add_dirs": (["--add-dir", "/", "--add-dir", "/usr"], ("/", "/usr")),
    "max_turns": (["--max-turns", "3"], 3),
    "max_budget_usd": (["--max-budget-usd", "0.5"], 0.5),
    "json_schema": (["--json-schema", '{"type": "object"}'], {"type": "object"}),
    "env": (["--env", "A=1", "--env", "B=2", "--env", "A=3"], {"A": "3", "B": "2"}),
    "fork": (["--fork-session", "--session-id", SESSION], True),
    "session": (["--session", "nightly"], "nightly"),
    "startup_timeout": (["--startup-timeout", "5"], 5.0),
    "inactivity_timeout": (["--inactivity-timeout", "7.5"], 7.5),
    "on_busy": (["--on-busy", "error"], "error"),
    "after_failure": (["--after-failure", "drop"], "drop"),
    "on_denial": (["--on-denial", "error"], "error"),
    "require_mcp": (["--require-mcp", "git", "--require-mcp", "db"], ("git", "db")),
    "extra_args": (["--extra-arg", "effort=high", "--extra-arg", "bare"], {"effort": "high", "bare": None}),
    "provider": (["--provider", "claude"], "claude"),
    "method": (["--method", "api"], "api"),
    "session_id": (["-r", SESSION], SESSION),
    "timeout": (["--timeout", "12"], 12.0),
    "cwd": (["--cwd", "/"], "/"),
}


def test_every_flag_is_tried_below() -> None:
    assert set(GIVEN) == set(FLAGS)


@pytest.mark.parametrize(("name", "given"), GIVEN.items(), ids=GIVEN)
def test_what_a_flag_gives_is_what_the_library_takes(name: str, given: tuple[list[str], object]) -> None:
    arguments, value = given
    request = new_request("Hi", **parse(*arguments))
    assert getattr(request, name) == value


def test_without_flags_the_library_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MCP_CODER_MODEL", "MCP_CODER_METHOD", "MCP_CODER_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    assert parse() == {"provider": "claude", "method": "cli", "timeout": 600}


def test_defaults_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_CODER_MODEL", "haiku")
    monkeypatch.setenv("MCP_CODER_METHOD", "api")
    monkeypatch.setenv("MCP_CODER_TIMEOUT", "none")
    assert parse() == {"provider": "claude", "method": "api", "model": "haiku"}
    given = parse("--model", "opus", "--method", "cli", "--timeout", "5")
    assert given == {"provider": "claude", "method": "cli", "model": "opus", "timeout": 5.0}


@pytest.mark.parametrize("name", ["MCP_CODER_METHOD", "MCP_CODER_TIMEOUT"])
def test_a_wrong_default_is_told_with_the_name_of_its_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "wrong")
    with pytest.raises(click.BadParameter) as caught:
        parse()
    assert name in caught.value.format_message()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-turns", "0"],
        ["--max-turns", "many"],
        ["--max-budget-usd", "much"],
        ["--method", "ssh"],
        ["--on-busy", "panic"],
        ["--cwd", "/no/such/place"],
        ["--cwd", __file__],
        ["--add-dir", "/no/such/place"],
        ["--timeout", "-1"],
    ],
    ids=" ".join,
)
def test_a_wrong_value_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(*arguments)


def test_relative_directories_are_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse("--cwd", "sub")["cwd"] == str((tmp_path / "sub").resolve())
    assert parse("--add-dir", ".")["add_dirs"] == (str(tmp_path.resolve()),)


def test_a_value_that_equals_nothing_is_still_given() -> None:
    assert parse("--max-budget-usd", "0")["max_budget_usd"] == 0.0


def test_help_has_a_section_for_each_group_and_every_flag_in_it() -> None:
    command = SectionedCommand("prompt", params=[*TURN_FLAGS, *CALL_FLAGS, click.Option(["--plain"])])
    text = command.get_help(click.Context(command))
    for title in ("Session options:", "Agent options:", "Tool options:", "Limit options:", "Answer options:"):
        assert text.count(title) == 1
    assert text.index("Answer options:") < text.index("Other options:") < text.index("--plain")
    for flag in FLAGS.values():
        assert all(option in text for option in flag.opts)


def test_every_flag_says_what_it_does() -> None:
    assert all(flag.help for flag in FLAGS.values())
