"""A deadline is one moment, or never."""

from __future__ import annotations

import math
import time

import pytest

from mcp_coder.llm_providers.deadline import Deadline


def test_what_is_left_goes_down() -> None:
    before = time.monotonic()
    deadline = Deadline.after(30)
    after = time.monotonic()
    left = deadline.left()
    assert deadline.seconds == 30
    assert before + 30 - time.monotonic() <= left <= after + 30 - before
    assert deadline.left() <= left


@pytest.mark.parametrize("seconds", [0, 0.0, -1])
def test_once_passed_nothing_is_left(seconds: float) -> None:
    assert Deadline.after(seconds).left() <= 0


def test_it_passes() -> None:
    deadline = Deadline.after(0.02)
    started = time.monotonic()
    while deadline.left() > 0:
        assert time.monotonic() < started + 10
    assert time.monotonic() >= started + 0.01


def test_never() -> None:
    deadline = Deadline.after(None)
    assert deadline.seconds is None
    assert deadline.left() == math.inf
