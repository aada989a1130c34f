"""``python -m mcp_coder`` is the command line."""

import subprocess
import sys

from mcp_coder._version import __version__


def test_it_is_mcp_coder() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcp_coder", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"mcp-coder, version {__version__}\n")


def test_importing_it_runs_nothing() -> None:
    code = "import mcp_coder.__main__"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
