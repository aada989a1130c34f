"""A request becomes arguments and an environment; the real program takes all of them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_providers.base import Entry
from mcp_coder.llm_providers.claude.claude_executable_finder import locate_claude
from mcp_coder.llm_providers.claude.command import (
    KEPT_ENVIRONMENT,
    MAX_SCHEMA_BYTES,
    OPTIONS,
    CommandLine,
    check_command,
    child_environment,
    command_line,
)
from mcp_coder.llm_requests import TurnRequest, agent_part, new_request
from mcp_coder.testing import Reply, StandIn, standin

ID = "123e4567-e89b-42d3-a456-426614174000"
OTHER_ID = "223e4567-e89b-42d3-a456-426614174000"
MESSAGE_ID = "323e4567-e89b-42d3-a456-426614174000"
BEGIN = Entry(first_id=ID, begin=ID, cwd="/w")
FIXED = (
    "/bin/claude",
    "-p",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    "--include-partial-messages",
)


def _line(entry: Entry = BEGIN, /, **options: object) -> CommandLine:
    return command_line(new_request("Hi", **options), program="/bin/claude", entry=entry, directory="/run/t")


def _option_arguments(**options: object) -> tuple[str, ...]:
    argv = _line(**options).argv
    assert argv[: len(FIXED) + 1] == (*FIXED, f"--session-id={ID}")
    return argv[len(FIXED) + 1 :]


# --- Entry ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "arguments"),
    [
        pytest.param({"begin": ID}, [f"--session-id={ID}"], id="begin"),
        pytest.param({"resume": ID}, [f"--resume={ID}"], id="resume"),
        pytest.param(
            {"resume": ID, "resume_at": MESSAGE_ID},
            [f"--resume={ID}", f"--resume-session-at={MESSAGE_ID}"],
            id="resume-at",
        ),
        pytest.param(
            {"resume": ID, "fork": True, "begin": OTHER_ID},
            [f"--resume={ID}", "--fork-session", f"--session-id={OTHER_ID}"],
            id="fork",
        ),
        pytest.param(
            {"resume": ID, "fork": True, "begin": OTHER_ID, "resume_at": MESSAGE_ID},
            [
                f"--resume={ID}",
                "--fork-session",
                f"--session-id={OTHER_ID}",
                f"--resume-session-at={MESSAGE_ID}",
            ],
            id="fork-at",
        ),
    ],
)
def test_the_entry_becomes_arguments(entry: dict[str, object], arguments: list[str]) -> None:
    assert _line(Entry(first_id=ID, cwd="/w", **entry)).argv == (*FIXED, *arguments)  # type: ignore[arg-type]


def test_a_plain_request_needs_no_file() -> None:
    assert _line() == CommandLine(argv=(*FIXED, f"--session-id={ID}"), files={})


def test_a_program_that_is_kept_says_which_prompt_it_takes_up() -> None:
    plain = _line(model="haiku")
    request = new_request("Hi", model="haiku")
    kept = command_line(request, program="/bin/claude", entry=BEGIN, directory="/run/t", kept=True)
    assert kept.files == plain.files
    assert kept.argv == (*FIXED, "--replay-user-messages", *plain.argv[len(FIXED) :])
    assert "--replay-user-messages" not in plain.argv


# --- Options --------------------------------------------------------------------------------------------------------


def test_every_field_of_a_request_has_a_row() -> None:
    assert set(OPTIONS) == {field.name for field in dataclasses.fields(TurnRequest)}


def test_turns_share_an_agent_whatever_it_is_not_started_with() -> None:
    """What makes flags, variables, or another kind of agent must be equal; nothing else need be."""
    mine = new_request("Hi")
    kinds = {"provider", "method", "env"}
    for field in dataclasses.fields(TurnRequest):
        changed: dict[str, Any] = {field.name: object()}
        other = dataclasses.replace(mine, **changed)
        shared = agent_part(other) == agent_part(mine)
        assert shared is (OPTIONS[field.name] is None and field.name not in kinds), field.name


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"model": "haiku"}, ["--model=haiku"]),
        ({"model": "--resume"}, ["--model=--resume"]),
        ({"permission_mode": "acceptEdits"}, ["--permission-mode=acceptEdits"]),
        ({"allowed_tools": ["Read", "Bash(git log, x *)"]}, ["--allowedTools=Read,Bash(git log, x *)"]),
        ({"disallowed_tools": ["WebFetch"]}, ["--disallowedTools=WebFetch"]),
        ({"allowed_tools": [], "disallowed_tools": [], "add_dirs": []}, []),
        ({"add_dirs": ["/a b", Path("/-c")]}, ["--add-dir=/a b", "--add-dir=/-c"]),
        ({"mcp_config": "/etc/mcp.json"}, ["--mcp-config=/etc/mcp.json"]),
        ({"max_turns": 3}, ["--max-turns=3"]),
        ({"max_budget_usd": 0.5}, ["--max-budget-usd=0.5"]),
        (
            {"json_schema": {"type": "object", "title": "é"}},
            ['--json-schema={"type":"object","title":"\\u00e9"}'],
        ),
        ({"json_schema": {}}, ["--json-schema={}"]),
        (
            {"extra_args": {"effort": "high", "strict-mcp-config": None}},
            ["--effort=high", "--strict-mcp-config"],
        ),
        ({"extra_args": {"effort": "-x"}}, ["--effort=-x"]),
        ({"timeout": 5, "on_busy": "error", "env": {"A": "b"}, "cwd": "/x", "require_mcp": ["a"]}, []),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, dict) else "",
)
def test_an_option_becomes_arguments(options: dict[str, object], arguments: list[str]) -> None:
    assert _option_arguments(**options) == tuple(arguments)


@pytest.mark.parametrize(
    ("option", "flag", "name"),
    [
        ("system_prompt", "--system-prompt-file", "system-prompt.txt"),
        ("append_system_prompt", "--append-system-prompt-file", "append-system-prompt.txt"),
    ],
)
def test_system_prompts_travel_by_file(option: str, flag: str, name: str) -> None:
    text = "- 'secret' é\n" * 30_000
    line = _line(**{option: text})
    assert line.argv[-1] == f"{flag}=/run/t/{name}"
    assert line.files == {name: text}


def test_an_mcp_config_that_is_a_mapping_travels_by_file() -> None:
    config = {"mcpServers": {"docs": {"command": "x", "env": {"KEY": "secret"}}}}
    line = _line(mcp_config=config)
    assert line.argv[-1] == "--mcp-config=/run/t/mcp-config.json"
    assert json.loads(line.files["mcp-config.json"]) == config


@pytest.mark.parametrize("prompt", ["-p", "--help", "$(id)"])
def test_the_prompt_is_in_no_argument(prompt: str) -> None:
    marked = f"{prompt} MARK"
    line = command_line(new_request(marked), program="/bin/claude", entry=BEGIN, directory="/run/t")
    assert not any("MARK" in part for part in (*line.argv, *line.files.values()))


# --- What is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extra_args": {"output-format": "json"}}, "--output-format cannot be set here: mcp_coder sets it"),
        ({"extra_args": {"print": None}}, "mcp_coder sets it"),
        ({"extra_args": {"bare": None}}, "relies on its absence"),
        ({"extra_args": {"no-session-persistence": None}}, "relies on its absence"),
        ({"extra_args": {"resume": ID}}, "use session_id="),
        ({"extra_args": {"continue": None}}, "use session_id="),
        ({"extra_args": {"fork-session": None}}, "use fork=True"),
        ({"extra_args": {"model": "x"}}, "use model="),
        ({"extra_args": {"allowed-tools": "x"}}, "use allowed_tools="),
        ({"extra_args": {"bg": None}}, "no turn"),
        ({"extra_args": {"version": None}}, "no turn"),
        ({"mcp_config": {}}, "mcpServers"),
        ({"mcp_config": {"docs": {"command": "x"}}}, "mcpServers"),
        ({"mcp_config": {"mcpServers": {"a": {1, 2}}}}, "mcp_config cannot be written as JSON: .*set"),
        ({"mcp_config": ' {"mcpServers": {}}'}, "JSON text"),
        ({"json_schema": {"const": float("nan")}}, "json_schema cannot be written as JSON"),
        ({"json_schema": {"const": "x" * MAX_SCHEMA_BYTES}}, "json_schema is 100,012 bytes long"),
        ({"allowed_tools": ["x" * 1000] * 140}, "--allowedTools is .* bytes long"),
    ],
)
def test_what_cannot_work_is_refused_before_a_session_is_chosen(
    options: dict[str, object], message: str
) -> None:
    request = new_request("Hi", **options)
    with pytest.raises(InvalidRequestError, match=message):
        check_command(request)
    with pytest.raises(InvalidRequestError, match=message):
        command_line(request, program="claude", entry=BEGIN, directory="/run/t")


def test_a_secret_in_a_refused_mcp_config_is_not_shown() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_command(new_request("Hi", mcp_config='{"env": "s3cret"}'))
    assert "s3cret" not in str(caught.value)


def test_the_longest_values_that_fit_are_taken() -> None:
    check_command(new_request("Hi", json_schema={"const": "x" * (MAX_SCHEMA_BYTES - 12)}))
    check_command(new_request("Hi", add_dirs=["/" + "x" * (128 * 1024 - len("--add-dir=/") - 1)]))
    with pytest.raises(InvalidRequestError, match="131,072 bytes"):
        check_command(new_request("Hi", add_dirs=["/" + "x" * (128 * 1024 - len("--add-dir=/"))]))


# --- Environment ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "CLAUDECODE",
        "AI_AGENT",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_SKIP_PROMPT_HISTORY",
        "CLAUDE_CODE_SSE_PORT",
        "CLAUDE_CODE_SDK_HAS_OAUTH_REFRESH",
        "CLAUDE_CODE_HOST_WORKTREE",
        "CLAUDE_CODE_HOST_WORKTREE_FENCE",
        "CLAUDE_BG_RENDEZVOUS_SOCK",
        "CLAUDE_PROJECT_DIR",
    ],
)
def test_what_an_outer_agent_left_is_dropped(name: str) -> None:
    assert name not in child_environment({name: "1", "PATH": "/bin"}, {}, turn_id="t")


@pytest.mark.parametrize(
    "name",
    [
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_MAX_RETRIES",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_SESSIONEND_HOOKS_TIMEOUT_MS",
        "CLAUDE_CODE_RESTRICTED",
        "CLAUDE_CODE_HOST_PLATFORM",
        "CLAUDE_ENV_FILE",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        "MCP_CODER_CLAUDE",
        "XCLAUDECODE",
        "CLAUDECODE_X",
        "PATH",
    ],
)
def test_the_users_own_settings_stay(name: str) -> None:
    assert child_environment({name: "1"}, {}, turn_id="t")[name] == "1"


def test_the_requests_own_variables_win_but_not_over_the_marker() -> None:
    parent = {"A": "parent", "MCP_CODER_TURN": "outer", "CLAUDECODE": "1"}
    asked = {
        "A": "asked",
        "CLAUDE_CODE_SSE_PORT": "7",
        "CLAUDE_CODE_SDK_READS_SESSION_STATE": "0",
        "MCP_CODER_TURN": "asked",
    }
    assert child_environment(parent, asked, turn_id="t1") == {
        "A": "asked",
        "CLAUDE_CODE_SSE_PORT": "7",
        "CLAUDE_CODE_SDK_READS_SESSION_STATE": "0",
        "MCP_CODER_TURN": "t1",
    }


def test_the_program_is_asked_to_say_when_it_is_idle() -> None:
    parent = {"CLAUDE_CODE_SDK_READS_SESSION_STATE": "outer"}
    assert child_environment(parent, {}, turn_id="t")["CLAUDE_CODE_SDK_READS_SESSION_STATE"] == "1"


def test_a_kept_program_writes_its_session_before_its_answer_and_callers_may_say_otherwise() -> None:
    assert KEPT_ENVIRONMENT == {"CLAUDE_CODE_EAGER_FLUSH": "1"}
    assert KEPT_ENVIRONMENT.keys().isdisjoint(child_environment({"PATH": "/bin"}, {}, turn_id="t"))
    given = child_environment({"CLAUDE_CODE_EAGER_FLUSH": "0"}, {}, turn_id="t")
    assert given["CLAUDE_CODE_EAGER_FLUSH"] == "0"


def test_an_empty_config_dir_counts_as_none() -> None:
    assert "CLAUDE_CONFIG_DIR" not in child_environment({"CLAUDE_CONFIG_DIR": ""}, {}, turn_id="t")
    asked = {"CLAUDE_CONFIG_DIR": ""}
    assert "CLAUDE_CONFIG_DIR" not in child_environment({"CLAUDE_CONFIG_DIR": "/c"}, asked, turn_id="t")


# --- The real program -----------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> Iterator[StandIn]:
    with standin() as running:
        yield running


def _run(
    request: TurnRequest, model: StandIn, tmp_path: Path, parent: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Run one turn of the real program with exactly the argv, files and environment of ``command``."""
    entry = Entry(first_id=ID, begin=str(uuid.uuid4()), cwd=str(tmp_path))
    line = command_line(request, program=locate_claude()[0], entry=entry, directory=str(tmp_path))
    for name, text in line.files.items():
        (tmp_path / name).write_text(text, "utf-8", newline="")
    prompt = {"type": "user", "message": {"role": "user", "content": request.question}}
    done = subprocess.run(
        line.argv,
        input=json.dumps(prompt) + "\n",
        env=child_environment(model.environ() if parent is None else parent, request.env, turn_id="t1"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    result: dict[str, object] = next(
        (event for event in events if event.get("type") == "result"), {"stderr": done.stderr}
    )
    return result


def test_the_real_program_takes_every_option(model: StandIn, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    request = new_request(
        "- Hi --help",
        model="haiku",
        append_system_prompt="\n  APPENDED é\n\n",
        permission_mode="default",
        allowed_tools=["Read", "Bash(git log, x *)"],
        disallowed_tools=["WebFetch", "Write"],
        mcp_config={"mcpServers": {}},
        add_dirs=[tmp_path / "more"],
        max_turns=3,
        max_budget_usd=0.5,
        extra_args={"effort": "high", "strict-mcp-config": None},
    )
    result = _run(request, model, tmp_path)
    assert result.get("is_error") is False, result
    assert model.server.prompts() == ["- Hi --help"]
    body = model.server.requests[0].body
    assert "haiku" in body["model"]
    assert body["system"][-1]["text"].endswith("\n  APPENDED é\n\n")
    assert {"Write", "WebFetch"}.isdisjoint(tool["name"] for tool in body["tools"])


def test_the_real_program_takes_a_system_prompt_and_a_schema(model: StandIn, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}
    text = "- 'My own' system prompt\n" * 20_000
    result = _run(new_request("Hi", system_prompt=text, json_schema=schema), model, tmp_path)
    assert result.get("is_error") is False, result
    assert model.server.requests[0].body["system"][-1]["text"] == text
    assert any(tool["name"] == "StructuredOutput" for tool in model.server.requests[0].body["tools"])


_NOT_OF_THE_OUTER_SESSION = {
    # What a shell sets, and settings for the tools that it runs: they say nothing about the session.
    *(
        "SHLVL",
        "PWD",
        "OLDPWD",
        "_",
        "GIT_EDITOR",
        "COREPACK_ENABLE_AUTO_PIN",
        "NoDefaultCurrentDirectoryInExePath",
    ),
    *("SHELL", "TMPDIR", "TMPPREFIX", "CLAUDE_CODE_TMPDIR"),
}


def test_nothing_that_the_real_program_gives_its_tools_reaches_a_turn_inside(
    model: StandIn, tmp_path: Path
) -> None:
    seen = tmp_path / "environment"
    model.server.add_rule(Reply.tool_use("Bash", command=f"env -0 > '{seen}'"), prompt="look around", times=1)
    _run(new_request("look around", allowed_tools=["Bash"]), model, tmp_path)
    inside = dict(part.split("=", 1) for part in seen.read_text("utf-8").split("\0") if part)
    assert inside["CLAUDECODE"] == "1"
    assert inside["MCP_CODER_TURN"] == "t1"

    outside = child_environment(model.environ(), {}, turn_id="t2")
    again = child_environment(inside, {}, turn_id="t2")
    assert set(again) - set(outside) <= _NOT_OF_THE_OUTER_SESSION
    assert {name: again[name] for name in outside if name not in _NOT_OF_THE_OUTER_SESSION} == {
        name: value for name, value in outside.items() if name not in _NOT_OF_THE_OUTER_SESSION
    }


def test_a_turn_with_an_outer_agents_markers_keeps_its_transcript(model: StandIn, tmp_path: Path) -> None:
    outer = {
        "CLAUDECODE": "1",
        "CLAUDE_CODE_CHILD_SESSION": "1",
        "CLAUDE_CODE_SESSION_ID": OTHER_ID,
        "CLAUDE_CODE_SKIP_PROMPT_HISTORY": "1",
    }
    result = _run(new_request("Hi"), model, tmp_path, parent={**model.environ(), **outer})
    found = list(model.config_dir.glob(f"projects/*/{result['session_id']}.jsonl"))
    assert [path.stat().st_size > 0 for path in found] == [True]
