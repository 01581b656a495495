"""The data sets that come with twincode, written from those that come with aeon.

    python -m benchmarks.bundle

Values are those that aeon reads, as float32, which is how twincode holds them; labels are text.
"""

import numpy as np
from aeon.datasets import load_classification

from twincode.data.sources import BUNDLED_FOLDER

SETS = ("GunPoint", "ItalyPowerDemand", "BasicMotions")


def main() -> None:
    """Write every set."""
    for name in SETS:
        X_train, y_train = load_classification(name, split="train")
        X_test, y_test = load_classification(name, split="test")
        np.savez_compressed(
            BUNDLED_FOLDER / f"{name}.npz",
            X_train=X_train.astype(np.float32),
            y_train=y_train.astype(str),
            X_test=X_test.astype(np.float32),
            y_test=y_test.astype(str),
        )


if __name__ == "__main__":
    main()
