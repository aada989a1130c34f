"""Method "api" sends the model the same agent as method "cli": the whole request, for new and resumed sessions.

Requests are compared whole, but for ids that are made anew each time. Each case also names what its options bring into
the request, so that two empty things are not found equal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mcp_coder import LimitReachedError, LLMResponseDict, prompt_llm
from mcp_coder.testing import ModelServer, Reply, StandIn
from mcp_coder.testing.recorded_request import RecordedRequest

if TYPE_CHECKING:
    from tests.integration.conftest import Records

METHODS = ("cli", "api")

_MADE_ANEW = (
    (re.compile(r"toolu_\w+"), "TOOL-CALL"),
    (re.compile(r"(?<=/plans/)[\w-]+(?=\.md)"), "PLAN"),
)
_OF_THE_CONNECTION = ("host", "content-length")  # plans have names of different lengths


def ask(question: str, session_id: str | None = None, **options: Any) -> LLMResponseDict:
    return prompt_llm(question, session_id=session_id, timeout=90, **options)


def sent(request: RecordedRequest) -> dict[str, Any]:
    """Return all that the model was sent, the ids that are made anew each time replaced."""
    headers = {name: value for name, value in request.headers.items() if name not in _OF_THE_CONNECTION}
    text = json.dumps({"headers": headers, "body": request.body}, sort_keys=True)
    text = text.replace(request.session_id or "-", "SESSION")
    for pattern, name in _MADE_ANEW:
        text = pattern.sub(name, text)
    return dict(json.loads(text))


def conversation(server: ModelServer, method: str, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Begin a session and go on with it; return all that the model was sent."""
    before = len(server.requests)
    session = ask("hello", method=method, **options)["session_id"]
    ask("and on", session, method=method, **options)
    requests = server.requests[before:]
    assert {request.session_id for request in requests} == {session}
    assert len(requests) == 2
    return [sent(request) for request in requests]


def assert_same(model: StandIn, options: Mapping[str, Any], *traces: str) -> None:
    """Compare the methods; each of the traces must be in each request."""
    by_cli, by_api = (conversation(model.server, method, options) for method in METHODS)
    for new_or_resumed, (one, other) in enumerate(zip(by_cli, by_api, strict=True)):
        assert one == other, ("new", "resumed")[new_or_resumed]
        text = json.dumps(one)
        assert [trace for trace in traces if trace not in text] == []


SCHEMA = {"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"]}

OPTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "none": ({}, ('"Bash"', '"Edit"', "cc_entrypoint=sdk-cli")),
    "model": ({"model": "claude-haiku-4-5"}, ('"model": "claude-haiku-4-5"',)),
    "system_prompt": ({"system_prompt": "You are a heron."}, ("You are a heron.",)),
    "append_system_prompt": ({"append_system_prompt": "Speak as a heron does."}, ("Speak as a heron does.",)),
    "permission_mode": ({"permission_mode": "plan"}, ("Plan mode is active",)),
    "allowed_tools": ({"allowed_tools": ["Bash(touch *)", "Read"]}, ('"Read"',)),
    "max_turns": ({"max_turns": 3}, ()),
    "max_budget_usd": ({"max_budget_usd": 5.0}, ()),
    "json_schema": ({"json_schema": SCHEMA}, ('"StructuredOutput"', '"verdict"')),
    "extra_args": ({"extra_args": {"effort": "high"}}, ('"effort": "high"',)),
    "env": ({"env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "4321"}}, ('"max_tokens": 4321',)),
    "many": (
        {
            "model": "claude-haiku-4-5",
            "append_system_prompt": "Speak as a heron does.",
            "permission_mode": "acceptEdits",
            "allowed_tools": ["Bash(touch *)"],
            "max_turns": 3,
            "max_budget_usd": 5.0,
            "json_schema": SCHEMA,
            "extra_args": {"effort": "high"},
            "env": {"CLAUDE_CODE_MAX_OUTPUT_TOKENS": "4321"},
        },
        ("claude-haiku-4-5", "Speak as a heron does.", '"StructuredOutput"', '"max_tokens": 4321'),
    ),
}
SHORT = ("none", "system_prompt", "permission_mode", "many")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in SHORT else pytest.mark.long) for case in OPTIONS]
)
def test_same_agent_with_option(model: StandIn, case: str) -> None:
    options, traces = OPTIONS[case]
    assert_same(model, options, *traces)


def test_same_agent_with_directories_and_without_a_tool(model: StandIn, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "CLAUDE.md").write_text("On the shelf: a swan.")
    assert_same(model, {"add_dirs": [shelf], "disallowed_tools": ["Edit"]}, str(shelf))
    assert {"Edit"}.isdisjoint(tool["name"] for tool in model.server.turns()[-1].body["tools"])


def test_same_agent_with_the_users_settings_hooks_and_memory(
    model: StandIn, project: Path, records: Records
) -> None:
    (project / "CLAUDE.md").write_text("The codeword is heron.")
    (records.config_dir / "CLAUDE.md").write_text("The user likes swans.")
    (records.config_dir / "settings.json").write_text(json.dumps(SETTINGS))
    (project / ".claude").mkdir()
    (project / ".claude" / "settings.json").write_text(json.dumps({"permissions": {"deny": ["WebFetch"]}}))
    traces = ("The codeword is heron.", "The user likes swans.", "hooked the prompt", "hooked the start")
    assert_same(model, {}, *traces, "Explanatory", '"model": "claude-haiku-4-5"')
    assert "WebFetch" not in {tool["name"] for tool in model.server.turns()[-1].body["tools"]}


def _hook(command: str) -> list[dict[str, Any]]:
    return [{"hooks": [{"type": "command", "command": command}]}]


SETTINGS = {
    "model": "claude-haiku-4-5",
    "outputStyle": "Explanatory",
    "hooks": {
        "UserPromptSubmit": _hook("echo hooked the prompt"),
        "SessionStart": _hook("echo hooked the start"),
    },
}


# --- MCP servers and tools


@pytest.mark.parametrize("form", ["mapping", pytest.param("file", marks=pytest.mark.long)])
def test_same_agent_with_an_mcp_server(
    model: StandIn, mcp_server: dict[str, Any], tmp_path: Path, form: str
) -> None:
    config = {"mcpServers": {"tiny": mcp_server}}
    file = tmp_path / "servers.json"
    file.write_text(json.dumps(config))
    options = {"mcp_config": config if form == "mapping" else file, "require_mcp": ["tiny"]}
    assert_same(model, options, "mcp__tiny__hello")


def test_same_agent_runs_the_tools_of_mcp_servers_and_its_own_alike(
    model: StandIn, mcp_server: dict[str, Any], project: Path
) -> None:
    model.server.add_rule(Reply.tool_use("mcp__tiny__hello", {}), prompt="look it up")
    model.server.add_rule(Reply.tool_use("Bash", command="touch made && pwd"), prompt="make it")
    servers = {"mcpServers": {"tiny": mcp_server}}
    options = {"mcp_config": servers, "allowed_tools": ["mcp__tiny__hello", "Bash(touch *)", "Bash(pwd)"]}
    answers = {method: tool_answers(method, **options) for method in METHODS}
    assert (
        answers["cli"]
        == answers["api"]
        == ["The tool said: hello from the server", f"The tool said: {project}"]
    )
    assert (project / "made").exists()


def tool_answers(method: str, **options: Any) -> list[str]:
    return [ask(question, method=method, **options)["text"].strip() for question in ("look it up", "make it")]


@pytest.mark.parametrize("method", METHODS)
def test_same_agent_is_denied_what_is_not_allowed(model: StandIn, project: Path, method: str) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="touch made"), prompt="make it")
    answer = ask("make it", method=method)
    raw: Any = answer["raw_response"]
    result = raw if method == "cli" else raw["result_info"]
    assert [denial["tool_name"] for denial in result["permission_denials"]] == ["Bash"]
    assert not (project / "made").exists()


@pytest.mark.parametrize("method", METHODS)
def test_same_agent_stops_at_the_most_turns(model: StandIn, method: str) -> None:
    model.server.add_rule(Reply.tool_use("Bash", command="pwd"), prompt="make it")
    with pytest.raises(LimitReachedError) as caught:
        ask("make it", method=method, max_turns=1)
    assert caught.value.limit == "turns"
    assert len(model.server.turns()) == 1


# --- across sessions


def test_same_agent_goes_on_alike_in_forks_of_one_past(model: StandIn) -> None:
    session = ask("hello")["session_id"]
    forks = [ask("and on", session, fork=True, method=method)["session_id"] for method in METHODS]
    by_cli, by_api = (sent(model.server.turns(fork)[-1]) for fork in forks)
    assert by_cli == by_api
    assert [len(model.server.history(fork)) for fork in forks] == [2, 2]


def test_same_agent_as_the_program_by_hand(
    model: StandIn, project: Path, records: Records, by_hand: Callable[..., dict[str, Any]]
) -> None:
    (project / "CLAUDE.md").write_text("The codeword is heron.")
    (records.config_dir / "settings.json").write_text(json.dumps(SETTINGS))
    ours = conversation(model.server, "cli", {})[0]
    by_hand("hello")
    theirs = sent(model.server.turns()[-1])
    for part in ("model", "system", "messages", "max_tokens", "metadata"):
        assert ours["body"][part] == theirs["body"][part], part
    assert names_of_tools(ours) == names_of_tools(theirs)
    for header in ("user-agent", "x-app", "anthropic-version"):
        assert ours["headers"][header] == theirs["headers"][header]


def names_of_tools(request: Mapping[str, Any]) -> list[str]:
    return [tool["name"] for tool in request["body"]["tools"]]
