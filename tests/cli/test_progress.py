"""Watching a turn: notes always, a line on terminals only."""

import subprocess
import sys

import pytest

from mcp_coder.cli.progress import Watch, watched
from mcp_coder.llm_events import Notice, SessionStarted, TextDelta

SESSION = "5fb8e1b7-5135-4c68-b20c-5f5a207a457a"


def test_a_watch_knows_the_session_and_what_the_agent_does() -> None:
    watch = Watch(print)
    assert watch.session_id is None
    assert watch.__rich__().plain == "0:00 starting"
    watch.observe(SessionStarted(session_id=SESSION))
    assert watch.session_id == SESSION
    assert watch.__rich__().plain == "0:00 thinking"
    watch.observe(TextDelta(text="No"))
    assert watch.__rich__().plain == "0:00 writing"


def test_without_a_terminal_there_are_notes_only(capsys: pytest.CaptureFixture[str]) -> None:
    with watched(quiet=False, line=True) as watch:
        watch.observe(SessionStarted(session_id=SESSION))
        watch.observe(Notice(text="the prompt of a failed turn\nis still there"))
    assert capsys.readouterr() == ("", "note: the prompt of a failed turn is still there\n")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with watched(quiet=True, line=True) as watch:
        watch.observe(Notice(text="something"))
    assert capsys.readouterr() == ("", "")


_WARNS = """
import warnings
from mcp_coder.cli.progress import watched
from mcp_coder.llm_errors import LeaseWarning
warnings.simplefilter("always")
before = warnings.showwarning
for quiet in (False, True):
    with watched(quiet=quiet, line=True):
        warnings.warn("ours", LeaseWarning)
        warnings.warn("somebody else's")
assert warnings.showwarning is before
"""


def test_warnings_of_ours_are_notes_and_others_are_left_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WARNS], check=True, stderr=subprocess.PIPE, text=True, timeout=30
    )
    note, *others = done.stderr.splitlines()
    assert note == "note: ours"
    assert len([line for line in others if "UserWarning: somebody else's" in line]) == 2
    assert "ours" not in "".join(others)


def test_rich_is_not_loaded_without_a_terminal() -> None:
    code = (
        "import sys\n"
        "from mcp_coder.cli.progress import watched\n"
        "with watched(quiet=False, line=True): pass\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE).returncode == 0
