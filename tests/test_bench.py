"""The benchmarks run: from anywhere, with a table and numbers that agree. No test says anything about a time."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = Path(__file__).parents[1] / "bench" / "run.py"


def run_bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    place = tmp_path_factory.mktemp("bench")
    done = run_bench("--quick", "--only", "import", "--json", "numbers.json", cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((place / "numbers.json").read_text())


def test_the_table_shows_a_ratio_beside_its_goal(ran: tuple[str, dict[str, Any]]) -> None:
    row = re.search(r"^ *import .* (\d+\.\d+) .* 3 +≤ 1\.6 +(met|missed|not sure)", ran[0], re.MULTILINE)
    assert row is not None, ran[0]
    assert float(row[1]) > 0


def test_the_numbers_say_where_they_come_from(ran: tuple[str, dict[str, Any]]) -> None:
    assert {"system", "processors", "python", "claude", "program", "load"} <= set(ran[1]["machine"])


def test_what_is_reported_follows_from_the_pairs(ran: tuple[str, dict[str, Any]]) -> None:
    figure = ran[1]["figures"][0]
    ratios = [ours / peer for ours, peer in figure["measured"]]
    assert figure["name"] == "import"
    assert len(ratios) == figure["pairs"] == 3
    assert figure["ratio"] == pytest.approx(statistics.median(ratios))
    assert figure["interval"] == pytest.approx([min(ratios), max(ratios)])


def test_an_unknown_figure_is_named_with_those_there_are(tmp_path: Path) -> None:
    done = run_bench("--only", "nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert "memory-parallel" in done.stderr
