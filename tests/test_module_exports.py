"""The public surface: exact names, exact signatures, nothing heavy behind a plain import."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest

import mcp_coder

SRC = Path(mcp_coder.__file__).parent

EXACT_ALL = {
    "mcp_coder.llm_types": ["LLMResponseDict", "LLM_RESPONSE_VERSION"],
    "mcp_coder.llm_serialization": [
        "deserialize_llm_response",
        "from_json_string",
        "serialize_llm_response",
        "to_json_string",
    ],
    "mcp_coder.llm_interface": [
        "ask_llm",
        "deserialize_llm_response",
        "prompt_llm",
        "serialize_llm_response",
    ],
}

CLAUDE = "mcp_coder.llm_providers.claude"
OLD = "question, provider='claude', method='cli', session_id=None, timeout=30, cwd=None"
"""What stood first, and stays as it is: names, positions, defaults."""
ASKS = f"{OLD}, *, store=None, redact=True, pool=None, **options"
OPENS = "*, provider='claude', method='cli', session_id=None, timeout=30, cwd=None, store=None, redact=True"
SIGNATURES = {
    "mcp_coder.llm_interface:ask_llm": ASKS,
    "mcp_coder.llm_interface:prompt_llm": ASKS,
    "mcp_coder.llm_interface:stream_llm": ASKS,
    "mcp_coder.llm_async:aask_llm": ASKS,
    "mcp_coder.llm_async:aprompt_llm": ASKS,
    "mcp_coder.llm_async:astream_llm": ASKS,
    "mcp_coder.llm_async:aopen_session": "*, pool=None, **arguments",
    "mcp_coder.llm_sessions.session:open_session": f"{OPENS}, idle_seconds=600.0, **options",
    "mcp_coder.llm_sessions.pool:SessionPool": "*, max_live=4, idle_seconds=300.0",
    "mcp_coder.llm_sessions.pool:SessionPool.open_session": f"self, {OPENS}, **options",
    "mcp_coder.llm_sessions.session:Session.prompt": "self, question, **options",
    "mcp_coder.llm_sessions.session:Session.stream": "self, question, **options",
    f"{CLAUDE}.claude_code_interface:ask_claude_code": (
        "question, method='cli', session_id=None, timeout=30, cwd=None, **options"
    ),
    f"{CLAUDE}.claude_code_cli:ask_claude_code_cli": (
        "question, session_id=None, timeout=30, cwd=None, **options"
    ),
    f"{CLAUDE}.claude_code_api:ask_claude_code_api": (
        "question, session_id=None, timeout=30, cwd=None, **options"
    ),
    f"{CLAUDE}.claude_code_api:ask_claude_code_api_detailed": (
        "question, timeout=30, session_id=None, cwd=None, **options"
    ),
    f"{CLAUDE}.claude_code_api:ask_claude_code_api_detailed_sync": (
        "question, timeout=30, session_id=None, cwd=None, **options"
    ),
    f"{CLAUDE}.claude_code_api:create_api_response_dict": "text, session_id, detailed",
    f"{CLAUDE}.claude_code_cli:parse_cli_json_string": "json_str",
    f"{CLAUDE}.claude_code_cli:build_cli_command": "session_id, claude_cmd, *, directory='.', **options",
    f"{CLAUDE}.claude_code_cli:create_response_dict": "text, session_id, raw_response",
    f"{CLAUDE}.claude_executable_finder:find_claude_executable": (
        "*, test_execution=False, return_none_if_not_found=False, fast_mode=True"
    ),
    f"{CLAUDE}.claude_executable_finder:verify_claude_installation": "",
    f"{CLAUDE}.usage:usage_of": "response, previous=None",
    "mcp_coder.llm_serialization:serialize_llm_response": "response, filepath",
    "mcp_coder.llm_serialization:deserialize_llm_response": "filepath",
    "mcp_coder.llm_serialization:to_json_string": "response",
    "mcp_coder.llm_serialization:from_json_string": "json_str",
}

PACKAGE_NAMES = {
    "AsyncSession",
    "AsyncTurnStream",
    "Session",
    "SessionPool",
    "TurnStream",
    "aask_llm",
    "aopen_session",
    "aprompt_llm",
    "ask_claude_code",
    "ask_llm",
    "astream_llm",
    "deserialize_llm_response",
    "export_sessions",
    "find_claude_executable",
    "fork_session",
    "import_files",
    "open_session",
    "open_store",
    "prompt_llm",
    "recover",
    "serialize_llm_response",
    "stop_all",
    "stream_llm",
    "usage_of",
    "verify_claude_installation",
}


@pytest.mark.parametrize("module", EXACT_ALL)
def test_module_exports_exactly_these_names(module: str) -> None:
    assert sorted(importlib.import_module(module).__all__) == EXACT_ALL[module]


@pytest.mark.parametrize("where", SIGNATURES, ids=lambda where: where.partition(":")[2])
def test_signatures_that_callers_rely_on(where: str) -> None:
    module, _, name = where.partition(":")
    signature = inspect.signature(attrgetter(name)(importlib.import_module(module)))
    bare = signature.replace(
        parameters=[p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    assert str(bare) == f"({SIGNATURES[where]})"


def test_package_exports_exactly_what_it_says() -> None:
    errors = importlib.import_module("mcp_coder.llm_errors").__all__
    events = importlib.import_module("mcp_coder.llm_events").__all__
    others = {"LLMResponseDict", "LLM_RESPONSE_VERSION", "__version__"}
    others |= {"SessionFilter", "SessionRecord", "Store", "TurnRecord"}
    assert sorted(mcp_coder.__all__) == sorted({*PACKAGE_NAMES, *errors, *events, *others})


@pytest.mark.parametrize("name", mcp_coder.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(mcp_coder, name) is not None
    assert name in dir(mcp_coder)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mcp_coder.nonsense  # noqa: B018  # type: ignore[attr-defined]  # that is what is tested


@pytest.mark.parametrize("name", sorted({*PACKAGE_NAMES, "LLMResponseDict"}))
def test_public_names_are_documented(name: str) -> None:
    assert len(inspect.getdoc(getattr(mcp_coder, name)) or "") > 40


@pytest.mark.parametrize(
    ("plain", "of_a_loop"),
    [("Session", "AsyncSession"), ("TurnStream", "AsyncTurnStream")],
    ids=["session", "stream"],
)
def test_the_async_forms_have_what_the_plain_ones_have(plain: str, of_a_loop: str) -> None:
    """But for what is not for users: a turn's request, and starting ahead."""
    inner = {"request_for", "run", "start_ahead"}
    names = {name for name in vars(getattr(mcp_coder, plain)) if not name.startswith("_")} - inner
    others = {name for name in vars(getattr(mcp_coder, of_a_loop)) if not name.startswith("_")}
    assert {name.replace("aclose", "close") for name in others} - {"id"} == names


def test_what_is_new_has_its_types() -> None:
    """Users of a type checker see the same names as those at run time."""
    text = (SRC / "__init__.py").read_text()
    typed = text.partition("if TYPE_CHECKING:")[2].partition("_ERRORS =")[0]
    for name in mcp_coder.__all__:
        assert re.search(rf"\b{name}\b", typed), name


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "claude_agent_sdk click asyncio sqlite3 typing rich psutil filelock json logging dataclasses"
    code = f"import sys, mcp_coder; print([name for name in {heavy.split()!r} if name in sys.modules])"
    # -S: what site-packages loads at start-up (a .pth file, say) is not ours.
    argv = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(SRC.parent)!r}); {code}"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_cli_turn_never_imports_the_sdk() -> None:
    code = "import sys, mcp_coder.llm_providers.claude.provider; print('claude_agent_sdk' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )


def test_every_source_file_has_its_test_file() -> None:
    tests = Path(__file__).parent
    sources = [path.relative_to(SRC) for path in SRC.rglob("*.py")]
    untested = {"__init__.py", "__main__.py", "_version.py"}
    wanted = {path.with_name(f"test_{path.name}") for path in sources if path.name not in untested}
    assert sorted(str(path) for path in wanted if not (tests / path).exists()) == []
