"""``python -m benchmarks.precision FLOAT32 BFLOAT16``: what lower precision does to final metrics.

Takes the folders of two studies that differ in nothing but ``--precision``.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from twincode.files import write_text

OUT = Path("results/benchmarks/precision.csv")
PROBES = ("svm_accuracy", "knn5_accuracy", "silhouette")
MEASURES = ("reconstruction", "perplexity")
KEYS = ["dataset", "model", "metric"]


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("full", type=Path)
    parser.add_argument("low", type=Path)
    arguments = parser.parse_args()
    table = compare(final(arguments.full), final(arguments.low))
    write_text(OUT, table.to_csv(index=False, float_format="%.6g"))


def compare(full: pd.DataFrame, low: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds at both precisions, and whether they differ by more than seeds do."""
    both = full.merge(low, on=[*KEYS, "seed"], suffixes=("_full", "_low")).groupby(KEYS)
    table = both[["value_full", "value_low"]].mean()
    table["difference"] = table.value_low - table.value_full
    table["spread"] = np.hypot(both.value_full.std(), both.value_low.std())
    table["within_spread"] = table.difference.abs() <= table.spread
    table["seeds"] = both.size()
    return table.reset_index()


def final(folder: Path) -> pd.DataFrame:
    """The last evaluation of every trained run, flattened codes."""
    table = pd.read_csv(folder / "results.csv", keep_default_na=False)
    trained = table[(table.epoch > 0) & (table.epoch == table.epoch.max())]
    probes = (trained.readout == "flatten") & trained.metric.isin(PROBES)
    return trained[probes | trained.metric.isin(MEASURES)][[*KEYS, "seed", "value"]]


if __name__ == "__main__":
    main()
