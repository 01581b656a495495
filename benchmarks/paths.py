"""Where measurements are kept."""

from pathlib import Path

RESULTS = Path("results/benchmarks")
