"""Values in the escapes of JSON text."""

from __future__ import annotations

import json

import pytest
from tests.llm_store.secret_samples import SECRET, escaped

from mcp_coder.llm_store.redact import Redactor

ODD = 'a"b\\c/d\ne\tf\rg\bh\fi\x1bj<k>é😀l'


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("times", [0, 1, 2, 3, 4])
def test_a_value_is_found_in_json_within_json(times: int, ascii_only: bool) -> None:
    text = escaped(f"é {ODD} é", times, ascii_only=ascii_only)
    around = escaped("é", times, ascii_only=ascii_only)
    assert Redactor(secrets=[ODD]).text(text) == (f"{around} [redacted] {around}", 1)


@pytest.mark.parametrize(
    "text",
    [
        r"correct\/horse+battery=staple",
        r"correct/horse\u002Bbattery\u003dstaple",
        r"correct\\/horse\\u002bbattery=staple",
        "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
        "".join(f"\\u{ord(letter):04X}" for letter in SECRET),
    ],
)
def test_a_value_is_found_however_its_characters_are_escaped(text: str) -> None:
    assert Redactor(secrets=[SECRET]).text(f'{{"a\\n": "{text}"}}') == ('{"a\\n": "[redacted]"}', 1)


def test_a_backslash_before_a_value_is_not_the_values_own() -> None:
    assert Redactor(secrets=[SECRET]).text(f"C:\\{SECRET}\\x") == ("C:\\[redacted]\\x", 1)


def test_a_value_beside_backslashes_that_have_nothing_to_do_with_it() -> None:
    redactor = Redactor(secrets=[SECRET, "\\u12", "ends with\\u00"])
    assert redactor.text(f"\\n {SECRET} \\") == ("\\n [redacted] \\", 1)
    assert redactor.text("\\n \\u12 ends with\\u0041") == ("\\n [redacted] [redacted]41", 2)


def test_a_value_of_little_but_backslashes_is_found_only_as_it_is() -> None:
    redactor = Redactor(secrets=["\\\\\\\\\\\\\\\\\\\\\\n"])
    assert redactor.text("a\\n b\\\\n") == ("a\\n b\\\\n", 0)
    assert redactor.text("a\\\\\\\\\\\\\\\\\\\\\\n") == ("a[redacted]", 1)


def test_a_value_that_ends_with_a_backslash() -> None:
    redactor = Redactor(secrets=["correct horse\\"])
    assert redactor.text("<correct horse\\>") == ("<[redacted]>", 1)
    assert redactor.text('{"a": "<correct horse\\\\>"}') == ('{"a": "<[redacted]>"}', 1)


def test_a_value_that_is_no_proper_text_is_found() -> None:
    odd = "corr\udce9ct horse battery"  # bytes that are no UTF-8, as an environment shows them
    assert Redactor(secrets=[odd]).text(f"<{odd}> {json.dumps(odd)}") == ('<[redacted]> "[redacted]"', 2)
