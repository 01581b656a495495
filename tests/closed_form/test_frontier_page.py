"""The frontier page is true: its code runs, and its tables say what is stored."""

import re
from pathlib import Path

from benchmarks.results import frontier_page

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


def test_its_tables_are_the_stored_ones() -> None:
    assert frontier_page(PAGE, ROOT / "results") == PAGE
    wrong = re.sub(r"\| ECG5000 \| \d+", "| ECG5000 | 1", PAGE)
    assert wrong != PAGE
    assert frontier_page(wrong, ROOT / "results") == PAGE
