"""Which ``claude`` program is used: found in one order by both methods, and asked for its version once.

The order: ``MCP_CODER_CLAUDE`` (which is taken or refused, never passed over), the directories of ``PATH``, the usual
places of an installation, and at last the program inside the wheel of ``claude-agent-sdk``, found without importing it.
The first program there is the choice, whether or not it turns out to work: a broken or old installation is an error
that says so, not a silent change to another program.

An environment comes in, a path and a version go out, or ``AgentNotFoundError``. The only thing ever run is
``claude --version``.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcp_coder.llm_errors import AgentNotFoundError
from mcp_coder.llm_places import absolute_path
from mcp_coder.llm_providers.claude.transcripts import config_dir, home_directory
from mcp_coder.llm_providers.claude.versions import MINIMUM_VERSION, too_old

__all__ = ["find_claude_executable", "locate_claude", "program_version", "verify_claude_installation"]

_WINDOWS = os.name == "nt"
_NAME = (
    "claude.exe" if _WINDOWS else "claude"
)  # a claude.cmd is a script that cannot be started without a shell
_VERSION_SECONDS = 10.0
_VERSION = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]*")

_INSTALL_PLACES = (
    "~/.local/bin",
    "~/.claude/local",
    "~/.npm-global/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "~/.bun/bin",
    "~/.yarn/bin",
    "~/node_modules/.bin",
)
# Patterns that take a walk through directories: the homes of tools that keep several versions of node.
_SLOW_PLACES = (
    "~/.nvm/versions/node/*/bin",
    "~/.local/share/fnm/node-versions/*/installation/bin",
    "~/.volta/tools/image/node/*/bin",
    "~/.asdf/installs/nodejs/*/bin",
)

_CREDENTIAL_VARIABLES = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
)

_HOW_TO_INSTALL = (
    "install it (https://claude.com/claude-code), reinstall claude-agent-sdk, whose wheel brings the program, "
    "or name it in MCP_CODER_CLAUDE"
)


def find_claude_executable(
    *, test_execution: bool = False, return_none_if_not_found: bool = False, fast_mode: bool = True
) -> str | None:
    """Return the path of the ``claude`` program that mcp_coder would use.

    Args:
        test_execution: run it with ``--version`` too; one that cannot be run counts as not found.
        return_none_if_not_found: return None instead of raising.
        fast_mode: look only where the place is known. False: where that finds nothing, walk through the homes of
            nvm, fnm, volta and asdf as well; turns never do that, so name what it finds in ``MCP_CODER_CLAUDE``.

    Raises:
        AgentNotFoundError: there is none; ``searched`` lists the places in order.

    Example::

        find_claude_executable()  # "/home/me/.local/bin/claude"
    """
    try:
        path, _ = _find(os.environ, slow=not fast_mode)
        if test_execution:
            _ask_version(path)
    except AgentNotFoundError:
        if return_none_if_not_found:
            return None
        raise
    return path


def locate_claude(
    env: Mapping[str, str] | None = None, *, seconds: float = _VERSION_SECONDS
) -> tuple[str, str]:
    """Return (path, version) of the program that serves a turn; the version is ``""`` where it does not say.

    Args:
        env: the caller's own environment, not that of the program; None: ``os.environ``.
        seconds: the longest that the program may take to say its version.

    Raises:
        AgentNotFoundError: there is none, it cannot be run, or it is too old.
    """
    path, _ = _find(os.environ if env is None else env)
    version = program_version(path, seconds=seconds)
    _refuse_old(path, version)
    return path, version


def verify_claude_installation() -> dict[str, object]:
    """Say what is installed, without raising.

    Returns:
        ``found``, ``path``, ``version``, ``works`` (it ran, and is not too old), ``error`` (a sentence, or None);
        ``source`` (which of the places), ``searched``; ``config_dir`` (where it keeps its sessions), ``api_key``
        (whether one is set), ``credentials`` (whether a login, key or cloud account can be seen: on macOS it may be
        in the keychain, which is not looked at), ``sdk_version``.
    """
    report: dict[str, object] = {"found": False, "path": None, "version": None, "works": False, "error": None}
    report |= {"source": None, "searched": (), **_surroundings(os.environ)}
    try:
        path, source = _find(os.environ)
        report |= {"found": True, "path": path, "source": source}
        report["version"] = version = _ask_version(path)
        _refuse_old(path, version)
        report["works"] = True
    except AgentNotFoundError as error:
        report |= {"error": str(error), "searched": error.searched}
    return report


# --- Finding --------------------------------------------------------------------------------------------------------


def _find(env: Mapping[str, str], *, slow: bool = False) -> tuple[str, str]:
    """Return (path, which of the places), or raise."""
    named = env.get("MCP_CODER_CLAUDE")
    if named:
        return _named(named), "MCP_CODER_CLAUDE"
    searched = []
    for source, directory in _places(env, slow=slow):
        program = os.path.join(directory, _NAME)
        searched.append(program)
        if _is_program(program):
            return program, source
    raise AgentNotFoundError(
        f"Claude Code (the program '{_NAME}') was not found: {_HOW_TO_INSTALL}", searched=searched
    )


def _named(path: str) -> str:
    program = absolute_path(path)
    if not _is_program(program):
        raise AgentNotFoundError(
            f"MCP_CODER_CLAUDE names {path!r}, which is no program that can be run: correct it or unset it",
            searched=[program],
        )
    return program


def _is_program(path: str) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)


# Texts, not paths: each turn looks here, and making some twenty paths takes half a millisecond.
def _places(env: Mapping[str, str], *, slow: bool) -> Iterator[tuple[str, str]]:
    """Yield (which of the places, directory), in order. What belongs to a home is left out where there is none."""
    for directory in env.get("PATH", os.defpath).split(os.pathsep):
        if os.path.isabs(directory):  # a program of the project that we happen to stand in is not meant
            yield "PATH", directory
    home = home_directory(env)
    yield from (("installed", directory) for directory in _at_home(_INSTALL_PLACES, home))
    yield from (("sdk", directory) for directory in _sdk_directories())
    if slow:
        for pattern in _at_home(_SLOW_PLACES, home):
            yield from (("installed", str(found)) for found in sorted(Path("/").glob(pattern[1:])))


def _at_home(places: tuple[str, ...], home: str | None) -> Iterator[str]:
    for place in places:
        if not place.startswith("~"):
            yield place
        elif home is not None:
            yield os.path.join(home, place.removeprefix("~/"))


def _sdk_directories() -> list[str]:
    """Return where the SDK's wheel keeps the program. The package is looked up, not imported (1.2 s)."""
    import importlib.util

    try:
        spec = importlib.util.find_spec("claude_agent_sdk")
    except (ImportError, ValueError):
        return []
    locations = spec.submodule_search_locations if spec else None
    return [os.path.join(location, "_bundled") for location in locations or ()]


# --- Versions -------------------------------------------------------------------------------------------------------

_versions: dict[tuple[str, int, int], str] = {}


def program_version(path: str, *, seconds: float = _VERSION_SECONDS) -> str:
    """Return the version of a ``claude`` program, e.g. ``"2.1.330"``; ``""`` if it does not say.

    It is read once and kept in this process for as long as the file stays the same. For the program in the SDK's
    wheel it stands in a file beside it, so that nothing is run at all.

    Raises:
        AgentNotFoundError: it cannot be run; the message says why.
    """
    key = _identity(path)
    if key not in _versions:
        _versions[key] = _version_beside(path) or _ask_version(path, seconds)
    return _versions[key]


def _identity(path: str) -> tuple[str, int, int]:
    real = os.path.realpath(path)
    try:
        facts = os.stat(real)
    except OSError as error:
        raise _cannot_run(path, error.strerror or str(error)) from error
    return real, facts.st_mtime_ns, facts.st_size


def _version_beside(path: str) -> str:
    program = Path(path)
    if program.parent.name != "_bundled":
        return ""
    try:
        return _version_in((program.parent / "claude.version").read_text("utf-8", "replace"))
    except OSError:
        return ""


def _ask_version(path: str, seconds: float = _VERSION_SECONDS) -> str:
    from mcp_coder.llm_providers.process import run_briefly

    try:
        exit_code, output, errors = run_briefly([path, "--version"], timeout=seconds)
    except OSError as error:
        raise _cannot_run(path, error.strerror or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise _cannot_run(path, f"'--version' took longer than {seconds:.3g} s") from error
    if exit_code != 0:
        raise _cannot_run(path, f"'--version' ended with {exit_code}: {(errors or output).strip()[-300:]}")
    return _version_in(output)


def _version_in(text: str) -> str:
    found = _VERSION.search(text)
    return found.group() if found else ""


def _cannot_run(path: str, why: str) -> AgentNotFoundError:
    return AgentNotFoundError(f"{path} cannot be run: {why}", searched=[path])


def _refuse_old(path: str, version: str) -> None:
    if too_old(version):
        minimum = ".".join(map(str, MINIMUM_VERSION))
        raise AgentNotFoundError(
            f"{path} is Claude Code {version}, too old to be driven: {minimum} or newer is needed. Run "
            "'claude update', or name another program in MCP_CODER_CLAUDE",
            searched=[path],
        )


# --- What is around it ----------------------------------------------------------------------------------------------


def _surroundings(env: Mapping[str, str]) -> dict[str, object]:
    directory = config_dir(env)
    return {
        "config_dir": directory,
        "api_key": bool(env.get("ANTHROPIC_API_KEY")),
        "credentials": any(map(env.get, _CREDENTIAL_VARIABLES)) or _has_login(directory),
        "sdk_version": _sdk_version(),
    }


def _has_login(config_dir: str | None) -> bool:
    return config_dir is not None and os.access(Path(config_dir, ".credentials.json"), os.R_OK)


def _sdk_version() -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version("claude-agent-sdk")
    except importlib.metadata.PackageNotFoundError:
        return None
