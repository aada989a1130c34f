"""The answer on a terminal as it comes: what is left on the screen is all of it, once."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.live import Live
from tests.cli.screen import Screen

from mcp_coder.cli.answer_markdown import AnswerMarkdown
from mcp_coder.cli.live_markdown import LiveMarkdown
from mcp_coder.cli.markdown_blocks import MarkdownBlocks
from mcp_coder.cli.progress import Watch
from mcp_coder.llm_events import Notice, TextDelta, ToolFinished, ToolStarted, TurnEvent


class Terminal:
    """A terminal of some size, with an answer that is redrawn after each event, as it is many times a second."""

    def __init__(
        self, *, columns: int = 40, rows: int = 10, quiet: bool = False, markdown: bool = True
    ) -> None:
        self.size = columns, rows
        self._file = io.StringIO()
        console = Console(
            file=self._file, force_terminal=True, width=columns, height=rows, color_system=None, _environ={}
        )
        self.surface = LiveMarkdown(console, Watch(print), quiet=quiet, markdown=markdown)
        self.live = Live(
            self.surface,
            console=console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def show(self, *events: TurnEvent) -> str:
        """Show the events of a whole turn; return what is left on the screen and above it."""
        with self.live:
            for event in events:
                self.surface.take(event)
                self.live.refresh()
            self.surface.end()
        return self.screen()

    def screen(self) -> str:
        columns, rows = self.size
        return Screen(columns=columns, rows=rows).show(self._file.getvalue()).text


def text(*pieces: str, part: int = 1) -> list[TurnEvent]:
    return [TextDelta(text=piece, part=part) for piece in pieces]


CALL = ToolStarted(call_id="c", name="Bash", input={"command": "git \x1b[31mstatus"})


def test_a_long_answer_stays_whole_in_the_scrollback() -> None:
    lines = [f"line {number}\n\n" for number in range(100)]
    assert Terminal().show(*text(*lines)) == "\n\n".join(f"line {number}" for number in range(100))


def test_a_block_that_is_higher_than_the_screen_stays_whole() -> None:
    lines = [f"{number}\n" for number in range(100)]
    shown = Terminal().show(*text("```\n", *lines, "```\n", "\nend"))
    assert shown.split() == [*map(str, range(100)), "end"]


def test_of_a_block_that_is_being_written_the_end_is_seen() -> None:
    terminal = Terminal(rows=5)
    with terminal.live:
        terminal.surface.take(TextDelta(text="".join(f"{number}\n" for number in range(50))))
        terminal.live.refresh()
        assert terminal.screen().split() == ["46", "47", "48", "49"]
        terminal.surface.take(TextDelta(text="x" * 30_000))
        terminal.live.refresh()
        assert set(terminal.screen().split()) == {"x" * 40}
        terminal.surface.end()


def test_while_nothing_is_being_written_a_line_says_what_the_agent_does() -> None:
    terminal = Terminal()
    with terminal.live:
        terminal.live.refresh()
        assert terminal.screen() == "0:00 starting"
        terminal.surface.take(TextDelta(text="Hello"))
        terminal.live.refresh()
        assert terminal.screen() == "Hello"
        terminal.surface.take(TextDelta(text="\n\n"))
        terminal.surface.take(CALL)
        terminal.live.refresh()
        assert terminal.screen() == "Hello\n\n· Bash: git [31mstatus\n\n0:00 starting"
    assert terminal.screen() == "Hello\n\n· Bash: git [31mstatus"


def test_tools_stand_between_the_texts_around_them() -> None:
    shown = Terminal().show(
        *text("Let me look."),
        CALL,
        ToolFinished(call_id="c", name="Bash", output="fine"),
        ToolStarted(call_id="d", name="Read", input={"file_path": "a" * 100}),
        ToolFinished(call_id="d", name="Read", output="no such\nfile", is_error=True),
        Notice(text="told elsewhere"),
        *text("It is **clean**.", part=2),
    )
    assert shown.splitlines() == [
        "Let me look.",
        "",
        "· Bash: git [31mstatus",
        f"· Read: {'a' * 31}…",
        "· Read failed: no such file",
        "",
        "It is clean.",
    ]


def test_a_tool_of_a_sub_agent_does_not_tear_a_code_block() -> None:
    shown = Terminal().show(*text("```\none\n"), CALL, *text("two\n```\n"))
    assert shown.splitlines() == [" one", " two", "", "· Bash: git [31mstatus"]


def test_quiet_shows_the_texts_alone() -> None:
    terminal = Terminal(quiet=True)
    with terminal.live:
        terminal.live.refresh()
        assert terminal.screen() == ""
    assert Terminal(quiet=True).show(*text("a"), CALL, *text("b", part=2)) == "a\n\nb"


def test_what_is_no_markdown_is_shown_as_it_is() -> None:
    assert Terminal(markdown=False).show(*text('{"a": "*b*', '_c_"}')) == '{"a": "*b*_c_"}'


def test_terminal_sequences_are_left_out_wherever_they_are_cut() -> None:
    assert Terminal().show(*text("a\x1b[3", "1mb\x1b]0;title\x07\x1b[2", "Jc\x07", "d\x1b[")) == "abcd["


def test_nothing_is_shown_of_a_turn_without_a_text() -> None:
    assert Terminal().show() == ""


_PIECES = ["# ", "\n", "\n\n", "- ", "1. ", "```", "```\n", "| a |", "|-|\n", "word ", "`", "**", "    ", "é"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=40), st.integers(5, 60), st.integers(3, 12))
def test_what_is_left_is_each_block_once(pieces: list[str], columns: int, rows: int) -> None:
    assert Terminal(columns=columns, rows=rows).show(*text(*pieces)) == printed(
        "".join(pieces), columns, rows
    )


def printed(whole: str, columns: int, rows: int) -> str:
    """Return the blocks of a text as they are laid out one by one, with an empty line between them."""
    blocks = MarkdownBlocks()
    console = Console(
        file=io.StringIO(), force_terminal=True, width=columns, height=rows, color_system=None, _environ={}
    )
    found = [block for block in (*blocks.feed(whole), blocks.end()) if block.strip()]
    for number, block in enumerate(found):
        if number:
            console.print()
        console.print(AnswerMarkdown(block.strip("\n")))
    assert isinstance(console.file, io.StringIO)
    return Screen(columns=columns, rows=rows).show(console.file.getvalue()).text


@pytest.mark.parametrize("written", ["\x1b[5B", "\x1b7"])
def test_the_screen_of_these_tests_knows_what_it_does_not_know(written: str) -> None:
    with pytest.raises(AssertionError):
        Screen().show(written)
