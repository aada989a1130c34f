"""The newer of two files is the card; what nothing else could tell after a power cut is on the disk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.llm_providers.base import Finish
from mcp_coder.llm_providers.card_files import CardFiles
from mcp_coder.llm_providers.cards import Card, settled

ID = "11111111-1111-4111-8111-111111111111"
BEGUN = Card(first_id=ID, native_id=ID, cwd="/work", finished=1, point="m1", fingerprint="10")
AT_WORK = dataclasses.replace(BEGUN, agent={"pid": 1}, holder={"pid": 2}, turn_id="t2", directory="/d")
ANSWERED = settled(AT_WORK, Finish(begun=True, answered=True, native_id=ID, point="m2"))
FAILED = settled(AT_WORK, Finish(begun=True, answered=False, native_id=ID, point="m2"))


@pytest.fixture
def files(tmp_path: Path) -> CardFiles:
    return CardFiles(str(tmp_path), ID)


def again(place: Path) -> Card | None:
    """Return the card as another process reads it."""
    return CardFiles(str(place), ID).read()


def power_cut(place: Path) -> Card | None:
    """Return the card where all is lost that was not brought to the disk."""
    (place / f"{ID}.now").write_bytes(b"")
    return again(place)


@pytest.mark.parametrize(
    "cards",
    [
        [BEGUN],
        [AT_WORK],
        [BEGUN, AT_WORK],
        [BEGUN, AT_WORK, ANSWERED],
        [BEGUN, AT_WORK, FAILED],
        [BEGUN, AT_WORK, FAILED, AT_WORK],
        [BEGUN, AT_WORK, ANSWERED, BEGUN],
    ],
)
def test_the_last_that_was_written_is_read(files: CardFiles, tmp_path: Path, cards: list[Card]) -> None:
    for card in cards:
        files.write(card)
        assert files.read() == card
        assert again(tmp_path) == card


def test_a_holder_goes_on_where_the_one_before_it_stopped(tmp_path: Path) -> None:
    for card in (BEGUN, AT_WORK, ANSWERED, AT_WORK, FAILED):
        CardFiles(str(tmp_path), ID).write(card)
        assert again(tmp_path) == card


def test_what_nothing_else_could_tell_outlives_a_power_cut(files: CardFiles, tmp_path: Path) -> None:
    for card in (BEGUN, AT_WORK, FAILED, dataclasses.replace(BEGUN, native_id="n2")):
        files.write(card)
        assert power_cut(tmp_path) == (BEGUN if card is AT_WORK else card)


def test_of_other_changes_an_earlier_card_is_left_whose_fingerprint_tells(
    files: CardFiles, tmp_path: Path
) -> None:
    files.write(BEGUN)
    files.write(AT_WORK)
    files.write(dataclasses.replace(ANSWERED, fingerprint="20"))
    left = power_cut(tmp_path)
    assert left == BEGUN
    assert left.fingerprint != "20"


def test_a_file_that_comes_back_with_the_power_is_older_than_what_is_on_the_disk(
    files: CardFiles, tmp_path: Path
) -> None:
    files.write(BEGUN)
    files.write(AT_WORK)
    before = (tmp_path / f"{ID}.now").read_bytes()
    files.write(FAILED)
    (tmp_path / f"{ID}.now").write_bytes(before)
    assert again(tmp_path) == FAILED


@pytest.mark.parametrize(
    "torn", [b"", b"{", b"[]", b"null", b'{"serial": 9}', b'{"serial": "9", "first_id": 1}', b"\xff"]
)
def test_a_torn_file_is_none(files: CardFiles, tmp_path: Path, torn: bytes) -> None:
    for kind in ("json", "now"):
        (tmp_path / f"{ID}.{kind}").write_bytes(torn)
    assert files.read() is None
    files.write(BEGUN)
    assert again(tmp_path) == BEGUN


def test_one_that_was_written_without_a_number_is_read(files: CardFiles, tmp_path: Path) -> None:
    told: dict[str, Any] = {"first_id": ID, "native_id": "other", "new": 1}
    (tmp_path / f"{ID}.json").write_text(json.dumps(told))
    card = files.read()
    assert card == Card(first_id=ID, native_id="other", unknown={"new": 1})
    files.write(AT_WORK)
    assert again(tmp_path) == AT_WORK


def test_an_alias_that_leads_elsewhere_now_outlives_a_power_cut(files: CardFiles, tmp_path: Path) -> None:
    for first_id in ("one", "two"):
        files.write(Card(first_id=first_id, native_id=ID))
    assert power_cut(tmp_path) == Card(first_id="two", native_id=ID)


def test_removed_it_is_gone_and_can_be_written_anew(files: CardFiles, tmp_path: Path) -> None:
    files.remove()
    for card in (BEGUN, AT_WORK):
        files.write(card)
    files.remove()
    assert files.read() is None
    assert list(tmp_path.iterdir()) == []
    files.write(BEGUN)
    assert power_cut(tmp_path) == BEGUN


def test_what_cannot_be_written_leaves_the_old_card(files: CardFiles, tmp_path: Path) -> None:
    files.write(BEGUN)
    (tmp_path / f"{ID}.now").mkdir()
    with pytest.raises(OSError, match="now"):
        files.write(AT_WORK)
    assert files.read() == again(tmp_path) == BEGUN
    os.rmdir(tmp_path / f"{ID}.now")
    files.write(AT_WORK)
    assert again(tmp_path) == AT_WORK


def test_what_is_left_of_a_longer_card_is_not_read(files: CardFiles, tmp_path: Path) -> None:
    files.write(BEGUN)
    files.write(dataclasses.replace(AT_WORK, directory="/d" * 2000))
    files.write(AT_WORK)
    assert again(tmp_path) == AT_WORK


def test_where_the_last_card_is_torn_the_one_before_it_holds(files: CardFiles, tmp_path: Path) -> None:
    cards = [BEGUN, *(dataclasses.replace(AT_WORK, turn_id=f"t{number}") for number in range(1, 6))]
    for card in cards:
        files.write(card)
    file = tmp_path / f"{ID}.now"
    assert b'"t5"' in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(b'"t5"', b'"t3"'))
    assert again(tmp_path) == cards[-2]


def test_a_card_that_is_too_long_to_be_written_over_is_replaced_whole(
    files: CardFiles, tmp_path: Path
) -> None:
    files.write(BEGUN)
    for directory in ("/d" * 5000, "/d", "/d" * 4500):
        card = dataclasses.replace(AT_WORK, directory=directory)
        files.write(card)
        assert again(tmp_path) == card


def test_where_the_disk_takes_no_more_the_card_before_holds(files: CardFiles, tmp_path: Path) -> None:
    for card in (BEGUN, AT_WORK, ANSWERED, AT_WORK):
        files.write(card)
    last = dataclasses.replace(ANSWERED, finished=9)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for most in (0, 100, 8192 + 100):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
            for _ in range(2):
                with contextlib.suppress(OSError):
                    files.write(last)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert again(tmp_path) in (AT_WORK, last)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)


def test_readers_see_whole_cards_while_it_is_written(files: CardFiles, tmp_path: Path) -> None:
    files.write(BEGUN)
    cards = [dataclasses.replace(AT_WORK, turn_id=letter * 80, directory=letter * 900) for letter in "ab"]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for card in cards:
                files.write(card)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        seen = [again(tmp_path) for _ in range(2000)]
    finally:
        stop.set()
        writing.join()
    assert [card for card in seen if card not in (*cards, BEGUN)] == []
    assert cards[0] in seen
    assert cards[1] in seen


def test_files_are_private(files: CardFiles, tmp_path: Path) -> None:
    files.write(BEGUN)
    files.write(AT_WORK)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 2
