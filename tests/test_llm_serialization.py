import codecs
import contextlib
import dataclasses
import datetime
import decimal
import doctest
import enum
import errno
import itertools
import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcp_coder import llm_serialization
from mcp_coder.llm_errors import UnsupportedVersionError
from mcp_coder.llm_serialization import (
    deserialize_llm_response,
    from_json_string,
    serialize_llm_response,
    to_json_string,
    write_file_atomically,
)
from mcp_coder.llm_types import LLM_RESPONSE_VERSION, LLMResponseDict

DATA = Path(__file__).parent / "data"
OF_EVERY_VERSION = sorted(DATA.glob("response-*.json"))

# What a newer minor version might write: unknown fields, at the top and below.
NEWER_MINOR = {
    "version": "1.7",
    "mood": ["good", {"since": None}],
    "text": "blue",
    "raw_response": {"usage": {"thoughts": 3}, "emoji": "🦊"},
}


def response(raw: object = None, **changes: object) -> LLMResponseDict:
    fields: dict[str, object] = {
        "version": LLM_RESPONSE_VERSION,
        "timestamp": "2026-01-31T12:00:00+00:00",
        "text": "blue",
        "session_id": "5fb8e1b7-5135-4c68-b20c-5f5a207a457a",
        "method": "cli",
        "provider": "claude",
        "raw_response": {"value": raw},
    }
    return cast("LLMResponseDict", fields | changes)


def nested(levels: int) -> object:
    value: object = "core"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def again(value: LLMResponseDict) -> LLMResponseDict:
    return from_json_string(to_json_string(value))


def test_exactly_four_names_are_public() -> None:
    assert sorted(llm_serialization.__all__) == [
        "deserialize_llm_response",
        "from_json_string",
        "serialize_llm_response",
        "to_json_string",
    ]


def test_the_documented_examples_hold() -> None:
    assert doctest.testmod(llm_serialization).failed == 0


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ["asyncio", "dataclasses", "inspect", "logging", "tempfile"]
    code = f"import mcp_coder.llm_serialization, sys; print([m for m in {heavy} if m in sys.modules])"
    # -S: what the packages of this environment load at start-up is none of ours.
    source = str(Path(llm_serialization.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == "[]\n"


# --- Stored formats (s53) --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OF_EVERY_VERSION, ids=lambda path: path.stem)
def test_a_response_of_every_format_version_loads_and_is_stored_as_it_was(path: Path, tmp_path: Path) -> None:
    stored = deserialize_llm_response(path)
    serialize_llm_response(stored, tmp_path / "copy.json")
    assert (tmp_path / "copy.json").read_bytes() == path.read_bytes()


def test_the_stored_response_of_format_1_0_says_what_it_said() -> None:
    stored = deserialize_llm_response(DATA / "response-1.0.json")
    assert stored["version"] == "1.0"
    assert stored["text"] == "Noted: blue" == stored["raw_response"]["result"]
    assert stored["session_id"] == stored["raw_response"]["session_id"]
    assert stored["raw_response"]["total_cost_usd"] == 0.049283999999999994


def test_a_format_sample_is_kept_for_the_version_that_is_written_now() -> None:
    assert DATA / f"response-{LLM_RESPONSE_VERSION}.json" in OF_EVERY_VERSION


def test_unknown_fields_of_a_newer_minor_survive_load_and_save(tmp_path: Path) -> None:
    newer, copy = tmp_path / "newer.json", tmp_path / "copy.json"
    newer.write_text(json.dumps(NEWER_MINOR), encoding="utf-8")
    loaded = deserialize_llm_response(newer)
    serialize_llm_response(loaded, copy)
    assert loaded == NEWER_MINOR == deserialize_llm_response(copy)
    assert list(loaded) == list(NEWER_MINOR)


def test_what_a_newer_major_wrote_can_be_stored_again_though_not_read(tmp_path: Path) -> None:
    serialize_llm_response(response(version="2.0"), tmp_path / "r.json")
    with pytest.raises(ValueError, match=r"Incompatible version: 2\.0"):
        deserialize_llm_response(tmp_path / "r.json")


# --- Text ------------------------------------------------------------------------------------------------


def test_the_text_is_made_to_be_read() -> None:
    text = to_json_string(cast("LLMResponseDict", {"version": "1.0", "text": "Grüße 🦊", "list": [1]}))
    assert text == '{\n  "version": "1.0",\n  "text": "Grüße 🦊",\n  "list": [\n    1\n  ]\n}'


class Colour(enum.StrEnum):
    BLUE = "blue"


KEPT = {
    "null": None,
    "bool": [True, False],
    "big-int": 2**4000,
    "floats": [0.1, -0.0, 1e308, 5e-324, 0.049283999999999994],
    "ordered-dict": OrderedDict(b=1, a=2),
    "str-enum": {Colour.BLUE: Colour.BLUE},
    "control-characters": '\x00\x1f\x7f\x85\u2028\r\n\t"\\',
    "high-surrogate": "cut \ud83d",
    "low-surrogate": "\ude00 cut",
    "surrogates-that-do-not-pair": "\ude00\ud83d\ud83d",
    "surrogate-before-an-escape": "\ud83d\\ude00",
    "surrogate-as-key": {"\udc80": 1},
    "empty": [{}, [], "", {"": ""}],
    "shared-but-no-cycle": [[shared := {"a": 1}], shared],
    "deep": nested(497),
}


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_what_json_can_hold_comes_back_equal(value: object, tmp_path: Path) -> None:
    stored = response(value)
    assert again(stored) == stored
    assert list(again(stored)["raw_response"]) == ["value"]
    serialize_llm_response(stored, tmp_path / "r.json")
    assert (tmp_path / "r.json").read_text(encoding="utf-8") == to_json_string(stored)
    assert deserialize_llm_response(tmp_path / "r.json") == stored


def test_the_sign_of_zero_and_the_order_of_keys_stay() -> None:
    text = to_json_string(again(response([-0.0, {"b": 1, "a": 2}])))
    assert text.index("-0.0") < text.index('"b"') < text.index('"a"')


@dataclasses.dataclass
class Record:
    name: str


LOST: dict[str, tuple[object, str]] = {
    "datetime": (
        {"session_info": {"started_at": datetime.datetime.now(datetime.UTC)}},
        "raw_response.value.session_info.started_at: datetime is not JSON",
    ),
    "path": ([0, 1, Path("x")], "raw_response.value[2]: PosixPath is not JSON"),
    "bytes": ({"a b": {"c": b"x"}}, "raw_response.value['a b'].c: bytes is not JSON"),
    "dataclass": (Record("x"), "raw_response.value: Record is not JSON"),
    "class": (Record, "raw_response.value: type is not JSON"),
    "set": ({"a"}, "raw_response.value: set is not JSON"),
    "decimal": (decimal.Decimal("0.1"), "raw_response.value: Decimal is not JSON"),
    "complex": (1j, "raw_response.value: complex is not JSON"),
    "tuple": ((1, 2), "raw_response.value: a tuple would come back as a list"),
    "nan": (float("nan"), "raw_response.value: nan is not JSON"),
    "infinity": ([-float("inf")], "raw_response.value[0]: -inf is not JSON"),
    "int-key": ({1: "a"}, "raw_response.value, key 1: JSON's keys are strings"),
    "none-key": ({None: "a"}, "raw_response.value, key None: JSON's keys are strings"),
    "bool-key": ([{True: "a"}], "raw_response.value[0], key True: JSON's keys are strings"),
    "tuple-key": ({("a",): "a"}, "raw_response.value, key ('a',): JSON's keys are strings"),
    "split-character": ("\ud83d\ude00", "raw_response.value: two surrogates side by side"),
    "split-character-in-key": (
        {"\ud83d\ude00": 1},
        "raw_response.value, key '\\ud83d\\ude00': two surrogates side by side",
    ),
    "int-of-too-many-digits": (10**5000, "raw_response.value: Exceeds the limit"),
}


@pytest.mark.parametrize(("value", "message"), LOST.values(), ids=LOST)
def test_what_would_be_lost_is_refused_by_name_before_anything_is_written(
    value: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TypeError) as caught:
        serialize_llm_response(response(value), tmp_path / "new" / "r.json")
    assert str(caught.value).startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        pytest.param({3: "x"}, "response, key 3: ", id="key-at-the-top"),
        pytest.param({"version": b"1.0"}, "version: bytes is not JSON", id="field-at-the-top"),
        pytest.param([response()], "a response is a dict, not list", id="list"),
        pytest.param(None, "a response is a dict, not NoneType", id="none"),
    ],
)
def test_a_response_that_is_none_is_refused(whole: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        to_json_string(cast("LLMResponseDict", whole))
    assert str(caught.value).startswith(message)


def cycle() -> object:
    inner: dict[str, object] = {}
    inner["self"] = [inner, inner]
    return inner


@pytest.mark.parametrize(
    ("value", "path"),
    [
        pytest.param(cycle(), "raw_response.value.self[1].self[1]", id="cycle"),
        pytest.param(nested(499), "raw_response.value", id="a-level-too-deep"),
        pytest.param(nested(50_000), "raw_response.value", id="far-too-deep"),
    ],
)
def test_what_is_nested_without_end_is_one_clear_error(value: object, path: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply") as caught:
        to_json_string(response(value))
    assert str(caught.value).startswith(path)
    assert len(str(caught.value)) < 200


def test_little_stack_left_is_one_clear_error() -> None:
    def at_depth(frames: int) -> str:
        return at_depth(frames - 1) if frames else to_json_string(response(nested(400)))

    used = len(list(itertools.takewhile(bool, frames_above())))
    with pytest.raises(ValueError, match="nested too deeply"):
        at_depth(sys.getrecursionlimit() - used - 150)


def frames_above() -> Iterator[object]:
    frame = sys._getframe()
    while frame.f_back:
        yield frame
        frame = frame.f_back


# --- Round trips -----------------------------------------------------------------------------------------

TWO_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # of one character
ANY_TEXT = st.text(st.characters())  # surrogates too, which a plain st.text() leaves out
WITHOUT_PAIRS = ANY_TEXT.filter(lambda text: not TWO_HALVES.search(text))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WITHOUT_PAIRS
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WITHOUT_PAIRS, inner, max_size=5)
)
# On a busy machine a slow example says nothing about the code.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNHURRIED
@given(VALUES, WITHOUT_PAIRS)
def test_any_json_value_comes_back_the_same(value: object, text: str) -> None:
    stored = response(value, text=text, unknown=value)
    loaded = again(stored)
    assert loaded == stored
    assert repr(loaded) == repr(stored)  # 1, 1.0 and True are equal, and must not be mixed up
    to_json_string(stored).encode()


@UNHURRIED
@given(ANY_TEXT)
def test_any_text_comes_back_or_is_refused(text: str) -> None:
    stored = response(text=text)
    if TWO_HALVES.search(text):
        with pytest.raises(TypeError, match=r"^text: two surrogates"):
            to_json_string(stored)
    else:
        assert again(stored) == stored


# --- Reading ---------------------------------------------------------------------------------------------

PLAIN = to_json_string(response("Grüße 🦊"))

FOREIGN_FILES = {
    "utf-8": PLAIN.encode(),
    "utf-8-with-mark": codecs.BOM_UTF8 + PLAIN.encode(),
    "windows-line-ends": PLAIN.replace("\n", "\r\n").encode(),
    "windows-with-mark": codecs.BOM_UTF8 + PLAIN.replace("\n", "\r\n").encode() + b"\r\n",
    "utf-16-little": codecs.BOM_UTF16_LE + PLAIN.encode("utf-16-le"),
    "utf-16-big": codecs.BOM_UTF16_BE + PLAIN.encode("utf-16-be"),
    "utf-32-little": codecs.BOM_UTF32_LE + PLAIN.encode("utf-32-le"),
    "utf-32-big": codecs.BOM_UTF32_BE + PLAIN.encode("utf-32-be"),
    "ascii-escapes": json.dumps(response("Grüße 🦊")).encode(),
}


@pytest.mark.parametrize("data", FOREIGN_FILES.values(), ids=FOREIGN_FILES)
def test_a_file_from_elsewhere_is_read(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(data)
    assert deserialize_llm_response(file) == response("Grüße 🦊") == deserialize_llm_response(str(file))


def test_a_text_with_a_byte_order_mark_is_read() -> None:
    assert from_json_string("\ufeff" + PLAIN) == response("Grüße 🦊")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_cut_anywhere_is_broken_json_and_is_named(encoding: str, tmp_path: Path) -> None:
    file, whole = tmp_path / "cut.json", PLAIN.encode(encoding)
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(json.JSONDecodeError) as caught:
            deserialize_llm_response(file)
        assert str(caught.value).startswith(f"{file}: ")


NOT_JSON = {
    "empty": (b"", "Empty, no JSON there: line 1 column 1 (char 0)"),
    "only-a-mark": (codecs.BOM_UTF8, "Empty, no JSON there: line 1 column 1 (char 0)"),
    "blank": (b" \r\n", "Empty, no JSON there: line 1 column 1 (char 0)"),
    "zeros": (bytes(100), "Expecting value: line 1 column 1 (char 0)"),
    "words": (b"Not logged in", "Expecting value: line 1 column 1 (char 0)"),
    "two": (b'{"version": "1.0"}\n{}', "Extra data: line 2 column 1 (char 19)"),
    "latin-1": (b'{\n"text": "Gr\xfc\xdfe"}', "Not utf-8 (invalid start byte): line 2 column 12 (char 13)"),
    "latin-1-marked": (
        codecs.BOM_UTF8 + b"\xfc",
        "Not utf-8-sig (invalid start byte): line 1 column 1 (char 0)",
    ),
    "odd-utf-16": (codecs.BOM_UTF16_LE + b"{\0}", "Not utf-16 (truncated data): line 1 column 2 (char 1)"),
}


@pytest.mark.parametrize(("data", "message"), NOT_JSON.values(), ids=NOT_JSON)
def test_a_file_that_is_no_json_is_one_clear_error(data: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_bytes(data)
    with pytest.raises(json.JSONDecodeError) as caught:
        deserialize_llm_response(file)
    assert str(caught.value) == f"{file}: {message}"


DEEPLY_NESTED = '{"version": "1.0", "a": ' + "[" * 200_000 + "]" * 200_000 + "}"
NO_RESPONSE = {
    "list": ("[]", "a response is a JSON object; found list"),
    "string": ('"1.0"', "a response is a JSON object; found str"),
    "null": ("null", "a response is a JSON object; found NoneType"),
    "number": ("1.0", "a response is a JSON object; found float"),
    "true": ("true", "a response is a JSON object; found bool"),
    "no-version": ('{"text": "blue"}', "Missing 'version' field"),
    "nan": ('{"version": "1.0", "cost": NaN}', "NaN is not JSON"),
    "infinity": ('{"version": "1.0", "cost": -Infinity}', "-Infinity is not JSON"),
    "float-too-large": ('{"version": "1.0", "cost": 1e999}', "'1e999' is larger than a float can be"),
    "int-too-long": (f'{{"version": "1.0", "n": {"9" * 5000}}}', "Exceeds the limit"),
    "too-deep": (DEEPLY_NESTED, "nested too deeply"),
}


@pytest.mark.parametrize(("text", "message"), NO_RESPONSE.values(), ids=NO_RESPONSE)
def test_json_that_is_no_response_is_one_clear_error(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as in_text:
        from_json_string(text)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{file}: {message}')}") as in_file:
        deserialize_llm_response(file)
    assert type(in_text.value) is type(in_file.value) is ValueError


def test_broken_json_text_is_told_with_its_position() -> None:
    with pytest.raises(json.JSONDecodeError, match=r"^Expecting ',' delimiter: line 2 column 1") as caught:
        from_json_string('{"version": "1.0"\n"text": ""}')
    assert (caught.value.lineno, caught.value.pos) == (2, 18)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.7", "1.10", "1.999"])
def test_every_minor_of_this_major_is_read(version: str) -> None:
    assert from_json_string(json.dumps({"version": version}))["version"] == version


REFUSED_VERSIONS: dict[str, tuple[object, str]] = {
    "newer-major": ("2.0", "2.0 (this mcp_coder reads 1.x)"),
    "older-major": ("0.9", "0.9 "),
    "ten": ("10.0", "10.0 "),
    "no-minor": ("1", "1 "),
    "empty-minor": ("1.", "1. "),
    "three-parts": ("1.0.0", "1.0.0 "),
    "suffix": ("1.0b", "1.0b "),
    "line-end": ("1.0\n", "1.0\n "),
    "arabic-digit": ("1.٣", "1.٣ "),
    "empty": ("", " "),
    "word": ("latest", "latest "),
    "long": ("x" * 1000, "x" * 50 + " "),
    "float": (1.0, "1.0, which is no string "),
    "int": (1, "1, which is no string "),
    "null": (None, "None, which is no string "),
    "list": ([1, 0], "[1, 0], which is no string "),
    "deep": (nested(300), "[{'in': ["),
}


@pytest.mark.parametrize(("version", "shown"), REFUSED_VERSIONS.values(), ids=REFUSED_VERSIONS)
def test_a_version_that_cannot_be_read_is_refused_and_shown(
    version: object, shown: str, tmp_path: Path
) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps({"version": version}), encoding="utf-8")
    with pytest.raises(UnsupportedVersionError) as caught:
        from_json_string(file.read_text(encoding="utf-8"))
    assert str(caught.value).startswith(f"Incompatible version: {shown}")
    assert isinstance(caught.value, ValueError)
    with pytest.raises(UnsupportedVersionError) as in_file:
        deserialize_llm_response(file)
    assert str(in_file.value) == f"{file}: {caught.value}"


def test_only_the_version_is_demanded_and_the_last_of_equal_keys_counts() -> None:
    loaded = from_json_string('{"text": "a", "version": "1.0", "text": "b"}')
    assert dict(loaded) == {"version": "1.0", "text": "b"}


def test_50_megabytes_are_stored_and_read(tmp_path: Path) -> None:
    messages = [{"text": "Grüße " * 50, "cost": number / 10} for number in range(30_000)]
    stored = response(messages, text="x" * 42_000_000)
    serialize_llm_response(stored, tmp_path / "big.json")
    assert (tmp_path / "big.json").stat().st_size > 50_000_000
    assert deserialize_llm_response(tmp_path / "big.json") == stored


def test_a_file_that_cannot_be_read_raises_what_the_system_says(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        deserialize_llm_response(tmp_path / "none.json")
    with pytest.raises(IsADirectoryError):
        deserialize_llm_response(tmp_path)


# --- Writing ---------------------------------------------------------------------------------------------


@pytest.fixture
def set_umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    try:
        yield os.umask
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_files_and_folders_are_private_whatever_the_umask(
    umask: int, set_umask: Callable[[int], int], tmp_path: Path
) -> None:
    file = tmp_path / "a" / "b" / "r.json"
    set_umask(umask)
    serialize_llm_response(response(), file)
    assert [mode(file), mode(file.parent), mode(file.parent.parent)] == [0o600, 0o700, 0o700]


def test_an_existing_file_becomes_private_and_its_folder_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    serialize_llm_response(response(), file)
    assert (mode(file), mode(tmp_path)) == (0o600, 0o755)
    assert deserialize_llm_response(file) == response()


def test_the_path_may_be_relative_and_a_string(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    serialize_llm_response(response(), "sub/r.json")
    assert deserialize_llm_response("sub/r.json") == deserialize_llm_response(tmp_path / "sub" / "r.json")


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    file = tmp_path / ("n" * 255)
    serialize_llm_response(response(), file)
    assert deserialize_llm_response(file) == response()


def test_a_link_stays_and_what_it_points_to_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "real" / "r.json", tmp_path / "link.json"
    link.symlink_to("real/r.json")
    for text in ["through a link to nothing yet", "through a link to a file"]:
        serialize_llm_response(response(text=text), link)
        assert link.is_symlink()
        assert not target.is_symlink()
        assert deserialize_llm_response(target) == response(text=text)


def refused_places(folder: Path) -> dict[str, Path]:
    (folder / "circle").symlink_to("circle")
    (folder / "file").write_text("old", encoding="utf-8")
    return {
        "circle": folder / "circle",
        "folder": folder,
        "below-a-file": folder / "file" / "r.json",
        "name-too-long": folder / ("n" * 256),
    }


@pytest.mark.parametrize("place", ["circle", "folder", "below-a-file", "name-too-long"])
def test_a_place_that_cannot_be_written_raises_and_stays_as_it_was(place: str, tmp_path: Path) -> None:
    path = refused_places(tmp_path)[place]
    with pytest.raises(OSError, match=re.escape(f"'{path}'")):
        serialize_llm_response(response(), path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["circle", "file"]
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text, encoding="utf-8")
        serialize_llm_response(response(), pipe)
        assert from_json_string(read.result(timeout=30)) == response()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


WRITE_PAST_THE_LIMIT = """
import resource, sys
from pathlib import Path
from mcp_coder.llm_serialization import write_file_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_file_atomically(Path(sys.argv[1]), bytes(1_000_000))
except OSError as exc:
    print(exc)
"""


def test_a_write_that_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    serialize_llm_response(response(), file)
    done = run(WRITE_PAST_THE_LIMIT, str(file))
    assert done.stdout == f"[Errno {errno.EFBIG}] File too large: '{file}'\n"
    assert list(tmp_path.iterdir()) == [file]
    assert deserialize_llm_response(file) == response()


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60
    )


# Writes the same file over and over, each time whole and in one letter; the letters come as arguments.
KEEP_WRITING = """
import itertools, sys
from pathlib import Path
from mcp_coder.llm_serialization import serialize_llm_response
for letter in itertools.cycle(sys.argv[2:]):
    serialize_llm_response({"version": "1.0", "text": letter * 500_000}, sys.argv[1])
    print(letter, flush=True)
"""


@contextlib.contextmanager
def kept_writing(file: Path, letters: str) -> Iterator[subprocess.Popen[str]]:
    writer = subprocess.Popen(
        [sys.executable, "-c", KEEP_WRITING, str(file), *letters], stdout=subprocess.PIPE, text=True
    )
    with writer:
        try:
            yield writer
        finally:
            writer.kill()


def lines_of(writer: subprocess.Popen[str], count: int) -> list[str]:
    assert writer.stdout is not None
    return [writer.stdout.readline().strip() for _ in range(count)]


def assert_whole(file: Path, letters: str) -> None:
    text = deserialize_llm_response(file)["text"]
    assert text in {letter * 500_000 for letter in letters}


@pytest.mark.parametrize("writes", [1, 2, 3, 5, 8])
def test_a_killed_writer_leaves_an_old_or_a_new_file(writes: int, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    with kept_writing(file, "ab") as writer:
        assert lines_of(writer, writes) == list("abababab")[:writes]
    assert_whole(file, "ab")
    serialize_llm_response(response(), file)  # what the dead one left is in nobody's way
    assert deserialize_llm_response(file) == response()


def test_processes_that_write_one_file_at_once_never_tear_it(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    with kept_writing(file, "ab") as one, kept_writing(file, "cd") as two:
        for writer in [one, two] * 10:
            lines_of(writer, 1)
            assert_whole(file, "abcd")


def test_threads_that_write_one_file_in_a_new_folder_at_once_never_tear_it(tmp_path: Path) -> None:
    file, start = tmp_path / "new" / "folder" / "r.json", threading.Barrier(8)

    def write(letter: str) -> None:
        start.wait(timeout=30)
        for _ in range(5):
            write_file_atomically(file, to_json_string(response(text=letter * 500_000)).encode())
            assert_whole(file, "abcdefgh")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, "abcdefgh"))
    assert list(file.parent.iterdir()) == [file]
