"""What holds for every test."""

from __future__ import annotations

import signal

# Under nohup, and from some schedulers, all that is started from here ignores hanging up, and Ctrl-C and its like where
# a shell without job control started it behind itself: the stories of what they do would tell of the caller's shell.
for _name, _default in (
    ("SIGHUP", signal.SIG_DFL),
    ("SIGINT", signal.default_int_handler),
    ("SIGQUIT", signal.SIG_DFL),
):
    if hasattr(signal, _name) and signal.getsignal(signal.Signals[_name]) is signal.SIG_IGN:
        signal.signal(signal.Signals[_name], _default)
