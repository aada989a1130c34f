"""What must not be written: takes secrets out of texts and decoded JSON values before they reach a record or a log.

Pure: a text or value comes in, the same without its secrets goes out, with the count of what was taken out; the
caller's own object is never altered, and what holds no secret is that very object. The rules:

1. Decoded values, never JSON text: keys and texts are looked at, numbers, truth values and None are not.
2. A secret is a value that the caller names (``secrets_in`` finds those of an environment), a text of a well-known form
   (``FORMS``, one row each), or what a pattern of the caller's own matches. Values are found in JSON escapes too.
3. Ids are never touched: UUIDs, ids of messages, tool calls and requests, and what stands under a key that holds an id.
4. Redacting twice is redacting once: what stands in place of a secret is a wall that nothing reaches over.
5. Linear time on any input: a form's regular expression is tried only where one of its literals stands, and must not
   read on and fail over what the next try would read again.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_store.secret_environment import MIN_SECRET_LENGTH, has_secret_word, secrets_in, words_of
from mcp_coder.llm_store.secret_forms import FORMS, ID, Finder, Form, Span, compiled
from mcp_coder.llm_store.secret_values import in_escapes, unescaped

__all__ = ["FORMS", "MIN_SECRET_LENGTH", "Form", "Redactor", "secrets_in"]

Value = TypeVar("Value")

# --- Values that are named ------------------------------------------------------------------------------------------

_LEAST_UNESCAPED = 8  # characters; less would be found in too many texts


def _spans_of_values(values: tuple[tuple[str, str], ...], text: str) -> Iterator[Span]:
    """Say where values stand, as they are or in the escapes of JSON text; with each is what it is without escapes."""
    plain = unescaped(text) if "\\" in text else ""
    for value, rest in values:
        if len(rest) >= _LEAST_UNESCAPED and rest in plain:
            yield from _spans_of(in_escapes(value), text)
        elif value in text:
            yield from _spans_of(re.compile(re.escape(value)), text)


# --- A caller's own patterns ----------------------------------------------------------------------------------------


def _pattern(place: int, text: object) -> re.Pattern[str]:
    # The pattern itself may be a secret: errors show its place.
    if not isinstance(text, str):
        raise InvalidRequestError(f"redaction pattern {place} must be a text, not {type(text).__name__}")
    try:
        regex = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidRequestError(f"redaction pattern {place} is no regular expression: {error}") from error
    if regex.search(""):
        raise InvalidRequestError(f"redaction pattern {place} matches the empty text")
    return regex


# --- What is never touched ------------------------------------------------------------------------------------------

_ID_PART = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_ID = 80
_MARKER = rf"\[redacted(?: (?:{'|'.join(sorted({form.kind for form in FORMS}))}))?\]"
_LONGEST_MARKER = 40


def _spans_of(regex: re.Pattern[str], text: str) -> Iterator[Span]:
    """Say where a regular expression matches, but for what is an id or part of one."""
    for match in regex.finditer(text):
        start, end = match.span()
        if start < end and not (_ID_PART.fullmatch(text, start, end) and _is_in_id(text, start, end)):
            yield Span(start, end)


def _is_in_id(text: str, start: int, end: int) -> bool:
    near = compiled(ID).finditer(text, max(0, start - _LONGEST_ID), end + _LONGEST_ID)
    return any(found.start() <= start and end <= found.end() for found in near)


def _outside_markers(text: str, span: Span) -> Iterator[Span]:
    """Return what of a span is not in place of a secret already."""
    start, end, kind = span
    for marker in compiled(_MARKER).finditer(text, max(0, start - _LONGEST_MARKER), end + _LONGEST_MARKER):
        if start < min(marker.start(), end):
            yield Span(start, min(marker.start(), end), kind)
        start = max(start, marker.end())
    if start < end:
        yield Span(start, end, kind)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in their order, those that overlap as one: nothing of either is left."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            start, end, kind = merged.pop()
            span = Span(start, max(end, span.end), kind or span.kind)
        merged.append(span)
    return merged


def _found(text: str, finders: Iterable[Finder], before: str) -> list[Span]:
    """Return what to take out of a text that stands after ``before``, which is not its own."""
    whole, own = before + text, len(before)
    spans = [span for finder in finders for span in finder(whole) if span.start >= own]
    moved = (Span(start - own, end - own, kind) for start, end, kind in spans)
    return [rest for span in _merged(moved) for rest in _outside_markers(text, span)]


def _without(text: str, spans: Iterable[Span]) -> str:
    parts, at = [], 0
    for start, end, kind in spans:
        parts += [text[at:start], f"[redacted {kind}]" if kind else "[redacted]"]
        at = end
    return "".join([*parts, text[at:]])


# --- Lists and mappings ---------------------------------------------------------------------------------------------

_ID_WORDS = frozenset({"ID", "IDS", "UUID", "UUIDS"})
_ID_TEXT = re.compile(r"\S{1,256}")
# Keys that say what their text is, where the text alone does not: a form finds it after its key.
_TELLING_KEY = re.compile(r"(?is)(?:.*[_-])?(?:authorization|(?:aws)?secret[_-]?(?:access[_-]?)?key)")

# Asking for these first spares a slow question: whether a text is a mapping.
_PLAIN = frozenset({str, int, float, bool, type(None)})

_Clean = Callable[[str, str], str]


class _Node:
    """A list or mapping somewhere in a value, and what becomes of it.

    Attributes:
        value: it.
        entries: its items, each with its place and with the key that says what it is: a list's items are what its own
            key says.
        inner: the lists and mappings in it, by their places.
        result: the same without secrets, once that is known.
    """

    __slots__ = ("entries", "inner", "result", "value")

    def __init__(self, value: object, entries: list[tuple[object, str, object]]) -> None:
        self.value = value
        self.entries = entries
        self.inner: dict[object, _Node] = {}
        self.result: object = None

    def texts(self) -> Iterator[str]:
        """Go through what may hold a secret, each text after what its key says of it."""
        for place, key, item in self.entries:
            if isinstance(place, str):
                yield place
            if isinstance(item, str) and not _is_id(key, item):
                yield _before(key) + item

    def cleaned(self, clean: _Clean) -> object:
        """Return the same without secrets, or itself where there is none; what is in it was done before."""
        old = [place for place, _, _ in self.entries]
        new = [clean(place, "") if isinstance(place, str) else place for place in old]
        items = [self._item(*entry, clean) for entry in self.entries]
        if all(map(operator.is_, [*new, *items], [*old, *(item for _, _, item in self.entries)])):
            return self.value
        if isinstance(self.value, Mapping):
            return dict(zip(_told_apart(old, new), items, strict=True))
        return tuple(items) if isinstance(self.value, tuple) else items

    def _item(self, place: object, key: str, item: object, clean: _Clean) -> object:
        if place in self.inner:
            return self.inner[place].result
        return clean(item, _before(key)) if isinstance(item, str) and not _is_id(key, item) else item


def _nodes(root: object) -> list[_Node]:
    """Return the lists and mappings in a value, the outer before the inner; not by recursion: any depth will do."""
    nodes = [_node(root, "")]
    for node in nodes:
        for place, key, item in node.entries:
            if _is_container(item):
                node.inner[place] = _node(item, key)
                nodes.append(node.inner[place])
    return nodes


def _is_container(value: object) -> bool:
    return type(value) not in _PLAIN and isinstance(value, (list, tuple, Mapping))


def _node(value: object, key: str) -> _Node:
    if isinstance(value, Mapping):
        entries = [(place, place if isinstance(place, str) else "", item) for place, item in value.items()]
    else:
        entries = [(place, key, item) for place, item in enumerate(cast("Sequence[object]", value))]
    return _Node(value, entries)


def _told_apart(old: Iterable[object], new: Iterable[object]) -> Iterator[object]:
    """Go through the new keys, and number those that would be alike: no item is lost."""
    pairs = list(zip(old, new, strict=True))
    taken = {place for place, fresh in pairs if fresh is place}
    numbers: dict[object, int] = {}
    for place, fresh in pairs:
        name = fresh
        while fresh is not place and name in taken:
            numbers[fresh] = numbers.get(fresh, 1) + 1
            name = f"{fresh} {numbers[fresh]}"
        taken.add(name)
        yield name


def _is_id(key: str, text: str) -> bool:
    """Say whether a text is an id because its key says so: ``session_id``, ``toolUseID``, not ``accessKeyId``."""
    if not key.lower().rstrip("s").endswith("id"):
        return False
    words = words_of(key)
    named = words[-1] in _ID_WORDS and not has_secret_word(words)
    return named and _ID_TEXT.fullmatch(text) is not None


def _before(key: str) -> str:
    """Return what its key says of a text, where a form wants to know."""
    likely = key[-1:] in "nNyY"  # spares most keys a closer look
    return f"{key}: " if likely and _TELLING_KEY.fullmatch(key) else ""


# --- The redactor ---------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Redactor:
    """Takes secrets out. Made once, used often, from any thread; it shows none of what it knows.

    Attributes:
        secrets: values to take out wherever they stand, whatever their length.
        patterns: regular expressions of the caller's own; what they match is taken out.
        forms: whether to take out what has a well-known form (``FORMS``).

    Raises:
        InvalidRequestError: a pattern is no regular expression or matches the empty text, or a text was given where
            several are wanted.

    Example::

        redactor = Redactor(secrets=secrets_in(os.environ), patterns=[r"ACME-[0-9]{8}"])
        redactor.text("git clone https://ci:hunter2@git.example.com")
        # ("git clone https://ci:[redacted password]@git.example.com", 1)
    """

    secrets: Sequence[str] = dataclasses.field(default=(), repr=False)
    patterns: Sequence[str] = dataclasses.field(default=(), repr=False)
    forms: bool = True
    _common: tuple[Finder, ...] = dataclasses.field(init=False, repr=False, compare=False)
    _own: tuple[Finder, ...] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check what was given."""
        if isinstance(self.secrets, str) or isinstance(self.patterns, str):
            raise InvalidRequestError("secrets and redaction patterns are lists of texts, not one text")
        values = tuple((value, unescaped(value)) for value in self.secrets if value)
        forms = tuple(form.spans for form in FORMS if self.forms)
        patterns = (_pattern(place, text) for place, text in enumerate(self.patterns))
        named = (functools.partial(_spans_of_values, values),) if values else ()
        object.__setattr__(self, "_common", (*forms, *named))
        object.__setattr__(self, "_own", tuple(functools.partial(_spans_of, regex) for regex in patterns))

    @classmethod
    def none(cls) -> Redactor:
        """Return the one that takes nothing out."""
        return cls(forms=False)

    def text(self, text: str) -> tuple[str, int]:
        """Return a text without its secrets, and how many there were.

        In place of each stands ``[redacted]``, or ``[redacted <kind>]`` where its form says what it was. Secrets that
        overlap are one.
        """
        return self._cleaned(text, (*self._common, *self._own))

    def value(self, value: Value) -> tuple[Value, int]:
        """Return a decoded JSON value without its secrets, and how many there were.

        Texts and keys are looked at, in dicts, lists and tuples of any depth; other mappings become dicts where
        something is taken out. All else, and all that holds no secret, is the same object. Keys that would become
        alike are numbered. What stands under a key that holds an id (``session_id``, ``uuid``, ...) is left alone.

        Example::

            redactor.value({"session_id": session_id, "command": "curl -H 'Authorization: Bearer 0123456789'"})
            # ({"session_id": ..., "command": "curl -H 'Authorization: Bearer [redacted authorization]'"}, 1)
        """
        if isinstance(value, str):
            return cast("tuple[Value, int]", self.text(value))
        if not _is_container(value) or not (self._common or self._own):
            return value, 0
        nodes = _nodes(value)
        finders = self._at_work("\0".join(text for node in nodes for text in node.texts()))
        counts: list[int] = []

        def clean(text: str, before: str) -> str:
            text, count = self._cleaned(text, finders, before)
            counts.append(count)
            return text

        for node in reversed(nodes) if finders else ():
            node.result = node.cleaned(clean)
        return cast("Value", nodes[0].result) if sum(counts) else value, sum(counts)

    def _at_work(self, text: str) -> list[Finder]:
        """Return who may find something in what stands together here: mostly nobody, and all is done."""
        common = [finder for finder in self._common if any(True for _ in finder(text))]
        return [*common, *self._own]  # a caller's own may speak of the ends of a text

    def _cleaned(self, text: str, finders: Iterable[Finder], before: str = "") -> tuple[str, int]:
        count = 0
        while spans := _found(text, finders, before):
            text, count = _without(text, spans), count + len(spans)
            # What stands beside a secret may be one only now that it begins a word.
            finders = (*self._common, *self._own)
        return text, count
