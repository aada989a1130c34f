"""JSON text that is a mapping: equal to its dict, read when it is first looked into."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping

import pytest

from mcp_coder.llm_store.json_objects import JsonObject, scan_json
from mcp_coder.llm_store.values import UnreadableError

TEXT = '{"total":0.5,"models":{"large":[1,2,null]},"odd":"\\ud800 \\u0000"}'


def test_it_is_the_mapping_that_stands_in_the_text() -> None:
    found, wanted = JsonObject(TEXT), json.loads(TEXT)
    assert isinstance(found, Mapping)
    assert found == wanted
    assert wanted == found
    assert (list(found), len(found), found["total"], found.get("none")) == (list(wanted), 3, 0.5, None)
    assert dict(found) == wanted
    assert repr(found) == repr(wanted)


def test_it_can_be_copied_and_pickled() -> None:
    assert pickle.loads(pickle.dumps(JsonObject(TEXT))) == copy.deepcopy(JsonObject(TEXT)) == JsonObject(TEXT)


def test_a_missing_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        JsonObject("{}")["missing"]


def test_what_is_no_json_is_unreadable_and_not_shown() -> None:
    for text in ("the prompt", '{"a": the prompt}', ""):
        with pytest.raises(UnreadableError) as caught:
            scan_json(text)
        assert "prompt" not in str(caught.value)
