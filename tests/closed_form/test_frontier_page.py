"""The frontier page is true: its code runs, and its table says what is stored."""

import csv
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "frontier.md").read_text(encoding="utf-8")


def test_its_code_runs() -> None:
    names: dict[str, object] = {}
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code.replace("500, 1, 140", "40, 1, 30"), names)
    x, x_hat, codes, again = (names[name] for name in ("x", "x_hat", "codes", "again"))
    assert x_hat.shape == x.shape  # type: ignore[attr-defined]
    assert ((x - x_hat).square().mean() < 0.1 * x.var()).item()  # type: ignore[operator]
    assert (again.encode(x) == codes).all()  # type: ignore[attr-defined]


def test_its_table_is_the_stored_one() -> None:
    with (ROOT / "results" / "frontier.csv").open() as file:
        stored = {
            row["dataset"]: row
            for row in csv.DictReader(file)
            if (row["bits"], row["system"]) == ("200", "mixture-average")
        }
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\S+) \| (\S+) \| (\S+) \| (\d+) \|$", PAGE, re.M)
    assert {row[0] for row in rows} == set(stored)
    for name, *found in rows:
        row = stored[name]
        kept = float(row["kernels"]) / float(row["kernels_original"])
        expected = [
            f"{float(row['mean_bits']):.0f}",
            f"{float(row['nmse']):.4f}".lstrip("0"),
            f"{float(row['bound_at_mean_bits']):.4f}".lstrip("0"),
            f"{kept:.3f}",
            f"{float(row['fit_seconds']):.0f}",
        ]
        assert found == expected
