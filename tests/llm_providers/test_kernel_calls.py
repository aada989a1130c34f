"""The C library is found, and what it returns is taken for what it means."""

from __future__ import annotations

import ctypes
import errno
import os
import sys

import pytest

from mcp_coder.llm_providers.kernel_calls import checked, libc


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked for such calls")
def test_a_call() -> None:
    assert checked(libc().getpid()) == os.getpid()


def test_a_call_that_fails_says_why() -> None:
    ctypes.set_errno(errno.ENOSPC)
    with pytest.raises(OSError, match="No space left") as caught:
        checked(-1)
    assert caught.value.errno == errno.ENOSPC
