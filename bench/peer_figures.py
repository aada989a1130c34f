"""The figures of the store beside other projects that keep sessions: see ``peers``. To add one, add its row."""

from __future__ import annotations

from .figure import FEW, SOME, Figure
from .peers import measures
from .peers.measures import SESSIONS
from .store.reading import LISTED
from .store.writing import WRITERS

_LLM, _AGENTS = "llm", "openai-agents"

_TURN = "a turn: begin_turn, end_turn"
_LISTING = f"the newest {LISTED} of {SESSIONS:,} sessions"
_AT_ONCE = f"{WRITERS} processes, one session"
_LEVEL, _FIVE_TIMES, _HUNDRED_TIMES = 1.1, 1 / 5, 1 / 100

PEER_FIGURES = (
    Figure(
        name="peer-session-turn",
        ours=_TURN,
        peer="SQLiteSession: prompt added, answer added",
        goal=_LEVEL,
        needs=_AGENTS,
        sides=measures.seconds_of_turns(_AGENTS, "sqlite"),
    ),
    Figure(
        name="peer-session-once",
        ours="a turn in one write: import_turn",
        peer="SQLiteSession: both added at once",
        needs=_AGENTS,
        sides=measures.seconds_of_turns(_AGENTS, "sqlite", at_once=True),
    ),
    Figure(
        name="peer-session-writers",
        ours=f"{_AT_ONCE}: seconds a turn",
        peer="SQLiteSession",
        needs=_AGENTS,
        sides=measures.seconds_of_writers(_AGENTS, "sqlite"),
        pairs=FEW,
    ),
    Figure(
        name="peer-session-wait",
        ours=f"{_AT_ONCE}: the longest write",
        peer="SQLiteSession",
        needs=_AGENTS,
        sides=measures.longest_wait(_AGENTS, "sqlite"),
        pairs=FEW,
    ),
    Figure(
        name="peer-session-last",
        ours="the last 20 turns of a session",
        peer="SQLiteSession: their 40 items",
        needs=_AGENTS,
        sides=measures.seconds_of_last_turns,
        pairs=SOME,
    ),
    Figure(
        name="peer-sqlalchemy-turn",
        ours=_TURN,
        peer="SQLAlchemySession: prompt added, answer added",
        goal=_FIVE_TIMES,
        needs=_AGENTS,
        sides=measures.seconds_of_turns(_AGENTS, "sqlalchemy"),
        pairs=SOME,
    ),
    Figure(
        name="peer-llm-turn",
        ours=_TURN,
        peer="llm: log_to_db",
        goal=_FIVE_TIMES,
        needs=_LLM,
        sides=measures.seconds_of_turns(_LLM, "own"),
        pairs=SOME,
    ),
    Figure(
        name="peer-llm-turn-wal",
        ours=_TURN,
        peer="llm: log_to_db, in WAL mode as ours",
        goal=_FIVE_TIMES,
        needs=_LLM,
        sides=measures.seconds_of_turns(_LLM, "wal"),
        pairs=SOME,
    ),
    Figure(
        name="peer-llm-writers-lost",
        ours=f"{_AT_ONCE}: writes that fail",
        peer="llm: log_to_db",
        unit="%",
        limit=0.0,
        needs=_LLM,
        sides=measures.share_lost(_LLM, "own"),
        pairs=FEW,
    ),
    Figure(
        name="peer-llm-list",
        ours=_LISTING,
        peer=f"llm: {LISTED} responses, as logs list reads them",
        goal=_HUNDRED_TIMES,
        needs=_LLM,
        sides=measures.seconds_of_llm_list,
        pairs=SOME,
    ),
    Figure(
        name="peer-llm-list-command",
        ours=f"mcp-coder sessions list --limit {LISTED}",
        peer=f"llm logs list --short -n {LISTED}",
        needs=_LLM,
        sides=measures.seconds_of_llm_command,
        pairs=FEW,
    ),
    Figure(
        name="peer-sdk-list",
        ours=_LISTING,
        peer="claude-agent-sdk: list_sessions(limit)",
        goal=_HUNDRED_TIMES,
        sides=measures.seconds_of_sdk_list,
        pairs=FEW,
    ),
)
