"""What a command line did, for tests that run one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command line did; on a terminal ``out`` is all that was shown there."""

    code: int
    out: str
    err: str = ""

    @property
    def lines(self) -> list[str]:
        """What it wrote to standard output, line by line."""
        return self.out.splitlines()

    @property
    def plain(self) -> list[str]:
        """Its lines without their colors."""
        return _STYLE.sub("", self.out).splitlines()

    @property
    def json(self) -> Any:
        """The JSON that it wrote to standard output."""
        return json.loads(self.out)


RunCommand = Callable[..., Ran]
