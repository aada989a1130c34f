"""Scripts of the fake program, and that their plain form is the one that the program plays."""

import json
from dataclasses import fields

from mcp_coder.testing.program_events import PLAIN_TURN
from mcp_coder.testing.program_script import Exit, Print, PrintBytes, Script, Turn, script_as_json
from mcp_coder.testing.standin_program import STEPS


def test_a_script_becomes_plain_json() -> None:
    script = Script(steps=(Turn(text="a"), Print({"x": 1}), PrintBytes(b"\xff\x00"), Exit(3)), cut_at=7)
    plain = json.loads(json.dumps(script_as_json(script)))
    assert [one["do"] for one in plain["steps"]] == ["Turn", "Print", "PrintBytes", "Exit"]
    assert plain["steps"][1:] == [
        {"do": "Print", "line": {"x": 1}},
        {"do": "PrintBytes", "data": "\xff\x00"},
        {"do": "Exit", "code": 3},
    ]
    assert (plain["cut_at"], plain["session"], plain["counter"], plain["output"]) == (
        7,
        "asked",
        "cumulative",
        "asked",
    )


def test_the_programs_own_plain_turn_is_the_default_turn() -> None:
    plain = json.loads(json.dumps(script_as_json(Script())))
    assert plain["steps"] == [PLAIN_TURN]


def test_the_program_knows_every_step() -> None:
    from mcp_coder.testing import program_script

    steps = program_script.Step.__args__
    assert {one.__name__ for one in steps} == set(STEPS)
    assert {field.name for field in fields(Turn)} == set(PLAIN_TURN) - {"do"}
