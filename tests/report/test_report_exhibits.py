"""Figures of examples where several codebooks stand side by side, and who is in a legend."""

import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import synthetic as made

from twincode.report import load_results
from twincode.report.canvas import NARROW, WIDE
from twincode.report.codebooks import codebook_names
from twincode.report.figures_exhibits import Exhibit, codebook_figure, token_figure
from twincode.report.gallery import plates
from twincode.report.models import models_of
from twincode.report.runs import Run

SVG = "{http://www.w3.org/2000/svg}"
LEVELS = made.Model("Two levels", "vqvae2", overrides={"tokenizer": "vqvae2"})
ALONE = made.Model("Barlow Twins", "barlow-twins", 1.0, discrete=False, overrides={"gamma": 1.0})


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def exhibit_of(tmp_path, **arrays):
    runs = load_results(made.write_study(tmp_path / "study", (LEVELS,), seeds=(0,))).runs
    return Exhibit(models_of(runs)[0], 0, ("1", "2"), arrays, ("top", "bottom"))


@pytest.fixture
def two_levels(tmp_path):
    """Codes 0 to 3 on a top level two columns wide, codes 4 to 9 on a bottom one of four."""
    generator = np.random.default_rng(0)
    top, bottom = generator.integers(0, 4, (2, 5, 2)), generator.integers(4, 10, (2, 5, 4))
    return exhibit_of(
        tmp_path,
        token_codes=np.concatenate([top, bottom], axis=2),
        token_series=generator.standard_normal((2, 1, 30)),
        token_labels=np.array([0, -1]),
        code_counts=np.array([8, 0, 0, 0, 1, 1, 1, 1, 1, 1]),
        codebook_sizes=np.array([4, 6]),
    )


def test_each_codebook_has_a_panel_of_its_own_shares(two_levels):
    found = texts(codebook_figure([two_levels], WIDE))
    assert found[1:3] == ["Two levels, top", "perplexity 1.0, uses 1/4"]
    assert "Two levels, bottom" in found
    assert "perplexity 6.0, uses 6/6" in found


def edges(svg, *places):
    """Left and right edges of cells, by their places in the drawing."""
    cells = re.findall(r'd="M([\d.]+) [\d.]+h([\d.]+)v', svg)
    return [(float(cells[i][0]), sum(map(float, cells[i]))) for i in places]


@pytest.mark.parametrize("layout", (WIDE, NARROW))
def test_a_gap_parts_the_levels_and_each_lies_under_the_whole_series(two_levels, layout):
    svg = token_figure([two_levels], layout)
    cells = edges(svg, 0, 1, 10, 11, 12, 13)  # a row of the top level's ten, of the bottom's twenty
    gaps = [after - right for (_, right), (after, _) in pairwise(cells)]
    assert gaps[1] > 2
    assert max(gap for place, gap in enumerate(gaps) if place != 1) < 0.5
    lines = re.findall(r'd="M([\d.]+) [^"]*L([\d.]+) [\d.]+" fill="none"', svg)[:2]
    assert [float(x) for x in lines[0]] == pytest.approx([cells[0][0], cells[1][1]], abs=0.2)
    assert [float(x) for x in lines[1]] == pytest.approx([cells[2][0], cells[5][1]], abs=0.2)
    assert {"class 1, top | bottom", "top | bottom"} <= set(texts(svg))


def test_an_early_run_that_stored_no_sizes_has_one_codebook(two_levels):
    arrays = {name: kept for name, kept in two_levels.arrays.items() if name != "codebook_sizes"}
    early = Exhibit(two_levels.model, 0, (), arrays)
    assert "perplexity 4.3, uses 7/10" in texts(codebook_figure([early], WIDE))
    second, third = edges(token_figure([early], WIDE), 1, 2)
    assert second[1] == pytest.approx(third[0], abs=0.2)


@pytest.mark.parametrize(
    ("tokenizer", "sizes", "names"),
    (
        ({"tokenizer": "vqvae"}, (32,), ("",)),
        ({"tokenizer": "vqvae"}, (32, 32), ("codebook 1", "codebook 2")),
        ({"tokenizer": "vqvae2"}, (32, 32), ("top", "bottom")),
        ({"tokenizer": "bands", "bands": [1, 3]}, (8, 8, 8), ("band 1", "band 2", "band 3")),
        (
            {"tokenizer": "vqvae2"},
            (4, 4, 4, 4),
            ("top codebook 1", "top codebook 2", "bottom codebook 1", "bottom codebook 2"),
        ),
        ({"tokenizer": "vqvae2"}, (4, 4, 4), ("codebook 1", "codebook 2", "codebook 3")),
        ({}, None, ("",)),
    ),
)
def test_codebooks_are_called_by_their_level_or_band(tokenizer, sizes, names):
    run = Run(Path(), {"config": {"tokenizer": tokenizer}})
    run.__dict__["exhibits"] = {} if sizes is None else {"codebook_sizes": np.array(sizes)}
    assert codebook_names(run) == names


def test_who_has_no_reconstruction_is_not_in_the_legend_of_the_trade_off(tmp_path):
    study = made.write_study(tmp_path / "study", (made.NAIVE, ALONE, made.RAW), seeds=(0,))
    path = study / "runs" / "01-0" / "result.json"
    record = json.loads(path.read_text())
    kept = [e for e in record["evaluations"] if "reconstruction" not in e["metric"]]
    path.write_text(json.dumps({**record, "evaluations": kept}))
    drawn = {plate.name: plate for plate in plates(load_results(study), "GunPoint")}
    assert "gamma" not in drawn
    legend = texts(drawn["trade-off"].build(WIDE))
    assert {"Naive VQ-VAE", "Raw series"} <= set(legend)
    assert "Barlow Twins" not in legend
    assert "Barlow Twins" in texts(drawn["training"].build(WIDE))
