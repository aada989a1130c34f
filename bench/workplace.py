"""Where turns are measured: an empty project in a private home, and the stand-in model in a process of its own.

While it is entered, the environment and the current directory of this process are the private ones, so that what is
measured needs nothing handed over: our calls and the peers' find model and program as they would for a user.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

_DEFAULTS_OF_OURS = ("MCP_CODER_METHOD", "MCP_CODER_MODEL", "MCP_CODER_TIMEOUT")
_END_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a measurement needs to know of it.

    Attributes:
        program: the ``claude`` that both sides run.
        version: its version.
    """

    program: str
    version: str


@contextlib.contextmanager
def workplace() -> Iterator[Workplace]:
    """Give the place, and take it away again."""
    from mcp_coder.llm_providers.claude.claude_executable_finder import locate_claude

    with _model() as where, _environment(where["env"], (*where["unset"], *_DEFAULTS_OF_OURS)):
        project = Path(where["home"], "project")
        project.mkdir()
        with contextlib.chdir(project):
            program, version = locate_claude()
            yield Workplace(program=program, version=version)


def run_python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, ``bench`` importable, to its end; raises if it fails."""
    return subprocess.run([sys.executable, *arguments], env=_with_bench(), text=True, check=True, **options)


def _with_bench() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def _model() -> Iterator[dict[str, Any]]:
    argv = [sys.executable, "-m", "bench.model"]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_with_bench(),
        start_new_session=True,  # at Ctrl-C it is ended by us, and no sooner
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(_END_SECONDS)


@contextlib.contextmanager
def _environment(env: Mapping[str, str], unset: Sequence[str]) -> Iterator[None]:
    before = dict(os.environ)
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
