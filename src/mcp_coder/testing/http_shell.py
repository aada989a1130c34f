"""The sockets and threads of the stand-in model: HTTP in, the steps of a reply out.

In come connections on loopback, out go bytes; what to answer is asked of the rules and of pure code. One thread
a connection, all of them ended by :meth:`HttpShell.close_all`. It never decides what an answer says.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import selectors
import socket
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from .default_answer import default_reply
from .messages_api import MessageHead, error_object, event_bytes, message_of, stream_of, token_count
from .model_replies import Cut, Fail, Hold, Pause, Reply, status_of
from .recorded_request import RecordedRequest, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .messages_api import Event, Wait
    from .request_log import RequestLog

_PEEK_SECONDS = 0.02


class GoneError(ConnectionError):
    """The client left, the server closes, or the reply says to cut: there is nobody to answer."""


class HttpShell(ThreadingHTTPServer):
    """The listening socket and its connections, each in a thread of its own."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, log: RequestLog, port: int) -> None:
        self.log = log
        self.errors: list[BaseException] = []
        self._live: dict[threading.Thread, socket.socket] = {}
        self._guard = threading.Lock()
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", port), Connection)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name that the standard class makes: it can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, and keep account of both."""
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        with self._guard:
            self._live[thread] = request
        thread.start()

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._live.pop(threading.current_thread(), None)

    def close_all(self, seconds: float) -> None:
        """Close the listening socket and every connection, and wait for their threads, at most ``seconds``."""
        self.closing.set()
        self.server_close()
        with self._guard:
            live = dict(self._live)
        for connection in live.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + seconds
        for thread in live:
            thread.join(max(0.0, deadline - time.monotonic()))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        """Keep an error for the test instead of printing it; a client that left is none."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)


class Connection(BaseHTTPRequestHandler):
    """One connection: requests one after the other, each recorded and then answered."""

    server: HttpShell
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Print nothing."""

    def do_HEAD(self) -> None:
        """Answer a probe: the server is there."""
        self._record({}, 0)
        self._send_json(200, {})

    do_GET = do_HEAD  # noqa: N815

    def do_POST(self) -> None:
        """Record a request and answer it by its kind."""
        try:
            raw = self._read_body()
            body = json.loads(raw or b"{}")
            if not isinstance(body, dict):
                raise TypeError(f"a JSON object is expected, not {type(body).__name__}")  # noqa: TRY301
        except (ValueError, OSError, TypeError) as unreadable:
            self.close_connection = True
            self._send_json(400, error_object("invalid_request_error", str(unreadable)))
            return
        self._answer(self._record(body, len(raw)))

    do_PUT = do_DELETE = do_PATCH = do_POST  # noqa: N815

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is None and self.headers.get("Transfer-Encoding"):
            raise ValueError("a body needs a Content-Length")
        raw = self.rfile.read(int(length or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _record(self, body: Mapping[str, Any], size: int) -> RecordedRequest:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = RecordedRequest(
            method=self.command,
            path=self.path,
            headers=headers,
            body=body,
            size=size,
            time=datetime.now(UTC),
            kind=kind_of(self.command, self.path, headers, body),
        )
        return self.server.log.add(request)

    def _answer(self, request: RecordedRequest) -> None:
        if request.kind == "unknown":
            self._send_json(404, error_object("not_found_error", f"{request.method} {request.path}"))
        elif request.kind == "count_tokens":
            self._send_json(200, token_count(request.size))
        else:
            self._follow(self._choose(request), request)

    def _choose(self, request: RecordedRequest) -> Reply:
        try:
            rule = self.server.log.rule_for(request)
            return default_reply(request.body) if rule is None else rule.reply_to(request)
        except Exception as broken:  # noqa: BLE001 - a rule is the test's own code: report it where the test looks
            self.server.errors.append(broken)
            return Reply.error(500, message=f"a rule of the stand-in failed: {broken!r}")

    def _follow(self, reply: Reply, request: RecordedRequest) -> None:
        head = MessageHead(
            message_id=f"msg_{uuid.uuid4().hex}", model=request.model or "standin", input_size=request.size
        )
        try:
            if reply.status >= 400:
                self._fail(reply)
            elif request.body.get("stream"):
                self._stream(head, reply)
            else:
                self._whole(head, reply)
        except ConnectionError:
            self.close_connection = True

    def _fail(self, reply: Reply) -> None:
        for step in reply.steps:
            self._wait(step)
        error = error_object(reply.error_type or "api_error", reply.message)
        self._send_json(reply.status, error, reply.headers)

    def _whole(self, head: MessageHead, reply: Reply) -> None:
        for step in reply.steps:
            self._wait(step)
            if isinstance(step, Fail):
                self._send_json(status_of(step.type), error_object(step.type, step.message), reply.headers)
                return
        self._send_json(200, message_of(head, reply), reply.headers)

    def _stream(self, head: MessageHead, reply: Reply) -> None:
        for event in stream_of(head, reply):
            if isinstance(event, dict):
                self._send_event(event, reply)
            else:
                self._wait(event)
        self._write(b"0\r\n\r\n")

    def _send_event(self, event: Event, reply: Reply) -> None:
        if event["type"] == "message_start":
            self._start_stream(reply)
        data = event_bytes(event)
        self._write(b"%x\r\n%s\r\n" % (len(data), data))

    def _start_stream(self, reply: Reply) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "text/event-stream; charset=utf-8", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_json(
        self, status: int, value: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self._write(data)

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)

    def _wait(self, step: Wait | object) -> None:
        """Do what a step says that sends nothing; raise GoneError when there is nobody left to answer."""
        if isinstance(step, Cut):
            raise GoneError
        if isinstance(step, Pause):
            self._hold(threading.Event(), step.seconds)
        elif isinstance(step, Hold):
            self._hold(step.until or threading.Event(), None)

    def _hold(self, until: Any, seconds: float | None) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while not until.wait(0):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            if self._has_left(_PEEK_SECONDS if left is None else min(left, _PEEK_SECONDS)):
                raise GoneError

    def _has_left(self, seconds: float) -> bool:
        """Watch the connection for some seconds; return whether its other end, or the server, is closing."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            readable = selector.select(seconds)
        if self.server.closing.is_set():
            return True
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
