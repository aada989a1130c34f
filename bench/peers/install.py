"""Fetches the other projects that the benchmarks measure ours beside: ``python bench/peers/install.py``.

Each gets a virtual environment of its own in ``.bench/`` beside ``bench/``, or where ``MCP_CODER_BENCH_PEERS`` says,
in the version that is named here, from PyPI. Nothing else is touched; to be rid of them, remove the directory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

HOW_TO_GET = "python bench/peers/install.py"

PEERS = {"llm": ("llm==0.36",), "openai-agents": ("openai-agents[sqlalchemy]==0.24.0", "aiosqlite")}
"""Name -> what pip installs."""

_PLACE = Path(os.environ.get("MCP_CODER_BENCH_PEERS") or Path(__file__).resolve().parents[2] / ".bench")


def python_of(peer: str) -> str:
    """Return the Python that has this project."""
    folder, name = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    return str(_environment(peer) / folder / name)


def is_installed(peer: str) -> bool:
    """Return whether the project is there, in the version that is named here."""
    mark = _mark(peer)
    return mark.exists() and mark.read_text(encoding="utf-8").split() == list(PEERS[peer])


def _environment(peer: str) -> Path:
    return _PLACE / peer


def _mark(peer: str) -> Path:
    return _environment(peer) / "installed.txt"


def _install(peer: str, requirements: Sequence[str]) -> None:
    venv.create(_environment(peer), clear=True, with_pip=True)
    pip = [python_of(peer), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    subprocess.run(pip, check=True)
    _mark(peer).write_text("\n".join(requirements) + "\n", encoding="utf-8")


def main() -> None:
    """Install what is missing."""
    _PLACE.mkdir(parents=True, exist_ok=True)
    (_PLACE / ".gitignore").write_text("*\n", encoding="utf-8")
    for peer, requirements in PEERS.items():
        if not is_installed(peer):
            print(f"{peer}: {' '.join(requirements)} into {_environment(peer)}", flush=True)
            _install(peer, requirements)


if __name__ == "__main__":
    main()
