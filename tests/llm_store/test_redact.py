"""What is taken out of records, and what never is."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import time
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from tests.llm_store.secret_samples import A36, A40, LINE, MARKERS, SECRET, UUID, escaped, joined, pem

from mcp_coder.llm_errors import InvalidRequestError
from mcp_coder.llm_store.redact import FORMS, Redactor

SAMPLES = Path(__file__).parent.parent / "data"


# --- Texts ----------------------------------------------------------------------------------------------------------


def test_a_text_without_secrets_is_the_same_object() -> None:
    text = "".join(["nothing", " here"])
    assert Redactor(secrets=[SECRET], patterns=["ACME-[0-9]+"]).text(text)[0] is text


def test_all_secrets_are_counted() -> None:
    text = joined(f"{SECRET} np·m_{A36} {SECRET} ACME-17")
    redacted = "[redacted] [redacted npm-token] [redacted] [redacted]"
    assert Redactor(secrets=[SECRET], patterns=["ACME-[0-9]+"]).text(text) == (redacted, 4)


def test_of_values_that_contain_one_another_the_longer_wins() -> None:
    redactor = Redactor(secrets=["horse+battery", SECRET, "correct/horse"])
    assert redactor.text(f"{SECRET} horse+battery!") == ("[redacted] [redacted]!", 2)


def test_secrets_that_overlap_are_one() -> None:
    redactor = Redactor(secrets=["abcdefghijklmnop", "ijklmnopqrstuvwx"])
    assert redactor.text("<abcdefghijklmnopqrstuvwx>") == ("<[redacted]>", 1)


def test_secrets_that_touch_are_two() -> None:
    assert Redactor(secrets=["abcdefgh", "ijklmnop"]).text("abcdefghijklmnop") == ("[redacted][redacted]", 2)


def test_the_kind_is_said_where_one_of_what_overlaps_has_one() -> None:
    token = joined(f"np·m_{A36}")
    assert Redactor(secrets=[token]).text(token) == ("[redacted npm-token]", 1)
    assert Redactor(secrets=[f"x={token}"]).text(f"x={token}") == ("[redacted npm-token]", 1)
    assert (
        Redactor().text(f"https://ci:{token}@npm.example.com")[0]
        == "https://ci:[redacted npm-token]@npm.example.com"
    )


def test_a_secret_that_begins_where_another_ended_is_found() -> None:
    key = joined(f"sk-·ant-api03-{A36}")
    assert Redactor(secrets=[SECRET]).text(f"{SECRET}x{key}") == (f"[redacted]x{key}", 1)
    assert Redactor(secrets=[SECRET]).text(SECRET + key) == ("[redacted][redacted anthropic-key]", 2)


def test_a_secret_of_any_length_is_taken_out_when_it_is_named() -> None:
    assert Redactor(secrets=["hunter2", ""]).text("it is hunter2.") == ("it is [redacted].", 1)


@pytest.mark.parametrize("marker", MARKERS)
def test_what_stands_in_place_of_a_secret_is_no_secret(marker: str) -> None:
    redactor = Redactor(secrets=[marker[1:-1], "acted"], patterns=[r"\w+", r"\[.*\]"])
    assert redactor.text(marker + marker) == (marker + marker, 0)


def test_a_secret_around_a_marker_is_taken_out_but_for_the_marker() -> None:
    redactor = Redactor(secrets=["y[redacted]x"])
    assert redactor.text("zy[redacted]xz[redacted]") == ("z[redacted][redacted][redacted]z[redacted]", 2)


def test_a_made_up_marker_hides_nothing() -> None:
    assert Redactor(secrets=["hunter2hunter2"]).text("[redacted hunter2hunter2]") == (
        "[redacted [redacted]]",
        1,
    )


def test_none_takes_nothing_out() -> None:
    value = {"key": joined(f"np·m_{A36}"), "pem": pem()}
    assert Redactor.none().text(value["key"]) == (value["key"], 0)
    assert Redactor.none().value(value)[0] is value


def test_known_forms_can_be_left_out() -> None:
    assert Redactor(secrets=[SECRET], forms=False).text(f"{SECRET} {pem()}") == (f"[redacted] {pem()}", 1)


# --- Ids ------------------------------------------------------------------------------------------------------------

IDS = [
    UUID,
    UUID.upper(),
    "msg_01XFDUDYJgAACzvnptvVoYEL",
    "toolu_01A09q90qw90lq917835lq9",
    "srvtoolu_014hJH82Qum7Td6UV8gDXThB",
    "req_011CSHoEeqs5C35K2UUqR7Fy",
]


@pytest.mark.parametrize("found", IDS)
def test_ids_are_never_touched(found: str) -> None:
    redactor = Redactor(secrets=[found, found[4:20]], patterns=["[0-9a-zA-Z]{6,}", "[0-9a-f-]+", ".*_.*"])
    text = f"{found} ({found}), /x/{found}.jsonl"
    assert redactor.value([found, {found: "-"}]) == ([found, {found: "[redacted]"}], 1)
    assert Redactor(secrets=[found, found[4:20]]).text(text) == (text, 0)


def test_a_secret_with_an_id_in_it_is_a_secret() -> None:
    assert Redactor(secrets=[f"key-{UUID}-x"]).text(f"key-{UUID}-x {UUID}") == (f"[redacted] {UUID}", 1)


def test_what_only_begins_like_an_id_is_none() -> None:
    redactor = Redactor(secrets=["0123456789abcdef"])
    assert redactor.text("msg_0123456789abcdef0") == ("msg_0123456789abcdef0", 0)
    assert redactor.text("xmsg_0123456789abcdef0 msg_0123456789abcdef_") == (
        "xmsg_[redacted]0 msg_0123456789abcdef_",
        1,
    )


@pytest.mark.parametrize(
    "key",
    [
        "id",
        "uuid",
        "session_id",
        "sessionId",
        "parent_tool_use_id",
        "toolUseID",
        "request_id",
        "parentUuid",
        "message_uuid",
    ],
)
def test_what_stands_under_a_key_that_holds_an_id_is_left_alone(key: str) -> None:
    token = joined(f"np·m_{A36}")
    value = {key: SECRET, "a": [{key: token}], "b": {key: [SECRET, token]}}
    assert Redactor(secrets=[SECRET]).value(value) == (value, 0)


@pytest.mark.parametrize("key", ["ids", "tool_use_ids", "begun_message_ids"])
def test_what_stands_in_a_list_of_ids_is_left_alone(key: str) -> None:
    assert Redactor(secrets=[SECRET]).value({key: [SECRET, [SECRET]]})[1] == 0


@pytest.mark.parametrize(
    "key", ["grid", "paid", "accessKeyId", "aws_access_key_id", "token_id", "idea", "ID card", ""]
)
def test_what_stands_under_another_key_is_no_id(key: str) -> None:
    assert Redactor(secrets=[SECRET]).value({key: SECRET}) == ({key: "[redacted]"}, 1)


@pytest.mark.parametrize("text", [f"the key is {SECRET}", SECRET + "x" * 256])
def test_a_text_that_cannot_be_an_id_is_none(text: str) -> None:
    assert Redactor(secrets=[SECRET]).value({"id": text})[1] == 1


def test_what_a_key_that_holds_an_id_has_inside_is_no_id() -> None:
    value = {"id": {"name": SECRET, "id": SECRET}}
    assert Redactor(secrets=[SECRET]).value(value) == ({"id": {"name": "[redacted]", "id": SECRET}}, 1)


# --- Values ---------------------------------------------------------------------------------------------------------


def test_texts_and_keys_are_looked_at_wherever_they_are() -> None:
    value = {"a": [1, SECRET, {"b": (SECRET, None)}], f"x {SECRET}": True, "c": {"d": 2.5, "e": ["f"]}}
    redacted = {
        "a": [1, "[redacted]", {"b": ("[redacted]", None)}],
        "x [redacted]": True,
        "c": {"d": 2.5, "e": ["f"]},
    }
    before = copy.deepcopy(value)
    assert Redactor(secrets=[SECRET]).value(value) == (redacted, 3)
    assert value == before


def test_what_holds_no_secret_is_the_same_object() -> None:
    value = {"a": [1, SECRET], "b": {"c": ["d"]}, "e": (1, 2)}
    redacted, _ = Redactor(secrets=[SECRET]).value(value)
    assert redacted["b"] is value["b"]
    assert redacted["e"] is value["e"]
    assert Redactor(secrets=["elsewhere"]).value(value)[0] is value
    assert Redactor(secrets=["elsewhere"], patterns=["nowhere"]).value(value)[0] is value


@pytest.mark.parametrize("value", [None, True, 17, 123456789012, 1.5, b"bytes", "a text", [], {}, ()])
def test_a_value_that_holds_nothing_is_left_alone(value: object) -> None:
    assert Redactor(secrets=["123456789012"]).value(value) == (value, 0)


def test_numbers_and_truth_values_are_never_touched() -> None:
    value = {"n": 123456789012, 123456789012: [True, 1.5, None], "t": "123456789012"}
    redacted = {"n": 123456789012, 123456789012: [True, 1.5, None], "t": "[redacted]"}
    assert Redactor(secrets=["123456789012", "True"]).value(value) == (redacted, 1)


def test_a_text_alone_is_a_value() -> None:
    assert Redactor(secrets=[SECRET]).value(SECRET) == ("[redacted]", 1)


def test_order_is_kept() -> None:
    redacted, _ = Redactor(secrets=[SECRET]).value({"z": 1, SECRET: 2, "a": 3})
    assert list(redacted.items()) == [("z", 1), ("[redacted]", 2), ("a", 3)]


def test_keys_that_would_be_alike_are_numbered() -> None:
    redactor = Redactor(secrets=["hunter2", "hunter3", "hunter4"])
    value = {"hunter2": 1, "[redacted] 2": 2, "hunter3": 3, "hunter4": 4, "x hunter4": 5}
    redacted = {"[redacted]": 1, "[redacted] 2": 2, "[redacted] 3": 3, "[redacted] 4": 4, "x [redacted]": 5}
    assert redactor.value(value) == (redacted, 4)
    assert redactor.value(redacted) == (redacted, 0)


def test_a_mapping_that_is_no_dict_is_looked_at() -> None:
    proxy = types.MappingProxyType({"a": SECRET, "b": "c"})
    value: list[object] = [proxy]
    assert Redactor(secrets=[SECRET]).value(value) == ([{"a": "[redacted]", "b": "c"}], 1)
    assert Redactor(secrets=["elsewhere"]).value(proxy)[0] is proxy


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ({"Authorization": "Bearer 12345678"}, {"Authorization": "Bearer [redacted authorization]"}),
        ({"proxy-authorization": "Basic dTpw"}, {"proxy-authorization": "Basic [redacted authorization]"}),
        ({"authorization": ["token 12345678"]}, {"authorization": ["token [redacted authorization]"]}),
        ({"SecretAccessKey": A40}, {"SecretAccessKey": "[redacted aws-secret-key]"}),
        ({"aws_secret_access_key": A40}, {"aws_secret_access_key": "[redacted aws-secret-key]"}),
        ({"AWS_SECRET_ACCESS_KEY": A40}, {"AWS_SECRET_ACCESS_KEY": "[redacted aws-secret-key]"}),
        ({"secretKey": A40}, {"secretKey": "[redacted aws-secret-key]"}),
    ],
)
def test_a_key_may_say_what_its_text_is(value: dict[str, object], redacted: dict[str, object]) -> None:
    assert Redactor().value(value) == (redacted, 1)
    assert Redactor().value(redacted) == (redacted, 0)


@pytest.mark.parametrize("value", [{"Authorization": "required"}, {"key": A40}, {"query": "Basic dTpw"}])
def test_a_key_that_says_nothing_makes_no_secret(value: dict[str, str]) -> None:
    assert Redactor().value(value)[0] is value


def test_a_secret_of_key_and_text_together_is_none() -> None:
    assert Redactor(secrets=["Authorization: x y"]).value({"Authorization": "x y"})[1] == 0


def test_what_stands_in_several_places_is_taken_out_of_each() -> None:
    shared = [SECRET]
    value = {"ids": shared, "a": shared, "b": {"again": shared}, "c": [shared, shared]}
    redacted, count = Redactor(secrets=[SECRET]).value(value)
    assert count == 4
    assert redacted == {
        "ids": [SECRET],
        "a": ["[redacted]"],
        "b": {"again": ["[redacted]"]},
        "c": [["[redacted]"], ["[redacted]"]],
    }


def test_any_depth_will_do() -> None:
    value: object = SECRET
    for _ in range(10_000):
        value = [value]
    redacted, count = Redactor(secrets=[SECRET]).value(value)
    while isinstance(redacted, list):
        (redacted,) = redacted
    assert (redacted, count) == ("[redacted]", 1)


def test_real_outputs_hold_no_secret() -> None:
    lines = [
        json.loads(line)
        for file in SAMPLES.rglob("*.stdout")
        for line in file.read_text().splitlines()
        if line
    ]
    assert len(lines) > 5
    assert Redactor(secrets=[SECRET]).value(lines)[0] is lines


# --- The redactor ---------------------------------------------------------------------------------------------------


def test_it_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Redactor().forms = False  # type: ignore[misc]  # that is the test


def test_it_shows_nothing_of_what_it_knows() -> None:
    assert repr(Redactor(secrets=[SECRET], patterns=["hunter2"])) == "Redactor(forms=True)"


def test_it_can_be_handed_to_another_process() -> None:
    redactor = pickle.loads(pickle.dumps(Redactor(secrets=[SECRET], patterns=["hunter[0-9]"])))
    assert redactor.text(f"{SECRET} hunter2 {pem()}") == ("[redacted] [redacted] [redacted private-key]", 3)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("hunter2(", "redaction pattern 1 is no regular expression: missing"),
        ("a{1,99999999999999999999}", "redaction pattern 1 is no regular expression: "),
        ("(" * 5000, "redaction pattern 1 is no regular expression: "),
        ("", "redaction pattern 1 matches the empty text"),
        ("x*", "redaction pattern 1 matches the empty text"),
        (17, "redaction pattern 1 must be a text, not int"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Redactor(patterns=["fine", pattern])
    assert str(caught.value).startswith(message)
    assert "hunter2" not in str(caught.value)


def test_a_text_where_several_are_wanted_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="lists of texts, not one text"):
        Redactor(secrets=SECRET)
    with pytest.raises(InvalidRequestError, match="lists of texts, not one text"):
        Redactor(patterns="ACME-[0-9]+")


def test_a_pattern_may_speak_of_the_ends_of_a_text() -> None:
    redactor = Redactor(patterns=["^ACME-[0-9]+$"])
    assert redactor.value(["ACME-17", "x ACME-17", {"ACME-18": 1}]) == (
        ["[redacted]", "x ACME-17", {"[redacted]": 1}],
        2,
    )


def test_a_pattern_that_matches_nothing_between_letters_takes_nothing_out() -> None:
    assert Redactor(patterns=[r"\b", "(?=b)"]).text("abc") == ("abc", 0)


def test_a_pattern_that_matches_all_leaves_markers() -> None:
    assert Redactor(patterns=["(?s).+"]).text("a [redacted] b") == ("[redacted][redacted][redacted]", 2)


# --- Time -----------------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Callable[[int], str]] = {
    "letters": lambda size: "a" * size,
    "digits": lambda size: "1" * size,
    "blanks": lambda size: " " * size,
    "dashes": lambda size: "-" * size,
    "backslashes": lambda size: "\\" * size,
    "escapes": lambda size: "\\u0041" * (size // 6),
    "colours": lambda size: "[0meyJ" * (size // 6),
    "keys": lambda size: "sk-" * (size // 3),
    "key-beginnings": lambda size: "-----BEGIN PRIVATE KEY-----" * (size // 27),
    "keys-without-end": lambda size: f"-----BEGIN PRIVATE KEY-----\n{LINE}\n" * (size // 92),
    "one-key-without-end": lambda size: f"-----BEGIN PRIVATE KEY-----\n{LINE}\n" + "-" * size,
    "key-fields": lambda size: "-----BEGIN PRIVATE KEY-----\n" + "Abc: " * (size // 5),
    "jwt-heads": lambda size: "eyJ" * (size // 3),
    "jwt-parts": lambda size: "eyJabcdefghijkl." * (size // 16),
    "jwt-dashes": lambda size: "eyJ-" * (size // 4),
    "urls": lambda size: "://" * (size // 3),
    "url-users": lambda size: "://a:" * (size // 5),
    "url-passwords": lambda size: "://a:" + "@" * size,
    "headers": lambda size: "Authorization: Bearer " * (size // 22),
    "header-and-backslashes": lambda size: "Authorization" + "\\" * size,
    "basic": lambda size: "Authorization: Basic " + "a" * size,
    "secret-and-backslashes": lambda size: "secret_key=a" + "\\" * size,
    "markers": lambda size: "[redacted]" * (size // 10),
    "half-markers": lambda size: "[redacted" * (size // 9),
    "value": lambda size: SECRET * (size // len(SECRET)),
    "value-in-escapes": lambda size: SECRET.replace("/", "\\/") + "\\" * size,
}


def seconds(text: str) -> float:
    redactor = Redactor(secrets=[SECRET, "a" * 30 + "b"])
    start = time.perf_counter()
    redacted, _ = redactor.text(text)
    assert SECRET not in redacted
    return time.perf_counter() - start


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_text_takes_long(hostile: str) -> None:
    # Where each needle read on to the end, this would take minutes.
    assert seconds(HOSTILE[hostile](300_000)) < 10


@pytest.mark.long
@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_large_text_takes_long(hostile: str) -> None:
    assert seconds(HOSTILE[hostile](5_000_000)) < 120


# --- Properties -----------------------------------------------------------------------------------------------------

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LETTERS = st.sampled_from(list('abcABC012 "\\/\n\t{}[]:@-_.é→😀'))
# Some overlap with one another, or with what stands in place of a secret.
ODD_SECRETS = [
    "abcabcabcabc",
    "bcabcabcabca",
    "cabcabcabc[redacted",
    "redacted]abcabc",
    SECRET,
]
SECRETS = st.lists(
    st.sampled_from(ODD_SECRETS)
    | st.text(LETTERS, min_size=12, max_size=20)
    .filter(lambda secret: len(secret.replace("\\", "")) > 8)
    .filter(lambda secret: not any(secret in marker for marker in MARKERS)),
    min_size=1,
    max_size=3,
)
TOKENS = [
    joined(text)
    for text in (f"sk-·ant-api03-{A36}", f"np·m_{A36}", "AK·IAIOSFODNN7EXAMPLE", "://u:abcabc@h", pem())
]
NEEDLES = [needle for form in FORMS for needle in form.needles]
PIECES = ["x", "\\", '"', "abc", A36, LINE, "\n", *MARKERS[:3], *TOKENS]


@st.composite
def texts(draw: st.DrawFn, secrets: list[str]) -> str:
    """Texts with secrets in them, as they are and escaped, beside all kinds of things."""
    pieces = st.sampled_from([*secrets, *PIECES]) | st.sampled_from(NEEDLES) | st.text(LETTERS, max_size=3)
    text = "".join(draw(st.lists(pieces, max_size=6)))
    return escaped(text, draw(st.integers(0, 2)), ascii_only=draw(st.booleans()))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], object]:
    secrets = draw(SECRETS)
    leaves = texts(secrets) | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    keys = st.sampled_from([*secrets, *MARKERS[:2], "[redacted] 2", "key"]) | texts(secrets) | st.integers()

    def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        lists = st.lists(inner, max_size=4)
        return lists | lists.map(tuple) | st.dictionaries(keys, inner, max_size=4)

    return secrets, draw(st.recursive(leaves, containers, max_leaves=12))


def all_texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for text in all_texts(item)]
    return [text for item in value for text in all_texts(item)] if isinstance(value, (list, tuple)) else []


def shape(value: object) -> object:
    """What is left of a value when its texts are all alike."""
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    return str if isinstance(value, str) else (type(value), value)


@UNHURRIED
@given(case=cases())
def test_no_secret_is_left_and_all_else_is_as_it_was(case: tuple[list[str], object]) -> None:
    secrets, value = case
    before = copy.deepcopy(value)
    redacted, count = Redactor(secrets=secrets).value(value)
    assert value == before
    assert shape(redacted) == shape(value)
    assert (redacted is value) == (count == 0)
    forms = {escaped(secret, times, ascii_only=True) for secret in secrets for times in range(3)}
    assert [form for form in forms for text in all_texts(redacted) if form in text] == []


@UNHURRIED
@given(case=cases())
def test_redacting_twice_is_redacting_once(case: tuple[list[str], object]) -> None:
    redactor = Redactor(secrets=case[0], patterns=["[0-2]{2,}", "[a-e]{4,}"])
    redacted, _ = redactor.value(case[1])
    again, count = redactor.value(redacted)
    assert again is redacted
    assert count == 0


@given(
    secret=st.text('abcdefgh+/=\\\n"é', min_size=12), around=st.tuples(st.text("123 .,"), st.text("123 .,"))
)
@example(secret="\\" * 11 + "a", around=("1", "2"))
def test_what_stands_around_a_secret_stays(secret: str, around: tuple[str, str]) -> None:
    text = around[0] + secret + around[1]
    assert Redactor(secrets=[secret], forms=False).text(text) == (around[0] + "[redacted]" + around[1], 1)


@UNHURRIED
@given(text=st.text(LETTERS) | texts([]))
def test_a_text_that_nothing_is_taken_out_of_is_the_same(text: str) -> None:
    redacted, count = Redactor().text(text)
    assume(count == 0)
    assert redacted is text
