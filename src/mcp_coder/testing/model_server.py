"""A server on loopback that plays the model: it speaks the Messages API, records what it is sent, and follows rules.

In come HTTP requests, out go the answers that rules or the default say (:mod:`.model_replies`,
:mod:`.default_answer`). It listens on 127.0.0.1 only, never opens a connection itself, and when it is closed
no thread and no socket of it is left, hung answers included.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from .http_shell import HttpShell
from .model_replies import ReplySource, Rule
from .request_log import RequestLog, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, Self

    from .recorded_request import RecordedRequest

_POLL_SECONDS = 0.02
_JOIN_SECONDS = 5.0


class ModelServer:
    """The stand-in model, serving from the moment it is made until :meth:`close`; a context manager.

    ``rules`` are tried in order, see :class:`.Rule`; what no rule answers is answered from the conversation itself, see
    :mod:`.default_answer`. ``port`` 0 takes a free one.

    Example::

        with ModelServer() as server:
            server.add_rule(Reply.error(529), prompt="fail please", times=1)
            ...  # run an agent with ANTHROPIC_BASE_URL=server.url
            assert server.prompts() == ["My favorite color is blue", "What is my favorite color?"]
    """

    def __init__(self, *, rules: Iterable[Rule] = (), port: int = 0) -> None:
        self._log = RequestLog(rules)
        self._shell = HttpShell(self._log, port)
        self._thread = threading.Thread(
            target=self._shell.serve_forever,
            kwargs={"poll_interval": _POLL_SECONDS},
            name="model-server",
            daemon=True,
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; open connections are closed, threads have ended on return. Harmless when repeated."""
        if not self._thread.is_alive():
            return
        self._shell.shutdown()
        self._thread.join(_JOIN_SECONDS)
        self._shell.close_all(_JOIN_SECONDS)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._shell.server_address[1])

    @property
    def url(self) -> str:
        """What to give an agent as ``ANTHROPIC_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Every request so far, in the order of arrival; recorded before it is answered."""
        return self._log.snapshot()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they are tried."""
        return self._log.rules

    @property
    def errors(self) -> tuple[BaseException, ...]:
        """What went wrong in answering, such as a rule that raised; the client got a status 500 for it."""
        return tuple(self._shell.errors)

    def add_rule(self, reply: ReplySource, **conditions: Any) -> Rule:
        """Add a rule behind those that are there and return it; ``conditions`` are the fields of :class:`.Rule`.

        >>> with ModelServer() as server:
        ...     rule = server.add_rule(Reply.text("4"), prompt="2 + 2", times=1)
        """
        rule = Rule(reply=reply, **conditions)
        self._log.add_rule(rule)
        return rule

    def clear_rules(self) -> None:
        """Take all rules away: from now on the default answers."""
        self._log.clear_rules()

    def turns(self, session_id: str | None = None) -> tuple[RecordedRequest, ...]:
        """Return the requests of the main agent for its next message, of one session where it is given.

        A turn that runs tools makes one for each step, a retry is one more. Titles, summaries, sub-agents and
        token counts are not among them.
        """
        return self._log.snapshot("turn", session_id)

    def prompts(self, session_id: str | None = None) -> list[str]:
        """Return what was asked, in order: the prompt of each of :meth:`turns` that ends with one.

        A prompt that was sent again, by a retry, is here again.
        """
        return [one.prompt for one in self.turns(session_id) if one.prompt is not None]

    def history(self, session_id: str | None = None) -> list[str]:
        """Return all the prompts that the model saw in the last of :meth:`turns`; empty before the first."""
        turns = self.turns(session_id)
        return turns[-1].prompts if turns else []

    def wait_for(self, wanted: Wanted, timeout: float = 10.0) -> RecordedRequest:
        """Wait until a request has arrived and return it; one that is there already counts.

        ``wanted``: a number n waits for the nth of :meth:`turns`; a text for a request whose prompt contains it; a
        function for the first request for which it is true. Raises TimeoutError, which says what came instead, after
        ``timeout`` seconds.
        """
        return self._log.wait_for(wanted, timeout)
