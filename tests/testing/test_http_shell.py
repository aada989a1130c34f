"""The server's sockets, spoken to over plain HTTP."""

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from mcp_coder.testing.model_replies import Reply
from mcp_coder.testing.model_server import ModelServer

ASK = {"model": "opus", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def server() -> Iterator[Any]:
    with ModelServer() as made:
        yield made


def call(
    server: ModelServer,
    method: Any = "POST",
    path: Any = "/v1/messages",
    body: Any = None,
    headers: Any = None,
    timeout: Any = 30,
) -> Any:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)) as connection:
        data = json.dumps(body) if isinstance(body, dict) else body
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()


def text_of(stream: Any) -> Any:
    events = [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: ")]
    return "".join(one["delta"]["text"] for one in events if one["type"] == "content_block_delta")


def test_a_whole_message(server: ModelServer) -> None:
    status, headers, data = call(server, body=ASK)
    message = json.loads(data)
    assert (status, headers["Content-Type"], message["model"]) == (200, "application/json", "opus")
    assert message["content"] == [{"type": "text", "text": "echo: hello"}]


def test_a_stream(server: ModelServer) -> None:
    status, headers, data = call(server, path="/v1/messages?beta=true", body={**ASK, "stream": True})
    assert (status, headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    assert text_of(data) == "echo: hello"


def test_every_message_has_an_id_of_its_own(server: ModelServer) -> None:
    ids = {json.loads(call(server, body=ASK)[2])["id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_packed_body(server: ModelServer) -> None:
    packed = gzip.compress(json.dumps(ASK).encode())
    status, _, _ = call(server, body=packed, headers={"Content-Encoding": "gzip"})
    assert (status, server.prompts()) == (200, ["hello"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 200),
        ("GET", "/", 200),
        ("HEAD", "/v1/messages", 200),
        ("POST", "/v1/complete", 404),
        ("PUT", "/v1/messages", 404),
    ],
)
def test_other_requests_are_answered_and_recorded(
    server: ModelServer, method: str, path: str, status: int
) -> None:
    got, _, data = call(server, method, path, {} if method in ("POST", "PUT") else None)
    assert got == status
    assert (data == b"") == (method == "HEAD")
    if status == 404:
        assert json.loads(data)["error"]["type"] == "not_found_error"
    assert [(one.method, one.path) for one in server.requests] == [(method, path)]


def test_tokens_are_counted(server: ModelServer) -> None:
    status, _, data = call(server, path="/v1/messages/count_tokens?beta=true", body=ASK)
    assert (status, json.loads(data)) == (200, {"input_tokens": len(json.dumps(ASK)) // 4})
    assert server.turns() == ()


@pytest.mark.parametrize("body", ["{", "[1]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(server: ModelServer, body: Any) -> None:
    status, _, data = call(server, body=body)
    assert (status, json.loads(data)["error"]["type"]) == (400, "invalid_request_error")


def test_a_body_without_length_is_refused(server: ModelServer) -> None:
    status, _, _ = call(server, body=iter([b"{}"]), headers={"Transfer-Encoding": "chunked"})
    assert status == 400


def test_an_error_has_its_status_type_and_headers(server: ModelServer) -> None:
    server.add_rule(Reply.error(429, message="slow down", headers={"retry-after": "7"}))
    status, headers, data = call(server, body=ASK)
    assert (status, headers["retry-after"]) == (429, "7")
    assert json.loads(data) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "slow down"},
    }


def test_an_error_in_a_stream_is_a_status_where_nothing_streams(server: ModelServer) -> None:
    server.add_rule(Reply.stream_error("overloaded_error", "busy", after="so far"))
    status, _, data = call(server, body={**ASK, "stream": True})
    assert (status, text_of(data), b"event: error" in data) == (200, "so far", True)
    status, _, data = call(server, body=ASK)
    assert (status, json.loads(data)["error"]["message"]) == (529, "busy")


@pytest.mark.parametrize("stream", [True, False])
def test_pauses_delay_the_answer(server: ModelServer, stream: bool) -> None:
    server.add_rule(Reply.chunks(["a", "b"], delay=0.1))
    began = time.monotonic()
    _, _, data = call(server, body={**ASK, "stream": stream})
    assert time.monotonic() - began >= 0.1
    assert b"b" in data


def test_an_error_may_come_late(server: ModelServer) -> None:
    server.add_rule(Reply.error(500).delayed(0.1))
    began = time.monotonic()
    assert call(server, body=ASK)[0] == 500
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_before_the_answer_sends_no_byte(server: ModelServer, stream: bool) -> None:
    server.add_rule(Reply.cut())
    with pytest.raises(http.client.RemoteDisconnected):
        call(server, body={**ASK, "stream": stream})


def test_a_cut_in_mid_answer_keeps_what_was_sent(server: ModelServer) -> None:
    server.add_rule(Reply.cut(after="so far"))
    with pytest.raises(http.client.IncompleteRead) as cut:
        call(server, body={**ASK, "stream": True})
    assert text_of(cut.value.partial) == "so far"


def test_a_hang_goes_on_when_its_event_is_set(server: ModelServer) -> None:
    gate = threading.Event()
    server.add_rule(Reply.hang(after="so far", until=gate, then=", done"))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(call, server, body={**ASK, "stream": True})
        server.wait_for(1)
        assert not answer.done()
        gate.set()
        assert text_of(answer.result()[2]) == "so far, done"


def test_a_hang_ends_when_the_client_leaves(server: ModelServer) -> None:
    server.add_rule(Reply.hang())
    before = threading.active_count()
    with pytest.raises(TimeoutError):
        call(server, body=ASK, timeout=0.2)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert threading.active_count() == before
    assert server.errors == ()


def test_a_hang_ends_when_the_server_closes() -> None:
    before = threading.active_count()
    with ModelServer() as server, ThreadPoolExecutor(2) as pool:
        server.add_rule(Reply.hang(after="so far"), nth=1)
        server.add_rule(Reply.hang(), nth=2)
        hung = [pool.submit(call, server, body={**ASK, "stream": True}) for _ in range(2)]
        server.wait_for(2)
        began = time.monotonic()
        server.close()
        assert time.monotonic() - began < 2
        for one in hung:
            assert isinstance(one.exception(10), http.client.HTTPException)
    assert threading.active_count() == before


def test_a_closed_server_leaves_no_socket() -> None:
    server = ModelServer()
    port = server.port
    idle = http.client.HTTPConnection("127.0.0.1", port)
    idle.request("GET", "/")
    idle.getresponse().read()  # the connection stays open
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)
    idle.close()


def test_a_rule_that_raises_is_reported(server: ModelServer) -> None:
    server.add_rule(Reply.text("x"), when=lambda _: 1 / 0 > 1)
    status, _, data = call(server, body=ASK)
    assert (status, [type(one) for one in server.errors]) == (500, [ZeroDivisionError])
    assert "ZeroDivisionError" in json.loads(data)["error"]["message"]


def test_a_reply_that_cannot_be_sent_is_reported(server: ModelServer) -> None:
    server.add_rule(Reply.tool_use("A", odd={1, 2}))
    with pytest.raises(http.client.HTTPException):
        call(server, body=ASK)
    server.close()
    assert [type(one) for one in server.errors] == [TypeError]


def test_a_hundred_requests_at_once(server: ModelServer) -> None:
    """All are open at the same time: none is answered before the last has arrived."""
    gate = threading.Event()
    server.add_rule(Reply.hang(until=gate, then="done"))
    with ThreadPoolExecutor(100) as pool:
        answers = [pool.submit(call, server, body={**ASK, "stream": True}) for _ in range(100)]
        server.wait_for(100, 60)
        gate.set()
        assert [text_of(one.result()[2]) for one in answers] == ["done"] * 100
    assert sorted(one.number for one in server.requests) == list(range(1, 101))


def test_big_answers_arrive_whole(server: ModelServer) -> None:
    server.add_rule(Reply.big(6_000_000))
    assert len(text_of(call(server, body={**ASK, "stream": True})[2])) == 6_000_000
