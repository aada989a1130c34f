"""The figures of the store: what is recorded, and how fast it is found again. To add one, add its row."""

from __future__ import annotations

from .figure import FEW, ONCE, SOME, Figure
from .store import reading, recording, weight, writing

_EMPTY = "an empty interpreter"
_PLAIN = "its bytes in a plain table, two commits"
_MANY_SESSIONS = f"of {reading.SESSIONS:,} sessions"
_MANY_TURNS = f"among {reading.SESSIONS * reading.TURNS_EACH:,} turns"

_A_FEW = 5
"""So few that the interval is that of the smallest and the largest: the longest of all waits counts."""

# Where the goal is a share of the other's speed: so many times its time.
_HALF_AS_FAST, _SEVEN_TENTHS_AS_FAST = 1 / 0.5, 1 / 0.7

STORE_FIGURES = (
    Figure(
        name="store-turn",
        ours="a turn: begin_turn, end_turn",
        peer=_PLAIN,
        goal=_HALF_AS_FAST,
        sides=writing.seconds_of_turns,
    ),
    Figure(
        name="store-turn-late",
        ours=f"turn {writing.LATE:,} of a session",
        peer=f"turn {writing.EARLY} of a session",
        goal=1.3,
        sides=writing.seconds_of_late_and_early_turns,
    ),
    Figure(
        name="store-writers",
        ours=f"{writing.WRITERS} processes, one session: seconds a turn",
        peer="one process",
        goal=_SEVEN_TENTHS_AS_FAST,
        sides=writing.seconds_of_writers,
        pairs=SOME,
    ),
    Figure(
        name="store-writers-wait",
        ours=f"the longest write of {writing.WRITERS} processes",
        peer="the same in a plain table, as SQLite waits",
        limit=0.150,
        sides=writing.longest_wait_of_writers,
        pairs=_A_FEW,
    ),
    Figure(
        name="store-record",
        ours="all that recording adds to a turn",
        peer=_PLAIN,
        limit=0.005,
        sides=recording.seconds_of_record,
    ),
    Figure(
        name="store-record-first",
        ours="the same, first turn of a process, with imports",
        peer="import sqlite3, open, two commits",
        limit=0.025,
        sides=recording.seconds_of_first_record,
    ),
    Figure(
        name="store-bytes",
        ours="a turn in the file, with its index",
        peer="prompt, answer, raw JSON: response, events",
        unit="kB",
        goal=1.2,
        sides=weight.kilobytes_a_turn,
        pairs=ONCE,
        warm_up=False,
    ),
    Figure(
        name="store-bytes-response",
        ours="the same of a turn without events",
        peer="prompt, answer, raw JSON: response",
        unit="kB",
        goal=1.2,
        sides=weight.kilobytes_without_events,
        pairs=ONCE,
        warm_up=False,
    ),
    Figure(
        name="store-list",
        ours=f"the newest {reading.LISTED} {_MANY_SESSIONS}",
        peer="the plain SELECT",
        limit=0.001,
        sides=reading.seconds_of_list,
    ),
    Figure(
        name="store-list-flat",
        ours=f"the newest {reading.LISTED} {_MANY_SESSIONS}",
        peer=f"of {reading.FEW_SESSIONS:,}",
        goal=2.0,
        sides=reading.seconds_of_lists,
    ),
    Figure(
        name="store-list-command",
        ours=f"mcp-coder sessions list, {_MANY_SESSIONS}",
        peer=_EMPTY,
        goal=7.0,
        sides=reading.seconds_of_list_command,
        pairs=SOME,
    ),
    Figure(
        name="store-search-rare",
        ours=f"a word of 3 turns {_MANY_TURNS}",
        peer="the plain SELECT",
        limit=0.003,
        sides=reading.seconds_of_rare_word,
    ),
    Figure(
        name="store-search-common",
        ours=f"a word of nearly all turns, its newest {reading.HITS}",
        peer="the plain SELECT",
        limit=0.300,
        sides=reading.seconds_of_common_word,
        pairs=SOME,
    ),
    Figure(
        name="store-load",
        ours=f"a session of {reading.LONG:,} turns",
        peer="the plain SELECT",
        goal=3.0,
        sides=reading.seconds_of_session,
        pairs=SOME,
    ),
    Figure(
        name="store-load-last",
        ours=f"its last {reading.LAST} turns",
        peer="the plain SELECT",
        limit=0.001,
        sides=reading.seconds_of_last_turns,
    ),
    Figure(
        name="store-memory-writer",
        ours=f"a process that records {weight.MANY:,} turns",
        peer="one that records a tenth",
        unit="MiB",
        goal=1.1,
        sides=weight.mib_of_writer,
        pairs=ONCE,
        warm_up=False,
    ),
    Figure(
        name="store-memory-reader",
        ours=f"a process that reads {weight.MANY:,} turns",
        peer="one that reads a tenth",
        unit="MiB",
        goal=1.1,
        sides=weight.mib_of_reader,
        pairs=FEW,
        warm_up=False,
    ),
)
