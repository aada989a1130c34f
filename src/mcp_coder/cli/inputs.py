"""What stands in an argument, made into what the library takes: texts from files, JSON, pairs, seconds.

Text of the command line comes in, values go out; a wrong one is a ``click.UsageError`` that says what to write instead.
Files and standard input are read here and nowhere else in the command line; nothing is written.
"""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from mcp_coder.llm_requests import MAX_QUESTION_BYTES

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # no generic at run time before click 8.2
    _ParamType = click.ParamType

__all__ = [
    "ENV_PAIR",
    "FLAG_PAIR",
    "JSON_OBJECT",
    "MCP_CONFIG",
    "SECONDS",
    "TEXT",
    "question_from",
]


def question_from(text: str) -> str:
    """Return the prompt that TEXT stands for: ``-`` is standard input, ``@FILE`` a file, ``@@x`` is ``@x`` itself.

    What is read arrives as it is, line ends included; a byte order mark in front is left out.

    Raises:
        click.UsageError: it cannot be read, or is no UTF-8.
    """
    if text == "-":
        return _standard_input()
    return _text_or_file(text)


def _standard_input() -> str:
    if sys.stdin is None:  # the caller closed it
        raise click.UsageError("standard input is closed")
    try:
        return _decoded(_read(sys.stdin.buffer), "standard input")
    except OSError as exc:
        raise click.UsageError(f"cannot read standard input: {exc.strerror or exc}") from exc


def _text_or_file(text: str) -> str:
    if text.startswith("@@"):
        return text[1:]
    return _file_text(text[1:]) if text.startswith("@") else text


def _file_text(name: str) -> str:
    try:
        with open(Path(name).expanduser(), "rb") as file:
            return _decoded(_read(file), name)
    except (OSError, ValueError, RuntimeError) as exc:  # no such file; a NUL in its name; no home for ~
        reason = getattr(exc, "strerror", None) or str(exc)
        raise click.UsageError(
            f"cannot read the file {name!r}: {reason} (a text that begins with @ is written @@)"
        ) from exc


def _read(file: IO[bytes]) -> bytes:
    """Read what a prompt may hold and a little more, so that one that is too long is refused, and never all of it."""
    return file.read(MAX_QUESTION_BYTES + 8)


def _decoded(data: bytes, where: str) -> str:
    if len(data) > MAX_QUESTION_BYTES:  # cut, perhaps in mid-character; the library says what to do
        return data.decode("utf-8", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise click.UsageError(
            f"{where} is no UTF-8 text: byte {exc.start} is {data[exc.start]:#04x}"
        ) from exc


class _Text(_ParamType):
    name = "text|@file"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        del param, ctx
        return _text_or_file(str(value))


class _Seconds(_ParamType):
    name = "seconds|none"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if isinstance(value, (int, float)):  # a default
            return value
        if str(value).strip().lower() == "none":
            return None
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds > 0):
            self.fail(
                f"{value!r} is no number of seconds above 0 (or none, for no limit of its own)", param, ctx
            )
        return seconds


class _EnvPair(_ParamType):
    name = "name[=value]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, given, text = str(value).partition("=")
        if not name:
            # The value may be a secret and is not shown.
            self.fail(
                "a variable needs a name: NAME=VALUE, or NAME to take it from the environment", param, ctx
            )
        if given:
            return name, text
        if name not in os.environ:
            self.fail(f"{name!r} is not set in the environment; write {name}=VALUE", param, ctx)
        return name, os.environ[name]


class _FlagPair(_ParamType):
    name = "name[=value]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | None]:
        del param, ctx
        if isinstance(value, tuple):
            return value
        name, given, text = str(value).partition("=")
        return name.removeprefix("--"), text if given else None


class _JsonObject(_ParamType):
    name = "json|@file"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        try:
            document = json.loads(_text_or_file(str(value)))
        except ValueError as exc:
            self.fail(f"no JSON: {exc} (write the JSON itself, or @FILE)", param, ctx)
        if not isinstance(document, dict):
            self.fail(f"a JSON object is needed, not {type(document).__name__}", param, ctx)
        return document


class _McpConfig(_JsonObject):
    name = "file|json"

    def convert(  # type: ignore[override]  # a path, or what the file would hold
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, object] | str:
        if isinstance(value, dict) or str(value).lstrip().startswith("{"):
            return super().convert(value, param, ctx)
        path = Path(str(value).removeprefix("@")).expanduser()
        if not path.is_file():
            self.fail(f"there is no file {str(path)!r}", param, ctx)
        # The agent may run in another directory, from which a relative path would lead elsewhere.
        return os.path.abspath(path)


TEXT = _Text()
SECONDS = _Seconds()
ENV_PAIR = _EnvPair()
FLAG_PAIR = _FlagPair()
JSON_OBJECT = _JsonObject()
MCP_CONFIG = _McpConfig()
