"""What a store says of what it holds: plain records, that are had from ``base``."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from mcp_coder.llm_store import base, reports
from mcp_coder.llm_store.base import UsageRow


@pytest.mark.parametrize("name", reports.__all__)
def test_they_are_names_of_base(name: str) -> None:
    assert getattr(base, name) is getattr(reports, name)
    assert name in base.__all__


def test_base_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match=r"'mcp_coder\.llm_store\.base' has no attribute 'nonsense'"):
        base.nonsense  # noqa: B018  # type: ignore[attr-defined]  # that is what is tested


def test_a_row_may_have_rows_of_its_models() -> None:
    part = UsageRow(key="m", turns=1, cost_usd=Decimal(1), unaccounted_turns=0, unrecorded_usd=None)
    whole = dataclasses.replace(part, key="day", models=(part,))
    assert whole.models == (part,)
    assert whole != part
