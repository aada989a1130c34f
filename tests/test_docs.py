"""The documents are true: snippets run, links lead somewhere, nothing public is left out, the map shows every file.

A Python block marked ``run`` is part of its page's program: all of them run in order in one process, with the real
program against the stand-in, and print exactly what the comments behind their ``print(...)`` say. Those marked ``test``
are one test file of their page. Whatever is not marked must at least be Python.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest
from tests.doc_blocks import ROOT, blocks
from tests.pure_modules import pure_modules

import mcp_coder
from mcp_coder import Usage, llm_errors, prompt_llm, testing
from mcp_coder.cli.main import cli
from mcp_coder.llm_requests import TurnOptions, TurnRequest
from mcp_coder.llm_store.base import TURN_STATES, Store
from mcp_coder.testing import StandIn

SRC = ROOT / "src" / "mcp_coder"
MANUAL = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PAGES = (*MANUAL, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
LONGEST = 120.0
"""Seconds after which a snippet will not end any more."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def manual() -> str:
    return "\n".join(page.read_text("utf-8") for page in MANUAL)


# --- blocks of code


def program(page: Path, mark: str) -> str:
    """Return the blocks of a mark as one program, each line where it stands in the page, so that errors name it."""
    text = [""] * len(page.read_text("utf-8").splitlines())
    for found, begun, lines in blocks(page):
        if found == mark:
            text[begun : begun + len(lines)] = lines
    return "\n".join(text) + "\n"


def pages_with(mark: str) -> list[Path]:
    return [page for page in MANUAL if any(found == mark for found, _, _ in blocks(page))]


def told(source: str) -> list[str]:
    """Return what a program says that it prints."""
    return re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE)


@pytest.fixture
def model(claude_standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Lead the real program of the SDK's wheel to the stand-in, without anything set around us."""
    sdk = importlib.util.find_spec("claude_agent_sdk")  # importing it takes a second
    assert sdk is not None
    assert sdk.origin is not None
    monkeypatch.setenv("MCP_CODER_CLAUDE", str(Path(sdk.origin).parent / "_bundled" / "claude"))
    for name in set(environment_variables()) - {"MCP_CODER_CLAUDE", "MCP_CODER_HOME"}:
        monkeypatch.delenv(name, raising=False)
    return claude_standin


def run_python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LONGEST,
        check=False,
    )


@pytest.mark.parametrize("page", pages_with("python run"), ids=lambda page: page.stem)
def test_the_snippets_of_a_page_run_and_print_what_they_say(
    page: Path, model: StandIn, tmp_path: Path
) -> None:
    source = program(page, "python run")
    (tmp_path / f"{page.stem}.py").write_text(source, "utf-8")
    done = run_python(f"{page.stem}.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == told(source)


@pytest.mark.parametrize("page", pages_with("python test"), ids=lambda page: page.stem)
def test_the_tests_of_a_page_pass(page: Path, model: StandIn, tmp_path: Path) -> None:
    source = program(page, "python test")
    (tmp_path / f"test_{page.stem}.py").write_text(source, "utf-8")
    done = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_{page.stem}.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{source.count('def test_')} passed" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_python_block_is_python_and_every_mark_is_known(page: Path) -> None:
    for mark, _, lines in blocks(page):
        if mark.startswith("python"):
            assert mark in ("python", "python run", "python test")
            ast.parse("\n".join(lines), filename=str(page))


# --- links


def prose(page: Path) -> str:
    inside, lines = False, []
    for line in page.read_text("utf-8").splitlines():
        inside ^= line.startswith("```")
        lines += [] if inside else [line]
    return "\n".join(lines)


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_named_where_readers_begin() -> None:
    begin = text_of("README.md") + text_of("CONTRIBUTING.md")
    assert [page.name for page in PAGES if page.relative_to(ROOT).as_posix() not in begin] == []


# --- nothing is left out


def missing_words(names: Iterable[str], text: str) -> list[str]:
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


def test_every_public_name_is_documented() -> None:
    assert missing_words(set(mcp_coder.__all__) - {"__version__"}, manual()) == []


def test_every_public_name_of_the_stand_ins_is_documented() -> None:
    assert missing_words(testing.__all__, text_of("docs/testing.md")) == []


def test_every_argument_and_option_has_its_row() -> None:
    of_the_call = set(inspect.signature(prompt_llm).parameters) - {"options"}
    text = text_of("docs/options.md")
    names = {*TurnRequest.__dataclass_fields__, *of_the_call}
    assert [name for name in names if f"\n| `{name}` | " not in text] == []


def test_every_field_of_what_a_turn_used_is_documented() -> None:
    text = text_of("docs/responses.md") + text_of("docs/recording.md")
    assert [name for name in Usage.__dataclass_fields__ if f"`{name}`" not in text] == []


def test_every_method_of_a_store_is_documented() -> None:
    methods = [name for name, value in vars(Store).items() if callable(value) and not name.startswith("_")]
    assert missing_words(methods, text_of("docs/recording.md")) == []
    assert len(methods) > 15


def test_every_state_of_a_turn_has_its_row() -> None:
    text = text_of("docs/recording.md")
    assert [state for state in TURN_STATES if f"\n| `{state}` | " not in text] == []


def test_every_option_is_in_the_readme() -> None:
    text = text_of("README.md")
    assert [name for name in TurnOptions.__annotations__ if f"`{name}`" not in text] == []


def test_every_error_has_its_row() -> None:
    kinds = set(llm_errors.__all__) - {"LLMError", "ClaudeAPIError", "LeaseWarning", "NotRecordedWarning"}
    text = text_of("docs/errors.md")
    assert [name for name in kinds if f"\n| `{name}` | " not in text] == []


def test_the_readme_draws_the_tree_of_errors_as_it_is() -> None:
    branch = re.compile(r"^ *([│├└─ ]*[A-Z]\w*Error)\b", re.MULTILINE)
    drawn = branch.findall((llm_errors.__doc__ or "").partition("::")[2])
    assert len(drawn) == len(llm_errors.__all__) - 3  # an older name, and the warnings
    text = text_of("README.md")
    assert [line for line in drawn if f"\n{line} " not in text] == []


def environment_variables() -> list[str]:
    named = re.compile(r"\b_?MCP_CODER_[A-Z]+(?:_[A-Z]+)*\b")
    return sorted({name for path in SRC.rglob("*.py") for name in named.findall(path.read_text("utf-8"))})


def test_every_environment_variable_is_documented() -> None:
    assert [name for name in environment_variables() if f"`{name}`" not in manual()] == []


def commands_in(group: click.Group) -> Iterator[click.Command]:
    """Yield every command, those of groups in groups too."""
    yield group
    for command in group.commands.values():
        yield from commands_in(command) if isinstance(command, click.Group) else (command,)


def options_of_the_command_line() -> set[str]:
    options = [
        param for command in commands_in(cli) for param in command.params if isinstance(param, click.Option)
    ]
    return {
        "--help",
        "--version",
        *(name for option in options for name in (*option.opts, *option.secondary_opts)),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_of_the_command_line_name_options_that_exist(page: Path) -> None:
    examples = re.findall(r"\bmcp-coder (?!standin)[^`\n#]*", page.read_text("utf-8"))
    named = {option for line in examples for option in re.findall(r"(?<= )--?[a-z][a-z-]*", line)}
    assert named <= options_of_the_command_line()


# --- the map


def drawn_files(drawing: str) -> dict[str, bool]:
    """Return the files of a drawing, each with whether it is marked as pure; four columns a level."""
    found, folders = {}, list[str]()
    for line in drawing.splitlines():
        mark, entry = line[:4], line[4:]
        level = (len(entry) - len(entry.lstrip())) // 4
        name = entry.split()[0]
        folders[level:] = [name]
        if not name.endswith("/"):
            found["".join(folders)] = mark == "P   "
    return found


def test_the_map_shows_every_file_and_which_are_pure() -> None:
    (lines,) = (lines for _, _, lines in blocks(ROOT / "CONTRIBUTING.md") if "    src/mcp_coder/" in lines)
    sources = [path.relative_to(ROOT) for path in SRC.rglob("*") if path.suffix in (".py", ".typed")]
    pure = {f"src/{module.replace('.', '/')}.py" for module in pure_modules()}
    assert drawn_files("\n".join(lines)) == {path.as_posix(): path.as_posix() in pure for path in sources}
