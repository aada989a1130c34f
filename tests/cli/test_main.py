"""The group of commands: its help, its cheap start, and that the docs hold every command and every option."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from mcp_coder._version import __version__
from mcp_coder.cli.exit_codes import MEANINGS
from mcp_coder.cli.main import cli, run

DOCS = Path(__file__).parents[2] / "docs" / "command-line.md"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def commands_in(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words that call it, those of groups in groups too."""
    for own, command in group.commands.items():
        words = f"{name} {own}".strip()
        yield words, command
        if isinstance(command, click.Group):
            yield from commands_in(command, words)


COMMANDS = dict(commands_in(cli))


def options() -> Iterator[tuple[str, str]]:
    """Yield every spelling of every option, with its command."""
    context = click.Context(cli, info_name="mcp-coder")
    for name, command in {"mcp-coder": cli, **COMMANDS}.items():
        for param in command.get_params(context):
            if isinstance(param, click.Option):
                yield from ((name, spelling) for spelling in (*param.opts, *param.secondary_opts))


def section(command: str) -> str:
    """Return what the docs say of a command: its own section, and what stands above those of its kind."""
    page, words = DOCS.read_text(), command.split()
    above, own = page.partition("\n## ")[0], page
    for level in range(1, len(words) + 1):
        heading = "#" * (level + 1)
        own = own.partition(f"\n{heading} {' '.join(words[:level])}\n")[2].partition(f"\n{heading} ")[0]
        above += own.partition(f"\n{heading}# ")[0]
    return above + own


# --- the docs


def test_every_command_has_its_section_in_the_docs() -> None:
    headings = re.findall(r"^##+ (.+)$", DOCS.read_text(), re.MULTILINE)
    assert set(COMMANDS) <= set(headings)


@pytest.mark.parametrize(("command", "option"), sorted(set(options())))
def test_every_option_is_in_the_docs(command: str, option: str) -> None:
    assert re.search(rf"`[^`]*(?<![\w-]){re.escape(option)}(?![\w-])", section(command))


def test_the_docs_name_no_option_that_is_not_there() -> None:
    known = {option for _, option in options()}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", DOCS.read_text())) <= known


def test_exit_codes_are_in_the_docs_and_in_the_help(run_cli: Run) -> None:
    docs, shown = DOCS.read_text(), run_cli("--help").stdout
    for code, meaning in MEANINGS.items():
        assert f"| {code} | {meaning} |" in docs
        assert f"{code:>3}  {meaning}" in shown


# --- help and start


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=repr)
def test_help_lists_the_commands(arguments: list[str], run_cli: Run) -> None:
    done = run_cli(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in cli.commands)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str, run_cli: Run) -> None:
    done = run_cli(*command.split(), "-h")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: mcp-coder {command} ")


def test_the_installed_program_is_the_same() -> None:
    program = Path(sys.executable).with_name("mcp-coder")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"mcp-coder, version {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["prompt", "--help"], ["sessions"], ["usage", "-h"]],
    ids=" ".join,
)
def test_a_cheap_start_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from mcp_coder.cli.main import run\n"
        f"run({arguments!r})\n"
        "heavy = {'claude_agent_sdk', 'rich', 'asyncio', 'logging', 'psutil', 'filelock', 'mcp_coder.testing'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


# --- failing


@pytest.mark.parametrize(
    ("arguments", "told", "help_of"),
    [
        (["nothing"], "No such command 'nothing'", "mcp-coder"),
        (["--nothing"], "No such option", "mcp-coder"),
        (["prompt"], "Missing argument 'TEXT'", "mcp-coder prompt"),
        (["prompt", "two", "words"], "unexpected extra argument (words)", "mcp-coder prompt"),
    ],
    ids=["command", "option", "missing", "extra"],
)
def test_a_mistyped_command_line_is_one_line(
    arguments: list[str], told: str, help_of: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    output, shown = capsys.readouterr()
    assert output == ""
    assert shown.startswith("mcp-coder: ")
    assert told in shown
    assert shown.endswith(f"; try: {help_of} --help\n")
    assert shown.count("\n") == 1


@pytest.fixture
def broken() -> Iterator[str]:
    """Add a command that fails in a way that nobody foresaw."""

    @cli.command("broken")
    def command() -> None:
        raise ZeroDivisionError("division by zero")

    yield "broken"
    del cli.commands["broken"]


def test_what_nobody_foresaw_is_one_line_too(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([broken]) == 70
    shown = capsys.readouterr().err
    assert shown.startswith("mcp-coder: unexpected ZeroDivisionError: division by zero; try: ")
    assert len(shown.splitlines()) == 1


def test_a_command_that_succeeds_returns_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "zsh"]) == 0
    assert "#compdef mcp-coder" in capsys.readouterr().out
