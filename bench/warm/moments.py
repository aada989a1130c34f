"""How long a warm turn takes on its way: until the model is asked, and until its first word is with the caller.

Both are read off the stand-in model's answer, which says when the request arrived, or when its first byte is due; that
is a time of day, the same for all processes of a machine. Each side keeps one session for the whole figure, which had
a turn before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from bench.figure import Sides
from bench.model import FIRST_PROMPT, REST, SEEN_PROMPT, moment_in
from bench.turns import PATIENCE
from bench.workplace import Workplace
from mcp_coder import Session, open_session
from mcp_coder.llm_events import TextDelta

from .sdk_client import SdkSession, answer_of, pieces_of

# --- until the model is asked


def seconds_until_seen(method: str) -> Callable[[Workplace], Sides]:
    """Measure from ``prompt`` to the arrival of the request, beside the client's ``query``."""

    def sides(place: Workplace) -> Sides:
        session, client = _session(place, method), _client(place)
        return lambda: _until_seen(session), lambda: client.run(_until_client_seen(client))

    return sides


def _until_seen(session: Session) -> float:
    began = time.time()
    return moment_in(session.prompt(SEEN_PROMPT)["text"]) - began


async def _until_client_seen(client: SdkSession) -> float:
    began = time.time()
    return moment_in((await answer_of(client.client, SEEN_PROMPT)).text) - began


# --- until the first word is there


def seconds_until_first_text(method: str) -> Callable[[Workplace], Sides]:
    """Measure from the answer's first byte to the first piece of text at whoever iterates over the turn."""

    def sides(place: Workplace) -> Sides:
        session, client = _session(place, method), _client(place, partial=True)
        return lambda: _until_first_text(session), lambda: client.run(_until_client_text(client))

    return sides


def _until_first_text(session: Session) -> float:
    events = session.stream(FIRST_PROMPT)
    return _behind_first_byte([(time.time(), each.text) for each in events if isinstance(each, TextDelta)])


async def _until_client_text(client: SdkSession) -> float:
    pieces = pieces_of(client.client, FIRST_PROMPT)
    return _behind_first_byte([(time.time(), text) async for text in pieces])


def _behind_first_byte(pieces: Iterable[tuple[float, str]]) -> float:
    times, texts = zip(*pieces, strict=True)
    if not "".join(texts).endswith(REST) or len(texts) < 2:
        raise ValueError(f"a text came as {texts}")
    return float(times[0]) - moment_in(texts[0])


# --- both


def _session(place: Workplace, method: str) -> Session:
    session = place.closing.enter_context(open_session(method=method, timeout=PATIENCE))
    session.prompt("Say hello")
    return session


def _client(place: Workplace, *, partial: bool = False) -> SdkSession:
    client = SdkSession(place.program, partial=partial)
    place.closing.callback(client.close)
    client.run(answer_of(client.client, "Say hello"))
    return client
