"""What secrets look like: a table of well-known forms, and the ids that look like them and are none. Pure.

Linear time on any input: a form's regular expression is tried only where one of its literals stands, and must not read
on and fail over what the next try would read again.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["FORMS", "ID", "URL_LOGIN", "Finder", "Form", "Span", "compiled"]


class Span(NamedTuple):
    """Where in a text something is to be taken out, and of which kind it is."""

    start: int
    end: int
    kind: str = ""


Finder = Callable[[str], Iterator[Span]]
"""Says where secrets stand in a text, in any order."""


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a regular expression of this module, made when something is first to be tried by it.

    Most texts have nothing that looks like a secret, and making all of them takes as long as to record a turn.
    """
    return re.compile(pattern, re.ASCII)


class Form(NamedTuple):
    """What one kind of secret looks like.

    Attributes:
        kind: what is put in its place: ``[redacted <kind>]``.
        needles: each match begins with one of these.
        pattern: a regular expression, tried where a needle stands; its group, where it has one, is the part to take
            out.
    """

    kind: str
    needles: tuple[str, ...]
    pattern: str

    @property
    def regex(self) -> re.Pattern[str]:
        """What the pattern says, compiled."""
        return compiled(self.pattern)

    def spans(self, text: str) -> Iterator[Span]:
        """Say where such secrets stand."""
        for needle in self.needles:
            at = text.find(needle)
            while at >= 0:
                match = self.regex.match(text, at)
                if match:
                    yield Span(*match.span(self.regex.groups), self.kind)
                at = text.find(needle, match.end() if match else at + 1)


def _form(kind: str, needles: str, pattern: str) -> Form:
    return Form(kind, tuple(needles.split()), pattern)


# What stands before a secret is no letter or digit, unless it ends a JSON or URL escape, or a terminal's colour. What
# such an escape begins with stands in no secret, so that a run of letters is read from its start only (rule 5).
_ESCAPE_BEFORE = r"(?<=\\[nrt])|(?<=%[0-9A-F]{2})|(?<=\[m)|(?<=\[\dm)|(?<=\[\d\dm)|(?<=\[\d;\d\dm)"
_START = rf"(?:(?<![A-Za-z0-9])|{_ESCAPE_BEFORE})"
_JWT_START = rf"(?:(?<![\w-])|{_ESCAPE_BEFORE})"

_IS = r"""\\*+["']?\s{0,4}[:=>]{1,2}\s{0,4}\[?\\*+["']?"""  # between a name and its value, in many notations

# Of a private key at least one line must be there: naming its first line, as this file does, gives nothing away.
# Between its lines may stand what quotes, numbers or comments them, and escaped line ends.
_BASE64 = r"[A-Za-z0-9+/=]"
_PEM_GAP = r"""(?:[\s"'`>|#*,]|\\++[nrt]?|\+(?=\s)|\d{1,6}[→\t|:])*+"""
_PEM_FIELDS = rf"(?:[A-Z][\w-]{{2,20}}: [^\n\\]{{0,100}}+{_PEM_GAP}){{0,5}}+"
_PEM_TO_END = r"(?:[^-]++|-(?!----(?:BEGIN|END) ))*+-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PEM_CUT_OFF = rf"(?:{_PEM_GAP}{_BASE64}{{20,}}+)*+(?:{_PEM_GAP}{_BASE64}++)?"
_PEM = (
    rf"-----BEGIN [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----{_PEM_GAP}{_PEM_FIELDS}{_BASE64}{{20,}}+"
    rf"(?:{_PEM_TO_END}|{_PEM_CUT_OFF})"
)

# The word after "basic" is base64: "basic authentication" is not.
_BASIC = r"(?=[a-z]*[A-Z0-9+/=])(?=(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?(?![\w.~+/=-]))"

# Not what is a place for a password: ${PASSWORD}, $PASSWORD, {password}, <password>, ***.
URL_LOGIN = r""":\\{0,8}/\\{0,8}/[^\s/?#@:"'<>\\]{0,256}:(?!\$\w+@|[*.]+@)([^\s/?#"'<>\\{}]+)@(?=[\w.\[%-])"""

FORMS: tuple[Form, ...] = (
    _form("private-key", "-----BEGIN", _PEM),
    _form("anthropic-key", "sk-ant-", rf"{_START}sk-ant-[\w-]{{16,}}"),
    _form(
        "openai-key",
        "sk-",
        rf"{_START}sk-(?:(?:proj|svcacct|service|admin|None|or-v1|lf)-[\w-]{{20,}}|[A-Za-z0-9]{{20,}})",
    ),
    _form("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_\w{36,}(?:\.[\w-]{10,}){0,2}"),
    _form("github-token", "github_pat_", r"github_pat_\w{36,}"),
    _form(
        "gitlab-token",
        "gl",
        r"gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-[\w-]{20,}(?:\.[0-9a-z]{2,9}){0,2}",
    ),
    _form("aws-key-id", "AKIA ASIA", rf"{_START}A[KS]IA[A-Z0-9]{{16}}(?![A-Za-z0-9])"),
    _form(
        "aws-secret-key",
        "ecret ECRET",
        rf"(?i:ecret[_ -]?(?:access[_ -]?)?key)(?:{_IS}|\s{{1,4}})((?:[A-Za-z0-9+]|\\*/){{40}})(?![A-Za-z0-9+/=])",
    ),
    _form("aws-session-token", "IQoJb3JpZ2lu FwoGZXIvYXdz", r"(?:IQoJ|FwoG)(?:[A-Za-z0-9+=]|\\?/){80,}"),
    _form("google-key", "AIza", rf"{_START}AIza[\w-]{{35,}}"),
    _form("google-token", "ya29. GOCSPX-", rf"{_START}(?:ya29\.[\w.-]{{20,}}|GOCSPX-[\w-]{{20,}})"),
    _form(
        "slack-token",
        "xox xapp-",
        r"(?:xox(?:[abcdeprs]-|o-\d|e\.xox[bp]-)|xapp-)(?=[\w%-]{0,20}\d)[\w%-]{10,}",
    ),
    _form("slack-webhook", "hooks.slack.com", r"hooks\.slack\.com\\*/\w{6,}((?:\\*/\w{6,}){1,4})"),
    _form("stripe-key", "sk_live_ rk_live_ sk_test_ rk_test_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _form("stripe-key", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,}"),
    _form("npm-token", "npm_", r"npm_[A-Za-z0-9]{36,}"),
    _form("pypi-token", "pypi-", r"pypi-(?:AgE[\w-]{16,}|\w{32,}[\w-]*)"),
    _form("huggingface-token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    _form("groq-key", "gsk_", r"gsk_[A-Za-z0-9]{32,}"),
    _form("xai-key", "xai-", r"xai-[A-Za-z0-9]{32,}"),
    _form("docker-token", "dckr_pat_", r"dckr_pat_[\w-]{20,}"),
    _form("digitalocean-token", "dop_v1_ doo_v1_", r"do[op]_v1_[a-f0-9]{40,}"),
    _form("vault-token", "hvs.", rf"{_START}hvs\.[\w-]{{24,}}"),
    _form("sendgrid-key", "SG.", rf"{_START}SG\.[\w-]{{16,}}\.[\w-]{{16,}}"),
    _form("jwt", "eyJ", rf"{_JWT_START}eyJ[\w-]{{10,}}+\.[\w-]{{10,}}+\.[\w-]*+(?:\.[\w-]++\.[\w-]++)?"),
    _form(
        "authorization",
        "uthorization UTHORIZATION",
        rf"(?i:uthorization){_IS}(?i:(?:bearer|token|apikey)\s{{1,4}}(?=[\w.~+/=-]{{8}})|basic\s{{1,4}}(?-i:{_BASIC}))"
        r"([\w.~+/=-]+)",
    ),
    _form(
        "authorization",
        "earer EARER",
        r"(?<=[bB])(?i:earer)\s{1,4}(?=[a-zA-Z.~+/=_-]{0,200}\d)([\w.~+/=-]{20,})",
    ),
    _form("password", r"://  :\/\/", URL_LOGIN),
)
"""The kinds of secrets that are known by their looks. Where two meet, the earlier row gives the name."""

ID = (
    rf"{_START}(?:[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}"
    r"|(?:msg|msgbatch|toolu|srvtoolu|mcptoolu|req)_[A-Za-z0-9]{16,64})(?![A-Za-z0-9])"
)
"""Ids: UUIDs, and those of messages, tool calls and requests. They are never touched."""
