"""The queries that docs/report.md shows run on a real report."""

import re
from pathlib import Path

import pytest
import synthetic as made

from twincode.report import write_report

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
NAIVE = made.Model("VQ-VAE", "vqvae", accuracy=0.81)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queries")
    write_report(made.write_study(folder / "study", (NAIVE, made.TWINS[0], made.RAW), epochs=4))
    return folder


def test_the_pandas_queries_run(folder, monkeypatch, capsys):
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "pivot" in block
    )
    monkeypatch.chdir(folder)
    names = {}
    exec(code, names)
    assert names["svm"].shape[0] == 2 + 2 + 1
    assert set(names["svm"].epoch) == {0, 4}
    assert "GunPoint" in capsys.readouterr().out


def test_the_duckdb_query_gives_what_pandas_gives(folder, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    query = re.search(r"```sql\n(.*?)```", PAGE, re.DOTALL)[1]
    monkeypatch.chdir(folder)
    rows = duckdb.sql(query).fetchall()
    assert [row[:2] for row in rows] == [
        ("GunPoint", "BT-VQVAE γ=0.5"), ("GunPoint", "Raw series"), ("GunPoint", "VQ-VAE"),
    ]  # fmt: skip
    assert [row[4] for row in rows] == [2, 1, 2]
