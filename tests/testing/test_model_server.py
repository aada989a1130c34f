"""The stand-in model under the real program: what it sees, and that it runs as its users run it."""

import importlib.util
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.testing.environment import StandIn, standin
from mcp_coder.testing.model_replies import Reply
from mcp_coder.testing.model_server import ModelServer

STREAM = ("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose")


def claude() -> Any:
    """Find the real program without importing the SDK that brings it."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "_bundled" / "claude")


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Any]:
    with standin() as made:
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Any:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def start(model: StandIn, project: Path, prompt: Any, *flags: Any, **env: Any) -> Any:
    process = subprocess.Popen(
        [claude(), *STREAM, *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project,
        env=model.environ(**{"CLAUDE_CODE_MAX_RETRIES": "0", **env}),
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"type": "user", "message": {"role": "user", "content": prompt}}) + "\n")
    process.stdin.flush()
    return process


def ask(model: StandIn, project: Path, prompt: Any, *flags: Any, **env: Any) -> Any:
    with start(model, project, prompt, *flags, **env) as process:
        output, _ = process.communicate(timeout=60)
    results = [one for one in map(json.loads, output.splitlines()) if one["type"] == "result"]
    return process.returncode, results[-1]


def test_the_model_recalls_what_it_was_told_over_a_resume(model: StandIn, project: Path) -> None:
    session = str(uuid.uuid4())
    code, first = ask(model, project, "My favorite color is blue", f"--session-id={session}")
    assert (code, first["result"]) == (0, "Noted: my favorite color is blue")
    code, second = ask(model, project, "What is my favorite color?", f"--resume={session}")
    assert (code, second["result"]) == (0, "Your favorite color is blue")
    assert model.server.prompts(session) == ["My favorite color is blue", "What is my favorite color?"]
    assert model.server.history(session) == model.server.prompts()
    assert [one.kind for one in model.server.requests] == ["turn", "turn"]
    code, other = ask(model, project, "What is my favorite color?")
    assert (code, other["result"]) == (0, "You have not told me your favorite color.")
    assert model.server.errors == ()


def test_a_tool_use_runs_the_real_tool(model: StandIn, project: Path) -> None:
    use = Reply.tool_use("Bash", command="echo hello-$((40 + 2)) | tee made.txt")
    model.server.add_rule(Reply.text("I look.") + use, prompt="look")
    code, result = ask(model, project, "look", "--allowedTools=Bash")
    assert (code, result["result"]) == (0, "The tool said: hello-42")
    assert (project / "made.txt").read_text() == "hello-42\n"
    assert model.server.prompts() == ["look"]
    assert [one.end for one in model.server.turns()] == ["prompt", "tool_result"]


def test_a_rule_may_answer_a_tools_output(model: StandIn, project: Path) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="echo 42"), prompt="look")
    model.server.add_rule(lambda one: Reply.text(f"so it is {one.tool_outputs[0]}"), at="tool_result")
    assert ask(model, project, "look", "--allowedTools=Bash")[1]["result"] == "so it is 42"


@pytest.mark.parametrize(("status", "kind"), [(401, "authentication_error"), (529, "overloaded_error")])
def test_an_error_status_reaches_the_result(model: StandIn, project: Path, status: int, kind: str) -> None:
    model.server.add_rule(Reply.error(status, message="scripted"))
    code, result = ask(model, project, "hello")
    assert (code, result["is_error"], result["api_error_status"]) == (1, True, status)
    assert "scripted" in result["result"]
    assert model.server.prompts() == ["hello"]


def test_an_error_that_passes_is_tried_again(model: StandIn, project: Path) -> None:
    model.server.add_rule(Reply.error(529), times=1)
    code, result = ask(model, project, "hello", CLAUDE_CODE_MAX_RETRIES="2")
    assert (code, result["result"]) == (0, "echo: hello")
    assert model.server.prompts() == ["hello", "hello"]


def test_a_hang_lasts_until_the_agent_is_ended(model: StandIn, project: Path) -> None:
    model.server.add_rule(Reply.hang(after="so far"))
    process = start(model, project, "hello")
    with process:
        model.server.wait_for("hello", 30)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 143
    model.server.close()
    assert model.server.errors == ()


def test_a_cut_is_an_error_of_the_connection(model: StandIn, project: Path) -> None:
    model.server.add_rule(Reply.cut(after="so far"))
    code, result = ask(model, project, "hello")
    assert (code, result["is_error"], result["api_error_status"]) == (1, True, None)
    streamed = [one.body["stream"] for one in model.server.turns()]
    assert streamed[0] is True


def test_a_failed_prompt_is_seen_again_before_the_next(model: StandIn, project: Path) -> None:
    session = str(uuid.uuid4())
    model.server.add_rule(Reply.error(529), prompt="failed")
    ask(model, project, "failed", f"--session-id={session}")
    _, result = ask(model, project, "What did I say?", f"--resume={session}")
    assert result["result"] == "You said:\n1. failed"


def test_a_structured_answer_fits_its_schema(model: StandIn, project: Path) -> None:
    schema = {
        "type": "object",
        "required": ["n", "word"],
        "properties": {"n": {"type": "integer"}, "word": {"type": "string"}},
    }
    code, result = ask(model, project, "hello", f"--json-schema={json.dumps(schema)}")
    assert (code, result["structured_output"]) == (0, {"n": 0, "word": "echo: hello"})


def test_a_big_answer_arrives_whole(model: StandIn, project: Path) -> None:
    model.server.add_rule(Reply.big(1_200_000))
    assert len(ask(model, project, "hello")[1]["result"]) == 1_200_000


def test_what_is_asked_of_a_server_without_requests() -> None:
    with ModelServer() as server:
        rule = server.add_rule(Reply.text("a"), prompt="x")
        assert server.rules == (rule,)
        assert (server.requests, server.turns(), server.prompts(), server.history()) == ((), (), [], [])
        server.clear_rules()
        assert len(server.rules) == 0


def test_a_port_may_be_chosen() -> None:
    with ModelServer() as server:
        port = server.port
    with ModelServer(port=port) as server:
        assert server.url == f"http://127.0.0.1:{port}"
