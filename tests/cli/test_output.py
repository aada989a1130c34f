"""Tables and arrays on standard output, for programs and for people."""

from __future__ import annotations

import json

import pytest
from tests.cli.stored import FIRST

from mcp_coder.cli import output
from mcp_coder.cli.tables import Column, Table

TABLE = Table(columns=[Column(heading="name"), Column(heading="title", least=8)], rows=[("a", "x" * 200)])


def test_a_program_gets_plain_columns_and_whole_ids(capsys: pytest.CaptureFixture[str]) -> None:
    assert not output.people_read()
    output.write_table(TABLE)
    assert capsys.readouterr() == (f"name  title\na     {'x' * 200}\n", "")
    assert output.ids_shown([FIRST]) == {FIRST: FIRST}


@pytest.mark.parametrize(
    ("count", "size"), [(0, 1), (1, 1), (3, 1), (5, 40_000)], ids=["none", "one", "some", "long"]
)
def test_an_array_is_whole(count: int, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    documents = [{"number": number, "text": "ü" * size} for number in range(count)]
    output.write_array(iter(documents))
    text = capsys.readouterr().out
    assert json.loads(text) == documents
    assert text.endswith("]\n")


def test_an_array_can_stand_in_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    output.write_array([1, 2], before='{\n  "turns": ', indent="  ", behind="\n}\n")
    assert json.loads(capsys.readouterr().out) == {"turns": [1, 2]}


def test_a_closed_output_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert not output.people_read()


def test_a_terminal_has_a_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "123")
    assert output.terminal_columns() == 123
