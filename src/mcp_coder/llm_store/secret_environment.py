"""Which values of an environment are secrets: told by the names of its variables. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from mcp_coder.llm_store.secret_forms import ID, URL_LOGIN, compiled

__all__ = ["MIN_SECRET_LENGTH", "has_secret_word", "secrets_in", "words_of"]

MIN_SECRET_LENGTH = 12
"""Shorter values of an environment are not taken for secrets: they would be found in innocent words."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS = frozenset({
    "ACCESSKEY", "ACCESSTOKEN", "APIKEY", "APITOKEN", "AUTH", "AUTHTOKEN", "CLIENTSECRET", "CLIENTSECRETS",
    "CREDENTIAL", "CREDENTIALS", "CREDS", "KEY", "PASS", "PASSPHRASE", "PASSWD", "PASSWORD", "PASSWORDS", "PAT",
    "PGPASSWORD", "PGPASSWORDS", "PRIVATEKEY", "SECRET", "SECRETKEY", "SECRETS", "SSHPASS", "TOKEN",
})  # fmt: skip
# Last words of names whose values are about a secret, and none.
_ABOUT_SECRETS = frozenset({
    "ALGORITHM", "AUDIENCE", "COMMAND", "DIR", "DIRECTORY", "EMAIL", "ENDPOINT", "FILE", "FILENAME", "FORMAT",
    "HELPER", "HOST", "ID", "IDS", "ISSUER", "METHOD", "MODE", "NAME", "PATH", "PORT", "PREFIX", "PROVIDER",
    "REGION", "SCOPE", "SCOPES", "SOCK", "SOCKET", "TYPE", "URI", "URL", "USER", "USERNAME", "VERSION",
})  # fmt: skip
# Not compiled before a value is to be looked at: few are.
_NUMBER = r"[\d\s.,:+_-]+"
_PATH = r"(?:~|\.{1,2}|[A-Za-z]:)?[\\/][\w.@:,~ %\\/-]*"
_LEAST_CHARACTERS = 4  # different ones: less is a ruling line or a place for a secret


def secrets_in(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of an environment that are secrets, the longest first.

    They are the values, without blanks around them, of variables whose names say so with a whole word (KEY, TOKEN,
    SECRET, PASSWORD, CREDENTIALS, AUTH, ...), and of any variable that has a password in a URL, with that password.
    None are those shorter than 12 characters, plain paths, numbers, ids (UUIDs too), and values of variables that
    are about a secret (``SSH_AUTH_SOCK``, ``TOKEN_URL``, ``KEY_FILE``).

    Example::

        secrets_in({"GITHUB_TOKEN": "0123456789abcdef", "KEYBOARD_LAYOUT": "dvorak-programmer"})
        # ("0123456789abcdef",)
    """
    found = {secret for name, value in environ.items() for secret in _secrets_of(name, value.strip())}
    return tuple(sorted(found, key=lambda secret: (-len(secret), secret)))


@functools.lru_cache(maxsize=1024)  # an environment is looked through for each turn, and hardly changes
def _secrets_of(name: str, value: str) -> tuple[str, ...]:
    passwords = [match[1] for match in re.finditer(URL_LOGIN, value)] if "@" in value else []
    found = [*passwords, value] if passwords or _says_secret(words_of(name)) else passwords
    return tuple(filter(_may_be_secret, found))


def _says_secret(words: Sequence[str]) -> bool:
    """Say whether a name of these words is a secret's. ``PWD`` alone is the working directory."""
    secret = has_secret_word(words) or "PWD" in words[1:]
    return secret and words[-1] not in _ABOUT_SECRETS and "PUBLIC" not in words


def _may_be_secret(value: str) -> bool:
    if len(value) < MIN_SECRET_LENGTH or len(set(value)) < _LEAST_CHARACTERS:
        return False
    return not (re.fullmatch(_NUMBER, value) or compiled(ID).fullmatch(value) or _is_path(value))


def _is_path(value: str) -> bool:
    """Say whether a value is a plain path. Base64 can begin with a slash too, but goes on with all kinds of letters."""
    runs = re.findall(r"[A-Za-z0-9]{20,}", value)
    mixed = any(all(re.search(kind, run) for kind in ("[a-z]", "[A-Z]", "[0-9]")) for run in runs)
    return re.fullmatch(_PATH, value) is not None and not mixed


def words_of(name: str) -> list[str]:
    """Return the words of a name, in capitals: ``accessKeyId`` has three.

    >>> words_of("accessKeyId")
    ['ACCESS', 'KEY', 'ID']
    """
    return [word.upper() for word in _WORD.findall(name)]


def has_secret_word(words: Sequence[str]) -> bool:
    """Say whether one of the words stands for a secret."""
    return not _SECRET_WORDS.isdisjoint(words)
