"""What every agent is to the rest of mcp_coder: the records and protocols between the turn and a provider.

Plain records and protocols; nothing here does I/O. ``run`` drives a turn through them and knows no agent;
a provider (``claude``) fills them in and knows no turn but the one it is given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mcp_coder.llm_errors import LLMError
    from mcp_coder.llm_events import TurnEvent, Usage
    from mcp_coder.llm_providers.deadline import Deadline
    from mcp_coder.llm_requests import TurnRequest
    from mcp_coder.llm_types import LLMResponseDict

__all__ = [
    "TURN_MARKER",
    "Agent",
    "Capabilities",
    "Entry",
    "Finish",
    "KeptLive",
    "Live",
    "Outcome",
    "Provider",
    "RawEvent",
    "Stopped",
    "TurnBegun",
    "TurnEnded",
    "TurnFiles",
]

TURN_MARKER = "MCP_CODER_TURN"
"""The variable that all processes of an agent inherit, and by which they are found: the turn's id,
behind those of the turns that it was started in, joined by colons."""

RawEvent = Mapping[str, object]
"""One event as the agent printed it, decoded from JSON and otherwise unchanged."""

Stopped = str
"""Why we ended an agent in mid-turn: ``"startup"``, ``"inactivity"``, ``"total"`` or ``"interrupted"``."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What an agent can do, so that callers of a provider need not know its name.

    Attributes:
        methods: the ways in which it is reached, of ``"cli"`` and ``"api"``.
        forks: whether it can begin a session with the past of another.
        resumes_at: whether it can go on from an earlier point of a session.
    """

    methods: tuple[str, ...]
    forks: bool
    resumes_at: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """The program that will run, and its surroundings.

    Attributes:
        program: its path.
        version: what it calls its version, e.g. ``"2.1.330"``; empty where it does not say.
        config_dir: the real path of the directory in which it keeps its sessions; None where it has none.
        env: the whole environment that it will be given.
    """

    program: str
    version: str
    config_dir: str | None
    env: Mapping[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """How a turn enters the agent's own session.

    Attributes:
        first_id: the session's first id, which callers keep.
        begin: begin a native session under this id; None: go on with one.
        resume: go on with this native session.
        fork: with ``resume``: under the new id ``begin``, leaving the resumed session as it is.
        resume_at: with ``resume``: from this native message on, dropping what came after it.
        cwd: the directory to run in.
        moved: somebody else may have gone on in the session since our last turn in it.
        warm: the agent's process is the one that ran the session's last turn.
        notices: what the caller should be told about it.
    """

    first_id: str
    begin: str | None = None
    resume: str | None = None
    fork: bool = False
    resume_at: str | None = None
    cwd: str
    moved: bool = False
    warm: bool = False
    notices: tuple[str, ...] = ()

    @property
    def native_id(self) -> str:
        """The id that the agent is expected to answer with."""
        return self.begin or self.resume or self.first_id


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TurnFiles:
    """Where one turn's private files are: all 0600 in a directory of their own (0700).

    Attributes:
        turn_id: the turn's id, unique.
        directory: the directory.
        output: what the agent prints, line by line.
        errors: what it prints on stderr.
    """

    turn_id: str
    directory: str
    output: str
    errors: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a turn left behind: facts, no opinion.

    Attributes:
        entry: how the session was entered.
        agent: the program that ran.
        method: ``"cli"`` or ``"api"``.
        events: what it printed, in order, pieces of text in transit left out.
        unread: lines that were no JSON.
        cut: the last line has no end, so that output is missing.
        complete: the turn reached its end by the agent's own account.
        exit_code: of the program; negative for a signal; None where it could not be had.
        stderr: what it printed there, shortened in the middle if very long.
        stopped: why we ended it before its turn was over; None: we did not.
        seconds: the time limit that was passed, where one was.
        between: what a kept agent had printed since its last turn, of its own accord: part of the record and of the
            bill, no answer to this prompt.
        kept: the agent lives on, for the session's next turn; it has no exit code yet.
        sdk_messages: the messages as the agent's SDK gave them, as plain JSON (api only).
        sdk_error: what the SDK raised, translated (api only).
    """

    entry: Entry
    agent: Agent
    method: str
    events: tuple[RawEvent, ...] = ()
    unread: tuple[str, ...] = ()
    cut: bool = False
    complete: bool = False
    exit_code: int | None = None
    stderr: str = ""
    stopped: Stopped | None = None
    seconds: float | None = None
    between: tuple[RawEvent, ...] = ()
    kept: bool = False
    sdk_messages: tuple[Mapping[str, object], ...] = ()
    sdk_error: LLMError | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """How far a turn came.

    Attributes:
        begun: the agent had taken the prompt up.
        answered: it gave an answer, so that the turn is part of the session's past.
        native_id: what the agent calls the session now; None: it did not say.
        point: the native id of the turn's last message.
    """

    begun: bool = False
    answered: bool = False
    native_id: str | None = None
    point: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TurnBegun:
    """A turn whose agent is up and has not been given the prompt yet.

    ``source_id`` is the session that it forks; ``kept`` says that the agent is one that is kept between turns.
    """

    turn_id: str
    request: TurnRequest
    entry: Entry
    agent: Agent
    files: TurnFiles
    source_id: str | None = None
    kept: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TurnEnded:
    """A turn that has been judged: ``response`` or ``error`` says how; ``fed``: the agent was given the prompt."""

    turn_id: str
    request: TurnRequest
    outcome: Outcome
    notices: tuple[str, ...]
    fed: bool = True
    response: LLMResponseDict | None = None
    error: LLMError | None = None


class Live(Protocol):
    """An agent that was started for a turn, or for the turns of a session."""

    @property
    def marker(self) -> str:
        """What its processes carry in ``TURN_MARKER``: the turn's id, or one of its own where it is kept."""

    @property
    def kept(self) -> bool:
        """Whether it is to outlive its turn."""

    def feed(self) -> None:
        """Hand the prompt over; the agent may begin at any time from here on."""

    def wait(self, seconds: float) -> bool:
        """Wait for up to ``seconds`` for something new; return whether anything was printed meanwhile."""

    @property
    def printed(self) -> Sequence[Sequence[RawEvent]]:
        """What was printed of the turn so far, and what an SDK has made of it: lists that grow. Pieces left out."""

    @property
    def begun(self) -> bool:
        """Whether the agent has shown a sign of life since the prompt."""

    @property
    def over(self) -> bool:
        """Whether the turn has ended by the agent's own account, or the agent is gone."""

    def identity(self) -> Mapping[str, object]:
        """Return what tells this agent's process from every other: pid, start time, boot."""

    def close(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        """End the agent with all that it started, and return what the turn left behind.

        A turn that is over: its own exit is awaited for ``grace`` seconds first.
        """

    def finish(self, *, stopped: Stopped | None, seconds: float | None, grace: float) -> Outcome:
        """End the turn, and return what it left behind; ``kept`` in it says whether the agent lives on.

        One that is not to be kept is closed. One that is kept is asked to break off a turn that is not over; where
        it does not, it is closed as well. ``rest`` or ``end`` must follow for one that lives on.
        """


class KeptLive(Live, Protocol):
    """An agent that is kept between the turns of its session: ``begin`` one, ``finish`` it, ``rest``, and again."""

    def begin(
        self,
        request: TurnRequest,
        *,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> None:
        """Make ready for a turn: what is printed from here on is the turn's, in the turn's own files.

        Raises:
            OSError: its output cannot be led there; it is of no use any more.
        """

    def rest(self) -> None:
        """Take its output back from the files of a turn that is over, so that these can be removed.

        Raises:
            OSError: it cannot; the agent is of no use any more.
        """

    @property
    def alive(self) -> bool:
        """Whether its program still runs."""

    @property
    def stirred(self) -> bool:
        """Whether it did something of its own accord since its last turn (a report of background work, say)."""

    def dismiss(self) -> None:
        """Let the program exit by itself, in which no turn is under way; ``end`` must follow."""

    def end(self) -> None:
        """End the program, in which no turn is under way, with all that it started."""


class Provider(Protocol):
    """An agent that mcp_coder can drive."""

    name: str
    capabilities: Capabilities
    reading: int
    """The version of ``usage``, ``counter`` and ``main_model``: it grows when they read the same events differently."""

    def check(self, request: TurnRequest) -> None:
        """Refuse a request that does not suit this agent.

        Raises:
            InvalidRequestError: it says what does not.
        """

    def locate(self, request: TurnRequest, deadline: Deadline) -> Agent:
        """Return the program that will serve this request.

        Raises:
            AgentNotFoundError: it is not here, or too old.
        """

    def start(
        self,
        request: TurnRequest,
        *,
        agent: Agent,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> Live:
        """Start the agent without giving it the prompt yet."""

    def start_kept(self, request: TurnRequest, *, agent: Agent, entry: Entry, files: TurnFiles) -> KeptLive:
        """Start an agent that is kept between turns, in private files of its own; ``begin`` makes it ready for one."""

    def judge(self, request: TurnRequest, outcome: Outcome, *, timestamp: str) -> LLMResponseDict:
        """Return what the agent answered, or raise the error that says why it did not."""

    def finish(self, events: Sequence[RawEvent]) -> Finish:
        """Return how far a turn came, from what was printed of it."""

    def refused_entry(self, outcome: Outcome) -> str | None:
        """Say that the agent refused the way its session was entered, before any model was asked.

        Returns:
            ``"unknown"`` (no such native session), ``"taken"`` (the id to begin under exists), or None.
        """

    def notices(self, request: TurnRequest, outcome: Outcome) -> tuple[str, ...]:
        """Return what the caller should know about a turn that did not fail, a sentence each."""

    def fingerprint(self, agent: Agent, native_id: str) -> str | None:
        """Return what changes whenever the native session does; None where there is none to be seen."""

    def read_events(self, output: bytes) -> tuple[RawEvent, ...]:
        """Return the events of an output file that somebody else's turn left."""

    def own_events(
        self, events: Sequence[RawEvent], turn_id: str
    ) -> tuple[tuple[RawEvent, ...], tuple[RawEvent, ...]]:
        """Part what a kept agent printed into what it did of its own accord before this turn, and the turn's own."""

    def usage(
        self, events: Sequence[RawEvent], *, version: str, baseline: Mapping[str, object] | None
    ) -> Usage:
        """Return what a turn used, from all that was printed in it.

        Args:
            events: what was printed.
            version: the version of the agent's program; empty where it is not known.
            baseline: what is known of the agent's running counters before the turn, as plain JSON; None: nothing.
                ``counter``: what ``counter`` returned for the last turn of the session for which it returned anything.
                Of a fork that has no such turn yet: that of the session that it is forked from, the last one
                there is when the turn begins, be it behind the turns that they share; ``forked`` is then true, also
                where there is none. ``contiguous``: nothing can have been counted between that turn and this
                one: nobody else went on in that session, and each turn of ours there was recorded with its counter.
                ``first``: the session begins with this turn, at zero. ``same_process``: the agent's process is the one
                that printed that counter. ``earlier``: the counters of some turns before, where the agent's total may
                go on from one of those.
        """

    def counter(self, events: Sequence[RawEvent]) -> Mapping[str, object] | None:
        """Return what the usage of later turns is worked out against, as plain JSON; None: these events do not tell."""

    def main_model(self, events: Sequence[RawEvent]) -> str | None:
        """Return the model that gave the turn's answer; where none did, the one that was to; None: not said."""

    def config_environment(self, config_dir: str) -> Mapping[str, str]:
        """Return the variables that lead the agent to this configuration directory."""

    def open_command(self, agent: Agent, native_id: str) -> tuple[str, ...]:
        """Return the command that opens a native session for a person, on a terminal."""
