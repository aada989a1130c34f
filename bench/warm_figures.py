"""The figures of warm sessions: what a turn costs where the agent is up already. To add one, add its row."""

from __future__ import annotations

from .figure import ONCE, SOME, Figure
from .measures import seconds_of_python
from .warm import memory, moments, streams
from .warm.ten_turns import TURNS, by_client, by_resuming, seconds_of_ten_turns

_CLIENT = "ClaudeSDKClient"
_TEN = f"{TURNS} turns in a session, open_session"
_RESUMED = f"{TURNS} times claude -p --resume"
_TEN_BY_CLIENT = f"{TURNS} turns by {_CLIENT}"
_SEEN = "from prompt() until the model is asked"
_FIRST = "from its first byte to the first TextDelta"
_POOLED = f"{memory.SESSIONS} sessions over {memory.MAX_LIVE} agents"
_STREAMS = f"{streams.STREAMS} streams at once"
_STREAMS_OF_CLIENTS = f"{streams.STREAMS} {_CLIENT}s at once"

_A_TENTH_MORE, _A_FIFTH = 1.1, 0.2
_TEN_MILLISECONDS = 0.010

WARM_FIGURES = (
    Figure(
        name="warm-import-sdk",
        ours="import claude_agent_sdk",
        peer="an empty interpreter",
        sides=lambda _place: (seconds_of_python("import claude_agent_sdk"), seconds_of_python("pass")),
        pairs=SOME,
    ),
    Figure(
        name="warm-cli",
        ours=f"{_TEN}, cli",
        peer=_RESUMED,
        goal=_A_FIFTH,
        sides=seconds_of_ten_turns("cli", by_resuming),
        pairs=SOME,
    ),
    Figure(
        name="warm-api",
        ours=f"{_TEN}, api",
        peer=_RESUMED,
        goal=_A_FIFTH,
        sides=seconds_of_ten_turns("api", by_resuming),
        pairs=SOME,
    ),
    Figure(
        name="warm-cli-sdk",
        ours=f"{_TEN}, cli",
        peer=_TEN_BY_CLIENT,
        goal=_A_TENTH_MORE,
        sides=seconds_of_ten_turns("cli", by_client),
    ),
    Figure(
        name="warm-api-sdk",
        ours=f"{_TEN}, api",
        peer=_TEN_BY_CLIENT,
        goal=_A_TENTH_MORE,
        sides=seconds_of_ten_turns("api", by_client),
    ),
    Figure(
        name="warm-seen-cli",
        ours=f"{_SEEN}, cli",
        peer=f"from {_CLIENT}.query()",
        above=_TEN_MILLISECONDS,
        sides=moments.seconds_until_seen("cli"),
    ),
    Figure(
        name="warm-seen-api",
        ours=f"{_SEEN}, api",
        peer=f"from {_CLIENT}.query()",
        above=_TEN_MILLISECONDS,
        sides=moments.seconds_until_seen("api"),
    ),
    Figure(
        name="warm-first-text-cli",
        ours=f"{_FIRST}, cli",
        peer=f"to the first text of {_CLIENT}",
        above=_TEN_MILLISECONDS,
        sides=moments.seconds_until_first_text("cli"),
    ),
    Figure(
        name="warm-first-text-api",
        ours=f"{_FIRST}, api",
        peer=f"to the first text of {_CLIENT}",
        above=_TEN_MILLISECONDS,
        sides=moments.seconds_until_first_text("api"),
    ),
    Figure(
        name="memory-warm",
        ours=f"{_POOLED}: the caller",
        peer="an empty interpreter",
        unit="MiB",
        sides=memory.mib_of_caller,
        pairs=ONCE,
        warm_up=False,
    ),
    Figure(
        name="memory-warm-agents",
        ours=f"{_POOLED}: all agents",
        peer=f"the agent of one {_CLIENT}",
        unit="MiB",
        sides=memory.mib_of_agents,
        pairs=ONCE,
        warm_up=False,
    ),
    Figure(
        name="streams-50-cpu",
        ours=f"{_STREAMS}: the caller's processor time",
        peer=_STREAMS_OF_CLIENTS,
        unit="%",
        sides=streams.of_streams("share"),
        pairs=SOME,
        warm_up=False,
    ),
    Figure(
        name="streams-50-first",
        ours=f"{_STREAMS}: the longest time until a first piece",
        peer=_STREAMS_OF_CLIENTS,
        sides=streams.of_streams("first"),
        pairs=SOME,
        warm_up=False,
    ),
    Figure(
        name="streams-50-gap",
        ours=f"{_STREAMS}: the longest time between two pieces",
        peer=_STREAMS_OF_CLIENTS,
        sides=streams.of_streams("gap"),
        pairs=SOME,
        warm_up=False,
    ),
)
