"""What a store promises of turns that begin, end, are taken back, are read again, and are imported."""

from __future__ import annotations

import dataclasses
import threading
from decimal import Decimal

from mcp_coder.llm_errors import InvalidRequestError, SessionNotFoundError, StoreError
from mcp_coder.llm_events import Usage
from mcp_coder.llm_store.base import ENDED_STATES, Store
from mcp_coder.testing.promise import Opener, Promise, opened, raises, recorded, same
from mcp_coder.testing.store_samples import at, new_turn, session_record, turn_ending, usage_of_dollars

__all__ = ["JOURNAL_PROMISES"]


def a_begun_turn_is_read_back_as_it_was_returned(opener: Opener) -> None:
    """The first and the second of a session, with as much as there can be."""
    with opened(opener) as store:
        first = store.begin_turn(new_turn(1))
        turn = new_turn(
            2,
            native_id="native",
            cwd="/project",
            project="/project",
            config_dir="/config",
            model="some-model",
            agent_version="2.1",
            mcp_coder_version="0.1",
            host="here",
            directory="/files",
            options={"max_turns": 3, "deep": {"list": [1]}},
            carried=("turn-000001",),
            baseline={"counter": {"total": 0.5}, "contiguous": True},
            redactions=2,
        )
        second = store.begin_turn(turn)
        kept = {field.name for field in dataclasses.fields(turn)} & {
            field.name for field in dataclasses.fields(second)
        }
        same({name: getattr(second, name) for name in kept}, {name: getattr(turn, name) for name in kept})
        same([store.turn(first.turn_id), store.turn(second.turn_id)], [first, second])
        same((second.number, second.state, second.parent_turn_id), (2, "started", first.turn_id))


def what_was_returned_is_there_when_it_is_opened_again(opener: Opener) -> None:
    """By another connection, while the first is open, and after it was closed."""
    with opened(opener) as store:
        turn = recorded(store)
        with opened(opener) as another:
            same(another.turn(turn.turn_id), turn)


def numbers_go_from_one_in_each_session(opener: Opener) -> None:
    """Turns of two sessions, one after the other in turn."""
    with opened(opener) as store:
        for number in range(1, 7):
            store.begin_turn(new_turn(number, f"session-{number % 2}"))
        same([turn.number for turn in store.turns("session-0")], [1, 2, 3])
        same([turn.number for turn in store.turns("session-1")], [1, 2, 3])


def turns_begun_at_once_are_numbered_without_gaps(opener: Opener) -> None:
    """Eight threads, ten turns each, one session."""
    with opened(opener) as store:
        threads = [threading.Thread(target=_ten_turns, args=(store, first)) for first in range(100, 900, 100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same([turn.number for turn in store.turns("session-a")], list(range(1, 81)))
        same(store.session("session-a").turns, 80)


def _ten_turns(store: Store, first: int) -> None:
    for number in range(first, first + 10):
        recorded(store, new_turn(number))


def a_turn_id_is_given_once(opener: Opener) -> None:
    """The second time nothing is written, not even a session."""
    with opened(opener) as store:
        first = store.begin_turn(new_turn(1))
        with raises(StoreError, "a second turn of one id"):
            store.begin_turn(new_turn(1, "session-b", prompt="another"))
        same(store.turn(first.turn_id), first)
        same([session.session_id for session in store.sessions()], ["session-a"])


def an_ending_is_read_back_whole(opener: Opener) -> None:
    """All that an ending can hold, beside what the journal held."""
    usage = usage_of_dollars(
        "0.05",
        "large",
        "small",
        cache_read_tokens=7,
        cache_write_tokens=8,
        thinking_tokens=9,
        total_cost_usd=Decimal("1.25"),
        basis="cumulative",
        baseline_usd=Decimal("1.2"),
        unrecorded_usd=Decimal("0.01"),
    )
    ending = turn_ending(
        state="failed",
        error={"class": "ServerError", "status": 529, "retryable": True},
        usage=usage,
        reading=3,
        model="large",
        native_id="native-2",
        point="message-9",
        counter={"total": 1.25},
        notices=("one", "two"),
        redactions=2,
    )
    with opened(opener) as store:
        begun = store.begin_turn(new_turn(native_id="native-1", model="asked for", redactions=1))
        same(store.end_turn(begun.turn_id, ending), True, "the first ending")
        fields = {field.name for field in dataclasses.fields(ending)} - {"response", "events", "redactions"}
        wanted = dataclasses.replace(begun, redactions=3, **{name: getattr(ending, name) for name in fields})
        same(store.turn(begun.turn_id), wanted)


def an_ending_leaves_what_it_does_not_say(opener: Opener) -> None:
    """The model that was asked for and the native id that was expected."""
    with opened(opener) as store:
        turn = recorded(store, new_turn(model="asked for", native_id="native"))
        same((turn.model, turn.native_id), ("asked for", "native"))


def the_first_ending_stays(opener: Opener) -> None:
    """Whichever state it is."""
    with opened(opener) as store:
        for number, state in enumerate(ENDED_STATES, 1):
            turn = recorded(store, new_turn(number), turn_ending(number, state=state))
            again = turn_ending(number, text="another", usage=usage_of_dollars("1"))
            same(store.end_turn(turn.turn_id, again), False, "a second ending")
            same(store.turn(turn.turn_id), turn)
        same(store.session("session-a").cost_usd, Decimal(0))


def of_endings_at_once_one_wins(opener: Opener) -> None:
    """Eight threads, as of a late caller and of recoveries."""
    with opened(opener) as store:
        store.begin_turn(new_turn())
        won: list[bool] = []

        def end() -> None:
            won.append(store.end_turn("turn-000001", turn_ending(usage=usage_of_dollars("1"))))

        threads = [threading.Thread(target=end) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same(sorted(won), [False] * 7 + [True])
        same(store.session("session-a").cost_usd, Decimal(1))


def what_is_not_there_cannot_end(opener: Opener) -> None:
    """An unknown turn; and a turn does not end as started, nor as anything unheard of."""
    with opened(opener) as store:
        with raises(StoreError, "the end of an unknown turn"):
            store.end_turn("turn-000009", turn_ending())
        store.begin_turn(new_turn())
        for state in ("started", "nonsense"):
            with raises(InvalidRequestError, f"an ending as {state}"):
                store.end_turn("turn-000001", turn_ending(state=state))
        same(store.turn("turn-000001").state, "started")


def a_discarded_turn_leaves_no_trace(opener: Opener) -> None:
    """Neither of itself nor of the session that began with it; its number is given out again."""
    with opened(opener) as store:
        store.begin_turn(new_turn(1))
        store.discard_turn("turn-000001")
        store.discard_turn("turn-000001")
        same(list(store.sessions()), [])
        recorded(store, new_turn(2))
        before = store.session("session-a")
        store.begin_turn(new_turn(3))
        store.discard_turn("turn-000003")
        same(store.session("session-a"), before)
        same(store.begin_turn(new_turn(4)).number, 2)
        same(list(store.search("3")), [])


def a_session_that_was_made_on_purpose_outlives_its_discarded_turn(opener: Opener) -> None:
    """Added before, or named or tagged since."""
    with opened(opener) as store:
        store.add_session(session_record("session-added"))
        for number, name in enumerate(("added", "named", "tagged"), 1):
            store.begin_turn(new_turn(number, f"session-{name}"))
        store.rename_session("session-named", "a name")
        store.tag_session("session-tagged", add=["a tag"])
        for number in (1, 2, 3):
            store.discard_turn(f"turn-{number:06d}")
        same({session.session_id: session.turns for session in store.sessions()}, dict.fromkeys(_KEPT, 0))


_KEPT = ("session-added", "session-named", "session-tagged")


def an_ended_turn_is_not_discarded(opener: Opener) -> None:
    """It was paid for."""
    with opened(opener) as store:
        turn = recorded(store)
        with raises(StoreError, "taking back an ended turn"):
            store.discard_turn(turn.turn_id)
        same(store.turn(turn.turn_id), turn)


def a_turn_read_again_changes_what_was_worked_out(opener: Opener) -> None:
    """And nothing else; the session's sums follow, from unknown to known and back."""
    with opened(opener) as store:
        before = recorded(store, ending=turn_ending(usage=usage_of_dollars(None, "one"), reading=1))
        known = usage_of_dollars("0.25", "one", "two", unrecorded_usd=Decimal("0.5"))
        store.reread_turn(before.turn_id, known, reading=2, model="one")
        after = store.turn(before.turn_id)
        same(after, dataclasses.replace(before, usage=known, reading=2, model="one"))
        session = store.session("session-a")
        same((session.cost_usd, session.unaccounted_turns), (Decimal("0.25"), 0))
        same(session.unrecorded_usd, Decimal("0.5"))
        store.reread_turn(before.turn_id, Usage(), reading=3, model=None)
        session = store.session("session-a")
        same((session.cost_usd, session.unaccounted_turns, session.input_tokens), (Decimal(0), 1, 0))


def only_an_ended_turn_is_read_again(opener: Opener) -> None:
    """Not one that is under way, not one that is not there."""
    with opened(opener) as store:
        store.begin_turn(new_turn())
        for turn_id in ("turn-000001", "turn-000009"):
            with raises(StoreError, "reading again what has not ended"):
                store.reread_turn(turn_id, usage_of_dollars("1"), reading=1, model=None)


def an_import_is_a_turn_like_others_and_is_made_once(opener: Opener) -> None:
    """The second time nothing is written."""
    turn, ending = new_turn(5), turn_ending(5, usage=usage_of_dollars("0.5"))
    with opened(opener) as store:
        same(store.import_turn(turn, ending), True, "the first import")
        same(store.import_turn(turn, turn_ending(5, text="another")), False, "the second import")
        same(store.turn(turn.turn_id), _recorded_alike(store))
        same(store.session("session-a").created_at, at(5))


def _recorded_alike(store: Store) -> object:
    """Return the imported turn as it would be had it happened here, in another session."""
    turn = recorded(
        store, new_turn(6, "session-b", prompt="prompt 5"), turn_ending(5, usage=usage_of_dollars("0.5"))
    )
    return dataclasses.replace(turn, turn_id="turn-000005", session_id="session-a", started_at=at(5))


def what_is_not_there_is_said(opener: Opener) -> None:
    """By the error that callers expect."""
    with opened(opener) as store:
        for read in (store.turn, store.response, store.events):
            with raises(StoreError, "reading an unknown turn"):
                read("turn-000009")
        with raises(SessionNotFoundError, "reading an unknown session"):
            store.session("session-z")
        same(list(store.turns("session-z")), [])


JOURNAL_PROMISES: tuple[Promise, ...] = (
    a_begun_turn_is_read_back_as_it_was_returned,
    what_was_returned_is_there_when_it_is_opened_again,
    numbers_go_from_one_in_each_session,
    turns_begun_at_once_are_numbered_without_gaps,
    a_turn_id_is_given_once,
    an_ending_is_read_back_whole,
    an_ending_leaves_what_it_does_not_say,
    the_first_ending_stays,
    of_endings_at_once_one_wins,
    what_is_not_there_cannot_end,
    a_discarded_turn_leaves_no_trace,
    a_session_that_was_made_on_purpose_outlives_its_discarded_turn,
    an_ended_turn_is_not_discarded,
    a_turn_read_again_changes_what_was_worked_out,
    only_an_ended_turn_is_read_again,
    an_import_is_a_turn_like_others_and_is_made_once,
    what_is_not_there_is_said,
)
