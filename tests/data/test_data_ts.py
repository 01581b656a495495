"""Our reader of the .ts format gives what aeon's gives, to the bit."""

import subprocess
import sys

import numpy as np
import pytest
from aeon.datasets import load_from_ts_file

from twincode.data.sources import local_sources
from twincode.data.ts import parse_ts

BUNDLED = ["GunPoint", "ItalyPowerDemand", "BasicMotions", "JapaneseVowels"]


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_are_read_as_aeon_reads_them(name):
    path = local_sources()[name.lower()].train
    expected, classes = load_from_ts_file(str(path))
    series, labels = parse_ts(path)
    assert labels == classes.tolist()
    assert len(series) == len(expected)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(series, expected, strict=True))


def test_a_file_without_targets_is_all_channels(tmp_path):
    (tmp_path / "a.ts").write_text(
        "@univariate false\n@classLabel false\n@data\n1,2:3,4\n\n5,6:7,?\n"
    )
    series, labels = parse_ts(tmp_path / "a.ts")
    assert labels is None
    np.testing.assert_array_equal(series, [[[1, 2], [3, 4]], [[5, 6], [7, np.nan]]])


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("@univariate false\n@data\n1,2:3:a\n", "channels of series 1 differ in length"),
        ("@data\n1,2:a\n1,2,3:a\n", "series 2 differs in length"),
        ("@univariate false\n@data\n1:2:a\n1:a\n", "series 2 has 1 channels, the first has 2"),
        ("@data\n1:2:a\n", "2 channels in a univariate file"),
        ("@data\na\n", "no channel before its label"),
    ],
)
def test_what_breaks_its_own_header_is_named(tmp_path, body, complaint):
    (tmp_path / "a.ts").write_text(body)
    with pytest.raises(ValueError, match=complaint):
        parse_ts(tmp_path / "a.ts")


def test_reading_a_bundled_set_imports_nothing_heavy():
    program = (
        "import sys; from twincode.data import load_dataset; load_dataset('GunPoint');"
        "sys.exit(' '.join({'aeon', 'pandas', 'sklearn', 'torch'} & set(sys.modules)) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
