"""Stand-ins that let automation around coding agents be tested offline, without an account and without patches.

Two counterparts are played. :class:`ModelServer` plays the model: the real ``claude`` program runs against it, with
real tools, real sessions and real exit codes. :class:`FakeClaude` plays the program itself, for behaviour that the real
one shows rarely: cut output, signals ignored, children left behind.

With pytest the fixtures ``model_server``, ``claude_standin`` and ``fake_claude`` are there as soon as mcp-coder is
installed::

    from mcp_coder import ask_llm
    from mcp_coder.testing import Reply

    def test_my_agent_continues(claude_standin):
        claude_standin.server.add_rule(Reply.tool_use("Bash", command="echo 42"), prompt="run it")
        assert "blue" in ask_llm("My favorite color is blue")
        assert claude_standin.server.prompts() == ["My favorite color is blue"]

Without pytest::

    from mcp_coder.testing import standin

    with standin() as model:
        subprocess.run(["claude", "-p", "hello"], env=model.environ())
        print(model.server.requests[0].body["model"])

A store of a dialect of your own is held to :data:`STORE_PROMISES`, a function each, or by :func:`check_store_promises`.

Everything is loaded when it is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = (
    False  # known to type checkers; importing typing here would slow every start of the fake program
)
if TYPE_CHECKING:
    from typing import Any

    from .conversation import prompts_in as prompts_in
    from .environment import StandIn as StandIn
    from .environment import standin as standin
    from .environment import standin_environment as standin_environment
    from .fake_claude import FakeCall as FakeCall
    from .fake_claude import FakeClaude as FakeClaude
    from .model_replies import Reply as Reply
    from .model_replies import Rule as Rule
    from .model_server import ModelServer as ModelServer
    from .program_script import Die as Die
    from .program_script import Exit as Exit
    from .program_script import Hang as Hang
    from .program_script import LeaveChild as LeaveChild
    from .program_script import Print as Print
    from .program_script import PrintBytes as PrintBytes
    from .program_script import Script as Script
    from .program_script import Sleep as Sleep
    from .program_script import Stderr as Stderr
    from .program_script import Turn as Turn
    from .program_script import WaitForEof as WaitForEof
    from .program_script import WaitForPrompt as WaitForPrompt
    from .recorded_request import RecordedRequest as RecordedRequest
    from .rule_script import load_rules as load_rules
    from .rule_script import rules_from_json as rules_from_json
    from .store_promises import STORE_PROMISES as STORE_PROMISES
    from .store_promises import check_store_promises as check_store_promises

_HOMES = {
    "Die": "program_script",
    "Exit": "program_script",
    "FakeCall": "fake_claude",
    "FakeClaude": "fake_claude",
    "Hang": "program_script",
    "LeaveChild": "program_script",
    "ModelServer": "model_server",
    "Print": "program_script",
    "PrintBytes": "program_script",
    "RecordedRequest": "recorded_request",
    "Reply": "model_replies",
    "Rule": "model_replies",
    "STORE_PROMISES": "store_promises",
    "Script": "program_script",
    "Sleep": "program_script",
    "StandIn": "environment",
    "Stderr": "program_script",
    "Turn": "program_script",
    "WaitForEof": "program_script",
    "WaitForPrompt": "program_script",
    "check_store_promises": "store_promises",
    "load_rules": "rule_script",
    "prompts_in": "conversation",
    "rules_from_json": "rule_script",
    "standin": "environment",
    "standin_environment": "environment",
}

__all__ = [
    "STORE_PROMISES",
    "Die",
    "Exit",
    "FakeCall",
    "FakeClaude",
    "Hang",
    "LeaveChild",
    "ModelServer",
    "Print",
    "PrintBytes",
    "RecordedRequest",
    "Reply",
    "Rule",
    "Script",
    "Sleep",
    "StandIn",
    "Stderr",
    "Turn",
    "WaitForEof",
    "WaitForPrompt",
    "check_store_promises",
    "load_rules",
    "prompts_in",
    "rules_from_json",
    "standin",
    "standin_environment",
]


def __getattr__(name: str) -> Any:
    """Load the module of a public name when it is first asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
