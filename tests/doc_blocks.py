"""The blocks of code in the documents: a page comes in, its blocks go out, with their marks and with their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocks(page: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Yield the mark of each block (``"python run"``), the number of its first line from 0, and its lines."""
    begun, all_lines = None, page.read_text("utf-8").splitlines()
    for number, line in enumerate(all_lines):
        if not line.startswith("```"):
            continue
        if begun is None:
            begun = number + 1
        else:
            yield all_lines[begun - 1].removeprefix("```"), begun, all_lines[begun:number]
            begun = None
    assert begun is None, f"{page.name}: a block of code has no end"


def named_files(page: Path) -> dict[str, str]:
    """Return the blocks that are whole files: those whose first line is a comment with the file's name."""
    files = {}
    for _, _, lines in blocks(page):
        name = re.match(r"# ([\w./-]+\.\w+)(?:$|:)", lines[0]) if lines else None
        if name:
            assert name[1] not in files, f"{page.name}: {name[1]} is there twice"
            files[name[1]] = "\n".join(lines) + "\n"
    return files
