"""Everything that is measured, one after the other: `python -m benchmarks`; or one: `python -m benchmarks golden`."""

from __future__ import annotations

import subprocess
import sys

# Each in a process of its own: what one loads should not count as the memory or the time of the next.
MEASUREMENTS = ("benchmarks.draw", "benchmarks.preparation", "benchmarks.bulk")

if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(subprocess.call([sys.executable, "-m", f"benchmarks.{sys.argv[1]}", *sys.argv[2:]]))
    for module in MEASUREMENTS:
        print(f"== {module}", flush=True)
        if code := subprocess.call([sys.executable, "-m", module]):
            sys.exit(code)
