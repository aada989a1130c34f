"""The stand-in model as a process of its own, so that none of its work is done by the process that is measured.

Prints one line of JSON, the environment that leads an agent to it, and serves until its stdin is closed: by whoever
started it, or by that one's death.
"""

from __future__ import annotations

import json
import sys

from mcp_coder.testing import Reply, Rule, standin

SLOW_PROMPT = "Count slowly"
SLOW_CHUNKS, SLOW_DELAY = 100, 0.1
"""A turn of ten seconds, in which something is printed ten times a second."""

BIG_PROMPT = "Say a great deal"
BIG_BYTES = 6_000_000

RULES = (
    Rule(prompt=SLOW_PROMPT, reply=Reply.chunks(["and on "] * (SLOW_CHUNKS + 1), delay=SLOW_DELAY)),
    Rule(prompt=BIG_PROMPT, reply=Reply.big(BIG_BYTES)),
)


def main() -> None:
    """Serve until stdin is closed."""
    with standin(rules=RULES) as model:
        where = {"home": str(model.home), "env": dict(model.env), "unset": model.unset}
        print(json.dumps(where), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
