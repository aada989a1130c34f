"""Sessions over a pool of few agents, in a process of its own: ``python -m bench.warm.pooled SESSIONS MAX_LIVE``.

Opens so many sessions, takes a turn in each, and prints, while all of them are open: its own peak memory in MiB, how
many agents live, and their memory in MiB.
"""

from __future__ import annotations

import json
import sys

from bench.peak import peak_mib
from bench.turns import PATIENCE

MIB = 1024 * 1024


def main(sessions: int, max_live: int) -> None:
    """Open them and print the numbers."""
    from mcp_coder import SessionPool

    with SessionPool(max_live=max_live, idle_seconds=None) as pool:
        opened = [pool.open_session(timeout=PATIENCE) for _ in range(sessions)]
        for number, session in enumerate(opened):
            answer = session.prompt(f"Say {number}")["text"]
            if answer != f"echo: Say {number}":
                raise ValueError(f"session {number} answered {answer!r}")
        peak = peak_mib()
        print(json.dumps({"peak": peak, **_agents()}))
        for session in opened:
            session.close()


def _agents() -> dict[str, float]:
    # Only now: it would be measured, too.
    from .leftovers import children

    agents = children()
    return {"live": len(agents), "agents": sum(each.memory_info().rss for each in agents) / MIB}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
