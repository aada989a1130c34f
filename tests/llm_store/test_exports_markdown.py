from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.llm_store.export_samples import NOON, session, turn

from mcp_coder.llm_events import TextDelta, ToolFinished, ToolStarted, TurnEvent, Usage
from mcp_coder.llm_store.exports_markdown import session_heading, turn_section

BREAKING = [
    "```\nunfinished fence",
    "````python\nprint()\n````",
    "# heading\n\n## Turn 9\n\n**Answer**",
    "<!-- comment\n<script>alert(1)</script><div>",
    "~~~\ntildes",
    "> quote\n- list\n\n\n    code",
    "---\ntitle: x\n---",
    "| a | b |\n|---|---|\n| ` | `` |",
    "[link](javascript:alert(1)) ![image](http://x/y.png) [ref]: http://x",
    "``````````",
    "  \n\n  ",
    "text that ends with a line feed\n",
    "\\",
]


def parsed(page: str) -> list[Token]:
    return MarkdownIt("commonmark").parse(page)


def headings(page: str) -> list[str]:
    tokens = parsed(page)
    return [after.content for before, after in itertools.pairwise(tokens) if before.type == "heading_open"]


def fences(page: str) -> list[str]:
    return [token.content for token in parsed(page) if token.type == "fence"]


def as_text(page: str) -> str:
    """Return what a reader sees of the lines."""
    inline = [token for token in parsed(page) if token.type == "inline"]
    return "\n".join(
        "".join(child.content or "\n" * (child.type == "softbreak") for child in token.children or [])
        for token in inline
    )


def kinds(page: str) -> set[str]:
    tokens = parsed(page)
    return {token.type for token in tokens} | {
        child.type for token in tokens for child in token.children or []
    }


# --- the session


def test_a_session_begins_with_its_title_and_facts() -> None:
    page = session_heading(
        session(
            name="nightly",
            tags=("ci", "a`b"),
            turns=4,
            unaccounted_turns=1,
            unrecorded_usd=Decimal("0.5"),
            parent_id="123e4567-e89b-42d3-a456-426614174000",
            parent_turn=3,
        )
    )
    assert headings(page) == ["nightly"]
    assert as_text(page).splitlines()[1:] == [
        "session: 5fb8e1b7-5135-4c68-b20c-5f5a207a457a",
        "agent: claude",
        "directory: /home/dev/project",
        "project: /home/dev/project",
        "tags: ci, a`b",
        "forked from: 123e4567-e89b-42d3-a456-426614174000, after its turn 3",
        "begun: 2026-01-31 12:00:00 UTC",
        "last changed: 2026-01-31 12:00:05 UTC",
        "turns: 4",
        "cost: $0.0493 (1 of the turns unknown, $0.5000 more outside these turns)",
    ]


def test_a_session_without_a_name_is_called_by_its_title_or_else_its_id() -> None:
    assert headings(session_heading(session())) == ["My favorite color is blue"]
    assert headings(session_heading(session(title="", cwd=None, project=None))) == [
        "Session 5fb8e1b7-5135-4c68-b20c-5f5a207a457a"
    ]


def test_a_fork_whose_point_is_not_known_says_only_its_parent() -> None:
    assert "forked from: abc\n" in as_text(session_heading(session(parent_id="abc")))


# --- a turn


def test_a_turn_shows_what_was_asked_done_answered_and_spent() -> None:
    used = Usage(input_tokens=1000, cache_read_tokens=234, output_tokens=30, cost_usd=Decimal("0.0493"))
    told: list[TurnEvent] = [
        TextDelta(text="so"),
        ToolStarted(call_id="1", name="Bash", input={"timeout": 5, "command": "git\n  status"}),
        ToolFinished(call_id="1", output="clean"),
        ToolStarted(call_id="2", name="mcp__x__y", input={}),
        ToolStarted(call_id="3", name="Read", input={"file_path": "a" * 200}),
        ToolFinished(call_id="3", output="no such file", is_error=True),
    ]
    page = turn_section(turn(usage=used, notices=("the *old* prompt is kept",)), told)
    assert headings(page) == ["Turn 1"]
    assert fences(page) == ["My favorite color is blue\n", "Noted: blue\n"]
    assert as_text(page).splitlines() == [
        "Turn 1",
        "2026-01-31 12:00:00 UTC · 5.0 s · claude-opus-5-5 · 1,234 tokens in, 30 out · cost $0.0493",
        "Prompt",
        "Tools",
        "Bash git status",
        "mcp__x__y",
        f"Read {'a' * 119}… (failed)",
        "Answer",
        "Note: the *old* prompt is kept",
    ]


def test_unknown_money_is_said_and_never_zero() -> None:
    page = turn_section(turn(usage=Usage(), model=None))
    assert as_text(page).splitlines()[1] == "2026-01-31 12:00:00 UTC · 5.0 s · cost unknown"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"state": "failed", "error": {"class": "RateLimitError", "status": 429, "message": "too *much*"}},
            "Failed: RateLimitError (429): too *much*",
        ),
        (
            {"state": "interrupted", "error": {"class": "LLMTimeoutError", "message": "silent for 5 s"}},
            "Interrupted: LLMTimeoutError: silent for 5 s",
        ),
        ({"state": "interrupted", "error": None}, "Interrupted: no reason was recorded"),
        ({"state": "unknown", "error": None}, "How this turn ended is not known: its caller died."),
        ({"state": "started", "ended_at": None}, "This turn was still under way."),
        (
            {
                "state": "succeeded",
                "error": {"class": "PermissionDeniedError", "message": "Bash"},
                "text": "x",
            },
            "With an error: PermissionDeniedError: Bash",
        ),
    ],
    ids=["failed", "interrupted", "no reason", "unknown", "started", "answered"],
)
def test_how_a_turn_ended_is_shown(changes: dict[str, object], told: str) -> None:
    page = turn_section(turn(**{"text": "", **changes}))
    assert as_text(page).splitlines()[-1] == told


def test_a_turn_without_a_prompt_says_so() -> None:
    page = turn_section(turn(prompt=""))
    assert "The prompt was not recorded." in as_text(page).splitlines()
    assert fences(page) == ["Noted: blue\n"]


# --- nothing breaks the page


@pytest.mark.parametrize("text", BREAKING)
def test_prompts_and_answers_stay_inside_their_fences(text: str) -> None:
    page = (
        session_heading(session()) + turn_section(turn(prompt=text, text=text)) + turn_section(turn(number=2))
    )
    assert headings(page) == ["My favorite color is blue", "Turn 1", "Turn 2"]
    shown = text if text.endswith("\n") else text + "\n"
    assert fences(page)[:2] == [shown, shown]


@pytest.mark.parametrize("text", BREAKING)
def test_what_stands_in_a_line_stays_there(text: str) -> None:
    page = (
        session_heading(session(name=text, tags=(text,), cwd=text, provider=text, parent_id=text))
        + turn_section(
            turn(model=text, notices=(text,), state="failed", error={"class": text, "message": text}),
            [ToolStarted(call_id="1", name=text, input={"command": text})],
        )
        + turn_section(turn(number=2))
    )
    assert headings(page)[1:] == ["Turn 1", "Turn 2"]
    assert not kinds(page) & {
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "code_block",
        "blockquote_open",
    }
    assert len(fences(page)) == 4


@given(st.text(st.characters(), max_size=60))
def test_no_text_breaks_a_page_or_moves_a_cursor(text: str) -> None:
    page = turn_section(turn(prompt=text, text=text)) + turn_section(turn(number=2))
    assert headings(page) == ["Turn 1", "Turn 2"]
    assert not any(sign in page for sign in "\x1b\x07\x08\x00\r\x9b\u202e")
    page.encode()


def test_control_characters_are_shown_as_pictures() -> None:
    shown = fences(turn_section(turn(prompt="a\x1b[2J\x7f\x9b\u202e\ud800\tb\r\nc\rd\u2028e")))[0]
    assert shown == "a␛[2J␡\ufffd\ufffd\ufffd\tb\nc\nd\ne\n"


def test_a_turn_that_took_long_says_so() -> None:
    page = turn_section(turn(ended_at=NOON + timedelta(hours=1)))
    assert "3,600.0 s" in page
