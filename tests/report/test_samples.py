"""What the page says of series drawn from priors."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import synthetic

from twincode.errors import TwincodeError
from twincode.report import load_results, write_report
from twincode.report.figures import samples as figures
from twincode.report.page import drawn
from twincode.report.pages import provenance, samples


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = synthetic.write_study(tmp_path_factory.mktemp("drawn") / "drawn")
    write_report(synthetic.add_generation(folder))
    return folder


@pytest.fixture(scope="module")
def page(study):
    return (study / "report.html").read_text(encoding="utf-8")


def test_classes_and_data_sets_have_whatever_names(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "study")
    for path in folder.glob("runs/*/result.json"):
        record = json.loads(path.read_text())
        record["dataset"] |= {"name": "rock 'n' roll", "classes": ["don't", 'a\\b $& "c"']}
        path.write_text(json.dumps(record))
    results = load_results(folder)
    gallery = figures.gallery(results, "rock 'n' roll")
    told = {words: drawn(gallery, choice={"class": words}) for words in gallery.controls[1].options}
    assert {"don't", 'a\\b $& "c"'} <= told.keys()
    lines = {words: svg.count(b"<path aria-label") for words, svg in told.items()}
    assert min(lines.values()) > 0, lines
    assert b"<path aria-label" in drawn(figures.fid_against_spread(results))


def tables_of(folder):
    (section,) = samples.sections(load_results(folder))
    return section.blocks[1].options


def test_every_row_stands_beside_all_controls(study):
    table = tables_of(study)["GunPoint"]
    assert table.columns == ("Drawn from", "FID ↓", "Spread", "Recall ↑")
    names = [row.name for row in table.rows]
    own = synthetic.GENERATION_ROWS[1:-1]
    assert names == [
        "Train series", "Test series",
        *(f"{model}: {row}" for model in ("VQ-VAE", "BT-VQVAE") for row in own),
    ]  # fmt: skip
    apart = [row.name.split(": ")[-1] for row in table.rows if row.control]
    assert set(apart) == {"Train series", "Test series", "copies", "reconstruction", "independent"}
    assert [cell.text == "–" for cell in table.rows[1].cells] == [True, True, False]
    assert not any(cell.best for cell in table.rows[1].cells)
    assert table.rows[6].cells[2].text == "–"


def test_numbers_are_means_over_seeds_and_the_best_prior_is_marked(study):
    scores = {}
    for path in study.glob("runs/*/generation/abc/result.json"):
        run = json.loads((path.parents[2] / "result.json").read_text())
        if run["dataset"]["name"] == "ECG200":
            for each in json.loads(path.read_text())["scores"]:
                key = (run["title"], each["row"], each["metric"])
                scores.setdefault(key, []).append((each["value"], each["deviation"]))
    rows = {row.name: row for row in tables_of(study)["ECG200"].rows}
    means = {key: np.mean(values, 0) for key, values in scores.items()}
    for (model, row, metric), (value, deviation) in means.items():
        if row not in ("train", "test"):
            cell = rows[f"{model}: {row}"].cells[["fid", "spread", "recall"].index(metric)]
            assert cell.value == pytest.approx(value)
            told = re.fullmatch(r".*seeds(?:, ± (.*) over extractors)?", cell.hint)[1]
            assert float(told or 0) == pytest.approx(deviation, abs=0.006)
    found = {key: value for key, (value, _) in means.items()}
    trained = {k: v for k, v in found.items() if k[1].startswith(("masked", "auto"))}
    best = min((v, k) for k, v in trained.items() if k[2] == "fid")[1]
    assert [name for name, row in rows.items() if row.cells[0].best] == [f"{best[0]}: {best[1]}"]


def test_what_is_of_codes_is_not_said_of_series_as_they_are(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "copy")
    for path in folder.glob("runs/*/generation/abc/result.json"):
        record = json.loads(path.read_text())
        name = "memorised_share"
        record["metrics"].append({"name": name, "title": "Share", "better": "lower"})
        record["scores"] += [
            {"row": row, "metric": name, "value": 0.5, "deviation": 0.0}
            for row in synthetic.GENERATION_ROWS
        ]
        path.write_text(json.dumps(record))
    for row in tables_of(folder)["GunPoint"].rows:
        assert row.cells[-1].text == ("–" if row.name in samples.REAL.values() else "0.500")


def test_the_title_says_what_samples_were_judged_against(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "copy")
    assert tables_of(folder)["GunPoint"].caption.endswith("against the test part of GunPoint")
    for path in folder.glob("runs/*/generation/abc/result.json"):
        record = json.loads(path.read_text()) | {"judging": {"reference": "train"}}
        path.write_text(json.dumps(record))
    assert tables_of(folder)["GunPoint"].caption.endswith("against a fifth of train of GunPoint")


def test_the_page_shows_series_grids_and_what_is_nearest(page):
    stored = json.loads(re.search(r'id="stored">(.*?)</script>', page)[1])
    own = [name for name in stored["figures"] if name.startswith("GunPoint-")][-3:]
    assert own == ["GunPoint-gallery", "GunPoint-decoding", "GunPoint-nearest"]
    assert "fid-spread" in stored["figures"]
    gallery = stored["tables"]["GunPoint-gallery"]
    assert gallery["panel"]["texts"] == ["test", "reconstruction", "masked, sure", "autoregressive"]
    assert set(stored["figures"]["GunPoint-gallery"]["controls"]["model"]) == {
        *("VQ-VAE", "BT-VQVAE")
    }
    steps = stored["tables"]["GunPoint-decoding"]
    assert steps["panel"]["texts"] == ["step 1", "step 4", "step 10"]
    assert set(steps["hidden"]) == {0, 1, None}


def test_a_study_without_priors_has_no_such_section(tmp_path):
    folder = synthetic.write_study(tmp_path / "plain", points=0, seeds=(0,))
    assert samples.sections(load_results(folder)) == []
    write_report(folder)
    assert not (folder / "tables" / "generation.csv").exists()


def test_kept_records_keep_the_scores(study, tmp_path):
    before = (study / "tables" / "generation.csv").read_bytes()
    for name in ("runs.jsonl", "study.json"):
        shutil.copy(study / name, tmp_path)
    write_report(tmp_path)
    assert (tmp_path / "tables" / "generation.csv").read_bytes() == before
    frame = pd.read_csv(tmp_path / "tables" / "generation.csv")
    assert set(frame.runs) == {2}
    assert tables_of(tmp_path).keys() == tables_of(study).keys()


def test_unfinished_and_damaged_priors(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "copy")
    first, second, *_ = sorted(folder.glob("runs/*/generation/abc/result.json"))
    first.unlink()
    results = load_results(folder)
    assert results.runs[0].generation is None
    assert results.unjudged == 1
    assert "Not finished: of 1 runs the priors are not judged yet." in provenance.warnings(results)
    second.write_text(json.dumps({"format": 1, "name": "abc", "scores": [{"row": "x"}]}))
    with pytest.raises(TwincodeError, match="is not the result of a finished run"):
        load_results(folder)
