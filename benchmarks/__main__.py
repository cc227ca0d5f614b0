"""Everything that is measured, one after the other: `python -m benchmarks`."""

from __future__ import annotations

from benchmarks import bulk

if __name__ == "__main__":
    bulk.main()
