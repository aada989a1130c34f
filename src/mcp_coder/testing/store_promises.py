"""The promises of a store, each a function that a store keeps or breaks: for those who write a dialect of their own.

A promise is given how to open one store, empty at first: called again, it opens the same one. It returns, or raises
``AssertionError`` that says what was found and what was promised. It closes what it opened.

With pytest, a test each::

    from mcp_coder.testing import STORE_PROMISES

    @pytest.mark.parametrize("promise", STORE_PROMISES, ids=lambda promise: promise.__name__)
    def test_my_store_keeps_its_promises(promise, tmp_path):
        promise(lambda: MyStore(tmp_path / "store"))

Without it ``check_store_promises`` runs them all.
"""

from __future__ import annotations

from collections.abc import Callable

from mcp_coder.testing.promise import Opener, Promise
from mcp_coder.testing.promises_of_journals import JOURNAL_PROMISES
from mcp_coder.testing.promises_of_records import RECORD_PROMISES
from mcp_coder.testing.promises_of_searches import SEARCH_PROMISES
from mcp_coder.testing.promises_of_sessions import SESSION_PROMISES
from mcp_coder.testing.promises_of_sums import SUM_PROMISES

__all__ = ["STORE_PROMISES", "check_store_promises"]

STORE_PROMISES: tuple[Promise, ...] = (
    *JOURNAL_PROMISES,
    *RECORD_PROMISES,
    *SESSION_PROMISES,
    *SEARCH_PROMISES,
    *SUM_PROMISES,
)
"""All of them. The name of each says what is promised."""


def check_store_promises(fresh: Callable[[], Opener]) -> None:
    """Check all promises of a store.

    Args:
        fresh: gives, at each call, how to open another store, which is empty.

    Raises:
        ExceptionGroup: those that are broken, with the name of each as a note.
    """
    broken = [error for promise in STORE_PROMISES if (error := _broken(promise, fresh())) is not None]
    if broken:
        raise ExceptionGroup(f"{len(broken)} of {len(STORE_PROMISES)} promises are broken", broken)


def _broken(promise: Promise, opener: Opener) -> Exception | None:
    try:
        promise(opener)
    except Exception as error:  # noqa: BLE001 - whatever it is, the promise is not kept
        error.add_note(f"the promise: {promise.__name__}")
        return error
    return None
