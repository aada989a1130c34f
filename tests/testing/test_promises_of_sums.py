"""Every promise of this kind stands in its table; that our stores keep them is tested in ``test_store_promises.py``."""

from __future__ import annotations

import inspect

from mcp_coder.testing import STORE_PROMISES, promises_of_sums
from mcp_coder.testing.promises_of_sums import SUM_PROMISES


def test_no_promise_of_this_kind_is_left_out() -> None:
    written = {
        function
        for name, function in inspect.getmembers(promises_of_sums, inspect.isfunction)
        if function.__module__ == promises_of_sums.__name__ and not name.startswith("_")
    }
    assert set(SUM_PROMISES) == written
    assert written <= set(STORE_PROMISES)
