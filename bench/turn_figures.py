"""The figures of turns: what it costs to go through us instead of straight to the agent. To add one, add its row."""

from __future__ import annotations

from collections.abc import Callable

from .figure import FEW, SOME, Figure, Sides
from .measures import (
    PROMPT,
    mib_of_nothing,
    mib_of_turns,
    seconds_of_python,
    seconds_of_resumed_turn,
    seconds_of_turn,
    share_of_processor,
)
from .model import BIG_PROMPT
from .workplace import Workplace

AT_ONCE = 16

# --- how both sides are measured

_ASK_LLM = """\
import sys
from mcp_coder import ask_llm
assert ask_llm(sys.argv[2], method=sys.argv[3], timeout=300)
"""
_ONE_SHOT = """\
import json, subprocess, sys
argv = [sys.argv[1], "-p", "--output-format", "json", sys.argv[2]]
done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True)
assert json.loads(done.stdout)["result"]
"""
_QUERY = """\
import asyncio, sys
from claude_agent_sdk import ClaudeAgentOptions, ResultMessage, query
async def main():
    preset = {"type": "preset", "preset": "claude_code"}
    options = ClaudeAgentOptions(cli_path=sys.argv[1], system_prompt=preset)
    return [each.result async for each in query(prompt=sys.argv[2], options=options) if isinstance(each, ResultMessage)]
assert all(asyncio.run(main()))
"""


def _imports(code: str) -> Callable[[Workplace], Sides]:
    return lambda _place: (seconds_of_python(code), seconds_of_python("pass"))


def _turns(ours: str, peer: str) -> Callable[[Workplace], Sides]:
    return lambda place: (seconds_of_turn(place, ours), seconds_of_turn(place, peer))


def _resumed(ours: str, peer: str) -> Callable[[Workplace], Sides]:
    return lambda place: (seconds_of_resumed_turn(place, ours), seconds_of_resumed_turn(place, peer))


def _fresh(method: str, peer: str) -> Callable[[Workplace], Sides]:
    return lambda place: (
        seconds_of_python(_ASK_LLM, place.program, PROMPT, method),
        seconds_of_python(peer, place.program, PROMPT),
    )


def _memory(ours: str, *, prompt: str = PROMPT, at_once: int = 1) -> Callable[[Workplace], Sides]:
    return lambda place: (mib_of_turns(place, ours, prompt, at_once=at_once), mib_of_nothing)


def _memories(ours: str, peer: str, *, prompt: str = PROMPT) -> Callable[[Workplace], Sides]:
    return lambda place: (mib_of_turns(place, ours, prompt), mib_of_turns(place, peer, prompt))


def _processor(ours: str, peer: str) -> Callable[[Workplace], Sides]:
    return lambda place: (share_of_processor(place, ours), share_of_processor(place, peer))


# --- the table

_EMPTY = "an empty interpreter"

TURN_FIGURES = (
    Figure(
        name="import",
        ours="import mcp_coder",
        peer=_EMPTY,
        goal=1.6,
        sides=_imports("import mcp_coder"),
    ),
    Figure(
        name="import-ask",
        ours="from mcp_coder import ask_llm",
        peer=_EMPTY,
        sides=_imports("from mcp_coder import ask_llm"),
    ),
    Figure(
        name="cli",
        ours='a new session, prompt_llm(method="cli")',
        peer="claude -p, prompt on stdin",
        goal=1.15,
        sides=_turns("by_cli", "by_stdin"),
    ),
    Figure(
        name="cli-argv",
        ours='a new session, prompt_llm(method="cli")',
        peer="claude -p PROMPT",
        sides=_turns("by_cli", "by_argv"),
    ),
    Figure(
        name="cli-fresh",
        ours="the same from a fresh interpreter",
        peer="python -c 'subprocess.run([claude, -p, PROMPT])'",
        sides=_fresh("cli", _ONE_SHOT),
        pairs=SOME,
    ),
    Figure(
        name="resume",
        ours='one turn more, prompt_llm(method="cli")',
        peer="claude -p --resume, prompt on stdin",
        sides=_resumed("by_cli", "by_stdin"),
    ),
    Figure(
        name="api",
        ours='a new session, prompt_llm(method="api")',
        peer="the SDK's query()",
        goal=1.15,
        sides=_turns("by_api", "by_query"),
    ),
    Figure(
        name="api-fresh",
        ours="the same from a fresh interpreter",
        peer="python -c with the SDK's query()",
        sides=_fresh("api", _QUERY),
        pairs=SOME,
    ),
    Figure(
        name="memory-cli",
        ours="one cli turn",
        peer=_EMPTY,
        unit="MiB",
        sides=_memory("by_cli"),
        pairs=FEW,
        warm_up=False,
    ),
    Figure(
        name="memory-parallel",
        ours=f"{AT_ONCE} cli turns at once",
        peer=_EMPTY,
        unit="MiB",
        sides=_memory("by_cli", at_once=AT_ONCE),
        pairs=FEW,
        warm_up=False,
    ),
    Figure(
        name="memory-big",
        ours="a cli turn, answer of 6 MB",
        peer=_EMPTY,
        unit="MiB",
        sides=_memory("by_cli", prompt=BIG_PROMPT),
        pairs=FEW,
        warm_up=False,
    ),
    Figure(
        name="memory-big-argv",
        ours="a cli turn, answer of 6 MB",
        peer="claude -p PROMPT, its JSON parsed",
        unit="MiB",
        sides=_memories("by_cli", "by_argv", prompt=BIG_PROMPT),
        pairs=FEW,
        warm_up=False,
    ),
    Figure(
        name="memory-api",
        ours="one api turn",
        peer=_EMPTY,
        unit="MiB",
        sides=_memory("by_api"),
        pairs=FEW,
        warm_up=False,
    ),
    Figure(
        name="memory-api-query",
        ours="one api turn",
        peer="the SDK's query()",
        unit="MiB",
        sides=_memories("by_api", "by_query"),
        pairs=FEW,
        warm_up=False,
    ),
    Figure(
        name="cpu-cli",
        ours="a cli turn of 10 s",
        peer="claude -p PROMPT",
        unit="%",
        sides=_processor("by_cli", "by_argv"),
        pairs=FEW,
        warm_up=False,
    ),
    Figure(
        name="cpu-api",
        ours="an api turn of 10 s",
        peer="the SDK's query()",
        unit="%",
        sides=_processor("by_api", "by_query"),
        pairs=FEW,
        warm_up=False,
    ),
)
