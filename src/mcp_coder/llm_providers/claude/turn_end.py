"""When a turn is over, and what it leaves for the next one, seen from the events alone.

Events come in one by one, as the program prints them; out come whether the turn is over, the native session's id, and
the native message from which a fork or a retry goes on. Nothing here waits or knows the time.

A ``result`` is not yet the end: a sub-agent that works in the background may still be running, and the program then
answers its report in a ``result`` of its own. The program's word for "nothing is owed any more" is the session state
``idle``. Programs that do not say it (and a result printed on the way out, which no state follows) are judged by the
tasks that they announced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mcp_coder.llm_providers.base import Finish, RawEvent
from mcp_coder.llm_providers.claude.fields import (
    answer_in,
    answers_report,
    blocks_in,
    is_echo,
    is_main_thread,
    list_in,
    mapping_in,
    number_in,
    text_in,
)

__all__ = ["TurnTracker", "finish", "is_failure", "is_local_command", "own_events"]

_OWED = frozenset({"local_agent", "local_workflow"})
"""Tasks whose report belongs to the turn; that of a shell command in the background does not: it may be a server."""

_REPORTED = frozenset({"completed", "failed"})
_ENDED = _REPORTED | {"stopped", "killed", "cancelled", "canceled"}


class TurnTracker:
    """Follows one turn, event by event.

    Attributes:
        begun: whether the program has taken the prompt up.
        over: whether the turn has ended by the program's own account; once true it stays so.
        native_id: the session as the program calls it now; None where it did not say.
        last_message_id: the last message of the agent itself, from which the session can be gone on with; None where
            there was none.

    Args:
        prompt_id: the id of the turn's prompt, where the program says which prompt it takes up.

    Example::

        tracker = TurnTracker()
        for event in events:
            tracker.see(event)
        tracker.over
    """

    def __init__(self, *, prompt_id: str | None = None) -> None:
        self._awaited = prompt_id
        """The id of a prompt that was not taken up yet: until then the program may be busy with a report."""
        self.begun = False
        self.over = False
        self.native_id: str | None = None
        self.last_message_id: str | None = None
        self._state = ""
        self._answered = self._answered_itself = False
        """Whether there is a result, and one that is no report's."""
        self._failed = False
        self._tasks: set[str] = set()
        self._report_due = False

    def see(self, event: RawEvent) -> None:
        """Take the next event into account."""
        reader = _READERS.get(text_in(event, "type"))
        if reader is not None:
            reader(self, event)
        self.over = self.over or self._is_over()

    def _is_over(self) -> bool:
        if not self._answered:
            return False
        if self._state == "idle":
            return True
        if self._state and not self._failed:
            return False
        return self._answered_itself and not self._tasks and not self._report_due

    def _see_result(self, event: RawEvent) -> None:
        if self._awaited is not None and answers_report(event):
            return  # what was at work before our prompt
        self._answered = True
        self._answered_itself = self._answered_itself or not answers_report(event)
        self._failed = event.get("is_error") is True
        self._report_due = False
        if text_in(event, "subtype") == "error_during_execution":
            # The turn broke off: no task will be reported in it any more.
            self._tasks.clear()
        if self.begun or not self._failed:
            # A program that could not even start the session names one that does not exist.
            self.native_id = text_in(event, "session_id") or self.native_id

    def _see_message(self, event: RawEvent) -> None:
        if is_main_thread(event):
            self.last_message_id = text_in(event, "uuid") or self.last_message_id

    def _see_user(self, event: RawEvent) -> None:
        if self._awaited is not None and is_echo(event, self._awaited):
            self._awaited = None
        # A turn may end with a tool's result (a structured answer does): a session cut before it would show a tool
        # call without a result.
        if any(block.get("type") == "tool_result" for block in blocks_in(event)):
            self._see_message(event)

    def _see_system(self, event: RawEvent) -> None:
        reader = _SYSTEM_READERS.get(text_in(event, "subtype"))
        if reader is not None:
            reader(self, event)

    def _see_init(self, event: RawEvent) -> None:
        self.begun = True
        self.native_id = self.native_id or text_in(event, "session_id") or None

    def _see_state(self, event: RawEvent) -> None:
        self._state = text_in(event, "state")

    def _see_task_started(self, event: RawEvent) -> None:
        if _is_owed(event):
            self._tasks.add(text_in(event, "task_id"))

    def _see_task_updated(self, event: RawEvent) -> None:
        self._see_task_status(event, text_in(mapping_in(event, "patch"), "status"))

    def _see_task_notification(self, event: RawEvent) -> None:
        self._see_task_status(event, text_in(event, "status"))

    def _see_task_status(self, event: RawEvent, status: str) -> None:
        task = text_in(event, "task_id")
        if task in self._tasks and status in _ENDED:
            self._tasks.discard(task)
            # The report of a task that outlived the answer gets a result of its own, which is still to come.
            self._report_due = self._answered and status in _REPORTED

    def _see_all_tasks(self, event: RawEvent) -> None:
        """Take the list of all tasks that are running now, which the program gives at every change."""
        tasks = [task for task in list_in(event, "tasks") if isinstance(task, Mapping) and _is_owed(task)]
        self._tasks = {text_in(task, "task_id") for task in tasks}


def _is_owed(task: Mapping[str, object]) -> bool:
    return task.get("task_type") in _OWED and task.get("ambient") is not True


_Reader = Callable[[TurnTracker, RawEvent], None]

_READERS: Mapping[str, _Reader] = {
    "result": TurnTracker._see_result,
    "assistant": TurnTracker._see_message,
    "user": TurnTracker._see_user,
    "system": TurnTracker._see_system,
}

_SYSTEM_READERS: Mapping[str, _Reader] = {
    "init": TurnTracker._see_init,
    "session_state_changed": TurnTracker._see_state,
    "task_started": TurnTracker._see_task_started,
    "task_updated": TurnTracker._see_task_updated,
    "task_notification": TurnTracker._see_task_notification,
    "background_tasks_changed": TurnTracker._see_all_tasks,
}


def finish(events: Sequence[RawEvent]) -> Finish:
    """Return how far a turn came, from all that was printed of it.

    A command that the program answered itself leaves no trace that a later turn must know of: it counts as not begun.
    """
    tracker = TurnTracker()
    for event in events:
        tracker.see(event)
    answer = answer_in(events)
    local = answer is not None and is_local_command(answer, events)
    return Finish(
        begun=tracker.begun and not local,
        answered=answer is not None and not local and not is_failure(answer),
        native_id=tracker.native_id,
        point=tracker.last_message_id,
    )


def own_events(
    events: Sequence[RawEvent], prompt_id: str
) -> tuple[tuple[RawEvent, ...], tuple[RawEvent, ...]]:
    """Part what a kept program printed since its turn before: its own reports, and the turn of this prompt.

    A report (the answer to background work that ended) that was under way when the prompt came is finished first.
    The echo of the prompt is no border by itself: what the program says to a command of its own comes before it.
    """
    echo = next((place for place, event in enumerate(events) if is_echo(event, prompt_id)), len(events))
    reports = [place for place in range(echo) if _is_report(events[place])]
    border = reports[-1] + 1 if reports else 0
    return tuple(events[:border]), tuple(events[border:])


def _is_report(event: RawEvent) -> bool:
    return event.get("type") == "result" and answers_report(event)


def is_failure(result: RawEvent) -> bool:
    """Return whether a ``result`` says that there is no answer. A broken API call has the subtype ``success``, too."""
    return (
        result.get("is_error") is True
        or text_in(result, "subtype").startswith("error")
        or text_in(result, "terminal_reason").startswith("aborted")
    )


def is_local_command(result: RawEvent, events: Sequence[RawEvent]) -> bool:
    """Return whether the program answered the prompt itself, as it does with ``/cost``.

    A model may be asked in a command, too: ``/review`` then has an answer, ``/compact`` none.
    """
    if result.get("num_turns") != 0 or is_failure(result):
        return False
    if "local_command" in result and not text_in(result, "result"):
        return True
    return not _asked_a_model(result, events)


def _asked_a_model(result: RawEvent, events: Sequence[RawEvent]) -> bool:
    if "model_usage_since_last_result" in result:
        return bool(mapping_in(result, "model_usage_since_last_result"))
    # The running totals of an older program hold earlier turns, too: they say nothing about this one.
    used = mapping_in(result, "usage")
    models = {text_in(mapping_in(event, "message"), "model") for event in events}
    return any(number_in(used, key) for key in _TOKENS) or bool(models - {"", "<synthetic>"})


_TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
