"""The pytest plugin, in pytest runs of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[2] / "src"

TESTS = """
import os, subprocess, urllib.request


def test_model_server(model_server):
    assert urllib.request.urlopen(model_server.url).status == 200
    assert os.environ["CLAUDECODE"] == "1"


def test_claude_standin(claude_standin):
    assert os.environ["ANTHROPIC_BASE_URL"] == claude_standin.server.url
    assert os.environ["HOME"] == str(claude_standin.home)
    assert "CLAUDECODE" not in os.environ
    assert "ANTHROPIC_AUTH_TOKEN" not in os.environ


def test_fake_claude(fake_claude):
    assert os.environ["MCP_CODER_CLAUDE"] == str(fake_claude.path)
    assert os.environ["HOME"] != "/the/real/home"
    assert "CLAUDECODE" not in os.environ
    subprocess.run([fake_claude.path, "-p", "hello"], check=True, stdin=subprocess.DEVNULL)
    assert fake_claude.calls()[0].env["CLAUDE_CONFIG_DIR"] == os.environ["CLAUDE_CONFIG_DIR"]


def test_afterwards():
    assert os.environ["CLAUDECODE"] == "1"
    assert os.environ["HOME"] == "/the/real/home"
    assert "ANTHROPIC_BASE_URL" not in os.environ
"""

OUTER = {
    "CLAUDECODE": "1",
    "ANTHROPIC_AUTH_TOKEN": "real",
    "HOME": "/the/real/home",
    "PYTHONPATH": str(SOURCE),
}


def run(*argv: Any, **env: Any) -> Any:
    return subprocess.run(
        [sys.executable, *argv],
        env={**os.environ, **OUTER, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_fixtures_set_the_environment_and_put_it_back(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ("-q", "-p", "mcp_coder.testing.plugin", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    done = run("-m", "pytest", *options, str(tmp_path), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_loading_the_plugin_loads_no_stand_in() -> None:
    code = "import sys, mcp_coder.testing.plugin; print(sorted(n for n in sys.modules if n.startswith('mcp_coder.')))"
    loaded = run("-c", code).stdout
    assert loaded.strip() == "['mcp_coder.testing', 'mcp_coder.testing.plugin']"
