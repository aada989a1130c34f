"""Durable sessions for coding agents: one call prompts an agent, one id continues the session.

Example::

    from mcp_coder import ask_llm, prompt_llm

    first = prompt_llm("My favorite color is blue")
    print(ask_llm("What is my favorite color?", session_id=first["session_id"]))

Importing this package imports nothing else; each name is loaded when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mcp_coder._version import __version__
    from mcp_coder.llm_async import (
        AsyncSession,
        AsyncTurnStream,
        aask_llm,
        aopen_session,
        aprompt_llm,
        astream_llm,
    )
    from mcp_coder.llm_errors import (
        AgentError,
        AgentNotFoundError,
        AuthenticationError,
        ClaudeAPIError,
        ContextWindowError,
        InterruptedTurnError,
        InvalidRequestError,
        LeaseWarning,
        LimitReachedError,
        LLMError,
        LLMTimeoutError,
        LocalCommandError,
        ModelNotFoundError,
        NotRecordedWarning,
        PermissionDeniedError,
        RateLimitError,
        ResponseFormatError,
        ServerError,
        SessionBusyError,
        SessionError,
        SessionNotFoundError,
        StoreError,
        UnsupportedVersionError,
    )
    from mcp_coder.llm_events import (
        ModelUsage,
        Notice,
        Retry,
        SessionStarted,
        TextDelta,
        ThinkingDelta,
        ToolFinished,
        ToolStarted,
        TurnEvent,
        TurnFinished,
        Usage,
        UsageReported,
    )
    from mcp_coder.llm_interface import ask_llm, prompt_llm, stream_llm
    from mcp_coder.llm_providers.claude.claude_code_interface import ask_claude_code
    from mcp_coder.llm_providers.claude.claude_executable_finder import (
        find_claude_executable,
        verify_claude_installation,
    )
    from mcp_coder.llm_providers.claude.usage import usage_of
    from mcp_coder.llm_providers.stopping import stop_all
    from mcp_coder.llm_serialization import deserialize_llm_response, serialize_llm_response
    from mcp_coder.llm_sessions.forking import fork_session
    from mcp_coder.llm_sessions.pool import SessionPool
    from mcp_coder.llm_sessions.recovery import recover
    from mcp_coder.llm_sessions.session import Session, open_session
    from mcp_coder.llm_sessions.streaming import TurnStream
    from mcp_coder.llm_sessions.transfer import export_sessions, import_files
    from mcp_coder.llm_store import open_store
    from mcp_coder.llm_store.base import SessionFilter, SessionRecord, Store, TurnRecord
    from mcp_coder.llm_types import LLM_RESPONSE_VERSION, LLMResponseDict

_ERRORS = """AgentError AgentNotFoundError AuthenticationError ClaudeAPIError ContextWindowError InterruptedTurnError
InvalidRequestError LLMError LLMTimeoutError LeaseWarning LimitReachedError LocalCommandError ModelNotFoundError
NotRecordedWarning PermissionDeniedError RateLimitError ResponseFormatError ServerError SessionBusyError SessionError
SessionNotFoundError StoreError UnsupportedVersionError"""

_EVENTS = """ModelUsage Notice Retry SessionStarted TextDelta ThinkingDelta ToolFinished ToolStarted TurnEvent
TurnFinished Usage UsageReported"""

_WHERE = {
    "__version__": "_version",
    "LLMResponseDict": "llm_types",
    "LLM_RESPONSE_VERSION": "llm_types",
    "ask_claude_code": "llm_providers.claude.claude_code_interface",
    "AsyncSession": "llm_async",
    "AsyncTurnStream": "llm_async",
    "Session": "llm_sessions.session",
    "SessionPool": "llm_sessions.pool",
    "TurnStream": "llm_sessions.streaming",
    "aask_llm": "llm_async",
    "aopen_session": "llm_async",
    "aprompt_llm": "llm_async",
    "ask_llm": "llm_interface",
    "astream_llm": "llm_async",
    "open_session": "llm_sessions.session",
    "stream_llm": "llm_interface",
    "deserialize_llm_response": "llm_serialization",
    "export_sessions": "llm_sessions.transfer",
    "find_claude_executable": "llm_providers.claude.claude_executable_finder",
    "fork_session": "llm_sessions.forking",
    "import_files": "llm_sessions.transfer",
    "open_store": "llm_store",
    "prompt_llm": "llm_interface",
    "recover": "llm_sessions.recovery",
    "serialize_llm_response": "llm_serialization",
    "stop_all": "llm_providers.stopping",
    "usage_of": "llm_providers.claude.usage",
    "verify_claude_installation": "llm_providers.claude.claude_executable_finder",
    **dict.fromkeys(("SessionFilter", "SessionRecord", "Store", "TurnRecord"), "llm_store.base"),
    **dict.fromkeys(_EVENTS.split(), "llm_events"),
    **dict.fromkeys(_ERRORS.split(), "llm_errors"),
}

__all__ = [
    "LLM_RESPONSE_VERSION",
    "AgentError",
    "AgentNotFoundError",
    "AsyncSession",
    "AsyncTurnStream",
    "AuthenticationError",
    "ClaudeAPIError",
    "ContextWindowError",
    "InterruptedTurnError",
    "InvalidRequestError",
    "LLMError",
    "LLMResponseDict",
    "LLMTimeoutError",
    "LeaseWarning",
    "LimitReachedError",
    "LocalCommandError",
    "ModelNotFoundError",
    "ModelUsage",
    "NotRecordedWarning",
    "Notice",
    "PermissionDeniedError",
    "RateLimitError",
    "ResponseFormatError",
    "Retry",
    "ServerError",
    "Session",
    "SessionBusyError",
    "SessionError",
    "SessionFilter",
    "SessionNotFoundError",
    "SessionPool",
    "SessionRecord",
    "SessionStarted",
    "Store",
    "StoreError",
    "TextDelta",
    "ThinkingDelta",
    "ToolFinished",
    "ToolStarted",
    "TurnEvent",
    "TurnFinished",
    "TurnRecord",
    "TurnStream",
    "UnsupportedVersionError",
    "Usage",
    "UsageReported",
    "__version__",
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
]


def __getattr__(name: str) -> object:
    """Load a public name on its first use."""
    try:
        where = _WHERE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{where}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
