"""What whole stories are told with: the real program in a private place, callers in processes of their own.

Every test here is checked at its end: a process that was started in it, by whomever, and still runs fails it, and is
ended. Such processes are told by a variable that all of them inherit.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from mcp_coder.llm_providers.card_files import CardFiles
from mcp_coder.llm_providers.cards import card_from_json, card_to_json
from mcp_coder.testing import FakeClaude, StandIn

MARK = "MCP_CODER_TEST_STORY"
LONGEST = 90.0
"""Seconds after which what is waited for will not come any more."""
_EXIT_SECONDS = 1.0
_STORY = pytest.StashKey[str]()
_CALLERS = pytest.StashKey[set[int]]()
_WHOLLY = pytest.StashKey[bool]()
_THREADS = ("mcp_coder-stream", "mcp_coder-claude-sdk", "mcp_coder-close")
"""Those of a turn or an agent: with it they are gone."""


# --- nothing outlives its test


@pytest.fixture(autouse=True)
def story_mark(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Mark all that this test starts."""
    mark = str(uuid.uuid4())
    request.node.stash[_STORY] = mark
    request.node.stash[_CALLERS] = set()
    monkeypatch.setenv(MARK, mark)
    return mark


@pytest.fixture
def remaining_processes(story_mark: str) -> Callable[[], list[psutil.Process]]:
    """Return the processes that this test started, itself or through others, and that run now."""
    return lambda: marked_processes(story_mark)


@pytest.fixture
def agents(request: pytest.FixtureRequest, story_mark: str) -> Callable[[], list[psutil.Process]]:
    """Return the agents that this process has started and that live now, in the order of their start."""

    def living() -> list[psutil.Process]:
        children = psutil.Process().children()
        callers = request.node.stash[_CALLERS]
        started = [each for each in children if each.pid not in callers and _has_begun(each)]
        found = [each for each in started if _carries(each, story_mark)]
        return sorted(found, key=lambda each: (each.create_time(), each.pid))

    return living


@pytest.fixture
def leaves_nothing(request: pytest.FixtureRequest) -> None:
    """Fail this test if a turn's private files or a thread of ours are left at its end, too."""
    request.node.stash[_WHOLLY] = True


def marked_processes(mark: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _carries(process, mark)]


def _has_begun(process: psutil.Process) -> bool:
    """Wait while a process turns into another program (its environment is empty for that moment)."""
    until = time.monotonic() + _EXIT_SECONDS
    with contextlib.suppress(psutil.Error, OSError):
        while not process.environ() and time.monotonic() < until:
            time.sleep(0.001)
        return True
    return False


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Look before fixtures clean up: a story must not lean on them to be rid of its agents."""
    left = _left_by(item)
    kept = _kept_by(item)
    try:
        yield
    finally:
        assert left == [], "processes outlived the test; they have been ended"
        assert kept == [], "files or threads outlived the test"


def _left_by(item: pytest.Item) -> list[str]:
    mark = item.stash.get(_STORY, None)
    if mark is None:
        return []
    started = [each for each in marked_processes(mark) if each.pid not in item.stash[_CALLERS]]
    _, left = psutil.wait_procs(started, timeout=_EXIT_SECONDS)
    told = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            told.append(f"{process.pid}: {' '.join(process.cmdline())[:300]}")
            process.kill()
    return told


def _kept_by(item: pytest.Item) -> list[str]:
    if not item.stash.get(_WHOLLY, False):
        return []
    turns = Path(os.environ.get("MCP_CODER_HOME", os.devnull), "turns")
    threads = [each for each in threading.enumerate() if each.name.startswith(_THREADS)]
    for each in threads:
        each.join(_EXIT_SECONDS)
    alive = [each.name for each in threads if each.is_alive()]
    return [*alive, *(str(path) for path in sorted(turns.glob("*")))]


# --- where stories are set


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty project and stand in it."""
    place = tmp_path / "project"
    place.mkdir(exist_ok=True)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def model(claude_standin: StandIn, project: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Lead the real program of the SDK's wheel, which does not retry, to a model that plays along."""
    (sdk,) = (find_spec("claude_agent_sdk") or ModuleSpec("", None)).submodule_search_locations or [""]
    monkeypatch.setenv("MCP_CODER_CLAUDE", str(Path(sdk, "_bundled", "claude")))
    monkeypatch.setenv("CLAUDE_CODE_MAX_RETRIES", "0")
    _without_defaults(monkeypatch)
    return claude_standin


@pytest.fixture
def fake(fake_claude: FakeClaude, project: Path, monkeypatch: pytest.MonkeyPatch) -> FakeClaude:
    """Lead callers who stand in an empty project to a program that poses as ``claude``."""
    _without_defaults(monkeypatch)
    return fake_claude


@pytest.fixture
def fake_of_version(
    fake_claude: FakeClaude, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], FakeClaude]]:
    """Make a program that poses as a version of ``claude``, found first by mcp_coder."""
    _without_defaults(monkeypatch)
    with contextlib.ExitStack() as stack:

        def make(version: str) -> FakeClaude:
            fake = stack.enter_context(FakeClaude(tmp_path / f"claude-{version}", version=version))
            monkeypatch.setenv("MCP_CODER_CLAUDE", str(fake.path))
            return fake

        yield make


def _without_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MCP_CODER_MODEL", "MCP_CODER_METHOD", "MCP_CODER_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


_MCP_SERVER = """
import json, sys, time
TOOLS = [{"name": name, "description": name, "inputSchema": {"type": "object"}} for name in ("hello", "wait")]
REPLIES = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "tiny", "version": "1"},
    },
    "tools/list": {"tools": TOOLS},
    "tools/call": {"content": [{"type": "text", "text": "hello from the server"}]},
}
for line in sys.stdin:
    request = json.loads(line)
    if request["method"] == "tools/call" and request["params"]["name"] == "wait":
        time.sleep(300)
    if "id" in request:
        reply = {"jsonrpc": "2.0", "id": request["id"], "result": REPLIES.get(request["method"], {})}
        print(json.dumps(reply), flush=True)
"""


@pytest.fixture
def mcp_server(tmp_path: Path) -> dict[str, Any]:
    """Return how to start an MCP server with two tools: ``hello`` answers, ``wait`` takes 300 s."""
    path = tmp_path / "mcp_server.py"
    path.write_text(_MCP_SERVER)
    return {"command": sys.executable, "args": ["-S", str(path)]}


@pytest.fixture
def records() -> Records:
    """Read what agents and leases wrote in the private place of this test."""
    return Records(Path(os.environ["CLAUDE_CONFIG_DIR"]))


@dataclass(frozen=True)
class Records:
    """The native sessions and the cards in an agent's configuration directory."""

    config_dir: Path

    def transcript(self, native_id: str) -> Path:
        """Return the path of a native session's transcript."""
        (found,) = self.config_dir.glob(f"projects/*/{native_id}.jsonl")
        return found

    def transcripts(self) -> set[str]:
        """Return the ids of all native sessions."""
        return {path.stem for path in self.config_dir.glob("projects/*/*.jsonl")}

    def nodes(self, native_id: str) -> list[dict[str, Any]]:
        """Return the nodes of a native session: each but the first names its parent."""
        lines = self.transcript(native_id).read_text().splitlines()
        return [node for node in map(json.loads, lines) if "parentUuid" in node]

    def card(self, first_id: str) -> dict[str, Any]:
        """Return a session's card."""
        card = self._files_of(first_id).read()
        assert card is not None
        return card_to_json(card)

    def write_card(self, told: dict[str, Any]) -> None:
        """Replace a session's card."""
        card = card_from_json(told)
        assert card is not None
        self._files_of(card.first_id).write(card)

    def _files_of(self, first_id: str) -> CardFiles:
        return CardFiles(str(self.config_dir / "mcp_coder"), first_id)


@pytest.fixture
def by_hand(model: StandIn) -> Callable[..., dict[str, Any]]:
    """Run the program itself, as people do in a terminal; return its result event."""

    def run(*arguments: str, cwd: Path | None = None) -> dict[str, Any]:
        program = os.environ["MCP_CODER_CLAUDE"]
        done = subprocess.run(
            [program, "-p", "--output-format=json", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=cwd,
            timeout=LONGEST,
            check=True,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run


# --- callers in processes of their own


class Child:
    """A Python program in a process of its own that speaks JSON, a line each way. Make it with ``start_python``."""

    def __init__(self, code: str, *arguments: str, env: Mapping[str, str], errors: Path) -> None:
        self._errors = errors
        self._rest = b""
        with errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(env),
                bufsize=0,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def tell(self, value: object) -> None:
        """Write a line to its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(value).encode() + b"\n")

    def hear(self, timeout: float = LONGEST) -> Any:
        """Wait for the next line that it prints."""
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            self._read(until)
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def _read(self, until: float) -> None:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(until - time.monotonic(), 0))
        data = os.read(self.process.stdout.fileno(), 1 << 20) if ready else b""
        if not data:
            raise AssertionError(f"it said nothing (more), but on stderr: {self.errors()[-3000:]}")
        self._rest += data

    def errors(self) -> str:
        """Return what it said on stderr so far."""
        return self._errors.read_text(errors="replace")

    def kill(self) -> None:
        """Kill it, and it alone, by SIGKILL."""
        self.process.kill()
        self.process.wait()

    def finish(self) -> int:
        """Close its stdin and return its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(LONGEST)

    def close(self) -> None:
        """Let go of it; one that still runs is killed."""
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def start_python(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Start a snippet of Python in the environment of this test, with arguments, and ``env`` over it.

    It is ended with the test; what it started itself must be gone by then.
    """
    children: list[Child] = []

    def start(code: str, *arguments: str, **env: str) -> Child:
        errors = tmp_path / f"stderr-{len(children)}.txt"
        children.append(Child(code, *arguments, env={**os.environ, **env}, errors=errors))
        request.node.stash[_CALLERS].add(children[-1].pid)
        return children[-1]

    yield start
    for child in children:
        child.close()


@dataclass(frozen=True)
class Told:
    """How a turn ended in another process: ``response``, or ``error`` (the name of its class)."""

    seconds: float
    response: dict[str, Any] | None = None
    error: str | None = None
    message: str = ""
    session_id: str | None = None

    @property
    def text(self) -> str:
        """The answer."""
        assert self.response is not None, f"{self.error}: {self.message}"
        return str(self.response["text"])


_CALLER = """
import json, sys, time
from mcp_coder import prompt_llm
from mcp_coder.llm_errors import LLMError
from mcp_coder.llm_providers import run
from mcp_coder.llm_providers.claude import provider

def ask(**request):
    began = time.monotonic()
    try:
        response = prompt_llm(**request)
        told = {"response": response, "session_id": response["session_id"]}
    except LLMError as error:
        told = {"error": type(error).__name__, "message": str(error), "session_id": error.session_id}
    return {**told, "seconds": time.monotonic() - began}

print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    print(json.dumps(ask(**json.loads(line))), flush=True)
"""


class Caller:
    """A process that calls ``prompt_llm`` when it is told to, one turn after another."""

    def __init__(self, child: Child) -> None:
        self.child = child

    def ask(self, question: str, **options: Any) -> None:
        """Begin a turn there; ``answer`` waits for its end."""
        self.child.tell({"question": question, **options})

    def answer(self, timeout: float = LONGEST) -> Told:
        """Wait for the end of the turn."""
        return Told(**self.child.hear(timeout))

    def kill(self) -> None:
        """Kill the caller, and it alone, by SIGKILL."""
        self.child.kill()

    def finish(self) -> None:
        """Let it end."""
        assert self.child.finish() == 0


@pytest.fixture
def callers(start_python: Callable[..., Child]) -> Callable[..., list[Caller]]:
    """Start callers, ``env`` over the environment of this test, and wait until they are up."""

    def start(count: int, **env: str) -> list[Caller]:
        children = [start_python(_CALLER, **env) for _ in range(count)]
        assert [child.hear() for child in children] == ["ready"] * count
        return [Caller(child) for child in children]

    return start
