from __future__ import annotations

import dataclasses
from typing import Any

from tests.llm_store.export_samples import response, session, turn

from mcp_coder.llm_store.redact import Redactor
from mcp_coder.llm_store.redacted_records import WholeTurn, redacted_session, redacted_turn

SECRET = "hunter2-hunter2-hunter2"
REDACTOR = Redactor(secrets=(SECRET,))


def whole(**changes: Any) -> WholeTurn:
    return WholeTurn(turn=turn(**changes), response=None, events=())


def test_what_holds_no_secret_is_the_same_record() -> None:
    before = whole()
    after, count = redacted_turn(before, REDACTOR)
    assert after is before
    assert count == 0
    assert redacted_session(session(), REDACTOR) == (session(), 0)


def test_a_title_holds_no_secret() -> None:
    clean, count = redacted_session(session(title=f"it is {SECRET}"), REDACTOR)
    assert SECRET not in clean.title
    assert count == 1


def test_secrets_are_taken_out_of_all_that_was_said_and_counted() -> None:
    before = WholeTurn(
        turn=turn(
            prompt=SECRET,
            text=f"{SECRET}!",
            error={"message": SECRET},
            options={"system_prompt": SECRET},
            notices=(f"{SECRET} kept",),
            redactions=2,
        ),
        response=response(SECRET),
        events=[{"deep": [{"er": SECRET}]}],
    )
    clean, count = redacted_turn(before, REDACTOR)
    assert SECRET not in repr(clean)
    assert count == 8  # the response has it twice
    assert clean.turn.redactions == 10
    assert isinstance(clean.turn.notices, tuple)


def test_the_record_keeps_its_ids_names_and_places() -> None:
    before = whole(prompt=SECRET, cwd=f"/home/{SECRET}", host="box")
    clean, _ = redacted_turn(before, REDACTOR)
    assert clean.turn == dataclasses.replace(before.turn, prompt=clean.turn.prompt, redactions=1)


def test_the_record_that_was_given_is_not_altered() -> None:
    error = {"message": SECRET}
    redacted_turn(whole(error=error), REDACTOR)
    assert error == {"message": SECRET}


def test_redacting_twice_is_redacting_once() -> None:
    once, _ = redacted_turn(whole(prompt=SECRET), REDACTOR)
    assert redacted_turn(once, REDACTOR) == (once, 0)
