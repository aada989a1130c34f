"""The stand-in model as a process of its own, so that none of its work is done by the process that is measured.

Prints one line of JSON, the environment that leads an agent to it, and serves until its stdin is closed: by whoever
started it, or by that one's death.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from mcp_coder.testing import Reply, Rule, standin

if TYPE_CHECKING:
    from mcp_coder.testing import RecordedRequest

SLOW_PROMPT = "Count slowly"
SLOW_CHUNKS, SLOW_DELAY = 100, 0.1
"""A turn of ten seconds, in which something is printed ten times a second."""

BIG_PROMPT = "Say a great deal"
BIG_BYTES = 6_000_000

SEEN_PROMPT = "Tell when this arrived"

FIRST_PROMPT = "Think, then begin"
FIRST_SECONDS = 0.5
"""How long it is silent before its first byte, as models are."""
REST = "and that is all"
_REST_SECONDS = 0.2

TALK_PROMPT = "Talk for three seconds"
TALK_PIECES, TALK_DELAY = 31, 0.1


def _when_seen(request: RecordedRequest) -> Reply:
    return Reply.text(_moment(request.time.timestamp()))


def _when_begun(_request: RecordedRequest) -> Reply:
    begins = time.time() + FIRST_SECONDS
    return Reply.chunks([_moment(begins), REST], delay=_REST_SECONDS).delayed(FIRST_SECONDS)


def _moment(moment: float) -> str:
    return f"at {moment:.6f} "


def moment_in(text: str) -> float:
    """Return the moment that an answer tells. Raises ValueError, also where it is another answer."""
    at, moment, *_ = text.split(" ")
    if at != "at":
        raise ValueError(f"no moment is told by {text[:80]!r}")
    return float(moment)


RULES = (
    Rule(prompt=SLOW_PROMPT, reply=Reply.chunks(["and on "] * (SLOW_CHUNKS + 1), delay=SLOW_DELAY)),
    Rule(prompt=BIG_PROMPT, reply=Reply.big(BIG_BYTES)),
    Rule(prompt=SEEN_PROMPT, reply=_when_seen),
    Rule(prompt=FIRST_PROMPT, reply=_when_begun),
    Rule(prompt=TALK_PROMPT, reply=Reply.chunks(["and on "] * TALK_PIECES, delay=TALK_DELAY)),
)


def main() -> None:
    """Serve until stdin is closed."""
    with standin(rules=RULES) as model:
        where = {"home": str(model.home), "env": dict(model.env), "unset": model.unset}
        print(json.dumps(where), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
