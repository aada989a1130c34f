"""The law of the texts, whatever an agent printed, and the end of a turn."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_coder.llm_events import Notice, TextDelta, TurnEvent, TurnFinished, Usage, UsageReported
from mcp_coder.llm_sessions import watching
from mcp_coder.llm_sessions.watching import Watching
from mcp_coder.llm_types import LLMResponseDict

USAGE = Usage(input_tokens=1)


def response(text: str) -> LLMResponseDict:
    return {
        "version": "1.0",
        "timestamp": "2026-01-31T12:00:00+00:00",
        "text": text,
        "session_id": None,
        "method": "cli",
        "provider": "claude",
        "raw_response": {},
    }


def deltas(*texts: tuple[int, str]) -> list[TextDelta]:
    return [TextDelta(part=part, text=text) for part, text in texts]


@pytest.mark.parametrize(
    ("told", "text", "added"),
    [
        pytest.param([(1, "No"), (1, "ted")], "Noted", [], id="told"),
        pytest.param([(1, "No")], "Noted", [(1, "ted")], id="rest"),
        pytest.param([(1, "Look"), (2, "No")], "Noted", [(2, "ted")], id="rest_of_the_last"),
        pytest.param([(1, "Noted"), (2, "more")], "Noted", [(3, "Noted")], id="an_earlier_one"),
        pytest.param([(1, "words")], '{"a":1}', [(2, '{"a":1}')], id="structured"),
        pytest.param([], "Noted", [(1, "Noted")], id="nothing"),
        pytest.param([], "", [], id="nothing_at_all"),
        pytest.param([(1, "Noted\n")], "Noted", [(2, "Noted")], id="blanks_count"),
        pytest.param([(1, "words")], "", [(2, "")], id="no_text"),
    ],
)
def test_what_is_missing_of_the_text_is_told(
    told: list[tuple[int, str]], text: str, added: list[tuple[int, str]]
) -> None:
    seen: list[TurnEvent] = []
    watching = Watching(seen.append)
    for delta in deltas(*told):
        watching(delta)
    watching.finish(response(text), USAGE)
    assert seen == [
        *deltas(*told),
        *deltas(*added),
        UsageReported(usage=USAGE),
        TurnFinished(response=response(text)),
    ]


def test_events_go_on_unchanged_and_a_turn_without_known_usage_reports_none() -> None:
    seen: list[TurnEvent] = []
    watching = Watching(seen.append)
    watching(Notice(text="x"))
    watching.finish(response(""), None)
    assert seen == [Notice(text="x"), TurnFinished(response=response(""))]


texts = st.text("ab \n", max_size=4)


@given(st.lists(st.lists(texts, min_size=1)), texts, st.booleans())
def test_the_pieces_of_the_last_part_are_the_text(parts: list[list[str]], other: str, related: bool) -> None:
    seen: list[TurnEvent] = []
    watching = Watching(seen.append)
    for part, pieces in enumerate(parts, 1):
        for piece in pieces:
            watching(TextDelta(text=piece, part=part))
    text = ("".join(parts[-1]) if parts and related else "") + other
    watching.complete(text)
    told = [event for event in seen if isinstance(event, TextDelta)]
    last = max((event.part for event in told), default=0)
    assert "".join(event.text for event in told if event.part == last) == text
    before = len(seen)
    watching.complete(text)
    assert len(seen) == before


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(watching).failed == 0
