"""The built wheel does what the docs say, with aeon and without: ``make wheel-check``.

It is installed alone into a fresh environment, which takes other packages from the one that runs
this, and is used from outside the checkout.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

import twincode

WHEELS = Path(__file__).parents[1] / "dist"
NO_AEON = "import sys; sys.modules['aeon'] = None\n"
HINT = "pip install 'twincode[aeon]'"
PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import twincode

assert twincode.__file__.startswith(sys.prefix), twincode.__file__
assert twincode.__version__ == sys.argv[1], twincode.__version__
data = twincode.load_dataset("GunPoint")
model = twincode.fit(twincode.recipe(bits=50, metrics="reconstruction"), data)
codes = model.encode(data.X_test)
assert model.decode(codes).shape == data.X_test.shape
model.save("saved")
assert np.array_equal(twincode.load_model("saved").encode(data.X_test), codes)
estimator = twincode.TwinCode("mixture", bits=50).fit(data.X_train)
assert len(estimator.transform(data.X_test)) == len(data.X_test)
series = data.X_test[:5, 0]
np.savetxt("series.csv", series, delimiter=",")
np.savetxt("gaps.csv", np.where(np.arange(150) // 20 == 3, np.nan, series), delimiter=",")
Path("series").mkdir()
"""
# What else each room offers, with little to compute: a command a line.
COMMANDS = """
reconstruct run series.csv -o series/again.parquet
encode run series.csv -o codes.parquet
decode run codes.parquet -o decoded.csv
encode run series -o codes --workers 2
decode run codes -o decoded
prior run --steps 5
sample run -n 3 -o samples.csv
impute run gaps.csv -o filled.csv
surprise run series.csv -o surprise.csv
evaluate run --generation --samples 20 --extractor-seeds 1 --extractor-steps 5
train GunPoint --recipe vqvae --steps 2 --evaluations 1 --metrics reconstruction --out network
export network -o graphs
study run --datasets GunPoint --recipes vqvae --steps 2 --seeds 1 --out study
study status study
study report study
"""
OUTPUTS = """
codes.parquet decoded.csv codes/again.parquet decoded/again.parquet samples.csv filled.csv
surprise.csv run/generation.csv graphs/encoder.onnx graphs/decoder.onnx study/report.html
"""


def main() -> None:
    """Check the newest wheel in ``dist``; the first command that fails ends it."""
    wheel = max(WHEELS.glob("twincode-*.whl"), key=lambda path: path.stat().st_mtime)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        python = _environment(folder / "venv", wheel)
        for aeon in (True, False):
            if not aeon:
                (_packages(python) / "no_aeon.pth").write_text(NO_AEON)
            place = folder / ("with" if aeon else "without")
            place.mkdir()
            _use(place, python, aeon)
            print(f"{wheel.name}: well {place.name} aeon")


def _environment(folder: Path, wheel: Path) -> Path:
    """The Python of a new environment with this wheel and, behind it, our own packages."""
    venv.create(folder)
    python = folder / "bin" / "python"
    ours = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python))
    _run(folder.parent, *ours, "install", "--quiet", "--no-deps", "--no-index", wheel)
    # Folders named here are searched, but what is installed editable in them is not followed.
    paths = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (_packages(python) / "behind.pth").write_text("\n".join(paths) + "\n")
    return python


def _packages(python: Path) -> Path:
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(_run(python.parent, python, "-c", where))


def _use(folder: Path, python: Path, aeon: bool) -> None:
    command = python.with_name("twincode")
    _run(folder, python, "-c", PROGRAM, twincode.__version__)
    listed = _run(folder, command, "datasets")
    assert "GunPoint" in listed
    assert ("OSULeaf" in listed) == aeon
    told = _run(folder, command, "train", "GunPoint", "--bits", "50", "--out", "run")
    assert (HINT in told) != aeon
    _run(folder, command, "evaluate", "run")
    _run(folder, command, "study", "report", "run")
    _run(folder, command, "explore", "run", "--out", "codes.html")
    for page in ("run/report.html", "codes.html", "run/README.md"):
        assert (folder / page).stat().st_size > 0
    if aeon:
        for line in COMMANDS.strip().splitlines():
            _run(folder, command, *line.split())
        for output in OUTPUTS.split():
            assert (folder / output).stat().st_size > 0, output


def _run(folder: Path, *words: str | Path) -> str:
    """What a command prints, on both streams."""
    outside = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TWINCODE_DATA")}
    alone = {**outside, "XDG_CACHE_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=folder, env=alone, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
