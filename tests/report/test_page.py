"""The page and the files beside it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic

from twincode.errors import TwincodeError
from twincode.report import load_results, summary_table, write_figures, write_report
from twincode.report.figures.training import training
from twincode.report.metrics import decimals_for, number
from twincode.report.pages import provenance


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = synthetic.write_study(tmp_path_factory.mktemp("demo") / "demo")
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(study):
    return (study / "report.html").read_text(encoding="utf-8")


def stored(page):
    return json.loads(re.search(r'id="stored">(.*?)</script>', page)[1])


def test_a_time_of_zero_was_not_recorded(study, tmp_path):
    folder = shutil.copytree(study, tmp_path / "copy")
    first = min(folder.glob("runs/*/result.json"))
    record = json.loads(first.read_text())
    first.write_text(json.dumps({**record, "seconds": 0}))
    results = load_results(folder)
    key = record["dataset"]["name"], results.model_of(results.runs[0]).label, "seconds"
    assert results.final[key].n == load_results(study).final[key].n - 1
    (made,) = provenance.sections(results)
    facts = {row.name: row.cells[0].text for row in made.blocks[1].rows}
    assert facts["Computing time"].endswith("hours over all runs; 1 did not record it")
    assert len(summary_table(results)) == len(summary_table(load_results(study)))


def test_the_page_is_one_small_file_that_loads_nothing(page):
    assert len(page.encode()) < 3e6
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", markup)
    assert not re.search(r"<(img|link|iframe)[^>]+(src|href)=(?!\"data:)", markup)
    assert "@import" not in markup
    assert page.count("</script>") == 3


def test_without_scripts_every_table_is_shown(page):
    (rule,) = re.findall(r"<noscript><style>(.*?)</style>", page)
    assert "[hidden] { display: none !important; }" in page
    assert ".choice [hidden] { display: block !important; }" in rule


def test_every_figure_has_its_place_its_table_and_valid_choices(page):
    content = stored(page)
    places = re.findall(r'data-figure="([^"]+)"', page)
    assert places == list(content["figures"])
    assert set(content["tables"]) == set(places)
    assert {name.removeprefix("GunPoint-") for name in places if name.startswith("GunPoint")} == {
        *("trade-off", "training", "reconstructions", "augmentations", "tokens", "codebook"),
        "latents",
    }
    for name, figure in content["figures"].items():
        text = figure["chart"]
        for control, options in figure["controls"].items():
            assert options
            text = text.replace(f"{{{control} title}}", "x").replace(f"{{{control}}}", "x")
        assert not re.search(r"\{[a-z ]+\}", text)
        assert f'"name": "{name}"' in text


def test_the_same_results_give_the_same_bytes(study, tmp_path):
    again = tmp_path / study.name
    shutil.copytree(study, again)
    write_report(again)
    for path in sorted(study.rglob("*.*")):
        assert path.read_bytes() == (again / path.relative_to(study)).read_bytes(), path


def test_two_codebook_sizes_are_two_models_everywhere(tmp_path):
    models = [synthetic.sized(synthetic.NAIVE, size) for size in (16, 64)]
    page = write_report(synthetic.write_study(tmp_path / "grid", models)).read_text()
    table = pd.read_csv(tmp_path / "grid" / "results.csv")
    assert set(table.codebook_size) == {16, 64}
    assert set(table.model) == {"VQ-VAE codebook_size=16", "VQ-VAE codebook_size=64"}
    figures = stored(page)
    for name, content in figures["tables"].items():
        if name.endswith("augmentations"):
            continue
        texts = content.get("model", content.get("panel"))["texts"]
        assert sum("codebook_size=16" in text for text in texts) >= 1, name
        assert sum("codebook_size=64" in text for text in texts) >= 1, name


def test_an_unknown_metric_shows_with_its_own_title(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", points=0)
    for path in folder.glob("runs/*/result.json"):
        record = json.loads(path.read_text())
        record["metrics"].append(
            {"name": "bits.per step", "title": "Bits a step", "better": "lower", "labels": False}
        )
        record["evaluations"].append(
            {"epoch": record["epochs"], "readout": "", "metric": "bits.per step", "value": 1.5}
        )
        path.write_text(json.dumps(record))
    page = write_report(folder).read_text()
    assert page.count("Bits a step ↓") > 3
    assert "bits_per_step" in stored(page)["figures"]["trade-off"]["controls"]["cost"].values()
    assert "bits.per step" in set(pd.read_parquet(folder / "results.parquet").metric)


def test_tables_beside_the_page(study):
    results = load_results(study)
    table = pd.read_parquet(study / "results.parquet")
    assert len(table) == sum(len(run.record["evaluations"]) for run in results.runs)
    final = pd.read_csv(study / "tables" / "GunPoint.csv")
    svm = final[(final.metric == "svm_accuracy") & (final.readout == "flatten")].set_index("model")
    values = table[(table.metric == "svm_accuracy") & (table.readout == "flatten")]
    values = values[(values.dataset == "GunPoint") & (values.model == "VQ-VAE")]
    values = values[values.epoch == 20].value
    assert svm.loc["VQ-VAE", "mean"] == pytest.approx(values.mean())
    assert svm.loc["VQ-VAE", "std"] == pytest.approx(values.std())
    summary = summary_table(results)
    assert list(summary.columns[:2]) == ["data set", "model"]
    assert summary.equals(pd.read_csv(study / "tables" / "summary.csv"))
    paired = pd.read_csv(study / "tables" / "paired.csv", keep_default_na=False)
    assert {"", "GunPoint", "ECG200"} == set(paired.dataset)


def test_kept_records_give_the_same_final_numbers(study, tmp_path):
    for name in ("study.json", "runs.jsonl"):
        shutil.copy(study / name, tmp_path / name)
    assert load_results(tmp_path).final == load_results(study).final


def test_records_of_runs_that_are_not_here_are_not_lost(study, tmp_path):
    """As when a study that was kept is run again, and stopped."""
    for name in ("study.json", "runs.jsonl"):
        shutil.copy(study / name, tmp_path / name)
    (tmp_path / "tables").mkdir()
    own = tmp_path / "tables" / "notes.csv"
    own.write_text("mine\n1\n")
    shutil.copytree(study / "runs" / "0000-0", tmp_path / "runs" / "0000-0")
    write_report(tmp_path)
    assert len(load_results(tmp_path).runs) == 1
    assert own.exists()
    shutil.rmtree(tmp_path / "runs")
    assert load_results(tmp_path).final == load_results(study).final


def test_what_was_measured_once_a_model_has_no_course(tmp_path):
    """Budgets may differ, so that there are two epochs in all."""
    folder = synthetic.write_study(tmp_path / "study", synthetic.FIVE[:2], ["GunPoint"], (0,))
    for epochs, path in zip((10, 20), sorted(folder.glob("runs/*/result.json")), strict=True):
        record = json.loads(path.read_text())
        last = [each for each in record["evaluations"] if each["epoch"] == 20]
        record |= {"epochs": epochs, "history": []}
        record["evaluations"] = [{**each, "epoch": epochs} for each in last]
        path.write_text(json.dumps(record))
    assert training(load_results(folder), "GunPoint") is None


def test_a_number_that_is_not_finite_is_told(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", points=0)
    path = folder / "runs" / "0000-0" / "result.json"
    record = json.loads(path.read_text())
    for each in record["evaluations"]:
        if each["metric"] == "reconstruction":
            each["value"] = None
    path.write_text(json.dumps(record))
    (told,) = provenance.warnings(load_results(folder))
    assert told.startswith("VQ-VAE on GunPoint, seed 0, has no finite number of reconstruction;")


def test_a_study_of_format_one_reads_and_reports(tmp_path):
    for file in ("study.json", "runs.jsonl"):
        shutil.copy(Path(__file__).parent / "format_one" / file, tmp_path / file)
    page = write_report(tmp_path).read_text()
    labels = [model.label for model in load_results(tmp_path).models]
    assert labels[0] == "VQ-VAE"
    assert len(labels) == 15
    assert all(label in page for label in labels)


def test_runs_of_which_little_is_known_of_training_have_a_page(tmp_path):
    """Continuous models have no perplexity, and results that were kept no losses."""
    folder = synthetic.write_study(tmp_path / "study", points=0)
    for path in folder.glob("runs/*/result.json"):
        record = json.loads(path.read_text())
        for entry in record["history"]:
            entry["perplexity"] = None
            if path.parent.name.endswith("-1"):
                del entry["perplexity"]
                entry["losses"] = {}
        path.write_text(json.dumps(record))
    page = write_report(folder).read_text()
    assert "Perplexity, in training" not in page
    assert "Total, in training" in page


def test_a_single_run_has_a_page(study):
    run = study / "runs" / "0000-0"
    page = write_report(run).read_text()
    assert "VQ-VAE" in page
    assert "1 run of 1 model on 1 data set<" in page


def test_figures_as_files(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", synthetic.FIVE[:2], ["GunPoint"], (0,))
    found = {path.name: path for path in write_figures(folder, ["svg", "png"])}
    assert "GunPoint-trade-off-svm_accuracy-flatten.svg" in found
    assert "GunPoint-latents.png" in found
    for name, path in found.items():
        head = path.read_bytes()[:8]
        assert head.startswith(b"<svg" if name.endswith("svg") else b"\x89PNG"), name
    with pytest.raises(TwincodeError, match="pdf"):
        write_figures(folder, ["pdf"])
    with pytest.raises(TwincodeError, match="name a format of figures: svg or png"):
        write_figures(folder, [])


def test_names_of_any_kind_have_files_of_their_own(tmp_path):
    names = ("泵", "阀", "a b", "a-b", 'a"b\\')
    folder = synthetic.write_study(tmp_path / "study", datasets=names, points=0)
    written = write_figures(folder)
    assert len(set(written)) == len(written) == len(list((folder / "figures").iterdir()))
    write_report(folder)
    assert len(list((folder / "tables").glob("*.csv"))) == 2 + len(names)
    chosen = json.loads((folder / "study.json").read_text())
    kept = [name for name in chosen["runs"] if name.startswith("00")]
    (folder / "study.json").write_text(json.dumps({**chosen, "runs": kept}))
    write_report(folder)
    assert len(list((folder / "tables").glob("*.csv"))) == 3


def test_numbers_too_small_for_a_column_are_powers_of_ten():
    assert [number(value, decimals_for([value])) for value in (2e-6, -1e-7, 3e-5, 0.0)] == [
        *("2.0e−06", "−1.0e−07", "0.00003", "0"),
    ]
    assert number(1e-9, 2) == "0.00"
    # A column shows its least number too.
    assert decimals_for([0.9, 0.8, 0.7, 0.0004]) == 4


def test_the_table_of_a_terminal_tells_bits_where_they_are_known(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", points=0)
    assert summary_table(load_results(folder)).columns[-1] == "Perplexity"
    synthetic.add_frontier(folder)
    assert summary_table(load_results(folder)).columns[-1] == "Bits a series"


def test_what_a_reader_is_warned_of(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", points=0)
    shutil.rmtree(folder / "runs" / "0001-1")
    path = folder / "runs" / "0000-0" / "result.json"
    record = json.loads(path.read_text())
    record["dataset"]["checksum"] = "other"
    record["health"] = [{"epoch": 20, "collapsed": True, "message": "collapsed"}]
    path.write_text(json.dumps(record))
    synthetic.write_run(folder / "runs" / "foreign", {**record, "run": "foreign"})
    found = list(provenance.warnings(load_results(folder)))
    assert found == [
        "Not finished: 1 of 20 planned runs are missing.",
        "Left out: 1 runs in this folder of other studies or settings.",
        "The runs on GunPoint did not all see the same data.",
        "Not all models were run with the same seeds on GunPoint; each stands there with the mean "
        "of its own, but for differences, which are over those in common.",
        "Collapsed codes: VQ-VAE on GunPoint, 1 runs.",
    ]


def test_what_was_computed_in_another_precision_than_asked_is_told(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", points=0)
    path = folder / "runs" / "0000-0" / "result.json"
    record = json.loads(path.read_text())
    record["config"]["training"]["precision"] = "bfloat16"
    path.write_text(json.dumps({**record, "has_bfloat16": False}))
    page = write_report(folder).read_text()
    assert page.count("cpu (2 threads), in float32 for want of bfloat16") == 1
    path.write_text(json.dumps({**record, "has_bfloat16": True}))
    assert "for want of" not in write_report(folder).read_text()


def test_runs_without_labels_test_part_or_evaluations(tmp_path):
    folder = synthetic.write_study(tmp_path / "study")
    for path in folder.glob("runs/00*/result.json"):
        record = json.loads(path.read_text())
        record["dataset"] |= {"n_test": 0, "classes": []}
        record |= {"evaluations": [], "metrics": []}
        path.write_text(json.dumps(record))
    page = write_report(folder).read_text()
    assert "no labels" in page


def test_several_grids_stand_side_by_side(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", synthetic.FIVE[:1], ["GunPoint"], (0,))
    path = folder / "runs" / "0000-0" / "exhibits.npz"
    arrays = dict(np.load(path))
    codes = np.concatenate([arrays["token_codes"], arrays["token_codes"][:, :, :4] + 32], axis=2)
    both = {"token_codes": codes, "codebook_sizes": np.array([32, 32]),
            "code_counts": np.tile(arrays["code_counts"], 2)}  # fmt: skip
    for named in ({}, {"grid_names": np.array(["low", "high"]), "grid_widths": np.array([8, 4])}):
        np.savez(path, **{**arrays, **both, **named})
        tables = stored(write_report(folder).read_text())["tables"]
        first = [place == 0 for place in tables["GunPoint-tokens"]["series"]]
        left = [x for x, own in zip(tables["GunPoint-tokens"]["left"], first, strict=True) if own]
        assert max(left) == pytest.approx(12 + 0.03 * 12, rel=1e-3)
        names = tables["GunPoint-codebook"]["panel"]["texts"]
        assert ["low" in names[0], "high" in names[-1]] == [bool(named)] * 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:100], "is not a readable result of a run"),
        (lambda _: "[]", "is not the result of a finished run"),
        (lambda text: text.replace('"seconds"', '"minutes"'), "'seconds'"),
        (lambda text: text.replace('"format": 2', '"format": 3'), "format 3"),
        (lambda text: text.replace('"name": "svm_accuracy"', '"name": "x"'), "svm_accuracy"),
    ],
)
def test_a_damaged_result_is_one_line(damage, message, tmp_path):
    folder = synthetic.write_study(tmp_path / "study", points=0)
    path = folder / "runs" / "0001-0" / "result.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(TwincodeError) as caught:
        write_report(folder)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_damaged_files_are_one_line(tmp_path):
    folder = synthetic.write_study(tmp_path / "study", synthetic.FIVE[:1], ["GunPoint"], (0,))
    (folder / "runs" / "0000-0" / "exhibits.npz").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(TwincodeError, match="not a readable set of exhibits"):
        write_report(folder)
    (folder / "study.json").write_text("[1]")
    with pytest.raises(TwincodeError, match="does not describe a study"):
        load_results(folder)
    with pytest.raises(TwincodeError, match="no finished runs"):
        load_results(tmp_path)
    (tmp_path / "runs.jsonl").write_text("{}\nno\n")
    with pytest.raises(TwincodeError, match=r"line 2 of .*runs\.jsonl is not JSON"):
        load_results(tmp_path)
    (tmp_path / "runs.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(TwincodeError, match=r"runs\.jsonl is not text in UTF-8"):
        load_results(tmp_path)
