"""Claude Code by its Python SDK, over a transport of ours: the only module that imports ``claude_agent_sdk``.

The SDK speaks with the same program, started with the same arguments and watched by the same loop as method ``"cli"``;
only the prompt goes through the SDK, and its messages come back as plain JSON. So tools, system prompt, settings, time
limits and verdicts are alike in both methods. The SDK runs in a thread with an event loop of its own: callers may be
inside a running loop themselves. It takes a second to import, so that is done while the program starts.

The SDK's exceptions are translated here, by one table.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Unpack

from mcp_coder.llm_errors import AgentError, AgentNotFoundError, LLMError, ResponseFormatError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent, Stopped, TurnFiles
from mcp_coder.llm_providers.claude.judge import new_response
from mcp_coder.llm_providers.claude.live import ClaudeLive
from mcp_coder.llm_providers.claude.parse import is_delta
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.process import Process
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_requests import TurnOptions, TurnRequest, new_request
from mcp_coder.llm_types import LLMResponseDict

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeSDKClient

__all__ = [
    "ask_claude_code_api",
    "ask_claude_code_api_detailed",
    "ask_claude_code_api_detailed_sync",
    "create_api_response_dict",
]

_DRAIN_SECONDS = 1.5
"""How long the SDK is given to read what was handed to it once the program is gone."""


def ask_claude_code_api(
    question: str,
    session_id: str | None = None,
    timeout: float | None = 30,
    cwd: str | None = None,
    **options: Unpack[TurnOptions],
) -> LLMResponseDict:
    """Ask Claude Code through its Python SDK, without a record.

    Args:
        question: the prompt.
        session_id: the session to go on with; None begins a new one.
        timeout: seconds for the whole call; None: no limit.
        cwd: the directory to run in; None: the session's own, for a new one the current.
        options: see ``TurnRequest``.

    Raises:
        LLMError: one of its kinds, see ``mcp_coder.llm_errors``.

    Example::

        first = ask_claude_code_api("My favorite color is blue")
        second = ask_claude_code_api("What is it?", session_id=first["session_id"])
    """
    return _ask(question, None, session_id=session_id, timeout=timeout, cwd=cwd, **options)


def _ask(question: str, stop: Callable[[], bool] | None, **arguments: object) -> LLMResponseDict:
    return run_turn(ClaudeProvider(), new_request(question, method="api", **arguments), stop=stop)


def ask_claude_code_api_detailed_sync(
    question: str,
    timeout: float | None = 30,
    session_id: str | None = None,
    cwd: str | None = None,
    **options: Unpack[TurnOptions],
) -> dict[str, object]:
    """Ask as ``ask_claude_code_api`` does and return everything the SDK said.

    Returns:
        ``text``, ``session_info``, ``result_info`` and ``raw_messages``, all plain JSON.

    Example::

        ask_claude_code_api_detailed_sync("Say hello")["result_info"]["duration_ms"]
    """
    return _detailed(_ask(question, None, session_id=session_id, timeout=timeout, cwd=cwd, **options))


async def ask_claude_code_api_detailed(
    question: str,
    timeout: float | None = 30,
    session_id: str | None = None,
    cwd: str | None = None,
    **options: Unpack[TurnOptions],
) -> dict[str, object]:
    """Ask as ``ask_claude_code_api_detailed_sync`` does, from a running event loop; cancelled, the agent is stopped."""
    cancelled = threading.Event()
    arguments = {"session_id": session_id, "timeout": timeout, "cwd": cwd, **options}
    turn = asyncio.ensure_future(asyncio.to_thread(_ask, question, cancelled.is_set, **arguments))
    return _detailed(await _or_stopped(turn, cancelled))


async def _or_stopped(turn: asyncio.Future[LLMResponseDict], cancelled: threading.Event) -> LLMResponseDict:
    """Await a turn in its thread; cancelled, stop it and wait until nothing of it is left."""
    try:
        return await asyncio.shield(turn)
    except asyncio.CancelledError:
        cancelled.set()
        with contextlib.suppress(LLMError):
            await turn
        raise


def _detailed(response: LLMResponseDict) -> dict[str, object]:
    return {"text": response["text"], **response["raw_response"]}


def create_api_response_dict(
    text: str, session_id: str | None, detailed: Mapping[str, object]
) -> LLMResponseDict:
    """Return a response as ``ask_claude_code_api`` does, made now from a detailed answer.

    Example::

        detailed = ask_claude_code_api_detailed_sync("Say hello")
        create_api_response_dict(detailed["text"], detailed["session_info"]["session_id"], detailed)
    """
    raw = {name: detailed.get(name) for name in ("session_info", "result_info", "raw_messages")}
    return new_response(
        text=text,
        session_id=session_id,
        method="api",
        raw_response=plain(raw),
        timestamp=datetime.now(UTC).isoformat(),
    )


# --- the SDK beside the program


class ApiLive(ClaudeLive):
    """One run of the program with the SDK speaking to it."""

    method = "api"

    def __init__(
        self,
        process: Process,
        request: TurnRequest,
        agent: Agent,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> None:
        super().__init__(process, request, agent, entry, files, observe)
        self._conversation = _Conversation(process, request.question)

    @property
    def over(self) -> bool:
        """Whether the turn has ended, or cannot go on."""
        return super().over or self._conversation.broken

    def feed(self) -> None:
        """Let the SDK hand the prompt over as soon as it is connected."""
        self._conversation.fed.set()

    def _forward(self, event: RawEvent) -> None:
        if not is_delta(event):
            self._conversation.deliver(dict(event))

    def _finish(self) -> None:
        self._conversation.end()

    def close(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        """End the program with all that it started, and return what the turn left behind, the SDK's side with it."""
        outcome = super().close(stopped=stopped, seconds=seconds, grace=grace)
        error = self._conversation.error
        return dataclasses.replace(
            outcome,
            sdk_messages=tuple(self._conversation.messages),
            sdk_error=None if error is None else translate(error, self._entry.first_id),
        )


class _Conversation(threading.Thread):
    """The SDK in its thread: what the program printed goes in by ``deliver``, the SDK's messages pile up."""

    def __init__(self, process: Process, question: str) -> None:
        super().__init__(name="mcp_coder-claude-sdk", daemon=True)
        self.messages: list[Mapping[str, object]] = []
        self.error: Exception | None = None
        self.fed = threading.Event()
        self._connected = self._handed_over = self._ended = False
        self._process, self._question = process, question
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any] | None] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: asyncio.Queue[dict[str, Any] | None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.start()

    @property
    def broken(self) -> bool:
        """Whether the SDK gave up before it had handed the prompt over; later the turn goes on without it."""
        return self.error is not None and not self._handed_over

    def deliver(self, event: dict[str, Any] | None) -> None:
        """Hand an event to the SDK; None: there will be no more."""
        with self._lock:
            if self._loop is None or self._inbox is None:
                self._waiting.append(event)
            else:
                with contextlib.suppress(RuntimeError):  # it has ended already
                    self._loop.call_soon_threadsafe(self._inbox.put_nowait, event)

    def end(self) -> None:
        """Let the SDK read to the end, then make sure that its thread is gone."""
        self.deliver(None)
        self.fed.set()
        self._ended = True
        if not self._connected:  # it would wait for the program's answer for a minute
            self._cancel()
        self.join(_DRAIN_SECONDS)
        if self.is_alive():
            self._cancel()
            self.join(_DRAIN_SECONDS)

    def _cancel(self) -> None:
        with self._lock:
            if self._loop is not None and self._task is not None:
                with contextlib.suppress(RuntimeError):  # it has ended already
                    self._loop.call_soon_threadsafe(self._task.cancel)

    def run(self) -> None:
        """Import the SDK and hold the conversation; whatever it raises is kept, not lost in a thread."""
        try:
            asyncio.run(self._converse())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  # translated by whoever reads it
            self.error = error

    async def _converse(self) -> None:
        inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        with self._lock:
            self._loop, self._inbox, self._task = asyncio.get_running_loop(), inbox, asyncio.current_task()
            for event in self._waiting:
                inbox.put_nowait(event)
        # The second that this takes: from here on the thread can be cancelled.
        from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient

        if self._ended:
            return
        client = ClaudeSDKClient(
            ClaudeAgentOptions(),
            transport=_transport(self._process, inbox),
        )
        await client.connect()
        self._connected = True
        try:
            await self._talk(client)
        finally:
            await client.disconnect()

    async def _talk(self, client: ClaudeSDKClient) -> None:
        await asyncio.to_thread(self.fed.wait)
        await client.query(self._question)
        self._handed_over = True
        async for message in client.receive_messages():
            self.messages.append(_plain_message(message))


def _transport(process: Process, inbox: asyncio.Queue[dict[str, Any] | None]) -> Any:
    """Return the SDK's ``Transport`` over a program that runs already; its base class comes with the SDK.

    The SDK's own transport takes messages of up to 1 MiB; here nothing limits them.
    """
    from claude_agent_sdk import Transport

    class FileTransport(Transport):
        """Writes to the program's stdin, reads what the turn's own loop took from its output file."""

        async def connect(self) -> None:
            pass

        async def write(self, data: str) -> None:
            process.write(data.encode("utf-8"))

        async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
            while (event := await inbox.get()) is not None:
                yield event
            # How the program ended is for the judge to say, alike in both methods: it is no error of the SDK.

        async def close(self) -> None:
            pass  # the turn's own loop ends the program

        def is_ready(self) -> bool:
            return True

        async def end_input(self) -> None:
            pass  # stdin stays open until the turn is over

    return FileTransport()


# --- translation, at this edge and nowhere else

_NAME_END = re.compile(r"(Message|Block)$")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _plain_message(message: object) -> Mapping[str, object]:
    converted = plain(message)
    return converted if isinstance(converted, dict) else {"type": "unknown", "value": converted}


def plain(value: Any) -> Any:  # any JSON value
    """Return what the SDK gave as plain JSON: records as objects with a ``type``, times as ISO 8601, paths as texts.

    What it does not know stays as it is, so that writing it names it instead of hiding it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": _type_name(type(value).__name__), **fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _plain_leaf(value)


def _plain_leaf(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    return value


def _type_name(class_name: str) -> str:
    """Return ``tool_use`` for ``ToolUseBlock``, ``assistant`` for ``AssistantMessage``."""
    return _WORD_START.sub("_", _NAME_END.sub("", class_name)).lower()


_Translation = Callable[[Exception, str], LLMError]

SDK_ERRORS: Mapping[str, _Translation] = {
    "CLINotFoundError": lambda error, _: AgentNotFoundError(str(error)),
    "CLIJSONDecodeError": lambda error, sid: ResponseFormatError(
        f"the SDK could not read the program's output: {error}",
        session_id=sid,
        raw=getattr(error, "line", None),
    ),
    "MessageParseError": lambda error, sid: ResponseFormatError(
        f"the SDK could not read a message: {error}", session_id=sid, raw=getattr(error, "data", None)
    ),
    "ResultError": lambda error, sid: AgentError(
        str(error),
        status=getattr(error, "api_error_status", None),
        returncode=getattr(error, "exit_code", None),
        session_id=sid,
        raw=getattr(error, "data", None),
    ),
    "ProcessError": lambda error, sid: AgentError(
        str(error), returncode=getattr(error, "exit_code", None), session_id=sid
    ),
    "CLIConnectionError": lambda error, sid: AgentError(
        f"the SDK has no connection to the program: {error}", session_id=sid
    ),
    "ClaudeSDKError": lambda error, sid: AgentError(f"the SDK failed: {error}", session_id=sid),
}
"""Each exception class of the SDK -> ours, the most special first. Names, so that no import is needed to read it."""


def translate(error: Exception, session_id: str) -> LLMError:
    """Return our error for whatever the SDK raised; its cause is kept."""
    names = {each.__name__ for each in type(error).__mro__}
    for name, translation in SDK_ERRORS.items():
        if name in names:
            translated = translation(error, session_id)
            break
    else:
        translated = AgentError(f"the SDK failed: {type(error).__name__}: {error}", session_id=session_id)
    translated.__cause__ = error
    return translated
