"""What holds for every test."""

from __future__ import annotations

import signal

# Under nohup, and from some schedulers, all that is started from here ignores hanging up: the stories of what
# it does would then tell of the caller's shell.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
