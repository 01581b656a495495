"""The plane of bits, error and classes for the closed-form tokenizers.

    python -m benchmarks.frontier FOLDER results/frontier.csv

``FOLDER`` holds ``<name>.npz`` with X_train, y_train, X_test, y_test. At most 2000 train and 1500
test series are drawn once, as in every row. Rows are appended as they are made, and a row that is
there already is not made again. Seconds are of the processor, on one thread.
"""

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from twincode.closed_form.books import token_sizes
from twincode.closed_form.components import ComponentCoder
from twincode.closed_form.mixture import MixtureCoder
from twincode.closed_form.patches import PatchCoder
from twincode.evaluate.kernels import kernels_accuracy
from twincode.evaluate.rate import bound_nmse, fixed_rate_bits, nmse

SETS = (
    "ECG5000",
    "ChlorineConcentration",
    "Wafer",
    "TwoPatterns",
    "ElectricDevices",
    "FordB",
    "FordA",
)
BITS = (200, 100, 45, 400, 800)
FIELDS = (
    "dataset", "system", "bits", "seed", "n_train", "n_test", "length", "fixed_bits", "mean_bits",
    "most_bits", "nmse", "nmse_train", "bound", "bound_at_mean_bits", "kernels",
    "kernels_original", "fit_seconds", "encode_per_second", "model_bytes", "design",
)  # fmt: skip


def load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Train and test series (n, 1, L) scaled by train's mean and deviation, with their labels."""
    stored = np.load(folder / f"{name}.npz")
    draw = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    for part, most in (("train", 2000), ("test", 1500)):
        x, y = stored[f"X_{part}"], stored[f"y_{part}"]
        if len(x) > most:
            kept = draw.choice(len(x), most, replace=False)
            x, y = x[kept], y[kept]
        parts += [x, y]
    mean, deviation = parts[0].mean(), parts[0].std()
    train, train_labels, test, test_labels = parts
    return (
        ((train - mean) / deviation)[:, None],
        train_labels,
        ((test - mean) / deviation)[:, None],
        test_labels,
    )


def fit(system: str, train: torch.Tensor, bits: int, seed: int) -> Any:
    """The coder named ``system``."""
    generator = torch.Generator().manual_seed(seed)
    if system == "mixture-average":
        return MixtureCoder.fit(train, bits, generator, rate="average")
    if system == "mixture-capped":
        return MixtureCoder.fit(train, bits, generator, rate="capped")
    if system == "pca-pq":
        return ComponentCoder.fit(train, bits, generator)
    return PatchCoder.fit(train, bits, generator)


def row(folder: Path, name: str, system: str, bits: int, seed: int, original: float) -> dict:
    """One row of the plane."""
    train, train_labels, test, test_labels = load(folder, name)
    x, x_test = torch.tensor(train), torch.tensor(test)
    start = time.process_time()
    coder = fit(system, x, bits, seed)
    fitted = time.process_time()
    codes = coder.encode(x_test)
    encoded = time.process_time()
    back, back_train = coder.decode(codes).numpy(), coder.decode(coder.encode(x)).numpy()
    spent = coder.bits_of(codes)
    design = f"window {coder.window}, modes {len(coder.mean)}" if hasattr(coder, "window") else ""
    return {
        "dataset": name,
        "system": system,
        "bits": bits,
        "seed": seed,
        "n_train": len(train),
        "n_test": len(test),
        "length": train.shape[2],
        "fixed_bits": round(fixed_rate_bits(token_sizes(coder.books_of(coder.length))), 1),
        "mean_bits": round(float(spent.mean()), 2),
        "most_bits": round(float(spent.max()), 2),
        "nmse": f"{nmse(test, back):.6g}",
        "nmse_train": f"{nmse(train, back_train):.6g}",
        "bound": f"{bound_nmse(test, bits):.6g}",
        "bound_at_mean_bits": f"{bound_nmse(test, float(spent.mean())):.6g}",
        "kernels": round(kernels_accuracy(back_train, train_labels, back, test_labels), 4),
        "kernels_original": original,
        "fit_seconds": round(fitted - start, 2),
        "encode_per_second": round(len(test) / (encoded - fitted)),
        "model_bytes": sum(t.numel() * t.element_size() for t in coder.state().values()),
        "design": design,
    }


def main() -> None:
    """Append every row that is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--bits", type=int, nargs="+", default=BITS)
    parser.add_argument(
        "--systems",
        nargs="+",
        default=["mixture-average", "mixture-capped", "pca-pq", "patch-rvq"],
    )
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    done = set()
    originals: dict[str, float] = {}
    if chosen.results.exists():
        with chosen.results.open(newline="") as stored:
            for old in csv.DictReader(stored):
                done.add((old["dataset"], old["system"], int(old["bits"]), int(old["seed"])))
                originals[old["dataset"]] = float(old["kernels_original"])
    else:
        chosen.results.parent.mkdir(parents=True, exist_ok=True)
        with chosen.results.open("w", newline="") as stored:
            csv.DictWriter(stored, FIELDS).writeheader()
    wanted = (
        (name, system, bits, seed)
        for seed in chosen.seeds
        for bits in chosen.bits
        for system in chosen.systems
        for name in chosen.sets
    )
    for name, system, bits, seed in wanted:
        if (name, system, bits, seed) in done:
            continue
        if name not in originals:
            originals[name] = round(kernels_accuracy(*load(chosen.folder, name)), 4)
        made = row(chosen.folder, name, system, bits, seed, originals[name])
        with chosen.results.open("a", newline="") as stored:
            csv.DictWriter(stored, FIELDS).writerow(made)
        print(name, system, bits, seed, made["nmse"], made["bound"], made["kernels"], flush=True)


if __name__ == "__main__":
    main()
