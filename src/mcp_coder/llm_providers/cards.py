"""The card of a session, and what follows from it: pure.

A card is the small file beside a session's lease that says who runs what. It answers which native session to resume
(callers keep the first id), where, and from which point; it is what the next holder of the lease, perhaps after
a crash, knows of the last one. Requests and cards come in, ``Entry`` records go out. Nothing here does I/O.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from mcp_coder.llm_errors import InvalidRequestError, SessionBusyError, SessionError
from mcp_coder.llm_providers.base import Entry, Finish
from mcp_coder.llm_requests import TurnRequest

__all__ = [
    "Card",
    "card_from_json",
    "card_to_json",
    "check_directory",
    "enter_fork",
    "enter_new",
    "enter_session",
    "reenter",
    "settled",
]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """Who runs what in a session.

    Attributes:
        first_id: the session's first id.
        native_id: what the agent calls it now.
        cwd: the session's own directory.
        config_dir: the agent's configuration directory.
        program: the agent's program that ran last; ``version`` its version.
        point: the native id of the last message of the last finished turn: where a fork is safe.
        finished: how many turns are known to have finished.
        failed: how many turns failed since the last finished one; their prompts are in the agent's history.
        fingerprint: of the native session when the last turn finished; another one means somebody else went on in it.
        origin: the native session whose past this one began with: the one it was forked from, at the message
            ``origin_point``; its own, where it was begun by hand; None: it began with nothing.
        agent: the process of the turn under way (pid, start time, boot); empty between turns.
        holder: the process of ours that runs it (pid, host, since); empty between turns.
        turn_id: the turn under way; ``directory`` holds its private files.
        marker: what that agent's processes carry in ``TURN_MARKER``, where it is another than the turn's id: of an
            agent that is kept between turns, whose own private files stand in a directory of that name.
        unknown: fields that a newer version wrote; kept.
    """

    first_id: str
    native_id: str
    cwd: str = ""
    config_dir: str = ""
    program: str = ""
    version: str = ""
    point: str | None = None
    finished: int = 0
    failed: int = 0
    fingerprint: str | None = None
    origin: str | None = None
    origin_point: str | None = None
    agent: Mapping[str, object] = dataclasses.field(default_factory=dict)
    holder: Mapping[str, object] = dataclasses.field(default_factory=dict)
    turn_id: str | None = None
    directory: str | None = None
    marker: str | None = None
    unknown: Mapping[str, object] = dataclasses.field(default_factory=dict)


_FIELDS = {field.name: field for field in dataclasses.fields(Card) if field.name != "unknown"}
_MAPPINGS = ("agent", "holder")
_NAMES = ("first_id", "native_id", "marker")
_ID = re.compile(r"\w[\w-]{0,99}")


def card_to_json(card: Card) -> dict[str, object]:
    """Return the card as plain JSON."""
    known = {name: getattr(card, name) for name in _FIELDS}
    return {**card.unknown, **known, **{name: dict(known[name]) for name in _MAPPINGS}}


def card_from_json(value: object) -> Card | None:
    """Return the card that was written; None for what is no card of ours, which is then as good as none."""
    if not isinstance(value, dict):
        return None
    known = {name: item for name, item in value.items() if name in _FIELDS}
    if not all(_fits(name, item) for name, item in known.items()) or not {"first_id", "native_id"} <= set(
        known
    ):
        return None
    return Card(**known, unknown={name: item for name, item in value.items() if name not in _FIELDS})


def _fits(name: str, item: object) -> bool:
    if name in _MAPPINGS:
        return isinstance(item, dict)
    if name in ("finished", "failed"):
        return isinstance(item, int)
    if name in _NAMES and item is not None:  # they become arguments and file names
        return isinstance(item, str) and _ID.fullmatch(item) is not None
    return isinstance(item, str) or (item is None and _FIELDS[name].default is None)


def settled(card: Card, finish: Finish) -> Card:
    """Return the card after its turn came to an end, well or not; nobody is in a turn of it any more.

    A turn that the agent never took up leaves no trace in its history and counts as nothing.
    """
    idle = dataclasses.replace(card, agent={}, holder={}, turn_id=None, directory=None, marker=None)
    native_id = finish.native_id or card.native_id
    if finish.answered:
        return dataclasses.replace(
            idle, native_id=native_id, point=finish.point or card.point, finished=card.finished + 1, failed=0
        )
    if finish.begun:
        return dataclasses.replace(idle, native_id=native_id, failed=card.failed + 1)
    return idle


def enter_new(request: TurnRequest, *, new_id: str, caller_cwd: str) -> Entry:
    """Return how a new session is begun."""
    return Entry(first_id=new_id, begin=new_id, cwd=request.cwd or caller_cwd)


def enter_session(
    request: TurnRequest,
    card: Card | None,
    *,
    first_id: str,
    known: bool,
    moved: bool = False,
    new_id: str,
    caller_cwd: str,
) -> Entry:
    """Return how to go on with a session whose lease is held and in which nobody is at work.

    Args:
        request: what is asked.
        card: the session's card, if there is one.
        first_id: the session.
        known: whether the agent has a native session of that id, as far as can be seen from outside.
        moved: somebody else (the agent's own program, by hand) went on in it since our last turn: what failed
            before cannot be dropped without dropping theirs.
        new_id: a fresh id, used where the old native session is of no use any more.
        caller_cwd: the caller's own directory.

    Raises:
        SessionError: it is a fork of which nothing was kept, and where it was forked is not known.
    """
    if card is None:
        cwd = request.cwd or caller_cwd
        if request.session is not None and not known:
            return Entry(first_id=first_id, begin=first_id, cwd=cwd)
        return Entry(first_id=first_id, resume=first_id, cwd=cwd)
    where, notices = _cwd(request, card, caller_cwd)
    entry = Entry(first_id=first_id, resume=card.native_id, cwd=where, notices=notices)
    if card.failed and request.after_failure == "drop" and not moved and _has_safe_point(card):
        if card.point is None:
            return _begun_again(entry, card, new_id)
        return dataclasses.replace(entry, resume_at=card.point)
    if card.finished == 0 and not known and card.origin != card.native_id:
        return _begun_again(entry, card, card.native_id)  # it died before the agent had written anything
    if card.failed:
        return dataclasses.replace(entry, notices=(*notices, _carried(card, moved)))
    return entry


def _has_safe_point(card: Card) -> bool:
    """Return whether it is known where the session was before what failed."""
    return card.point is not None or card.origin is None or card.origin_point is not None


def _begun_again(entry: Entry, card: Card, begin: str) -> Entry:
    """Return how a session without a finished turn is begun once more: empty, or as the fork that it is."""
    if not _has_safe_point(card):
        raise SessionError(
            f"nothing of this fork was kept, and where it was forked is not known: fork {card.origin} again",
            session_id=card.first_id,
        )
    forked = card.origin is not None
    return dataclasses.replace(
        entry, begin=begin, resume=card.origin, fork=forked, resume_at=card.origin_point
    )


def _carried(card: Card, moved: bool) -> str:
    prompts = "the prompt of a turn" if card.failed == 1 else f"the prompts of {card.failed} turns"
    advice = _MOVED_ON if moved else _DROP if _has_safe_point(card) else _NO_POINT
    return f"{prompts} that did not finish may still be in the session's history; {advice}"


_DROP = 'after_failure="drop" goes on without'
_MOVED_ON = "somebody else went on in the session since, so nothing was dropped"
_NO_POINT = "no finished turn before is known, so nothing can be dropped"


def _cwd(request: TurnRequest, card: Card, caller_cwd: str) -> tuple[str, tuple[str, ...]]:
    own = card.cwd or caller_cwd
    if request.cwd is None or request.cwd == own:
        return own, ()
    return request.cwd, (f"the session's own directory is {own}; this turn runs in {request.cwd}",)


def reenter(entry: Entry, refused: str | None, card: Card | None, request: TurnRequest) -> Entry | None:
    """Return the other way into a session whose first one the agent refused; None: there is none.

    A session that died early may be unknown to the agent although we have a card, and one that is asked for by name
    may exist although we have none. Nothing was sent to a model by a refused entry.

    Args:
        entry: how it was entered.
        refused: what the agent said, as ``Provider.refused_entry`` gives it.
        card: the card from before this turn.
        request: what is asked.
    """
    if refused == "taken" and entry.begin is not None and (card is not None or not entry.fork):
        return dataclasses.replace(entry, begin=None, resume=entry.begin, fork=False, resume_at=None)
    if refused != "unknown" or entry.fork or entry.resume is None:
        return None
    if card is None and request.session is not None:
        return dataclasses.replace(entry, begin=entry.resume, resume=None, resume_at=None)
    if card is not None and card.finished == 0 and _has_safe_point(card):
        return _begun_again(entry, card, entry.resume)
    return None


def enter_fork(
    request: TurnRequest,
    card: Card | None,
    *,
    source_id: str,
    new_id: str,
    idle: bool,
    fingerprint: str | None,
    caller_cwd: str,
) -> Entry:
    """Return how a new session with the past of another is begun.

    It starts at the last finished turn: never with a prompt that is in flight or one that failed. Where somebody
    else (the agent's own program, by hand) went on in the session, it starts at the session's end instead, but only
    while its lease is held.

    Args:
        request: what is asked.
        card: the card of the session to fork from, if there is one.
        source_id: that session.
        new_id: the new session.
        idle: its lease is held and nobody is in a turn of it.
        fingerprint: of its native session now.
        caller_cwd: the caller's own directory.

    Raises:
        SessionBusyError: it is in a turn and no finished turn of it is known.
        SessionError: no finished turn of it is known.
    """
    where, notices = _cwd(request, card, caller_cwd) if card else (request.cwd or caller_cwd, ())
    native = card.native_id if card else source_id
    entry = Entry(first_id=new_id, begin=new_id, resume=native, fork=True, cwd=where, notices=notices)
    if idle and (card is None or _moved_on(card, fingerprint)):
        return entry
    if card is not None and card.point is not None:
        return dataclasses.replace(entry, resume_at=card.point)
    if card is not None and card.origin_point is not None:  # itself a fork, and in its first turn
        return dataclasses.replace(entry, resume=card.origin, resume_at=card.origin_point)
    if not idle:
        raise SessionBusyError(_POINT_UNKNOWN, session_id=source_id, holder=card.holder if card else {})
    raise SessionError(
        "no turn of this session that finished is known (its failed ones do not count): nothing to fork",
        session_id=source_id,
    )


def _moved_on(card: Card, fingerprint: str | None) -> bool:
    """Return whether somebody else's turns are the last ones, none of ours failed before them."""
    begun_by_hand = card.point is None and card.origin == card.native_id
    return not card.failed and (begun_by_hand or (card.point is not None and fingerprint != card.fingerprint))


_POINT_UNKNOWN = "the session is in a turn and no finished turn of it is known to fork from; wait for it"


def check_directory(entry: Entry, *, exists: bool, explicit: bool) -> None:
    """Refuse a directory that is not there, before anything is started.

    Raises:
        InvalidRequestError: it says whether the caller named it or the session remembers it.
    """
    if exists:
        return
    if not entry.cwd:
        raise InvalidRequestError(
            "the current directory no longer exists; pass cwd", session_id=entry.first_id
        )
    if explicit:
        raise InvalidRequestError(f"cwd {entry.cwd!r} is no directory", session_id=entry.first_id)
    raise InvalidRequestError(
        f"the session's own directory {entry.cwd!r} is gone; pass cwd to run it elsewhere",
        session_id=entry.first_id,
    )
