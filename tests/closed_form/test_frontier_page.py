"""The frontier page is true: its code runs, and its tables say what is stored."""

import re
from pathlib import Path
from statistics import fmean

import pandas as pd

from benchmarks.results import frontier_page
from twincode.report.frontier import Numbers, on_dataset
from twincode.report.runs import Results, load_results

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


def test_what_it_says_in_words_holds() -> None:
    results = load_results(ROOT / "results" / "frontier")
    kept = {
        bits: [
            results.mean(d, f"Mixture bits={bits}", "retained_accuracy") for d in results.datasets
        ]
        for bits in (100, 200)
    }
    assert len(results.datasets) == 7
    words = " ".join(PAGE.split()).replace(" %", "%")
    assert f"keeps {fmean(kept[200]):.1%} of them, from {min(kept[200]):.1%} (FordB)" in words
    assert f"to {max(kept[200]):.1%}; at 100 bits {fmean(kept[100]):.1%}" in words
    low = {d: kept[100][i] for i, d in enumerate(results.datasets) if kept[100][i] < 0.97}
    assert set(low) == {"FordB", "ChlorineConcentration", "FordA", "ElectricDevices"}
    for name in ("FordB", "ChlorineConcentration"):
        assert f"{name} ({low[name]:.1%})" in words
    over = {
        bits: [own[f"Mixture bits={bits}"]["over_bound"] for own in placed(results)]
        for bits in (45, 100, 200, 400)
    }
    assert max(*over[45], *over[100], *over[200]) <= 2
    assert max(over[400]) <= 4
    assert sum(value < 1 for value in over[200]) == 5
    read = pd.read_csv(ROOT / "results" / "benchmarks" / "accuracy.csv")
    means = read.groupby("seed").accuracy.mean()
    told = [f"{value:.3f}".lstrip("0") for value in (means.mean(), means.min(), means.max())]
    assert "mean of {} ({} to {} over three seeds)".format(*told) in words


def placed(results: Results) -> list[Numbers]:
    return [on_dataset(results, dataset) for dataset in results.datasets]


def test_its_tables_are_the_stored_ones() -> None:
    assert frontier_page(PAGE, ROOT / "results") == PAGE
    wrong = re.sub(r"\| ECG5000 \| \d+", "| ECG5000 | 1", PAGE)
    assert wrong != PAGE
    assert frontier_page(wrong, ROOT / "results") == PAGE
