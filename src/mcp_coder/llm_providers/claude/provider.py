"""Claude Code as a provider: what the turn needs of it, each piece from the module that knows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_events import TurnEvent, Usage
from mcp_coder.llm_places import absolute_path, state_directory
from mcp_coder.llm_providers.base import (
    TURN_MARKER,
    Agent,
    Capabilities,
    Entry,
    Finish,
    KeptLive,
    Live,
    Outcome,
    RawEvent,
    TurnFiles,
)
from mcp_coder.llm_providers.claude import judge as judging
from mcp_coder.llm_providers.claude import usage as counting
from mcp_coder.llm_providers.claude.claude_executable_finder import locate_claude
from mcp_coder.llm_providers.claude.command import check_command, child_environment
from mcp_coder.llm_providers.claude.live import ClaudeLive
from mcp_coder.llm_providers.claude.parse import read_output
from mcp_coder.llm_providers.claude.transcripts import config_dir, home_directory, transcript_size
from mcp_coder.llm_providers.claude.turn_end import own_events
from mcp_coder.llm_providers.claude.versions import lacking
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_requests import TurnRequest
from mcp_coder.llm_types import LLMResponseDict

__all__ = ["ClaudeProvider"]


_SHORTEST_VERSION_SECONDS, _LONGEST_VERSION_SECONDS = 1.0, 10.0
"""How long the program may take to say its version: a time limit for the call bounds it."""


class ClaudeProvider:
    """Claude Code, by its program or by its SDK. Holds no state."""

    name = "claude"
    capabilities = Capabilities(methods=("cli", "api"), forks=True, resumes_at=True)
    reading = counting.READING

    def check(self, request: TurnRequest) -> None:
        """Refuse a request whose options do not go together for this program."""
        check_command(request)

    def locate(self, request: TurnRequest, deadline: Deadline) -> Agent:
        """Return the program that will serve this request.

        Raises:
            AgentNotFoundError: it is not here, too old, or too old for an option of this request.
        """
        seconds = min(max(deadline.left(), _SHORTEST_VERSION_SECONDS), _LONGEST_VERSION_SECONDS)
        program, version = locate_claude(seconds=seconds)
        lack = lacking(request, version)
        if lack is not None:
            raise AgentNotFoundError(f"{lack}; {program} is {version}", searched=[program])
        env = _usable(child_environment(os.environ, request.env, turn_id=os.environ.get(TURN_MARKER, "")))
        return Agent(program=program, version=version, config_dir=config_dir(env), env=env)

    def start(
        self,
        request: TurnRequest,
        *,
        agent: Agent,
        entry: Entry,
        files: TurnFiles,
        observe: Callable[[TurnEvent], None],
    ) -> Live:
        """Start the program without giving it the prompt yet."""
        return _live(request.method).start(request, agent=agent, entry=entry, files=files, observe=observe)

    def start_kept(self, request: TurnRequest, *, agent: Agent, entry: Entry, files: TurnFiles) -> KeptLive:
        """Start the program for the turns of a session, in private files of its own."""
        return _live(request.method).start_kept(request, agent=agent, entry=entry, files=files)

    def judge(self, request: TurnRequest, outcome: Outcome, *, timestamp: str) -> LLMResponseDict:
        """Return what the agent answered, or raise the error that says why it did not."""
        return judging.judge(request, outcome, timestamp=timestamp)

    def notices(self, request: TurnRequest, outcome: Outcome) -> tuple[str, ...]:
        """Return what the caller should know about a turn that did not fail, a sentence each."""
        return judging.notices(request, outcome)

    def finish(self, events: Sequence[RawEvent]) -> Finish:
        """Return how far a turn came, from what was printed of it."""
        return judging.finish(events)

    def refused_entry(self, outcome: Outcome) -> str | None:
        """Return how the agent refused to enter the session, if it did."""
        return judging.refused_entry(outcome)

    def fingerprint(self, agent: Agent, native_id: str) -> str | None:
        """Return the size of the transcript, to which whoever goes on in the session adds.

        Not its time: that changes too when the program is only started on it.
        """
        size = transcript_size(agent.config_dir, native_id) if agent.config_dir else None
        return None if size is None else str(size)

    def read_events(self, output: bytes) -> tuple[RawEvent, ...]:
        """Return the events of an output file that somebody else's turn left."""
        return read_output(output).events

    def own_events(
        self, events: Sequence[RawEvent], turn_id: str
    ) -> tuple[tuple[RawEvent, ...], tuple[RawEvent, ...]]:
        """Part what a kept program printed into its own reports and this turn: prompts carry the id of their turn."""
        return own_events(events, turn_id)

    def usage(
        self, events: Sequence[RawEvent], *, version: str, baseline: Mapping[str, object] | None
    ) -> Usage:
        """Return what a turn used, from all that was printed in it; ``Provider.usage`` says what ``baseline`` is."""
        known = counting.Baseline.from_json(baseline)
        return counting.usage_of_turn(events, version=version, baseline=known)

    def counter(self, events: Sequence[RawEvent]) -> Mapping[str, object] | None:
        """Return what the usage of later turns is worked out against; None: these events do not tell."""
        return counting.counter_of(events)

    def main_model(self, events: Sequence[RawEvent]) -> str | None:
        """Return the model that gave the turn's answer; where none did, the one that was to; None: not said."""
        return counting.main_model(events)

    def config_environment(self, config_dir: str) -> Mapping[str, str]:
        """Return the variables that lead the program to this configuration directory."""
        return {"CLAUDE_CONFIG_DIR": config_dir}

    def open_command(self, agent: Agent, native_id: str) -> tuple[str, ...]:
        """Return the command that opens a native session for a person, on a terminal."""
        return (agent.program, f"--resume={native_id}")


def _usable(env: dict[str, str]) -> dict[str, str]:
    """Return the environment so that the program can live in it, wherever it is started.

    Without any home directory it fails at its start, and a relative configuration directory would be another one in
    each working directory.
    """
    if home_directory(env) is None:
        env = {**env, "HOME": state_directory()}
    if env.get("CLAUDE_CONFIG_DIR"):
        env = {**env, "CLAUDE_CONFIG_DIR": absolute_path(env["CLAUDE_CONFIG_DIR"])}
    return env


def _live(method: str) -> type[ClaudeLive]:
    if method == "cli":
        return ClaudeLive
    # Not at the top: importing the SDK's side is for those who ask for it.
    from mcp_coder.llm_providers.claude.claude_code_api import ApiLive

    return ApiLive
