"""What stands in an argument becomes what the library takes, or one error that says what to write."""

import io
import json
import os
from pathlib import Path
from typing import Any

import click
import pytest

from mcp_coder.cli.inputs import ENV_PAIR, FLAG_PAIR, JSON_OBJECT, MCP_CONFIG, SECONDS, TEXT, question_from
from mcp_coder.llm_requests import MAX_QUESTION_BYTES


class Stdin:
    """A standard input that holds bytes."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


@pytest.mark.parametrize("text", ["plain", "- x", "--help", "$(id)", "😀", "a@b", " @x", "-\n", ""])
def test_a_text_is_itself(text: str) -> None:
    assert question_from(text) == text


@pytest.mark.parametrize(("text", "question"), [("@@README.md what?", "@README.md what?"), ("@@", "@")])
def test_a_doubled_at_sign_is_one(text: str, question: str) -> None:
    assert question_from(text) == question


@pytest.mark.parametrize(
    ("data", "question"),
    [
        (b"hello", "hello"),
        (b"one\r\ntwo\n", "one\r\ntwo\n"),
        ("Grüße 😀".encode(), "Grüße 😀"),
        (b"\xef\xbb\xbfwith a mark", "with a mark"),
        (b"", ""),
        (b"a\0b", "a\0b"),
    ],
)
def test_files_and_standard_input_arrive_as_they_are(
    data: bytes, question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a b.md"
    file.write_bytes(data)
    assert question_from(f"@{file}") == question
    monkeypatch.setattr("sys.stdin", Stdin(data))
    assert question_from("-") == question


def test_a_file_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "task.md").write_text("do it")
    assert question_from("@~/task.md") == "do it"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("@", "cannot read the file ''"),
        ("@no/such/file", "No such file or directory (a text that begins with @ is written @@)"),
        ("@/tmp", "Is a directory"),
        ("@a\0b", "embedded null byte"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_usage_error(text: str, told: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        question_from(text)
    assert told in caught.value.message


def test_what_is_no_utf_8_is_told_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(b"abc\xff"))
    with pytest.raises(click.UsageError, match="standard input is no UTF-8 text: byte 3 is 0xff"):
        question_from("-")
    (tmp_path / "x").write_bytes(b"\xe9")
    with pytest.raises(click.UsageError, match="byte 0 is 0xe9"):
        question_from(f"@{tmp_path / 'x'}")


def test_a_closed_standard_input_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(click.UsageError, match="closed"):
        question_from("-")


def test_input_without_end_is_read_only_as_far_as_a_prompt_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/zero", "rb") as endless:
        monkeypatch.setattr("sys.stdin", type("Endless", (), {"buffer": endless}))
        question = question_from("-")
    assert MAX_QUESTION_BYTES < len(question) < MAX_QUESTION_BYTES + 100


def test_the_longest_prompt_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(b"x" * MAX_QUESTION_BYTES))
    assert len(question_from("-")) == MAX_QUESTION_BYTES


def convert(kind: "click.ParamType[Any]", value: object) -> object:
    return kind.convert(value, None, None)


def failure(kind: "click.ParamType[Any]", value: object) -> str:
    with pytest.raises(click.BadParameter) as caught:
        convert(kind, value)
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("600", 600.0), ("0.5", 0.5), ("1e3", 1000.0), ("none", None), ("None", None), (600, 600)],
)
def test_seconds(value: object, seconds: float | None) -> None:
    assert convert(SECONDS, value) == seconds


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon", "", "10s"])
def test_what_is_no_time_limit(value: str) -> None:
    assert "no number of seconds above 0" in failure(SECONDS, value)


def test_a_text_option_may_name_a_file(tmp_path: Path) -> None:
    (tmp_path / "system.md").write_text("You are terse.")
    assert convert(TEXT, f"@{tmp_path / 'system.md'}") == "You are terse."
    assert convert(TEXT, "@@me") == "@me"
    assert convert(TEXT, "-") == "-"


def test_a_variable_is_given_or_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cret=x")
    assert convert(ENV_PAIR, "MY_SECRET") == ("MY_SECRET", "s3cret=x")
    assert convert(ENV_PAIR, "A=b=c") == ("A", "b=c")
    assert convert(ENV_PAIR, "A=") == ("A", "")
    assert convert(ENV_PAIR, ("A", "b")) == ("A", "b")
    monkeypatch.delenv("MY_SECRET")
    assert "'MY_SECRET' is not set" in failure(ENV_PAIR, "MY_SECRET")


def test_a_variable_without_a_name_is_refused_without_showing_its_value() -> None:
    assert "s3cret" not in failure(ENV_PAIR, "=s3cret")


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        ("effort=high", ("effort", "high")),
        ("strict-mcp-config", ("strict-mcp-config", None)),
        ("--effort=high", ("effort", "high")),
        ("name=", ("name", "")),
        (("a", None), ("a", None)),
    ],
)
def test_extra_flags(value: object, pair: tuple[str, str | None]) -> None:
    assert convert(FLAG_PAIR, value) == pair


def test_json_comes_inline_or_from_a_file(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"ü": {}}}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    assert convert(JSON_OBJECT, json.dumps(schema)) == schema
    assert convert(JSON_OBJECT, f"@{file}") == schema
    assert convert(JSON_OBJECT, schema) == schema


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "no JSON"),
        ("[1]", "not list"),
        ('"x"', "not str"),
        ("schema.json", "write the JSON itself, or @FILE"),
    ],
)
def test_what_is_no_json_object(value: str, told: str) -> None:
    assert told in failure(JSON_OBJECT, value)


def test_an_mcp_configuration_is_a_file_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mcp.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert convert(MCP_CONFIG, "mcp.json") == os.path.abspath("mcp.json")
    assert convert(MCP_CONFIG, "@mcp.json") == os.path.abspath("mcp.json")
    assert convert(MCP_CONFIG, ' {"mcpServers": {}}') == {"mcpServers": {}}
    assert "there is no file 'none.json'" in failure(MCP_CONFIG, "none.json")
    assert "no JSON" in failure(MCP_CONFIG, "{broken")
