"""The bare turn: the one loop that every face of mcp_coder takes.

A checked request comes in; the agent's answer goes out, or the one error that says why not. In between: the session's
lease is taken, the agent is started, fed, watched by three clocks, ended and judged, and nothing that was started is
left. What a turn *means* is the provider's; what is recorded of it is the hooks'. Safe from any thread, inside
a running event loop, and under Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from mcp_coder.llm_errors import AgentError, InvalidRequestError, LLMError, SessionError
from mcp_coder.llm_events import Notice, TurnEvent
from mcp_coder.llm_places import absolute_path
from mcp_coder.llm_providers.agent_source import AgentSource, StartedForTurn, TurnStart
from mcp_coder.llm_providers.base import (
    Agent,
    Entry,
    Live,
    Outcome,
    Provider,
    RawEvent,
    Stopped,
    TurnBegun,
    TurnEnded,
    TurnFiles,
)
from mcp_coder.llm_providers.cards import Card, check_directory, reenter
from mcp_coder.llm_providers.deadline import Deadline
from mcp_coder.llm_providers.descendants import end_leftovers, marked
from mcp_coder.llm_providers.leases import own_holder
from mcp_coder.llm_providers.sessions import Held, entered, settle
from mcp_coder.llm_providers.stopping import ctrl_c_under_way, stops
from mcp_coder.llm_providers.turn_files import (
    is_kept_for_record,
    new_turn_files,
    remove_turn_files,
    set_aside,
)
from mcp_coder.llm_requests import TurnRequest
from mcp_coder.llm_types import LLMResponseDict

__all__ = ["prepared", "run_turn"]

_log = logging.getLogger("mcp_coder")

LONGEST_STARTUP, LONGEST_SILENCE = 60.0, 600.0
_OWN_EXIT_SECONDS = 5.0
"""How long an agent that has answered is given to exit by itself while the time limit allows it."""
_LATE_EXIT_SECONDS = 2.0
"""The same once the time limit has passed: with the rest of the stop ladder, a call returns within 6 s of it."""
_LOOK_SECONDS = 0.1


def run_turn(
    provider: Provider,
    request: TurnRequest,
    *,
    before_feed: Callable[[TurnBegun], None] | None = None,
    after_judge: Callable[[TurnEnded], None] | None = None,
    as_printed: Callable[[Sequence[Sequence[RawEvent]]], None] | None = None,
    observe: Callable[[TurnEvent], None] | None = None,
    stop: Callable[[], bool] | None = None,
    agents: AgentSource | None = None,
    new_id: str | None = None,
) -> LLMResponseDict:
    """Run one turn and return the answer.

    Args:
        provider: the agent.
        request: what it is asked.
        before_feed: called when the agent is up and before it is given the prompt.
        after_judge: called when the turn is judged and before its answer is returned or its error raised.
        as_printed: called now and then while the agent works, with all that it has printed of the turn by then, as
            ``Live.printed``: for what can be done of ``after_judge`` while nobody waits for it.
        observe: is handed the turn's events as they come, in this thread.
        stop: asked ten times a second; true: the turn is stopped and raises ``InterruptedTurnError``.
        agents: where its agent comes from; None: it is started for this turn, and ends with it.
        new_id: what a session that this turn begins is to be called, a UUID; None: whatever comes.

    Raises:
        LLMError: one of its kinds, see ``llm_errors``; ``session_id`` in it is the session to go on with.

    Example::

        answer = run_turn(ClaudeProvider(), new_request("Say hello", timeout=60))
    """
    deadline = Deadline.after(request.timeout)
    stop_asked = _StopCheck(stop)
    request = prepared(provider, request)
    agent = provider.locate(request, deadline)
    with entered(provider, request, agent, deadline, stop_asked, new_id) as held:
        _check_directory(request, held.entry)
        turn = _Turn(
            provider,
            request,
            agent,
            held,
            deadline,
            stop_asked,
            observe or _ignore,
            as_printed or _ignore,
            agents or StartedForTurn(),
        )
        return turn.run(before_feed, after_judge)


def prepared(provider: Provider, request: TurnRequest) -> TurnRequest:
    """Return the request as it will run: checked for this provider, its paths made absolute. Starts nothing.

    Raises:
        InvalidRequestError: it does not suit the provider, or names a place that is not there.
    """
    _check_capabilities(provider, request)
    provider.check(request)
    return _with_absolute_paths(request)


def _ignore(_happened: object) -> None:
    """Watch nothing."""


def _check_capabilities(provider: Provider, request: TurnRequest) -> None:
    able = provider.capabilities
    if request.method not in able.methods:
        raise InvalidRequestError(f"{provider.name} has no method {request.method!r}")
    if not able.forks and (request.fork or request.on_busy == "fork"):
        raise InvalidRequestError(f"{provider.name} cannot fork a session")
    if not able.resumes_at and request.after_failure == "drop":
        raise InvalidRequestError(
            f'{provider.name} cannot go on from an earlier point: no after_failure="drop"'
        )


class _StopCheck:
    """Whether this turn was asked to stop: by its caller, by ``stop_all``, or by Ctrl-C in the main thread."""

    def __init__(self, asked: Callable[[], bool] | None) -> None:
        self._asked = asked
        self._stops = stops()

    def __call__(self) -> bool:
        if self._asked is not None and self._asked():
            return True
        return stops() != self._stops or ctrl_c_under_way()


def _with_absolute_paths(request: TurnRequest) -> TurnRequest:
    """Return the request with its paths made absolute from here: the agent may run elsewhere.

    Raises:
        InvalidRequestError: the directory or an MCP configuration file is not there; nobody should wait for a
            session to be told so.
    """
    cwd = None if request.cwd is None else absolute_path(request.cwd)
    if cwd is not None and not os.path.isdir(cwd):
        raise InvalidRequestError(f"cwd {cwd!r} is no directory", session_id=request.session_id)
    config = request.mcp_config
    if isinstance(config, str):
        config = absolute_path(config)
        if not os.path.isfile(config):
            raise InvalidRequestError(f"mcp_config: there is no file {config}; give a file or a mapping")
    return dataclasses.replace(
        request,
        cwd=cwd,
        add_dirs=tuple(absolute_path(each) for each in request.add_dirs),
        mcp_config=config,
    )


def _new_files() -> TurnFiles:
    try:
        return new_turn_files()
    except OSError as error:
        raise AgentError(
            f"no place for the turn's private files ({error}); set MCP_CODER_HOME; nothing was sent"
        ) from error


def _check_directory(request: TurnRequest, entry: Entry) -> None:
    check_directory(entry, exists=os.path.isdir(entry.cwd), explicit=request.cwd is not None)


class _Turn:
    """One turn in a session whose lease is held."""

    def __init__(
        self,
        provider: Provider,
        request: TurnRequest,
        agent: Agent,
        held: Held,
        deadline: Deadline,
        stop: Callable[[], bool],
        observe: Callable[[TurnEvent], None],
        as_printed: Callable[[Sequence[Sequence[RawEvent]]], None],
        agents: AgentSource,
    ) -> None:
        self._provider, self._request, self._agent, self._held = provider, request, agent, held
        self._deadline, self._stop, self._observe, self._as_printed = deadline, stop, observe, as_printed
        self._agents = agents
        self._borrowed: Live | None = None
        """An agent that is kept between turns, until it is given back."""
        self._entry = held.entry
        self._files = _new_files()
        self._ids = {"session_id": self._entry.first_id, "turn_id": self._files.turn_id}
        self._notices: list[str] = []
        self._fed = False
        self._files_needed = False
        """Whether the card's next reader may still have to read the output."""

    def run(
        self,
        before_feed: Callable[[TurnBegun], None] | None,
        after_judge: Callable[[TurnEnded], None] | None,
    ) -> LLMResponseDict:
        try:
            outcome = self._process(before_feed)
            again = self._other_way_in(outcome)
            if again is not None:
                self._give_back(usable=False)
                self._entry = again
                set_aside(self._files)
                outcome = self._process(None)
            response, error = self._conclude(outcome, after_judge)
            self._give_back(usable=not isinstance(error, SessionError))
            if response is None:
                assert error is not None  # noqa: S101  # judged one way or the other
                raise error
            return response
        finally:
            self._give_back(usable=False)
            if not self._files_needed:
                remove_turn_files(self._files.directory)

    def _give_back(self, *, usable: bool) -> None:
        """Give an agent that lives on back; where the turn's output is still needed, it is of no use any more."""
        live, self._borrowed = self._borrowed, None
        if live is not None:
            wanted = self._files_needed or is_kept_for_record(self._files.directory)
            self._agents.leave(live, self._held.card if usable and not wanted else None)

    def _other_way_in(self, outcome: Outcome) -> Entry | None:
        """Return how else the session can be entered, if the agent refused the first way and there is still time."""
        refused = self._provider.refused_entry(outcome)
        if self._deadline.left() <= 0 or self._stop():
            return None
        if self._died_at_rest(outcome):
            return self._held.entry
        return reenter(self._entry, refused, self._held.found, self._request)

    def _died_at_rest(self, outcome: Outcome) -> bool:
        """Return whether a kept agent was gone before it took the prompt up, though it still looked alive.

        Then it has printed nothing since, and its session is as it was: to start another sends nothing twice.
        """
        if not self._entry.warm or outcome.kept or outcome.stopped is not None:
            return False
        untouched = (
            self._held.found is not None
            and self._held.found.fingerprint == self._provider.fingerprint(self._agent, self._entry.native_id)
        )
        return untouched and not outcome.events and not outcome.unread and not outcome.cut

    # --- the process

    def _process(self, before_feed: Callable[[TurnBegun], None] | None) -> Outcome:
        """Start, feed, watch and end one process, and settle the session's card by what it left."""
        self._log(logging.INFO, "turn %s of session %s starts (%s)", self._request.method)
        self._log(logging.DEBUG, "turn %s of session %s enters by %s", self._entry)
        self._log(logging.DEBUG, "turn %s of session %s runs %s %s", self._agent.program, self._agent.version)
        self._log(logging.DEBUG, "turn %s of session %s asks: %s", self._request.question)
        stopped: Stopped | None = "interrupted"
        seconds: float | None = None
        watched = False
        live, card, since = None, None, time.time()
        try:
            live, self._entry = self._agents.take(self._start())
            self._borrowed = live if live.kept else None
            card = self._write_card(live)
            self._files_needed = True
            if before_feed is not None:
                before_feed(self._begun(live))
            if not self._stop():
                self._fed = True
                live.feed()
                stopped, seconds = self._watch(live)
            watched = True
        finally:
            # Also under Ctrl-C and when a hook fails: nothing that was started is left.
            if live is None:  # interrupted in the middle of starting it
                end_leftovers(list(marked(self._files.turn_id, since, set())))
            else:
                end = live.finish if watched else live.close
                outcome = end(stopped=stopped, seconds=seconds, grace=self._grace())
                self._log(logging.DEBUG, "turn %s of session %s exits with %s", outcome.exit_code)
                self._settle(card, outcome)
        return outcome

    def _start(self) -> TurnStart:
        return TurnStart(
            provider=self._provider,
            request=self._request,
            agent=self._agent,
            entry=self._entry,
            found=self._held.found,
            files=self._files,
            observe=self._observe,
            deadline=self._deadline,
            stop=self._stop,
        )

    def _grace(self) -> float:
        """Return how long an agent that has answered may take to exit by itself."""
        return min(max(self._deadline.left(), 0.0) + _LATE_EXIT_SECONDS, _OWN_EXIT_SECONDS)

    def _settle(self, card: Card | None, outcome: Outcome) -> None:
        """Say in the card that nobody is at work any more, by what was printed.

        An answer is never lost to a card that cannot be written (a full disk, say): the old one then stays, with the
        output beside it, and the session's next holder settles it.
        """
        if card is None:
            return
        try:
            self._held.write(settle(self._provider, self._agent, card, outcome.events))
            self._files_needed = False
        except OSError as error:
            self._notices.append(
                f"the session's card could not be written ({error}); its next turn settles it"
            )

    def _begun(self, live: Live) -> TurnBegun:
        return TurnBegun(
            turn_id=self._files.turn_id,
            request=self._request,
            entry=self._entry,
            agent=self._agent,
            files=self._files,
            source_id=self._held.source_id,
            kept=live.kept,
        )

    def _write_card(self, live: Live) -> Card:
        """Say in the card who is at work, before the agent can be: a next holder must find it."""
        entry = self._entry
        old = self._held.card or Card(first_id=entry.first_id, native_id=entry.native_id)
        if self._held.found is None:
            old = dataclasses.replace(old, origin=entry.resume, origin_point=entry.resume_at)
        elif entry.moved and not entry.fork:
            # Somebody went on behind our last point: whoever went on from that would leave theirs out.
            old = dataclasses.replace(old, point=None, origin=old.native_id, origin_point=None)
        card = dataclasses.replace(
            old,
            native_id=entry.native_id,
            cwd=old.cwd or entry.cwd,
            config_dir=self._agent.config_dir or "",
            program=self._agent.program,
            version=self._agent.version,
            agent=live.identity(),
            holder=own_holder(),
            turn_id=self._files.turn_id,
            directory=self._files.directory,
            marker=live.marker if live.kept else None,
        )
        try:
            self._held.write(card)
        except OSError as error:
            raise SessionError(
                f"the session's card cannot be written ({error}); nothing was sent", session_id=entry.first_id
            ) from error
        return card

    # --- watching

    def _watch(self, live: Live) -> tuple[Stopped | None, float | None]:
        """Wait for the end of the turn; return which clock ended it first, and its limit, if one did."""
        startup, silence = self._quiet_limits()
        last = time.monotonic()
        while not live.over:
            if self._stop():
                return "interrupted", None
            quiet = (silence if live.begun else startup) - (time.monotonic() - last)
            left = self._deadline.left()
            if left <= 0:
                return "total", self._deadline.seconds
            if quiet <= 0:
                return ("inactivity", silence) if live.begun else ("startup", startup)
            if live.wait(min(left, quiet, _LOOK_SECONDS)):
                last = time.monotonic()
                if not live.over:
                    self._as_printed(live.printed)
        # It may be over because it was stopped: by stop_all in a signal handler, in this very thread.
        return ("interrupted" if self._stop() else None), None

    def _quiet_limits(self) -> tuple[float, float]:
        total = self._request.timeout
        startup = LONGEST_STARTUP if total is None else min(LONGEST_STARTUP, total)
        silence = LONGEST_SILENCE if total is None else min(LONGEST_SILENCE, total)
        return self._request.startup_timeout or startup, self._request.inactivity_timeout or silence

    # --- the verdict

    def _conclude(
        self, outcome: Outcome, after_judge: Callable[[TurnEnded], None] | None
    ) -> tuple[LLMResponseDict | None, LLMError | None]:
        response, error = self._judged(outcome)
        self._publish(error)
        notices = (
            *outcome.entry.notices,
            *self._provider.notices(self._request, outcome),
            *self._notices,
        )
        self._tell(notices)
        self._log(
            logging.INFO, "turn %s of session %s ends: %s", type(error).__name__ if error else "answered"
        )
        if after_judge is not None:
            after_judge(self._ended(outcome, notices, response, error))
        return response, error

    def _judged(self, outcome: Outcome) -> tuple[LLMResponseDict | None, LLMError | None]:
        try:
            timestamp = datetime.now(UTC).isoformat()
            return self._provider.judge(self._request, outcome, timestamp=timestamp), None
        except LLMError as error:
            error.turn_id = self._files.turn_id
            if outcome.entry.fork and isinstance(error, SessionError):
                # The fork was never begun: what the caller can look for is the session to fork from.
                error.session_id = self._held.source_id or error.session_id
            return None, error

    def _publish(self, error: LLMError | None) -> None:
        """Let the session be found as the agent calls it now; or undo the card, where the turn was not in it."""
        try:
            if isinstance(error, SessionError):
                self._held.restore()
            else:
                self._held.publish()
        except OSError as failure:
            self._notices.append(f"the session's card could not be written ({failure})")

    def _tell(self, notices: tuple[str, ...]) -> None:
        """Tell whoever watches; that they fail at it costs nobody the answer."""
        for text in notices:
            self._log(logging.WARNING, "turn %s of session %s: %s", text)
            try:
                self._observe(Notice(text=text))
            except Exception:  # noqa: BLE001  # whatever it is: it is not the turn's
                self._log(logging.ERROR, "turn %s of session %s: the watcher failed")
                _log.debug("the watcher failed", exc_info=True, extra=self._ids)

    def _ended(
        self,
        outcome: Outcome,
        notices: tuple[str, ...],
        response: LLMResponseDict | None,
        error: LLMError | None,
    ) -> TurnEnded:
        return TurnEnded(
            turn_id=self._files.turn_id,
            request=self._request,
            outcome=outcome,
            notices=notices,
            fed=self._fed,
            response=response,
            error=error,
        )

    def _log(self, level: int, message: str, *more: object) -> None:
        _log.log(level, message, self._files.turn_id, self._entry.first_id, *more, extra=self._ids)
