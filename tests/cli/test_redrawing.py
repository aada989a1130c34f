"""Below what is printed stands what is redrawn, whoever prints and whenever."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from tests.cli.screen import Screen

from mcp_coder.cli.redrawing import SharedTerminal, redrawn

COLUMNS, ROWS = 40, 10


@pytest.fixture
def _threads_take_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Growing:
    """Another height at each frame."""

    def __init__(self) -> None:
        self.frames = 0
        self.redrawn = threading.Semaphore(0)
        """Released for each frame that another thread than the test's has drawn."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.frames += 1
        if threading.current_thread() is not threading.main_thread():
            self.redrawn.release()
        for number in range(1 + self.frames % (ROWS - 1)):
            yield Text(f"frame {number}")


def new_terminal() -> tuple[SharedTerminal, io.StringIO]:
    written = io.StringIO()
    terminal = SharedTerminal(
        file=written, force_terminal=True, width=COLUMNS, height=ROWS, color_system=None, _environ={}
    )
    return terminal, written


def screen_of(written: io.StringIO) -> list[str]:
    return Screen(columns=COLUMNS, rows=ROWS).show(written.getvalue()).text.splitlines()


@pytest.mark.usefixtures("_threads_take_turns_often")
def test_what_is_printed_while_it_is_redrawn_stands_there_once() -> None:
    terminal, written = new_terminal()
    content = Growing()
    with redrawn(content, terminal, frames_a_second=100_000, redirect_stderr=False):
        for number in range(400):
            terminal.print(f"line {number}")
            if number % 4 == 0:
                assert content.redrawn.acquire(timeout=30)
    assert screen_of(written) == [f"line {number}" for number in range(400)]


@pytest.mark.usefixtures("_threads_take_turns_often")
def test_many_may_print(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, written = new_terminal()
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    def say(name: str) -> None:
        for number in range(50):
            sys.stderr.write(f"{name} {number}\n")
            terminal.print(f"{name} {number} again")

    with redrawn(Growing(), terminal, frames_a_second=100_000, redirect_stderr=True):
        threads = [threading.Thread(target=say, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = screen_of(written)
    for name in "ab":
        own = [line for line in lines if line.startswith(name)]
        assert own == [f"{name} {number}{more}" for number in range(50) for more in ("", " again")]
    assert len(lines) == 200


def test_it_is_gone_at_the_end_whatever_happens() -> None:
    before = set(threading.enumerate())
    terminal, written = new_terminal()

    def interrupted() -> None:
        with redrawn(Text("working"), terminal, frames_a_second=5, redirect_stderr=True):
            assert screen_of(written) == ["working"]
            terminal.print("a note")
            assert screen_of(written) == ["a note", "working"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen_of(written) == ["a note"]
    assert set(threading.enumerate()) == before
    assert not hasattr(sys.stderr, "rich_proxied_file")
