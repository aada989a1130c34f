"""Where it was measured: what a reader must know to compare two runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime

from .workplace import Workplace

_BUSY = 0.5
"""The share of the processors that may be at work for others before figures are called noisy."""


def machine(place: Workplace) -> dict[str, object]:
    """Return what ran where, and how busy it was before anything was measured."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "mcp_coder": importlib.metadata.version("mcp-coder"),
        "claude": place.version,
        "program": place.program,
        "claude_agent_sdk": importlib.metadata.version("claude-agent-sdk"),
    }


def lines_about(said: Mapping[str, object]) -> str:
    """Return the same for people; a busy machine is said to be one."""
    text = (
        f"mcp_coder {said['mcp_coder']}, Claude Code {said['claude']}, claude-agent-sdk {said['claude_agent_sdk']}, "
        f"Python {said['python']}\n{said['processors']} x {said['processor']}, {said['system']}\n"
        f"program: {said['program']}"
    )
    load, processors = said["load"], said["processors"]
    if isinstance(load, float) and isinstance(processors, int) and load > _BUSY * processors:
        text += f"\nThis machine is busy (load {load:.1f}): single figures are noisy, ratios less so."
    return text


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
