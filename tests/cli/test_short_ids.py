"""Ids, shortened."""

from __future__ import annotations

import time
import uuid

import pytest

from mcp_coder.cli.short_ids import shortened


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        ([], []),
        (["5fb8e1b7-5135"], ["5fb8e1b7"]),
        (["5fb8e1b7-5135", "c0ffee00"], ["5fb8e1b7", "c0ffee00"]),
        (["5fb8e1b7-5135", "5fb8e1b7-5136"], ["5fb8e1b7-5135", "5fb8e1b7-5136"]),
        (["ses_abcdef01", "ses_abcdef"], ["ses_abcdef0", "ses_abcdef"]),
        (["ab"], ["ab"]),
        (["same", "same"], ["same"]),
    ],
)
def test_ids_of_a_list_are_told_apart(ids: list[str], short: list[str]) -> None:
    assert [shortened(ids)[each] for each in dict.fromkeys(ids)] == short


def test_many_ids_are_no_work() -> None:
    ids = [str(uuid.uuid4()) for _ in range(100_000)]
    began = time.monotonic()
    short = shortened(ids)
    assert time.monotonic() - began < 10
    assert len(set(short.values())) == len(ids)
    assert all(full.startswith(beginning) for full, beginning in short.items())
