"""One process whose own peak memory is to be known: ``python -m bench.once WAY PROGRAM PROMPT AT_ONCE``.

It takes one turn, or so many at once in threads, and prints its peak resident memory in MiB. That of the agents, which
are processes of their own, is not in it.
"""

from __future__ import annotations

import sys

from .peak import peak_mib
from .turns import WAYS


def main(way: str, program: str, prompt: str, at_once: str) -> None:
    """Take the turns and print the number."""
    if at_once == "1":
        WAYS[way](program, prompt, None)
    else:
        _take_turns(int(at_once), way, program, prompt)
    print(peak_mib())


def _take_turns(at_once: int, way: str, program: str, prompt: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(at_once) as pool:
        for turn in [pool.submit(WAYS[way], program, prompt, None) for _ in range(at_once)]:
            turn.result()


if __name__ == "__main__":
    main(*sys.argv[1:])
