import os
from pathlib import Path

import numpy as np
import pytest

MIRROR = Path(__file__).parents[3] / "shared" / "ucr"


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path_factory):
    """No test sees the user's data folder or cache."""
    monkeypatch.delenv("TWINCODE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def mirror():
    """A folder of real archive sets, where this machine has one."""
    folder = Path(os.environ.get("TWINCODE_DATA") or MIRROR)
    if not (folder / "GunPoint.npz").is_file():
        pytest.skip("no folder of archive sets here; set TWINCODE_DATA")
    return folder


@pytest.fixture
def arrays():
    """A tiny split with values that are easy to recognise."""
    X = np.arange(40, dtype=np.float32).reshape(10, 4)
    y = np.array([1, 2, 10, 1, 2, 10, 1, 2, 10, 1])
    return {"X_train": X[:6], "y_train": y[:6], "X_test": X[6:], "y_test": y[6:]}


@pytest.fixture
def write_tsv():
    def write(path, X, y):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = (
            "\t".join([str(label), *map(str, values)]) for label, values in zip(y, X, strict=True)
        )
        path.write_text("\n".join(rows) + "\n")
        return path

    return write
