"""The shared list of requests: numbers, rules that are used up, waits."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from mcp_coder.testing.model_replies import Reply, Rule
from mcp_coder.testing.recorded_request import RecordedRequest
from mcp_coder.testing.request_log import RequestLog


def request(prompt: Any = "hello", *, kind: Any = "turn", session: Any = "s-1") -> Any:
    return RecordedRequest(
        method="POST",
        path="/v1/messages",
        headers={"x-claude-code-session-id": session},
        body={"messages": [{"role": "user", "content": prompt}]},
        time=datetime.now(UTC),
        kind=kind,
    )


def test_requests_are_numbered_by_kind_and_by_session() -> None:
    log = RequestLog()
    added = [log.add(one) for one in (request(), request(kind="side"), request(session="s-2"), request())]
    assert [(one.number, one.session_number) for one in added] == [(1, 1), (1, 1), (2, 1), (3, 2)]
    assert log.snapshot() == tuple(added)
    assert log.snapshot("turn", "s-1") == (added[0], added[3])


def test_the_first_rule_that_is_not_used_up_applies() -> None:
    first, second = Rule(reply=Reply.text("a"), prompt="x", times=2), Rule(reply=Reply.text("b"))
    log = RequestLog([first])
    log.add_rule(second)
    assert log.rules == (first, second)
    assert [log.rule_for(request(prompt)) for prompt in ("x", "y", "x", "x")] == [
        first,
        second,
        first,
        second,
    ]
    log.clear_rules()
    assert log.rule_for(request("x")) is None


def test_equal_rules_are_used_up_one_by_one() -> None:
    rule = Rule(reply=Reply.text("a"), times=1)
    log = RequestLog([rule, rule])
    assert [log.rule_for(request()) for _ in range(3)] == [rule, rule, None]


@pytest.mark.parametrize("wanted", [2, "two", lambda one: one.prompt == "two"])
def test_a_wait_ends_with_the_request(wanted: Any) -> None:
    log = RequestLog()
    log.add(request("one"))
    later = threading.Thread(target=log.add, args=(request("two"),))
    later.start()
    assert log.wait_for(wanted, 10).prompt == "two"
    later.join()


def test_a_wait_that_fails_says_what_came() -> None:
    log = RequestLog()
    with pytest.raises(TimeoutError, match=r"0 came: none"):
        log.wait_for(1, 0.01)
    log.add(request("one"))
    with pytest.raises(TimeoutError, match=r"1 came: turn: 'one'"):
        log.wait_for("two", 0.01)
