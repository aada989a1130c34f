"""The turns that stores are measured with: made once a run, the same in every run, whatever the size of the store.

A number comes in, turns go out; nothing here looks at a clock. The shapes are those that Claude Code printed
(``tests/data``): six to ten events a turn, with tool calls in two of three. The texts are those of ``words``; ids,
counters and surroundings are not those of the recording.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.workplace import ROOT, Workplace

from .words import Words

TURNS = 500

_SEED = 20_260_101
_SHAPES = ROOT / "tests" / "data" / "claude-code-2.1.330"
_USER_TURNS = 25
"""After so many turns they are somebody else's: another project, other tools and commands of their own."""
_PROMPT, _ANSWER, _OUTPUT = (60, 1.0, 1_500), (150, 0.8, 3_000), (120, 0.8, 2_000)
"""How many words: the middle, how far they scatter (the deviation of the logarithm), the most."""

_COUNTERS = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_input_tokens": "cacheReadInputTokens",
    "cache_creation_input_tokens": "cacheCreationInputTokens",
}
"""What a result counts in all, and for each model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusTurn:
    """A turn of the corpus: what was asked and answered, and all that the agent printed, its result among it."""

    prompt: str
    text: str
    events: tuple[Mapping[str, Any], ...]

    @property
    def result(self) -> Mapping[str, Any]:
        """The result event: what a response calls raw."""
        return next(event for event in self.events if event["type"] == "result")


def corpus_of(place: Workplace) -> Path:
    """Return the file of the corpus, written when it is first asked for."""
    return corpus_file(place.home, place.size(TURNS))


@functools.cache
def corpus_file(directory: Path, count: int) -> Path:
    """Return a file of so many turns in a directory, written when it is first asked for."""
    path = directory / "corpus.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for turn in make_turns(count):
            file.write(json.dumps(dataclasses.asdict(turn)) + "\n")
    return path


@functools.cache
def read_corpus(path: Path) -> tuple[CorpusTurn, ...]:
    """Return the turns of a file that ``corpus_file`` wrote."""
    return tuple(first_turns(path, TURNS))


def first_turns(path: Path, count: int) -> Iterator[CorpusTurn]:
    """Return the first so many turns of a file that ``corpus_file`` wrote."""
    with path.open(encoding="utf-8") as lines:
        yield from map(_turn, itertools.islice(lines, count))


def _turn(line: str) -> CorpusTurn:
    said = json.loads(line)
    return CorpusTurn(prompt=said["prompt"], text=said["text"], events=tuple(said["events"]))


def commonest_word(turns: Sequence[CorpusTurn]) -> str:
    """Return the word that most turns hold."""
    found: dict[str, int] = {}
    for turn in turns:
        for word in {word for word in f"{turn.prompt} {turn.text}".split() if word.isalpha()}:
            found[word] = found.get(word, 0) + 1
    return max(found, key=lambda word: (found[word], word))


# --- making it


def make_turns(count: int) -> Iterator[CorpusTurn]:
    """Return so many turns, the same each time."""
    maker = _Maker(random.Random(_SEED))
    return (maker.turn() for _ in range(count))


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self._chance, self._words = chance, Words(chance)
        self._live = _printed("live_plain")
        self._tool = _printed("stream_tool_use")
        self._made = 0
        self._surroundings: Mapping[str, Any] = {}

    def turn(self) -> CorpusTurn:
        if self._made % _USER_TURNS == 0:
            self._surroundings = self._somebodys()
        self._made += 1
        prompt, text = self._words.text(*_PROMPT), self._words.text(*_ANSWER)
        tools = [event for _ in range(self._chance.randint(0, 2)) for event in self._tool_call()]
        running, init, status, *_, idle = self._live
        begins = ({**running}, {**init, **self._surroundings}, {**status})
        own = {"session_id": self._words.uuid()}
        events = (*begins, *tools, self._answer(text), self._result(text), idle)
        return CorpusTurn(
            prompt=prompt,
            text=text,
            events=tuple({**event, **own, "uuid": self._words.uuid()} for event in events),
        )

    def _somebodys(self) -> dict[str, Any]:
        """Return what the first event says of where an agent runs: nobody has the surroundings of the recording."""
        init, names = self._live[1], [self._words.name() for _ in range(8)]
        cwd = f"/home/{names[0]}/{names[1]}"
        servers = names[2:5]
        mcp = [f"mcp__{server}__{self._words.name()}" for server in servers for _ in range(7)]
        skills = [self._words.name() for _ in range(12)]
        return {
            "cwd": cwd,
            "original_cwd": cwd,
            "tools": [*init["tools"], *mcp],
            "mcp_servers": [{"name": server, "status": "connected"} for server in servers],
            "slash_commands": [*skills, *init["slash_commands"]],
            "skills": [*init["skills"], *skills],
            "agents": [*init["agents"], *names[5:]],
        }

    def _answer(self, text: str) -> dict[str, Any]:
        event = next(each for each in self._live if each["type"] == "assistant")
        message = {
            **event["message"],
            "id": self._words.id("msg"),
            "content": [{"type": "text", "text": text}],
        }
        return {**event, "message": message}

    def _result(self, text: str) -> dict[str, Any]:
        event = next(each for each in self._live if each["type"] == "result")
        counts = {name: self._chance.randint(1, 60_000) for name in _COUNTERS}
        cost = self._chance.randint(1, 900_000) / 1_000_000
        per_model = {_COUNTERS[name]: count for name, count in counts.items()}
        models = {name: {**each, **per_model, "costUSD": cost} for name, each in event["modelUsage"].items()}
        times = {name: self._chance.randint(900, 90_000) for name in event if name.endswith("_ms")}
        return {
            **event,
            **times,
            "result": text,
            "total_cost_usd": cost,
            "usage": {**event["usage"], **counts},
            "modelUsage": models,
            "model_usage_since_last_result": models,
        }

    def _tool_call(self) -> tuple[dict[str, Any], dict[str, Any]]:
        _, _, use, done, *_ = self._tool
        call_id, output = self._words.id("toolu"), self._words.text(*_OUTPUT)
        asked = {
            **use["message"]["content"][0],
            "id": call_id,
            "input": {"command": self._words.text(12, 0.6, 80)},
        }
        told = {**done["message"]["content"][0], "tool_use_id": call_id, "content": output}
        return (
            {**use, "message": {**use["message"], "id": self._words.id("msg"), "content": [asked]}},
            {
                **done,
                "message": {**done["message"], "content": [told]},
                "tool_use_result": {**done["tool_use_result"], "stdout": output},
            },
        )


def _printed(name: str) -> list[dict[str, Any]]:
    lines = (_SHAPES / f"{name}.stdout").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    return [event for event in events if event["type"] != "stream_event"]
