"""The benchmarks run: from anywhere, with a table and numbers that agree. No test says anything about a time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.model import moment_in
from bench.ratios import Pair, compare
from bench.report import Measured
from bench.store.corpus import commonest_word, make_turns
from bench.store.filling import RARE_TURNS, RARE_WORD, Filling, filled_store
from bench.store_figures import STORE_FIGURES
from bench.warm_figures import WARM_FIGURES
from bench.workplace import Workplace

from mcp_coder.llm_store import open_store

RUN = Path(__file__).parents[1] / "bench" / "run.py"


def run_bench(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(RUN), *arguments]
    return subprocess.run(
        argv, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=600
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


# --- warm sessions


_FIGURES = [
    pytest.param(["warm-cli-sdk", "warm-seen-cli", "warm-first-text-cli"], id="a few"),
    pytest.param([figure.name for figure in WARM_FIGURES], id="all", marks=pytest.mark.long),
]


@pytest.mark.parametrize("names", _FIGURES)
def test_figures_of_warm_sessions_are_measured_and_have_a_verdict_where_they_have_a_goal(
    names: list[str], tmp_path: Path
) -> None:
    only = [word for name in names for word in ("--only", name)]
    done = run_bench("--quick", *only, "--json", "numbers.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "numbers.json").read_text())["figures"]
    assert [figure["name"] for figure in figures] == names
    for figure in figures:
        has_goal = figure["goal"] is not None or figure["above"] is not None
        assert figure["verdict"] in ({"met", "missed", "not sure"} if has_goal else {""}), figure["name"]
    assert all(min(pair) > 0 for figure in figures for pair in figure["measured"])
    _check_differences(next(figure for figure in figures if figure["name"] == "warm-seen-cli"), done.stdout)


def _check_differences(figure: dict[str, Any], table: str) -> None:
    differences = [ours - peer for ours, peer in figure["measured"]]
    assert figure["above"] == 0.010
    assert figure["difference"] == pytest.approx(statistics.median(differences))
    assert figure["difference_interval"] == pytest.approx([min(differences), max(differences)])
    row = r"warm-seen-cli .* [+-]\d+\.\d+ m?s – [+-]\d+\.\d+ m?s .* ≤ \+10 ms +(met|missed|not sure)"
    assert re.search(row, table), table


def test_a_difference_is_taken_within_each_pair() -> None:
    said = compare([Pair(ours=1.0, peer=3.0), Pair(ours=5.0, peer=4.0), Pair(ours=9.0, peer=1.0)])
    assert said.difference == 1.0
    assert said.difference_interval == (-2.0, 8.0)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [([(1.004, 1.0)], "met"), ([(1.02, 1.0)], "missed"), ([(1.004, 1.0), (1.02, 1.0)], "not sure")],
)
def test_a_verdict_on_differences_looks_at_their_interval(
    pairs: list[tuple[float, float]], expected: str
) -> None:
    (figure,) = (figure for figure in WARM_FIGURES if figure.name == "warm-seen-cli")
    measured = Measured(figure=figure, pairs=tuple(Pair(ours=ours, peer=peer) for ours, peer in pairs))
    assert measured.verdict == expected


@pytest.mark.parametrize("answer", ["echo: Tell when this arrived", "", "at noon "])
def test_a_moment_that_was_not_told_is_no_moment(answer: str) -> None:
    with pytest.raises(ValueError, match=r"no moment|convert|unpack"):
        moment_in(answer)


# --- the store


@pytest.fixture(scope="module")
def store_ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    place = tmp_path_factory.mktemp("bench-store")
    done = run_bench("--quick", "--only", "store", "--json", "numbers.json", cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((place / "numbers.json").read_text())


def test_each_figure_of_the_store_is_measured_and_has_a_verdict(
    store_ran: tuple[str, dict[str, Any]],
) -> None:
    figures = store_ran[1]["figures"]
    assert [figure["name"] for figure in figures] == [figure.name for figure in STORE_FIGURES]
    assert all(min(pair) > 0 for figure in figures for pair in figure["measured"])
    assert {figure["verdict"] for figure in figures} <= {"met", "missed", "not sure"}


def test_a_limit_is_about_our_own_amount(store_ran: tuple[str, dict[str, Any]]) -> None:
    (figure,) = (figure for figure in store_ran[1]["figures"] if figure["name"] == "store-list")
    assert figure["limit"] == 0.001
    assert figure["ours_interval"] == [
        figure["measured"][place][0] for place in _extremes(figure["measured"])
    ]
    assert re.search(r"store-list .* ≤ 1 ms +(met|missed|not sure)", store_ran[0]), store_ran[0]


def _extremes(pairs: list[list[float]]) -> tuple[int, int]:
    ours = [ours for ours, _ in pairs]
    return ours.index(min(ours)), ours.index(max(ours))


def test_nothing_beside_nothing_is_level() -> None:
    assert Pair(ours=0.0, peer=0.0).ratio == 1


def test_the_corpus_is_the_same_each_time_and_looks_like_turns() -> None:
    turns = list(make_turns(20))
    assert turns == list(make_turns(20))
    assert len({turn.prompt for turn in turns}) == 20
    for turn in turns:
        assert turn.result["result"] == turn.text
        assert 6 <= len(turn.events) <= 10
        assert len({event["session_id"] for event in turn.events}) == 1


def test_a_filled_store_is_as_if_the_library_had_written_it(tmp_path: Path) -> None:
    place = Workplace(program="", version="", home=tmp_path, quick=True)
    path = filled_store(place, Filling(sessions=7, session_turns=3, raw=True))
    word = commonest_word(list(make_turns(4)))
    with contextlib.closing(open_store(f"sqlite:///{path}")) as store:
        assert store.check().problems == ()
        sessions = list(store.sessions())
        turns = [turn for session in sessions for turn in store.turns(session.session_id)]
        found = len(list(store.search(RARE_WORD))), len(list(store.search(word, limit=None)))
        assert all(store.response(turn.turn_id) for turn in turns)
    assert [session.turns for session in sessions] == [3] * 7
    assert [turn.number for turn in turns] == [1, 2, 3] * 7
    assert found[0] == RARE_TURNS
    assert 0 < found[1] <= len(turns) == 21


def test_other_projects_that_are_missing_are_left_out_and_it_is_said_how_to_get_them(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    done = run_bench("--quick", "--only", "peer-llm-turn", cwd=tmp_path, MCP_CODER_BENCH_PEERS=nowhere)
    assert done.returncode == 0, done.stderr
    assert "Left out, since llm is not installed: python bench/peers/install.py" in done.stdout
