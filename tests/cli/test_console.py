"""Standard output and error, with all that can be wrong with them: in real processes, since descriptors are meant."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_coder.cli import console

EMOJI = "Grüße 😀"


def run_python(
    code: str, *, encoding: str = "utf-8", unbuffered: str = "", **settings: object
) -> "subprocess.CompletedProcess[bytes]":
    source = f"from mcp_coder.cli import console\nconsole.prepare()\n{code}"
    settings.setdefault("stdout", subprocess.PIPE)
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", source],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUNBUFFERED": unbuffered},
        timeout=30,
        check=False,
        **settings,  # type: ignore[call-overload]
    )
    return done


def test_text_arrives_as_it_is() -> None:
    done = run_python(f"console.write_answer({EMOJI!a})")
    assert done.stdout.decode() == EMOJI
    assert done.stderr == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_escaped(encoding: str) -> None:
    done = run_python(f"console.write_answer({EMOJI!a}); console.note({EMOJI!a})", encoding=encoding)
    assert done.returncode == 0
    assert b"\\U0001f600" in done.stdout
    assert b"note: Gr" in done.stderr


def test_a_lone_surrogate_is_escaped_in_utf_8_too() -> None:
    assert run_python(r"console.write_answer('a\ud83d')").stdout == b"a\\ud83d"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_json_stays_json_in_every_encoding(encoding: str) -> None:
    written = json.dumps({"text": EMOJI}, ensure_ascii=False)
    done = run_python(f"console.write_json({written!a})", encoding=encoding)
    assert json.loads(done.stdout.decode(encoding)) == {"text": EMOJI}


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_gone_is_told_apart_and_the_interpreter_exits_quietly(unbuffered: str) -> None:
    code = "import sys\ntry: console.write_answer('x' * 1_000_000)\nexcept console.ReaderGone: sys.exit(7)"
    reader = subprocess.Popen(["head", "-c", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdin is not None
    with reader, reader.stdin as pipe:
        done = run_python(code, stdout=pipe, unbuffered=unbuffered)
    assert done.returncode == 7
    assert done.stderr == b""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_big_answer_arrives_whole_in_a_slow_pipe(unbuffered: str) -> None:
    code = (
        "import os, threading, signal\n"
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\n"  # each signal cuts a write to a pipe short
        "console.write_answer('x' * 5_000_000)"
    )
    assert len(run_python(code, unbuffered=unbuffered).stdout) == 5_000_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_that_says_so() -> None:
    code = "import sys\ntry: console.write_answer('x')\nexcept console.OutputLost as e: sys.exit(str(e))"
    with open("/dev/full", "wb") as full:
        done = run_python(code, stdout=full)
    assert done.stderr.decode().strip() == "standard output cannot be written: No space left on device"


def test_a_closed_standard_output_is_an_error_that_says_so() -> None:
    code = (
        "import sys\nsys.stdout = None\n"
        "try: console.write_answer('x')\nexcept console.OutputLost as e: sys.exit(str(e))"
    )
    assert b"standard output is closed" in run_python(code).stderr


@pytest.mark.parametrize("state", ["None", "open('/dev/full', 'w')", "open('/dev/null')"])
def test_a_standard_error_that_cannot_be_written_fails_nothing(state: str) -> None:
    done = run_python(
        f"import os, sys\nsys.stderr = {state}\nconsole.note('x')\nassert not console.is_terminal()\nos._exit(5)"
    )
    assert done.returncode == 5


def test_output_can_be_closed_while_the_command_goes_on() -> None:
    code = "console.write_answer('all')\nconsole.close_output()\ninput()\nconsole.write_answer('more')"
    process = subprocess.Popen(
        [sys.executable, "-c", f"from mcp_coder.cli import console\n{code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.read() == b"all"
        assert process.poll() is None
        process.communicate(b"\n")
    assert process.returncode == 0


def test_without_a_terminal_no_line_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    from mcp_coder.cli import console

    assert not console.is_terminal()
    console.note("two\nlines")
    assert capsys.readouterr().err == "note: two lines\n"


def test_without_a_terminal_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not console.can_ask()
    monkeypatch.setattr("sys.stdin", None)
    assert not console.can_ask()


def test_an_answer_is_a_line_and_the_question_stands_on_standard_error() -> None:
    done = run_python(
        "print(repr(console.ask('sure? ')), repr(console.ask('really? ')))", input=b" yes \r\nno"
    )
    assert (done.stdout, done.stderr) == (b"'yes' 'no'\n", b"sure? really? ")
    assert run_python("print(repr(console.ask('sure? ')))", input=b"").stdout == b"''\n"


# --- bit by bit


def test_pieces_are_written_at_once() -> None:
    code = (
        "import os\nout = console.AnswerOutput()\nout.write('a'); out.write_json('{}'); out.flush(); out.check()\n"
        "os._exit(0)"
    )
    assert run_python(code).stdout == b"a{}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_piece_that_cannot_be_written_fails_nobody_until_asked() -> None:
    code = (
        "import sys\nout = console.AnswerOutput()\nassert out.write('abc') == 3 and out.write('d') == 1\n"
        "try: out.check()\nexcept console.OutputLost as e: sys.exit(str(e))"
    )
    with open("/dev/full", "wb") as full:
        done = run_python(code, stdout=full)
    assert done.stderr.decode().strip() == "standard output cannot be written: No space left on device"


@pytest.mark.parametrize(("encoding", "known"), [("ascii", "ascii"), ("utf-8", "utf-8")])
def test_its_encoding_is_that_of_standard_output(encoding: str, known: str) -> None:
    code = f"assert console.AnswerOutput().encoding == {known!r} and not console.AnswerOutput().isatty()"
    assert run_python(code, encoding=encoding).returncode == 0


def test_a_closed_standard_output_is_no_terminal() -> None:
    code = (
        "import sys\nsys.stdout = None\n"
        "assert not console.output_is_terminal() and console.AnswerOutput().encoding == 'utf-8'"
    )
    assert run_python(code).returncode == 0
