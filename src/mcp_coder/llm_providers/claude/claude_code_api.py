"""Claude Code by its Python SDK, over a transport of ours: the only module that imports ``claude_agent_sdk``.

The SDK speaks with the same program, started with the same arguments and watched by the same loop as method ``"cli"``;
only the prompt goes through the SDK, and its messages come back as plain JSON. So tools, system prompt, settings, time
limits and verdicts are alike in both methods. The SDK runs in a thread with an event loop of its own: callers may be
inside a running loop themselves. It takes a second to import, so that is done while the program starts.

The SDK's exceptions are translated here, by one table.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import re
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Unpack

from mcp_coder.llm_errors import AgentError, AgentNotFoundError, LLMError, ResponseFormatError
from mcp_coder.llm_events import TurnEvent
from mcp_coder.llm_providers.base import Agent, Entry, Outcome, RawEvent, TurnFiles
from mcp_coder.llm_providers.claude.fields import results_in
from mcp_coder.llm_providers.claude.judge import new_response
from mcp_coder.llm_providers.claude.live import ClaudeLive, user_message
from mcp_coder.llm_providers.claude.parse import is_delta
from mcp_coder.llm_providers.claude.provider import ClaudeProvider
from mcp_coder.llm_providers.own_thread import in_own_thread
from mcp_coder.llm_providers.process import Process, boot_seconds
from mcp_coder.llm_providers.run import run_turn
from mcp_coder.llm_requests import TurnOptions, TurnRequest, new_request
from mcp_coder.llm_types import LLMResponseDict

if TYPE_CHECKING:
    from typing import Self

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
    arguments = {"session_id": session_id, "timeout": timeout, "cwd": cwd, **options}
    return _detailed(await in_own_thread(lambda stop: _ask(question, stop, **arguments)))


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
        *,
        kept: bool,
    ) -> None:
        self._conversation = _Conversation(process)
        self._greeter: threading.Thread | None = None
        super().__init__(process, request, agent, entry, files, kept=kept)

    @classmethod
    def start_kept(cls, request: TurnRequest, *, agent: Agent, entry: Entry, files: TurnFiles) -> Self:
        """Start the program for the turns of a session, and let the SDK connect to it ahead of the first."""
        live = super().start_kept(request, agent=agent, entry=entry, files=files)
        live._greeter = threading.Thread(target=live._greet, name="mcp_coder-greeter", daemon=True)
        live._greeter.start()
        return live

    def _greet(self) -> None:
        """Carry to the SDK what the program answers to its greeting: it waits for that for a minute, and no longer."""
        while self._greeter is not None and super().alive and self._conversation.connecting:
            self._process.wait(_GREETING_SECONDS)
            self._read_between()

    def _stop_greeting(self) -> None:
        """Leave reading to this thread."""
        greeter, self._greeter = self._greeter, None
        if greeter is not None:
            self._process.wake()
            greeter.join()

    @property
    def printed(self) -> Sequence[Sequence[RawEvent]]:
        """What it has printed of the turn so far, and the messages that the SDK has made of it."""
        return (self._events, self._conversation.messages)

    @property
    def over(self) -> bool:
        """Whether the turn has ended, or cannot go on."""
        return super().over or self._conversation.broken

    @property
    def alive(self) -> bool:
        """Whether its program still runs, and the SDK still speaks to it."""
        return super().alive and self._conversation.error is None

    def feed(self) -> None:
        """Let the SDK hand the prompt over as soon as it is connected."""
        self._fed_at = boot_seconds()
        self._conversation.ask(user_message(self._request.question, self._prompt_id))

    def begin(
        self,
        request: TurnRequest,
        *,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> None:
        """Make ready for a turn, as of the program; what the SDK said before is none of it."""
        self._stop_greeting()
        super().begin(request, entry=entry, files=files, observe=observe)
        self._conversation.messages.clear()

    @property
    def stirred(self) -> bool:
        """Whether it did something of its own accord since its last turn."""
        self._stop_greeting()
        return super().stirred

    def end(self) -> None:
        """End the program, in which no turn is under way, with all that it started."""
        self._stop_greeting()
        super().end()

    def _forward(self, event: RawEvent) -> None:
        if not is_delta(event):
            self._conversation.deliver(dict(event))

    def _digest(self) -> None:
        self._conversation.digest()

    def _finish(self) -> None:
        self._conversation.end()

    def _outcome(self, **facts: Any) -> Outcome:
        error = self._conversation.error
        outcome = super()._outcome(**facts)
        reports = outcome.between[len(self._between) :]
        return dataclasses.replace(
            outcome,
            sdk_messages=tuple(_behind_results(self._conversation.messages, of=reports)),
            sdk_error=None if error is None else translate(error, self._entry.first_id),
        )


def _behind_results(
    messages: list[Mapping[str, object]], *, of: tuple[RawEvent, ...]
) -> list[Mapping[str, object]]:
    """Return the SDK's messages of a turn: those behind the reports that were printed before it."""
    results = len(results_in(of))
    places = [place for place, message in enumerate(messages) if message.get("type") == "result"]
    return messages[places[results - 1] + 1 :] if 0 < results <= len(places) else messages


_GREETING_SECONDS = 0.05
_DIGESTED = "mcp_coder_digested"
"""The subtype of an event of ours, which goes through the SDK behind the program's: when it comes out, so have they."""


class _Conversation(threading.Thread):
    """The SDK in its thread: what the program printed goes in by ``deliver``, the SDK's messages pile up."""

    def __init__(self, process: Process) -> None:
        super().__init__(name="mcp_coder-claude-sdk", daemon=True)
        self.messages: list[Mapping[str, object]] = []
        self.error: Exception | None = None
        self._connected = self._handed_over = self._ended = self._over = False
        self._process = process
        self._prompts, self._inbox = _Mailbox(), _Mailbox()
        self._digested, self._digesting = 0, threading.Condition()
        self._marks = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        try:
            self.start()
        except BaseException:
            # Ctrl-C meanwhile: nobody else knows of the thread. Left alone it would go on importing the SDK, and a
            # process in which a thread runs exec() of a text then exits with 1, not by the signal (CPython 3.11).
            with contextlib.suppress(RuntimeError):  # it was not started
                self.end()
            raise

    @property
    def connecting(self) -> bool:
        """Whether the SDK has not yet heard from the program."""
        return not self._connected and self.error is None and self.is_alive()

    @property
    def broken(self) -> bool:
        """Whether the SDK gave up before it had handed the prompt over; later the turn goes on without it."""
        return self.error is not None and not self._handed_over

    def deliver(self, event: dict[str, Any] | None) -> None:
        """Hand an event to the SDK; None: there will be no more."""
        self._inbox.put(event)

    def ask(self, message: dict[str, Any]) -> None:
        """Let the SDK hand a prompt over, as soon as it is connected."""
        self._handed_over = False
        self._prompts.put(message)

    def digest(self) -> None:
        """Wait until the SDK has taken in all that was delivered, or has given up."""
        self._marks += 1
        self.deliver({"type": "system", "subtype": _DIGESTED, "mark": self._marks})
        with self._digesting:
            self._digesting.wait_for(lambda: self._over or self._digested >= self._marks, _DRAIN_SECONDS)

    def end(self) -> None:
        """Let the SDK read to the end, then make sure that its thread is gone."""
        self.deliver(None)
        self._prompts.put(None)
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
        finally:
            with self._digesting:
                self._over = True
                self._digesting.notify_all()

    async def _converse(self) -> None:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._prompts.open(self._loop)
        self._inbox.open(self._loop)
        # The second that this takes: from here on the thread can be cancelled.
        from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient

        if self._ended:
            return
        client = ClaudeSDKClient(
            ClaudeAgentOptions(),
            transport=_transport(self._process, self._inbox),
        )
        await client.connect()
        self._connected = True
        try:
            await self._talk(client)
        finally:
            await client.disconnect()

    async def _talk(self, client: ClaudeSDKClient) -> None:
        asking = asyncio.create_task(self._hand_over(client))
        try:
            async for message in client.receive_messages():
                self._take(_plain_message(message))
        finally:
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking

    async def _hand_over(self, client: ClaudeSDKClient) -> None:
        """Hand over prompt by prompt; what the SDK raises is kept for the turn's own loop to see."""
        try:
            while (prompt := await self._prompts.get()) is not None:
                await client.query(_only(prompt))
                self._handed_over = True
        except Exception as error:  # noqa: BLE001  # translated by whoever reads it
            self.error = error

    def _take(self, message: Mapping[str, object]) -> None:
        if message.get("subtype") != _DIGESTED:
            self.messages.append(message)
            return
        with self._digesting:
            self._digested += 1
            self._digesting.notify_all()


async def _only(message: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield message


class _Mailbox:
    """Messages from any thread to one event loop, in order; also those that come before there is a loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: collections.deque[dict[str, Any] | None] = collections.deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news: asyncio.Event | None = None
        self._told = False
        """Whether the reader knows that there is something: telling it wakes another thread."""

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say in which loop they are read; called there."""
        with self._lock:
            self._loop, self._news = loop, asyncio.Event()

    def put(self, message: dict[str, Any] | None) -> None:
        """Add a message."""
        with self._lock:
            self._messages.append(message)
            loop, news = self._loop, self._news
            told, self._told = self._told, loop is not None
        if loop is not None and news is not None and not told:
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(news.set)

    async def get(self) -> dict[str, Any] | None:
        """Wait for the next message, in the loop."""
        assert self._news is not None  # noqa: S101  # opened before it is read
        while True:
            self._news.clear()
            with self._lock:
                if self._messages:
                    return self._messages.popleft()
                self._told = False
            await self._news.wait()


def _transport(process: Process, inbox: _Mailbox) -> Any:
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
    kind = type(value)  # nearly all is JSON already, of just these types
    if kind in _LEAVES:
        return value
    if kind is dict:
        return {str(key): plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": _type_name(type(value).__name__), **fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _plain_leaf(value)


_LEAVES = frozenset({str, int, float, bool, type(None)})


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
