"""The list of requests that the stand-in model received, shared between its threads.

In come requests from the server's threads, out come snapshots, counts and waits for tests. It holds the rules too,
since which rule applies depends on how often it did. It never touches a socket.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .model_replies import Rule
    from .recorded_request import Kind, RecordedRequest

Wanted: TypeAlias = "int | str | Callable[[RecordedRequest], bool]"


class RequestLog:
    """Requests in the order of their arrival, and the rules that answer them; safe from any thread."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._changed = threading.Condition()
        self._requests: list[RecordedRequest] = []
        self._rules = list(rules)
        self._uses: dict[int, int] = {}

    def add(self, request: RecordedRequest) -> RecordedRequest:
        """Record a request; return it with its numbers filled in."""
        with self._changed:
            same = [one for one in self._requests if one.kind == request.kind]
            in_session = sum(one.session_id == request.session_id for one in same)
            numbered = replace(request, number=len(same) + 1, session_number=in_session + 1)
            self._requests.append(numbered)
            self._changed.notify_all()
        return numbered

    def add_rule(self, rule: Rule) -> None:
        """Add a rule behind those that are there: the first that applies is taken."""
        with self._changed:
            self._rules.append(rule)

    def clear_rules(self) -> None:
        """Take all rules away: from now on the default answers."""
        with self._changed:
            self._rules.clear()
            self._uses.clear()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they are tried, used up ones included."""
        with self._changed:
            return tuple(self._rules)

    def rule_for(self, request: RecordedRequest) -> Rule | None:
        """Return the first rule that applies and is not used up, and count its use."""
        with self._changed:
            for place, rule in enumerate(self._rules):
                used = self._uses.get(place, 0)
                if (rule.times is None or used < rule.times) and rule.applies_to(request):
                    self._uses[place] = used + 1
                    return rule
        return None

    def snapshot(
        self, kind: Kind | None = None, session_id: str | None = None
    ) -> tuple[RecordedRequest, ...]:
        """Return the requests so far, of one kind and of one session where they are given."""
        with self._changed:
            found = tuple(self._requests)
        return tuple(
            one
            for one in found
            if (kind is None or one.kind == kind) and session_id in (None, one.session_id)
        )

    def wait_for(self, wanted: Wanted, timeout: float) -> RecordedRequest:
        """Wait for a request; see :meth:`ModelServer.wait_for`."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := self._find(wanted)) is None:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(self._what_came(timeout))
        return found

    def _find(self, wanted: Wanted) -> RecordedRequest | None:
        if isinstance(wanted, int):
            turns = [one for one in self._requests if one.kind == "turn"]
            return turns[wanted - 1] if len(turns) >= wanted else None
        return next((one for one in self._requests if _fits(one, wanted)), None)

    def _what_came(self, timeout: float) -> str:
        came = [f"{one.kind}: {(one.prompt or one.end)[:60]!r}" for one in self._requests]
        return f"no such request within {timeout:g} s; {len(came)} came: {', '.join(came) or 'none'}"


def _fits(request: RecordedRequest, wanted: str | Callable[[RecordedRequest], bool]) -> bool:
    return wanted in (request.prompt or "") if isinstance(wanted, str) else wanted(request)
