"""Records for the tests of sessions: a store in memory, and turns put into it by hand."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcp_coder.llm_providers.turn_files import new_turn_files, new_turn_id
from mcp_coder.llm_store.base import NewTurn, Store, TurnEnding, TurnRecord

VERSION = "2.1.330"


def begin(store: Store, session_id: str, prompt: str = "Hello", **fields: Any) -> TurnRecord:
    """Journal a turn."""
    known = {
        "turn_id": new_turn_id(),
        "provider": "claude",
        "method": "cli",
        "started_at": datetime.now(UTC),
        "agent_version": VERSION,
        "host": socket.gethostname(),
    }
    return store.begin_turn(NewTurn(session_id=session_id, prompt=prompt, **{**known, **fields}))


def end(store: Store, turn: TurnRecord, state: str = "succeeded", **fields: Any) -> None:
    """Record how it ended."""
    store.end_turn(turn.turn_id, TurnEnding(state=state, ended_at=datetime.now(UTC), **fields))


def result(session_id: str, text: str = "an answer", **fields: Any) -> dict[str, Any]:
    """Return a good result event."""
    counted = {"inputTokens": 10, "outputTokens": 2, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "num_turns": 1,
        "result": text,
        "session_id": session_id,
        "total_cost_usd": 0.5,
        "usage": {"input_tokens": 10, "output_tokens": 2},
        "modelUsage": {"claude-test": {**counted, "costUSD": 0.5}},
        "uuid": "00000000-0000-4000-8000-00000000000e",
        **fields,
    }


def assistant(session_id: str, text: str = "an answer") -> dict[str, Any]:
    """Return an event with what the agent said."""
    return {
        "type": "assistant",
        "message": {
            "id": "msg_1",
            "role": "assistant",
            "model": "claude-test",
            "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 10, "output_tokens": 2},
        },
        "session_id": session_id,
        "uuid": "00000000-0000-4000-8000-00000000000a",
        "parent_tool_use_id": None,
    }


def left_output(events: Sequence[Mapping[str, Any]] | None) -> tuple[str, str]:
    """Write what an agent printed where a turn has it; return the turn's id and directory."""
    files = new_turn_files()
    if events is not None:
        Path(files.output).write_text("".join(json.dumps(event) + "\n" for event in events))
    return files.turn_id, files.directory
