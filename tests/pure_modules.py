"""Hold the pure modules to their promise: listed by the import contract, covered to the last branch.

``python tests/pure_modules.py coverage`` fails when a pure module is covered by less than 100 % of its branches.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def pure_modules() -> list[str]:
    """Return the modules that the import contracts call pure."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    named = [contracts[f"importlinter:contract:{name}"]["source_modules"] for name in ("pure", "pure-errors")]
    return " ".join(named).split()


def main() -> int:
    """Report the coverage of the pure modules; exit 2 when it is not whole."""
    files = ["src/" + module.replace(".", "/") + ".py" for module in pure_modules()]
    argv = [sys.executable, "-m", "coverage", "report", "--fail-under=100", f"--include={','.join(files)}"]
    print("pure modules:", flush=True)
    return subprocess.run(argv, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
