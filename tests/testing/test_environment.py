"""The environment of a stand-in: what is set, what is taken away, what is left afterwards."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from mcp_coder.testing.environment import (
    FAKE_API_KEY,
    names_to_remove,
    remove_tree,
    standin,
    standin_environment,
)
from mcp_coder.testing.model_replies import Reply, Rule


def test_the_variables_lead_to_the_server_and_into_the_home() -> None:
    env = standin_environment("http://127.0.0.1:1", Path("/h"))
    assert env["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:1"
    assert env["ANTHROPIC_API_KEY"] == FAKE_API_KEY
    assert (env["HOME"], env["CLAUDE_CONFIG_DIR"], env["MCP_CODER_HOME"]) == (
        "/h",
        "/h/.claude",
        "/h/.mcp_coder",
    )
    assert env["NO_PROXY"] == env["no_proxy"] == "127.0.0.1,localhost"
    assert {env[name] for name in ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER")} == {
        "1"
    }


def test_what_would_lead_past_the_stand_in_is_taken_away() -> None:
    names = [
        "PATH",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_MODEL",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_MAX_RETRIES",
        "MCP_CODER_STORE",
        "MCP_CODER_CLAUDE",
    ]
    assert names_to_remove(names, ["ANTHROPIC_API_KEY"]) == (
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_MODEL",
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "MCP_CODER_STORE",
    )


def test_a_stand_in_is_whole_and_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "the real one")
    rule = Rule(reply=Reply.text("a"))
    with standin(rules=[rule]) as model:
        assert model.server.rules == (rule,)
        assert model.config_dir.stat().st_mode & 0o777 == 0o700
        assert model.home.stat().st_mode & 0o777 == 0o700
        assert "CLAUDECODE" in model.unset
        assert "ANTHROPIC_API_KEY" not in model.unset
        env = model.environ(EXTRA="1")
        assert (env["EXTRA"], env["ANTHROPIC_API_KEY"], env["PATH"]) == (
            "1",
            FAKE_API_KEY,
            os.environ["PATH"],
        )
        assert "CLAUDECODE" not in env
        assert model.environ({"A": "1", "CLAUDECODE": "1"}) == {"A": "1", **model.env}
    assert not model.home.exists()
    assert os.environ["CLAUDECODE"] == "1"


def test_a_home_that_was_given_is_kept(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with standin(home=home) as model:
        assert model.home == home
    assert (home / ".claude").is_dir()


def test_a_tree_is_removed_while_it_is_still_written_into(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    stop = threading.Event()

    def write() -> Any:
        for number in range(200):
            if stop.is_set() or not tree.exists():
                return
            try:
                (tree / "a" / f"{number}").write_text("x")
            except FileNotFoundError:
                return

    writer = threading.Thread(target=write)
    writer.start()
    assert remove_tree(tree)
    stop.set()
    writer.join()


def test_a_tree_that_cannot_be_removed_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")  # rmtree takes directories only
    assert not remove_tree(tmp_path / "file", 0.05)
