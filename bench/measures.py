"""How one side is measured once: functions that return a function, to be called once for each pair.

Seconds, MiB or per cent come out. Every turn's answer is looked at: one that failed quickly must not count as fast.
"""

from __future__ import annotations

import time

from .model import BIG_PROMPT, SLOW_CHUNKS, SLOW_PROMPT
from .pairs import Measure
from .turns import WAYS, Answer
from .workplace import Workplace, run_python

PROMPT = "Say hello"

_PRINT_PEAK = "from bench.peak import peak_mib; print(peak_mib())"

_EXPECTED = {
    PROMPT: f"echo: {PROMPT}",
    SLOW_PROMPT: "and on " * (SLOW_CHUNKS + 1),
    BIG_PROMPT: "0" * 9,
}
"""Prompt -> how its answer begins."""


def seconds_of_turn(place: Workplace, way: str, prompt: str = PROMPT) -> Measure:
    """Measure a turn of a new session, in this process."""

    def measure() -> float:
        began = time.perf_counter()
        answer = WAYS[way](place.program, prompt, None)
        seconds = time.perf_counter() - began
        _check(prompt, answer)
        return seconds

    return measure


def seconds_of_resumed_turn(place: Workplace, way: str) -> Measure:
    """Measure one more turn of one session, which is begun now, in this process."""
    session_id = WAYS[way](place.program, PROMPT, None).session_id

    def measure() -> float:
        began = time.perf_counter()
        answer = WAYS[way](place.program, PROMPT, session_id)
        seconds = time.perf_counter() - began
        _check(PROMPT, answer)
        if answer.session_id != session_id:
            raise ValueError(f"{way} answered in another session")
        return seconds

    return measure


def seconds_of_python(code: str, *arguments: str) -> Measure:
    """Measure a fresh interpreter that runs ``code``, from its start to its end."""

    def measure() -> float:
        began = time.perf_counter()
        run_python("-c", code, *arguments)
        return time.perf_counter() - began

    return measure


def mib_of_turns(place: Workplace, way: str, prompt: str = PROMPT, *, at_once: int = 1) -> Measure:
    """Measure the peak memory of a fresh process that takes so many turns at once."""
    arguments = ("-m", "bench.once", way, place.program, prompt, str(at_once))
    return lambda: float(run_python(*arguments, capture_output=True).stdout)


def mib_of_nothing() -> float:
    """Return the peak memory of an empty interpreter."""
    return float(run_python("-c", _PRINT_PEAK, capture_output=True).stdout)


def share_of_processor(place: Workplace, way: str) -> Measure:
    """Measure the processor time of this process during a slow turn, in per cent of the turn's time."""
    # Once before, so that what is loaded on use is loaded: the share is that of the watching.
    WAYS[way](place.program, PROMPT, None)
    seconds = seconds_of_turn(place, way, SLOW_PROMPT)

    def measure() -> float:
        began = time.process_time()
        elapsed = seconds()
        return 100 * (time.process_time() - began) / elapsed

    return measure


def _check(prompt: str, answer: Answer) -> None:
    expected = _EXPECTED[prompt]
    if not answer.text.startswith(expected):
        raise ValueError(f"{prompt!r} was answered by {answer.text[:80]!r}, not by {expected[:80]!r}")
