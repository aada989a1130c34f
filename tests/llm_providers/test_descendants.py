"""Processes told by identity and by marker, and ended; nothing else is touched."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid

import psutil
from tests.llm_providers.conftest import SLEEP, Start, is_gone, started_by

from mcp_coder.llm_providers.descendants import (
    boot_seconds,
    end_identified,
    identity_of,
    is_alive,
    marked,
    started_since,
)


def new_mark() -> str:
    """Return a marker that no other run of these tests has, at the same time on this machine."""
    return str(uuid.uuid4())


ORPHAN, DEAD = new_mark(), new_mark()


def test_identity_tells_a_process_from_the_next_of_its_id(start: Start) -> None:
    process = start(SLEEP)
    identity = process.identity()
    assert is_alive(identity)
    started = identity["started"]
    assert isinstance(started, float)
    assert not is_alive({**identity, "started": started - 100})
    assert not is_alive({**identity, "boot": "another"})
    assert not is_alive({})
    process.end(over=False, grace=0)
    assert not is_alive(identity)


def test_an_orphan_is_ended_with_its_children(start: Start) -> None:
    process = start(
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(300)']);"
        "print(p.pid, flush=True); sys.stdin.read()",
        marker=ORPHAN,
    )
    child = started_by(process)
    end_identified(process.identity(), ORPHAN)
    assert is_gone(child)
    assert process.wait(5)
    end_identified(process.identity(), ORPHAN)  # gone already: nothing happens


def test_what_a_dead_agent_left_is_ended_by_its_marker(start: Start) -> None:
    process = start(
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(300)']);"
        "print(p.pid, flush=True); sys.exit()",
        marker=DEAD,
    )
    identity = process.identity()
    left = started_by(process)
    while process.exit_code() is None:
        process.wait(1)
    bystander = start(SLEEP, marker=f"{DEAD}-of-another")
    end_identified(identity, DEAD)
    assert is_gone(left)
    assert bystander.exit_code() is None


def test_a_marker_is_found_behind_those_of_outer_turns(start: Start) -> None:
    outer, inner = new_mark(), new_mark()
    process = start(SLEEP, marker=f"{outer}:{inner}")
    for marker in (outer, inner):
        assert [each.pid for each in marked(marker, 0, set())] == [process.pid]
        assert list(marked(marker, 0, {process.pid})) == []
    assert list(marked(outer[:-1], 0, set())) == []
    assert list(marked("", 0, set())) == []


def test_what_was_started_since_a_moment(start: Start) -> None:
    process = start(
        "import subprocess, sys\n"
        'inner = \'import subprocess, sys; print(subprocess.Popen([sys.executable, "-S", "-c", \'\\\n'
        "    '\"import time; time.sleep(300)\"]).pid, flush=True); import time; time.sleep(300)'\n"
        "for _ in sys.stdin: subprocess.Popen([sys.executable, '-S', '-c', inner])\n"
    )
    before = boot_seconds()
    process.write(b"\n")
    first = started_by(process)
    time.sleep(0.05)  # start times are kept in hundredths of a second
    between = boot_seconds()
    process.write(b"\n")
    second = started_by(process)
    assert {first.pid, second.pid} <= {each.pid for each in started_since(process.pid, before)}
    since = {each.pid for each in started_since(process.pid, between)}
    assert second.pid in since
    assert since.isdisjoint({first.pid, process.pid})
    assert len(since) == 2  # it, and what started it
    assert started_since(process.pid, boot_seconds() + 1) == []
    process.end(over=False, grace=0)
    assert started_since(process.pid, 0) == []


def test_the_clock_is_that_of_start_times(start: Start) -> None:
    before = boot_seconds()
    process = start(SLEEP)
    started = psutil.Process(process.pid).create_time() - psutil.boot_time()
    assert before - 1 <= started <= boot_seconds() + 1
    assert boot_seconds() >= before


def test_an_identity_of_nobody_is_not_alive() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    assert not is_alive(identity_of(int(done.stdout)))
