"""What a store promises of sessions: how they begin, are changed, are listed and go, and how their turns are read."""

from __future__ import annotations

import dataclasses
import itertools
from decimal import Decimal

from mcp_coder.llm_errors import InvalidRequestError, SessionNotFoundError
from mcp_coder.llm_store.base import SessionFilter, Store
from mcp_coder.testing.promise import Opener, Promise, opened, raises, recorded, same
from mcp_coder.testing.store_samples import at, new_turn, session_record, turn_ending, usage_of_dollars

__all__ = ["SESSION_PROMISES"]


def a_session_is_recorded_with_its_first_turn(opener: Opener) -> None:
    """All that its row shows comes from its turns."""
    turn = new_turn(
        1,
        prompt="  First line\n\tsecond " + "word " * 100,
        session_name="the name",
        native_id="native-1",
        cwd="/home/dev/project/src",
        project="/home/dev/project",
        config_dir="/config",
    )
    usage = usage_of_dollars("0.5", cache_read_tokens=3, cache_write_tokens=4, unrecorded_usd=Decimal("0.25"))
    with opened(opener) as store:
        recorded(store, turn, turn_ending(1, usage=usage, native_id="native-2"))
        recorded(store, new_turn(2, session_name="another", cwd="/elsewhere"), turn_ending(2, usage=usage))
        found = store.session("session-a")
        wanted = session_record(
            minute=1,
            updated_at=at(2.5),
            native_id="native-2",
            name="the name",
            title=found.title,
            cwd=turn.cwd,
            project=turn.project,
            config_dir=turn.config_dir,
            turns=2,
            cost_usd=Decimal(1),
            unrecorded_usd=Decimal("0.5"),
            input_tokens=20,
            output_tokens=2,
            cache_read_tokens=6,
            cache_write_tokens=8,
        )
        same(found, wanted)
        same(found.title.startswith("First line second word"), True, "the title's beginning")
        same(len(found.title) <= 200 and found.title.isprintable(), True, "the title in one short line")


def a_session_gets_the_first_name_that_it_is_given(opener: Opener) -> None:
    """By a turn, if it has none."""
    with opened(opener) as store:
        recorded(store, new_turn(1))
        same(store.session("session-a").name, None)
        recorded(store, new_turn(2, session_name="late"))
        recorded(store, new_turn(3, session_name="later"))
        same(store.session("session-a").name, "late")


def a_fork_knows_what_it_shares(opener: Opener) -> None:
    """By the point, or its parent's end; a fork of a fork too, which may share nothing of its parent's own."""
    with opened(opener) as store:
        for number in (1, 2):
            recorded(store, new_turn(number), turn_ending(number, point=f"message-{number}"))
        by_point = store.begin_turn(new_turn(3, "session-b", parent_id="session-a", parent_point="message-1"))
        by_end = store.begin_turn(new_turn(4, "session-c", parent_id="session-a"))
        of_fork = store.begin_turn(new_turn(5, "session-d", parent_id="session-b", parent_point="message-1"))
        unknown = store.begin_turn(new_turn(6, "session-e", parent_id="session-z", parent_point="message-1"))
        parents = [turn.parent_turn_id for turn in (by_point, by_end, of_fork, unknown)]
        same(parents, ["turn-000001", "turn-000002", "turn-000001", None])
        same(
            _parents(store, "bcde"),
            [("session-a", 1), ("session-a", 2), ("session-b", 0), ("session-z", None)],
        )
        same((by_point.number, store.session("session-a").turns), (1, 2))


def a_fork_may_be_added_before_its_first_turn(opener: Opener) -> None:
    """That turn goes on from where it was said to be forked."""
    with opened(opener) as store:
        for number in (1, 2):
            recorded(store, new_turn(number))
        store.add_session(session_record("session-b", parent_id="session-a", parent_turn=1))
        same(store.begin_turn(new_turn(3, "session-b")).parent_turn_id, "turn-000001")
        same(_parents(store, "b"), [("session-a", 1)])


def _parents(store: Store, letters: str) -> list[tuple[str | None, int | None]]:
    found = [store.session(f"session-{letter}") for letter in letters]
    return [(session.parent_id, session.parent_turn) for session in found]


def an_added_session_is_kept_as_it_is_once(opener: Opener) -> None:
    """With all that a session without turns can have."""
    session = session_record(
        native_id="native",
        name="name",
        title="title",
        tags=("a", "b"),
        cwd="/project",
        project="/project",
        config_dir="/config",
        parent_id="session-z",
        parent_turn=4,
        updated_at=at(3),
    )
    with opened(opener) as store:
        same(store.add_session(session), True, "the first time")
        same(store.add_session(dataclasses.replace(session, name="another")), False, "the second time")
        same(store.session("session-a"), session)
        same(list(store.sessions()), [session])


def names_and_tags_can_be_changed(opener: Opener) -> None:
    """Of what is there; it does not bring a session to the front."""
    with opened(opener) as store:
        for number, name in enumerate("ab"):
            recorded(store, new_turn(number, f"session-{name}"))
        store.rename_session("session-a", "first")
        store.tag_session("session-a", add=["x", "y", "x"], remove=["z"])
        store.tag_session("session-a", add=["a"], remove=["y"])
        found = store.session("session-a")
        same((found.name, found.tags), ("first", ("a", "x")))
        store.rename_session("session-a", None)
        same(store.session("session-a").name, None)
        same([session.session_id for session in store.sessions()], ["session-b", "session-a"])
        with raises(SessionNotFoundError, "renaming what is not there"):
            store.rename_session("session-z", "name")
        with raises(SessionNotFoundError, "tagging what is not there"):
            store.tag_session("session-z", add=["tag"])
        for tag in ("", " ", "two\nlines"):
            with raises(InvalidRequestError, f"the tag {tag!r}"):
                store.tag_session("session-a", add=[tag])


def a_deleted_session_is_gone_with_its_turns(opener: Opener) -> None:
    """From lists, searches and sums; its forks stay."""
    with opened(opener) as store:
        recorded(store, new_turn(1), turn_ending(1, usage=usage_of_dollars("1", "model")))
        store.tag_session("session-a", add=["tag"])
        recorded(store, new_turn(2, "session-b", parent_id="session-a", prompt="of the fork"))
        same((store.delete_session("session-a"), store.delete_session("session-a")), (True, False))
        same([session.session_id for session in store.sessions()], ["session-b"])
        same((list(store.turns("session-a")), list(store.search("prompt"))), ([], []))
        same([len(list(store.sessions(SessionFilter(tag=tag)))) for tag in ("tag", "other")], [0, 0])
        same(store.usage("model").total.cost_usd, Decimal(0))
        same(store.begin_turn(new_turn(3, "session-a")).number, 1)
        same(store.check().problems, ())


def sessions_are_listed_the_last_changed_first(opener: Opener) -> None:
    """All, or so many; however many there are."""
    with opened(opener) as store:
        for number in range(300):
            store.add_session(session_record(f"session-{number:03d}", minute=number))
        recorded(store, new_turn(1000, "session-007"))
        wanted = ["session-007", *(f"session-{number:03d}" for number in range(299, -1, -1) if number != 7)]
        for limit in (None, 0, 1, 50, 270, 299, 10_000):
            same(
                [session.session_id for session in store.sessions(limit=limit)],
                wanted[:limit],
                f"limit {limit}",
            )
        left = store.sessions()
        same([session.session_id for session in itertools.islice(left, 250)], wanted[:250])
        same(store.delete_session(wanted[-1]), True, "writing while a list is being read")
        rest = [session.session_id for session in left if session.session_id != wanted[-1]]
        same(rest, wanted[250:-1])


def sessions_are_found_by_what_they_are(opener: Opener) -> None:
    """By each field of a filter, and by several."""
    with opened(opener) as store:
        recorded(store, new_turn(1, "session-a", project="/home/dev/one", session_name="name"))
        recorded(store, new_turn(2, "session-b", project="/srv/one", provider="other"))
        recorded(store, new_turn(3, "session-c", project="two", parent_id="session-a"))
        store.tag_session("session-a", add=["tag"])
        for which, wanted in _FILTERS:
            found = [session.session_id[-1] for session in store.sessions(which)]
            same("".join(found), wanted, str(which))


_FILTERS = (
    (SessionFilter(), "cba"),
    (SessionFilter(project="/home/dev/one"), "a"),
    (SessionFilter(project="/home/dev/one/"), "a"),
    (SessionFilter(project="one"), "ba"),
    (SessionFilter(project="two"), "c"),
    (SessionFilter(project="dev"), ""),
    (SessionFilter(provider="claude"), "ca"),
    (SessionFilter(tag="tag"), "a"),
    (SessionFilter(name="name"), "a"),
    (SessionFilter(since=at(2.5)), "cb"),
    (SessionFilter(until=at(2.5)), "a"),
    (SessionFilter(parent_id="session-a"), "c"),
    (SessionFilter(project="one", provider="claude", tag="tag", since=at(1), until=at(2)), "a"),
    (SessionFilter(project="one", tag="other"), ""),
)


def sessions_are_found_by_the_beginning_of_their_id_or_by_name(opener: Opener) -> None:
    """And nothing in it is taken for a pattern."""
    with opened(opener) as store:
        for minute, (session_id, name) in enumerate(
            (("abc1", None), ("abd2", "abc1"), ("xyz3", "ab"), ("a%c4", None))
        ):
            store.add_session(session_record(session_id, minute=minute, name=name))
        for beginning, wanted in _LIKE.items():
            found = [session.session_id for session in store.sessions_like(beginning)]
            same(found, wanted, beginning)
        same([session.session_id for session in store.sessions_like("a", limit=1)], ["a%c4"])


_LIKE = {
    "abc": ["abc1"],
    "abc1": ["abd2", "abc1"],
    "ab": ["xyz3", "abd2", "abc1"],
    "a%": ["a%c4"],
    "%": [],
    "_bc": [],
    "abcd": [],
}


def turns_are_read_in_their_order(opener: Opener) -> None:
    """All, the newest so many, the newest first; however many there are."""
    with opened(opener) as store:
        for number in range(1, 301):
            store.begin_turn(new_turn(number, "session-a" if number % 30 else "session-b"))
        all_of_them = list(range(1, 291))
        for newest in (None, 0, 1, 20, 289, 290, 1000):
            wanted = all_of_them[-newest:] if newest else ([] if newest == 0 else all_of_them)
            same(
                [turn.number for turn in store.turns("session-a", newest=newest)], wanted, f"newest {newest}"
            )
            backwards = store.turns("session-a", newest=newest, newest_first=True)
            same([turn.number for turn in backwards], wanted[::-1], f"newest {newest}, newest first")
        left = store.turns("session-a")
        same([turn.number for turn in itertools.islice(left, 3)], [1, 2, 3])
        store.begin_turn(new_turn(301))
        same([turn.number for turn in left], list(range(4, 292)))


def turns_under_way_are_told_the_oldest_first(opener: Opener) -> None:
    """Of one session or of all, also while they are being ended one after the other."""
    with opened(opener) as store:
        for number in range(300):
            store.begin_turn(new_turn(number, f"session-{number % 3}", started_at=at(-number)))
        recorded(store, new_turn(300, "session-0"))
        same(
            [turn.turn_id for turn in store.unfinished_turns()], [f"turn-{n:06d}" for n in range(299, -1, -1)]
        )
        same(len(list(store.unfinished_turns("session-1"))), 100)
        for turn in store.unfinished_turns("session-1"):
            store.end_turn(turn.turn_id, turn_ending())
        same(list(store.unfinished_turns("session-1")), [])
        same(store.check().unfinished, 200)


SESSION_PROMISES: tuple[Promise, ...] = (
    a_session_is_recorded_with_its_first_turn,
    a_session_gets_the_first_name_that_it_is_given,
    a_fork_knows_what_it_shares,
    a_fork_may_be_added_before_its_first_turn,
    an_added_session_is_kept_as_it_is_once,
    names_and_tags_can_be_changed,
    a_deleted_session_is_gone_with_its_turns,
    sessions_are_listed_the_last_changed_first,
    sessions_are_found_by_what_they_are,
    sessions_are_found_by_the_beginning_of_their_id_or_by_name,
    turns_are_read_in_their_order,
    turns_under_way_are_told_the_oldest_first,
)
