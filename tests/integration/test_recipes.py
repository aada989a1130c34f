"""The recipes in ``docs/recipes`` do what they say: their files run as they stand there, with the real program."""

from __future__ import annotations

import html
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.doc_blocks import ROOT, blocks, named_files
from tests.integration.conftest import LONGEST, Child

from mcp_coder.llm_store import open_store
from mcp_coder.llm_store.base import SessionFilter, Store, TurnRecord
from mcp_coder.testing import Reply, StandIn

RECIPES = ROOT / "docs" / "recipes"
BLUE, COLOR = "My favorite color is blue", "What is my favorite color?"

StartPython = Callable[..., Child]
Remaining = Callable[[], list[psutil.Process]]


def recipe(page: str, name: str) -> str:
    return named_files(RECIPES / page)[name]


@pytest.fixture(autouse=True)
def _nothing_set_around_us(model: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the recipes find the program, and nothing of ours that would change what they do."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("MCP_CODER_REDACT", "MCP_CODER_REDACT_PATTERNS"):
        monkeypatch.delenv(name, raising=False)


# --- a CI job


class Job:
    """The nightly job on machines that share nothing but the directory that is kept."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.state = place / "kept"
        self._machines = 0
        for name, text in named_files(RECIPES / "ci.md").items():
            if name.endswith(".sh"):
                (place / name).write_text(text)

    def start(self, script: str = "nightly.sh", **env: str) -> subprocess.Popen[str]:
        self._machines += 1
        home = self.place / f"machine-{self._machines}"
        home.mkdir()
        alone = {
            "HOME": str(home),
            "MCP_CODER_HOME": str(home / "ours"),
            "CLAUDE_CONFIG_DIR": str(home / "agent"),
        }
        return subprocess.Popen(
            ["sh", str(self.place / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **alone, "AGENT_STATE": str(self.state), **env},
        )

    def run(self, prompt: str = "", script: str = "nightly.sh", **env: str) -> tuple[int, str]:
        """Run a script of the recipe on a new machine; return its exit code and what it said."""
        with self.start(script, **env) as process:
            _, said = process.communicate(prompt, timeout=LONGEST)
        return process.returncode, said

    def pack_and_unpack(self) -> None:
        """Keep the directory as a cache does: a copy of it comes back."""
        shutil.copytree(self.state, self.place / "cache", symlinks=True)
        shutil.rmtree(self.state)
        (self.place / "cache").rename(self.state)

    def answer(self) -> str:
        return Path("answer.txt").read_text().strip()

    def store(self) -> Store:
        return open_store(f"sqlite:///{self.state}/turns.sqlite")

    def turns(self) -> list[TurnRecord]:
        store = self.store()
        (session,) = store.sessions(SessionFilter(name="nightly"))
        found = list(store.turns(session.session_id))
        store.close()
        return found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_the_job_goes_on_from_machine_to_machine(job: Job) -> None:
    assert job.run(BLUE) == (0, "nothing to recover\n")
    job.pack_and_unpack()
    assert job.run(COLOR)[0] == 0
    assert job.answer() == "Your favorite color is blue"
    assert [(turn.number, turn.state) for turn in job.turns()] == [(1, "succeeded"), (2, "succeeded")]
    assert all(turn.usage.cost_usd for turn in job.turns())


def test_the_job_forgives_a_service_that_is_down_and_drops_its_prompt(job: Job, model: StandIn) -> None:
    job.run(BLUE)
    model.server.add_rule(Reply.error(529), prompt="too early")
    code, said = job.run("too early")
    assert (code, said.splitlines()[-1]) == (0, "nightly: no agent to be had tonight (exit code 5)")
    assert job.run(COLOR)[0] == 0
    assert model.server.history() == [BLUE, COLOR]
    assert [turn.state for turn in job.turns()] == ["succeeded", "failed", "succeeded"]


def test_the_job_fails_for_good_reasons(job: Job, model: StandIn) -> None:
    model.server.add_rule(Reply.error(401), prompt="who am I")
    assert job.run("who am I")[0] == 4


def test_the_job_spends_no_more_than_it_may(job: Job, model: StandIn) -> None:
    assert job.run(BLUE, DOLLARS_A_MONTH="0.01")[0] == 0
    code, said = job.run(COLOR, DOLLARS_A_MONTH="0.01")
    assert (code, "spent in 30 days" in said) == (1, True)
    assert model.server.prompts() == [BLUE]


def test_the_job_sends_nothing_where_it_could_not_be_recorded(job: Job, model: StandIn) -> None:
    job.state.mkdir()
    (job.state / "turns.sqlite").write_text("no database")
    assert job.run(BLUE)[0] == 12
    assert not model.server.requests


def test_a_job_that_was_killed_is_recorded_by_the_next(
    job: Job, model: StandIn, remaining_processes: Remaining
) -> None:
    job.run(BLUE)
    model.server.add_rule(Reply.hang(after="so far"), prompt="take long")
    with job.start() as killed:
        assert killed.stdin is not None
        killed.stdin.write("take long")
        killed.stdin.close()
        model.server.wait_for("take long", LONGEST)
        for process in remaining_processes():
            process.kill()
    job.pack_and_unpack()
    code, said = job.run(COLOR)
    assert (code, job.answer()) == (0, "Your favorite color is blue")
    assert re.fullmatch(r"[0-9a-f-]{36} turn 2: (interrupted|unknown)\n", said)
    assert [turn.state for turn in job.turns()][::2] == ["succeeded"] * 2
    assert model.server.history() == [BLUE, COLOR]


def test_the_job_keeps_files_that_any_store_can_import(job: Job, tmp_path: Path) -> None:
    for prompt in (BLUE, COLOR):
        job.run(prompt)
    assert job.run(script="keep.sh")[0] == 0
    assert "Your favorite color is blue" in Path("nightly.md").read_text()
    assert json.loads(Path("usage.json").read_text())["total"]["turns"] == 2
    home = f"sqlite:///{tmp_path}/home.sqlite"
    for added in ("added 1 session and 2 turns", "added 0 sessions and 0 turns"):
        command = ["mcp-coder", "sessions", "import", "nightly.jsonl", "--store", home]
        assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.startswith(added)
    store = open_store(home)
    assert [hit.number for hit in store.search("favorite color")] == [2, 1]
    store.close()


def test_the_workflow_runs_what_the_recipe_has() -> None:
    workflow = recipe("ci.md", ".github/workflows/nightly.yml")
    assert "| sh nightly.sh\n" in workflow
    assert workflow.count("${{ runner.temp }}/agent\n") == 3  # where the job works, and what is kept


# --- a service


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Name a store for the service, and open it beside it."""
    url = f"sqlite:///{tmp_path}/turns.sqlite"
    monkeypatch.setenv("MCP_CODER_STORE", url)
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Take the recipe's client."""
    path = tmp_path / "client.py"
    path.write_text(recipe("service.md", "client.py"))
    found: Ask = runpy.run_path(str(path))["ask"]
    return found


@pytest.fixture
def start_service(start_python: StartPython) -> Callable[[], tuple[Child, int]]:
    """Start the recipe's service on a free port, which is returned."""

    def start() -> tuple[Child, int]:
        service = start_python(recipe("service.md", "service.py"), "0")
        return service, service.hear()

    return start


def stop(service: Child) -> None:
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(LONGEST) == 128 + signal.SIGTERM, service.errors()


def asked_in_threads(
    ask: Ask, port: int, questions: list[tuple[str, str | None]]
) -> list[Future[dict[str, Any]]]:
    pool = ThreadPoolExecutor(len(questions))
    futures = [pool.submit(ask, port, *question) for question in questions]
    pool.shutdown(wait=False)
    return futures


def test_many_clients_of_a_service_share_one_store(
    start_service: Callable[[], tuple[Child, int]], ask: Ask, store: Store, model: StandIn
) -> None:
    service, port = start_service()
    session_id = ask(port, BLUE)["session_id"]
    same = [(f"My lucky number is {number}", session_id) for number in range(3)]
    told = asked_in_threads(ask, port, [*same, ("Hello", None), ("Good day", None)])
    assert all("text" in each.result() for each in told)
    assert ask(port, COLOR, session_id)["text"] == "Your favorite color is blue"
    assert [turn.number for turn in store.turns(session_id)] == [1, 2, 3, 4, 5]
    assert {turn.state for turn in store.turns(session_id)} == {"succeeded"}
    assert store.usage().total.turns == 7
    assert len(list(store.sessions())) == 3
    assert sorted(model.server.history()[:-1]) == sorted([BLUE, *(question for question, _ in same)])
    stop(service)
    assert service.errors() == ""


def test_a_client_of_a_service_hears_what_is_wrong(
    start_service: Callable[[], tuple[Child, int]], ask: Ask, store: Store, model: StandIn
) -> None:
    service, port = start_service()
    assert ask(port, " ")["error"] == "InvalidRequestError"
    assert ask(port, "Hello", "../../etc")["error"] == "InvalidRequestError"
    model.server.add_rule(Reply.error(529), prompt="busy")
    told = ask(port, "busy")
    assert (told["error"], told["retryable"]) == ("ServerError", True)
    assert [turn.state for turn in store.turns(told["session_id"])] == ["failed"]
    stop(service)


def test_a_service_that_is_told_to_stop_tells_its_clients(
    start_service: Callable[[], tuple[Child, int]],
    ask: Ask,
    store: Store,
    model: StandIn,
    remaining_processes: Remaining,
) -> None:
    service, port = start_service()
    model.server.add_rule(Reply.hang(), prompt="take long")
    clients = asked_in_threads(ask, port, [("take long 1", None), ("take long 2", None)])
    for number in (1, 2):
        model.server.wait_for(f"take long {number}", LONGEST)
    stop(service)
    assert remaining_processes() == []
    told = [client.result() for client in clients]
    assert [each["error"] for each in told] == ["InterruptedTurnError"] * 2
    again, port = start_service()
    for each in told:
        (turn,) = store.turns(each["session_id"])
        assert turn.state == "interrupted"
        assert "text" in ask(port, "Hello again", each["session_id"])
    stop(again)


def test_a_worker_of_a_service_that_dies_loses_no_answer(
    start_service: Callable[[], tuple[Child, int]], ask: Ask, store: Store, model: StandIn
) -> None:
    service, port = start_service()
    session_id = ask(port, BLUE)["session_id"]
    release = threading.Event()
    model.server.add_rule(Reply.hang(after="so ", until=release, then="far"), prompt="take long")
    (client,) = asked_in_threads(ask, port, [("take long", session_id)])
    model.server.wait_for("take long", LONGEST)
    # The one before it has answered its client, but need not have ended, or been waited for, by now.
    worker = max(psutil.Process(service.pid).children(), key=lambda child: child.create_time())
    worker.kill()
    with pytest.raises(ValueError, match="Expecting value"):
        client.result()
    release.set()
    assert "so far" not in ask(port, COLOR, session_id)["text"]
    assert [(turn.state, turn.text) for turn in store.turns(session_id)] == [
        ("succeeded", "Noted: my favorite color is blue"),
        ("succeeded", "so far"),
        ("succeeded", "Your favorite color is blue"),
    ]
    stop(service)


# --- a notebook

_KERNEL = """
import ast, asyncio, inspect, json, signal, sys

FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

async def value_of(code, names):
    value = eval(code, names)
    return await value if code.co_flags & inspect.CO_COROUTINE else value

async def shown(cell, names):
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    await value_of(compile(tree, "cell", "exec", FLAGS), names)
    if last is None:
        return None
    value = await value_of(compile(ast.Expression(last.value), "cell", "eval", FLAGS), names)
    return value._repr_html_() if hasattr(value, "_repr_html_") else value

async def kernel():
    names, ticks = {"__name__": "__main__"}, 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        ticks = 0
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as a notebook's kernel does it for a cell
        try:
            value = await shown(json.loads(line), names)
        except KeyboardInterrupt:
            value = "interrupted"
        print(json.dumps({"shown": value, "ticks": ticks}), flush=True)
    ticking.cancel()

asyncio.run(kernel())
"""


def run_cells(kernel: Child, cells: list[str]) -> Iterator[tuple[Any, int]]:
    """Yield what each cell shows, and how often something else in the kernel's event loop had its turn meanwhile."""
    assert kernel.hear() == "ready"
    for cell in cells:
        kernel.tell(cell)
        told = kernel.hear()
        yield told["shown"], told["ticks"]


def table(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL)
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows
    ]


def test_the_cells_of_the_notebook_show_what_they_should(start_python: StartPython) -> None:
    cells = ["\n".join(lines) for mark, _, lines in blocks(RECIPES / "notebook.md") if mark == "python"]
    kernel = start_python(_KERNEL)
    outcome = list(run_cells(kernel, cells))
    first, by_api, awaited, forks, nothing, usage, turns, hits = [shown for shown, _ in outcome]
    assert (first, by_api) == ("Noted: my favorite color is blue", "Your favorite color is blue")
    assert awaited == f"You said:\n1. {BLUE}\n2. {COLOR}"
    assert outcome[2][1] > 3  # while it was awaited; a cell that blocks lets nothing else run
    assert forks == [
        "Noted: my favorite color is red",
        "Noted: my favorite color is green",
        "Your favorite color is blue",
    ]
    assert nothing is None
    head, *rows, total = table(usage)
    assert head == ["session", "turns", "tokens", "cost", "turns of unknown cost"]
    assert sorted(row[0] for row in rows) == sorted(
        [BLUE, "My favorite color is red", "My favorite color is green", COLOR]
    )
    assert total[:2] == ["total", "6"]
    assert float(total[3].removeprefix("$")) == pytest.approx(
        sum(float(row[3].removeprefix("$")) for row in rows), abs=0.03
    )
    assert [row[:2] for row in table(turns)[1:]] == [["1", BLUE], ["2", COLOR], ["3", "What did I say?"]]
    assert [row[1:] for row in table(hits)[1:]] == [["1", "My favorite color is green"]]
    assert kernel.finish() == 0
    assert kernel.errors() == ""


def test_a_cell_of_the_notebook_that_is_interrupted_is_recorded_as_that(
    start_python: StartPython, model: StandIn
) -> None:
    model.server.add_rule(Reply.hang(), prompt="take long")
    kernel = start_python(_KERNEL)
    assert kernel.hear() == "ready"
    kernel.tell("import mcp_coder; mcp_coder.ask_llm('take long', session='my-notebook', timeout=600)")
    session_id = model.server.wait_for("take long", LONGEST).session_id
    kernel.process.send_signal(signal.SIGINT)
    assert kernel.hear()["shown"] == "interrupted"
    store = open_store()
    assert [turn.state for turn in store.turns(str(session_id))] == ["interrupted"]
    store.close()
    kernel.tell("1 + 1")
    assert kernel.hear()["shown"] == 2
    assert kernel.finish() == 0
