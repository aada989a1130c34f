"""Texts that nobody wrote: a source of chance comes in, words go out that are as long and as frequent as words are.

Pure. A few short words are everywhere, most are rare; paths stand between them, as in what is asked of coding agents.
"""

from __future__ import annotations

import bisect
import itertools
import random
import uuid
from collections.abc import Iterator

_COUNT = 20_000
_SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ka",
    "le",
    "mi",
    "no",
    "pu",
    "ra",
    "se",
    "ti",
    "vo",
    "zu",
    "stra",
    "en",
)
_PATHS = 0.04
"""How many words are paths."""


class Words:
    """An endless supply, the same for the same source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._words = list(itertools.islice(_all_words(), _COUNT))
        self._shares = list(itertools.accumulate(1 / (rank + 2) for rank in range(_COUNT)))

    def text(self, middle: int, scatter: float, most: int) -> str:
        """Return words: ``middle`` as a rule, scattered by the deviation of the logarithm, ``most`` at most."""
        count = min(most, max(3, round(middle * self._chance.lognormvariate(0, scatter))))
        return " ".join(self._in_text() for _ in range(count))

    def _in_text(self) -> str:
        if self._chance.random() < _PATHS:
            return f"{self.path()}:{self._chance.randint(1, 900)}"
        return self.word() + self._chance.choice(("", "", "", "", "", "", ",", "."))

    def path(self) -> str:
        """Return the path of a file."""
        return f"src/{self.word()}/{self.word()}.py"

    def word(self) -> str:
        """Return a word, frequent ones more often."""
        return self._words[bisect.bisect(self._shares, self._chance.random() * self._shares[-1])]

    def name(self) -> str:
        """Return a word, a rare one."""
        return self._chance.choice(self._words[_COUNT // 2 :])

    def uuid(self) -> str:
        """Return a UUID."""
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def id(self, kind: str) -> str:
        """Return an id as the model's service gives them."""
        return f"{kind}_{self._chance.getrandbits(80):020x}"


def _all_words() -> Iterator[str]:
    """Return all words there are, the shortest first: as in languages, those are the ones that are everywhere."""
    for length in itertools.count(1):
        yield from map("".join, itertools.product(_SYLLABLES, repeat=length))
