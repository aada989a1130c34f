"""The table of exit codes is whole, and the help and the docs show it."""

import inspect

import pytest

from mcp_coder import llm_errors
from mcp_coder.cli.exit_codes import EXIT_CODES, MEANINGS, UNEXPECTED, exit_code_of, signal_exit_code

ERRORS = [
    kind
    for _, kind in inspect.getmembers(llm_errors, inspect.isclass)
    if issubclass(kind, llm_errors.LLMError) and kind.__module__ == llm_errors.__name__
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_library_has_an_exit_code_with_a_meaning(kind: type[llm_errors.LLMError]) -> None:
    assert EXIT_CODES[kind] in MEANINGS
    assert exit_code_of(kind("it failed")) == EXIT_CODES[kind]


def test_an_error_of_a_newer_kind_exits_as_what_it_is_a_kind_of() -> None:
    class NewError(llm_errors.SessionBusyError):
        pass

    assert exit_code_of(NewError("busy")) == EXIT_CODES[llm_errors.SessionBusyError]


@pytest.mark.parametrize("error", [RuntimeError("?"), ValueError("?"), OSError("?")], ids=repr)
def test_what_nobody_foresaw_has_a_code_of_its_own(error: Exception) -> None:
    assert exit_code_of(error) == UNEXPECTED


@pytest.mark.parametrize(("number", "code"), [(1, 129), (2, 130), (13, 141), (15, 143)])
def test_signals_exit_as_in_a_shell(number: int, code: int) -> None:
    assert signal_exit_code(number) == code
    assert code in MEANINGS


def test_retryable_errors_do_not_share_a_code_with_final_ones() -> None:
    retryable = {EXIT_CODES[kind] for kind in ERRORS if kind.retryable}
    final = {EXIT_CODES[kind] for kind in ERRORS if not kind.retryable}
    assert not retryable & final
