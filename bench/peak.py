"""The peak memory of this very process. Imports next to nothing: what it imported would be measured, too."""

import sys


def peak_mib() -> float:
    """Return the peak resident memory of this process so far, in MiB."""
    try:
        # Not getrusage: on Linux it counts what the parent held when it started us.
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    except FileNotFoundError:
        import resource

        in_mib = 1024 * 1024 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / in_mib
