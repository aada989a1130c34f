"""Many at once: turns in one session by processes and threads, holders that are killed, sessions in parallel."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from mcp_coder import LLMResponseDict, SessionBusyError, prompt_llm
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_interface import run_request
from mcp_coder.llm_providers.leases import Lease, lease_directory
from mcp_coder.llm_requests import new_request
from mcp_coder.testing import FakeClaude, Reply, StandIn
from mcp_coder.testing.default_answer import default_reply
from mcp_coder.testing.program_script import Hang, Turn, WaitForPrompt
from mcp_coder.testing.recorded_request import RecordedRequest

if TYPE_CHECKING:
    from tests.integration.conftest import Caller, Child, Records

    Callers = Callable[[int], list[Caller]]
    FakeOfVersion = Callable[[str], FakeClaude]

BLUE, COLOR = "My favorite color is blue", "What is my favorite color?"

both_methods = pytest.mark.parametrize("method", ["cli", "api"])


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    options.setdefault("timeout", 90)
    return prompt_llm(question, session_id=session_id, **options)


def begin(question: str = BLUE, **options: Any) -> str:
    session_id = ask(question, **options)["session_id"]
    assert session_id is not None
    return session_id


def hold(model: StandIn, question: str) -> threading.Event:
    """Keep the model from answering this prompt, with "done", until the event is set."""
    release = threading.Event()
    model.server.add_rule(Reply.hang(until=release, then="done"), prompt=question)
    return release


def assert_one_line(records: Records, native_id: str) -> None:
    """Check that no node of the transcript has two children: two turns at once would fork it."""
    nodes = records.nodes(native_id)
    assert {"user", "assistant"} <= {node["type"] for node in nodes}
    children = Counter(node["parentUuid"] for node in nodes)
    assert max(children.values()) == 1, children


def assert_all_paid(answer: LLMResponseDict, calls: int) -> None:
    """Check that the session's own counters, which lose what two turns do at once, hold so many model calls."""
    raw: Any = answer["raw_response"]
    (used,) = (raw if answer["method"] == "cli" else raw["result_info"])["modelUsage"].values()
    assert (used["inputTokens"], used["outputTokens"]) == (100 * calls, 7 * calls)


def count_tokens_plainly(model: StandIn) -> None:
    def reply(request: RecordedRequest) -> Reply:
        return default_reply(request.body).with_usage(input_tokens=100, output_tokens=7)

    model.server.add_rule(reply)


# --- s10: one session


@pytest.mark.parametrize(
    "methods",
    [["cli"] * 5, pytest.param(["cli", "api", "cli", "api", "api"], marks=pytest.mark.long)],
    ids=len_of,
)
def test_s10_five_processes_one_session(
    model: StandIn, callers: Callers, records: Records, methods: list[str]
) -> None:
    count_tokens_plainly(model)
    session = begin()
    questions = [f"turn of process {number}" for number in range(5)]
    processes = callers(5)
    for caller, question, method in zip(processes, questions, methods, strict=True):
        caller.ask(question, session_id=session, method=method, on_busy="wait", timeout=90)
    told = [caller.answer() for caller in processes]
    assert [each.text for each in told] == [f"echo: {question}" for question in questions]
    assert {each.session_id for each in told} == {session}
    sixth = ask("What did I say?", session)
    history = model.server.history(session)
    assert (history[0], sorted(history[1:6]), history[6:]) == (BLUE, questions, ["What did I say?"])
    assert [len(request.prompts) for request in model.server.turns(session)] == [1, 2, 3, 4, 5, 6, 7]
    assert_one_line(records, session)
    assert_all_paid(sixth, 7)
    assert records.card(session)["finished"] == 7
