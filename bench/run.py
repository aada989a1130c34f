"""``python bench/run.py``, from any directory: measures and prints the table. See ``--help``."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

# A script's own directory comes first on the path; the package that it stands in is what is meant.
sys.path[0] = str(Path(__file__).resolve().parents[1])
runpy.run_module("bench", run_name="__main__")
