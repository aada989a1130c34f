"""What is fast, measured beside the peers: each figure is our way and the usual way, run in turn in one run.

``python bench/run.py`` (or ``make bench``) measures and prints a table; see ``docs/benchmarks.md``. Nothing here is
part of the library, and no test depends on a time.
"""
