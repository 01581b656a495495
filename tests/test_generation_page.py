"""The page of priors is true: its code and its commands run, its tables are complete."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_readme import run_python_of

from benchmarks.drawn import BESIDE, GENERATION, OTHERS, PLAIN, Drawn, generation_page
from twincode.cli import main
from twincode.evaluate.generation import GENERATION_METRICS, GenerationSettings
from twincode.priors import PRIORS, IterativeSampling, NetworkSettings, PriorSettings, Sampling
from twincode.report.runs import load_results
from twincode.settings import field_types

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "generation.md").read_text(encoding="utf-8")
TABLES = [
    [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| `")
    ]
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE)
]
COMMANDS = re.findall(r"^    (twincode .+)$", PAGE, re.MULTILINE)
SMALL = "--steps 3 --model-width 8 --layers 1"


def names_in(text):
    return re.findall(r"`([a-z0-9_-]+)`", text)


FEW = {
    "samples=1000": "samples=12, extractor_seeds=1, extractor_steps=1",
    "steps=300": "steps=3, evaluations=0",
    "steps=2000": "steps=3, model_width=8, layers=1",
    "500": "5",
    "100": "3",
    "=20": "=2",
}


@pytest.fixture
def my_series(tmp_path, monkeypatch):
    """Series of one's own in the current folder, some with gaps."""
    X = np.random.default_rng(0).normal(3, 2, (12, 40))
    np.save(tmp_path / "my_series.npy", X)
    frame = pd.DataFrame(X)
    frame.insert(0, "label", ["rest", "walk"] * 6)
    frame.to_csv(tmp_path / "my_series.csv", index=False)
    gaps = X.copy()
    gaps[:, 10:14] = np.nan
    pd.DataFrame(gaps).to_csv(tmp_path / "gaps.csv", index=False, header=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("twincode.nets.fcn.WIDTHS", (4, 4, 4))
    return X


def test_its_python_runs(my_series, monkeypatch):
    page = PAGE
    for many, few in FEW.items():
        assert many in page
        page = page.replace(many, few)
    monkeypatch.setattr("test_readme.text_of", lambda _page: page)
    names = run_python_of("docs/generation.md")
    assert names["series"].shape == (5, 1, 40)
    assert set(names["labels"]) <= {"rest", "walk"}
    assert names["walks"].shape == (3, 1, 40)
    assert names["filled"].shape == (2, 12, 1, 40)
    assert np.allclose(names["filled"][1, :, 0, 20:], my_series[:, 20:], atol=1e-5)
    assert names["future"].shape == (2, 12, 1, 8)
    assert names["bits"].shape == (12,)
    assert names["surprise"].shape == (12, 5, 40)
    assert names["scores"]
    assert names["model"].prior is not None


@pytest.mark.usefixtures("my_series")
def test_its_commands_run():
    assert len(COMMANDS) == 10
    for command in COMMANDS:
        few = {"--steps 300": "--steps 2 --evaluations 0", "--steps 2000": SMALL, " 500 ": " 5 "}
        for many, less in {**few, "100": "3", "--draws 20": "--draws 2"}.items():
            command = command.replace(many, less)
        if "--generation" in command:
            command += " --extractor-seeds 1 --extractor-steps 1 --samples 12"
        assert main(shlex.split(command)[1:]) == 0, command
    assert pd.read_csv("filled.csv").shape == (12 * 2, 42)
    assert len(pd.read_parquet("samples.parquet")) == 5


def test_every_prior_has_its_row():
    rows = TABLES[0]
    assert [names_in(row[0])[0] for row in rows] == list(PRIORS)
    for name, _, settings in rows:
        kind = type(PRIORS.choose(names_in(name)[0]))
        shared = NetworkSettings if issubclass(kind, NetworkSettings) else PriorSettings
        assert set(names_in(settings)) == set(field_types(kind)) - set(field_types(shared))
    assert set(field_types(NetworkSettings)) <= set(names_in(PAGE))


def test_every_sampling_setting_has_its_row():
    told = {names_in(row[0])[0]: row[1] for row in TABLES[1]}
    assert set(told) == set(field_types(IterativeSampling))
    assert {name for name, of in told.items() if of == "any prior"} == set(field_types(Sampling))


def test_every_metric_has_its_place():
    named = [name for row in TABLES[2] for name in names_in(row[0])]
    assert sorted(named) == sorted(metric.name for metric in GENERATION_METRICS)
    assert set(field_types(GenerationSettings)) - {"cas"} <= set(names_in(PAGE))


def test_what_it_says_of_trees_holds():
    results = Drawn(load_results(ROOT / "results" / GENERATION)).beside
    found, sets = results.generation, results.datasets
    assert len(sets) == 7
    farther = []
    for name in sets:
        fid, cas, recall, spread, near, to_train = (
            [found[name, *of, measure].mean for of in BESIDE]
            for measure in ("fid", "cas", "recall", "spread", "memorised_share", "fid_train")
        )
        train, published, theirs, ours = range(4)
        seeds = found[name, *BESIDE[ours], "fid"].n
        assert seeds == 3, name
        assert (fid[ours] < min(fid[theirs], fid[published])) == (name != "FordB"), name
        for better in (fid[theirs] < fid[published], recall[theirs] > recall[published],
                       spread[theirs] > spread[published]):  # fmt: skip
            assert better == (name != "ChlorineConcentration"), name
        if fid[train] < 1:
            farther.append(fid[ours] / fid[train])
            assert (recall[ours] > recall[train]) == (name == "TwoPatterns")
        else:
            assert name in ("FordB", "ElectricDevices")
        if name == "FordB":
            told = [fid[train], to_train[ours], to_train[published]]
            assert told == pytest.approx([5, 0.7, 14.7], abs=0.05)
        assert cas[published] < cas[ours] < cas[train], name
        assert recall[ours] > max(recall[theirs], recall[published]), name
        assert spread[ours] > max(spread[theirs], spread[published]), name
        assert 0.85 * spread[train] < spread[ours] < 1.1 * spread[train], name
        assert near[ours] <= 0.01, name
        bits = [results.mean(name, model, "bits") for model in ("TimeVQVAE", "Mixture")]
        assert 160 < bits[1] < 220, name
        assert bits[0] > 3 * bits[1], name
    assert [min(farther), max(farther)] == pytest.approx([3.4, 390], rel=0.01)
    kept = {
        name: found[name, "Mixture", "tree", "fid"].mean
        / found[name, "Mixture", "independent", "fid"].mean
        for name in sets
    }
    for name, ratio in (("ElectricDevices", 0.72), ("TwoPatterns", 0.7), ("Wafer", 0.16)):
        assert kept[name] == pytest.approx(ratio, abs=0.01)
    assert kept["FordA"] == pytest.approx(2 / 3, abs=0.05)
    assert kept["FordB"] > 1.5
    for name in ("ECG5000", "ChlorineConcentration"):
        assert kept[name] == pytest.approx(1, abs=0.07)


def test_what_it_says_of_the_plain_tokenizer_holds():
    drawn = Drawn(load_results(ROOT / "results" / GENERATION))
    found, sets = drawn.plain.generation, drawn.plain.datasets
    assert len(sets) == 7
    masked, freer, tree, ours = range(4)
    ahead = []
    for name in sets:
        scores = {}
        for measure, best in (("fid", min), ("cas", max), ("recall", max), ("spread", max)):
            scores[measure] = [found[name, *of, measure].mean for of in PLAIN]
            published = drawn.beside.generation[name, *BESIDE[1], measure].mean
            ours_is_best = best(scores[measure][freer], published) != published
            assert ours_is_best == (measure != "fid" or "Ford" not in name), (name, measure)
        fid, cas = scores["fid"], scores["cas"]
        ahead += [name] if fid[freer] < fid[ours] else []
        assert scores["recall"][ours] > max(scores["recall"][:ours]), name
        assert scores["spread"][ours] > max(scores["spread"][:ours]), name
        gain = max(cas[masked], cas[freer]) - cas[ours]
        far = {"ElectricDevices": 0.042, "FordA": -0.035, "FordB": 0.023}
        assert abs(gain) < 0.02 or round(gain, 3) == far.get(name), (name, gain)
        assert fid[tree] > min(fid[masked], fid[freer]), name
        assert found[name, *PLAIN[freer], "fid"].n == 3, name
    assert ahead == ["TwoPatterns", "Wafer", "FordB"]


def test_what_it_says_of_one_set_holds():
    results = Drawn(load_results(ROOT / "results" / GENERATION)).every
    networks, patches = ("VQ-VAE", "VQ-VAE, augmented", "BT-VQVAE"), "Patches, k-means"

    def score(label, row, name):
        return results.generation["ECG5000", label, row, name].mean

    masked = ("masked, confidence", "masked, random")
    drawn = (*masked, "autoregressive", "tree")
    ours = score("Mixture", "tree", "fid")
    for label in networks:
        assert results.generation["ECG5000", label, "tree", "fid"].n == 3
        freer = score(label, "autoregressive", "spread")
        bits = {row: score(label, row, "bits_per_dimension") for row in (*drawn, "independent")}
        assert bits["tree"] < bits["independent"]
        assert bits["tree"] > max(bits["autoregressive"], bits["masked, random"])
        for row in masked:
            assert 0.3 < score(label, row, "spread") < 0.43 < freer
            assert score(label, row, "fid") < score(label, "autoregressive", "fid")
            assert 1.4 < score(label, row, "fid") / ours < 1.7
    least = score(patches, "tree", "bits_per_dimension")
    for row in drawn:
        assert 0.8 < score(patches, row, "spread") < 1.1
        assert least <= score(patches, row, "bits_per_dimension")
    told = [
        {name: value for _, _, name, value in run.evaluations()}
        for run in results.runs
        if run.record["title"] == patches
    ]
    ratios = [each["reconstruction_time"] / each["train_reconstruction_time"] for each in told]
    assert [ratio > 4 for ratio in ratios].count(True) == 1
    bits = results.generation["ECG5000", patches, "tree", "bits_per_dimension"]
    assert bits.n == 3
    assert bits.std > 0.5
    assert score("TimeVQVAE", "train", "spread") == pytest.approx(7 / 8, abs=0.01)


def test_what_it_says_of_a_twin_loss_holds():
    results = Drawn(load_results(ROOT / "results" / GENERATION)).every
    found = {
        (run.record["title"], run.seed, each["row"], each["metric"]): each["value"]
        for run in results.runs
        for each in (run.generation or {}).get("scores", ())
    }
    masked, freer = ("masked, confidence", "masked, random"), "autoregressive"
    for row in (*masked, freer, "tree", "independent"):
        fid, cas, bits = (
            [
                [found[label, seed, row, name] for seed in range(3)]
                for label in ("BT-VQVAE", "VQ-VAE, augmented")
            ]
            for name in ("fid", "cas", "bits_per_dimension")
        )
        assert np.mean(bits[0]) > np.mean(bits[1])
        if row in (*masked, freer):
            assert all(twin > alone for twin, alone in zip(*bits, strict=True))
        assert abs(np.mean(cas[0]) - np.mean(cas[1])) < 0.005
        ratio = np.mean(fid[0]) / np.mean(fid[1])
        if row in masked:
            assert 0.9 < ratio < 1
        if row == freer:
            assert ratio == pytest.approx(1.2, abs=0.02)


def test_what_it_says_of_uses_holds():
    rows = pd.read_csv(ROOT / "results" / "benchmarks" / "uses.csv")
    error, spoken, held, told = (
        {task: part.pivot(index="dataset", columns="way", values=value)
         for task, part in rows.groupby("task")}
        for value in ("mae", "crps", "coverage", "auroc")
    )  # fmt: skip
    best = {task: error[task].idxmin(axis=1) for task in ("impute", "forecast")}
    nearest = {task: set(ways.index[ways == "nearest of train"]) for task, ways in best.items()}
    sets = {"ItalyPowerDemand", "GunPoint", "ECG5000", "TwoPatterns", "ChlorineConcentration"}
    assert nearest["impute"] == {"GunPoint", "ChlorineConcentration"}
    assert nearest["forecast"] == sets - {"TwoPatterns"}
    by_crps = {task: ways.idxmin(axis=1) for task, ways in spoken.items() if task in best}
    still = {task: set(ways.index[ways == "nearest of train"]) for task, ways in by_crps.items()}
    assert still["impute"] == {"GunPoint", "ChlorineConcentration"}
    assert still["forecast"] == {"ChlorineConcentration"}
    ratio = spoken["forecast"].min(axis=1) / spoken["forecast"]["nearest of train"]
    assert (ratio[["ECG5000", "ItalyPowerDemand"]] < 0.875).all()
    assert 0.95 < ratio["GunPoint"] < 1
    filled = error["impute"].loc["ECG5000"]
    assert 0.97 < filled["masked"] / filled["linear"] < 1
    for task in best:
        assert not set(best[task]) & {"linear", "last value"}
    filled = error["impute"]
    assert (filled["tree"] < 1.3 * filled["masked"]).all()
    assert (filled["tree over mixture"] > filled["tree"]).all()
    worse = filled.index[filled["tree over mixture"] > filled["linear"]]
    assert set(worse) == {"ECG5000", "TwoPatterns"}
    surest = told["surprise"].idxmax(axis=1)
    assert set(surest.index[surest == "surprise"]) == {"ItalyPowerDemand"}
    assert not (surest == "surprise, tree").any()
    assert told["surprise"].loc["ChlorineConcentration", "surprise"] == pytest.approx(0.5, abs=0.01)
    for ways, low, high in (
        (["masked", "autoregressive"], 0.38, 0.85),
        (["tree"], 0.53, 0.77),
        (["tree over mixture"], 0.77, 0.92),
    ):
        found = np.concatenate([part.filter(ways).to_numpy().ravel() for part in held.values()])
        found = found[~np.isnan(found)]
        assert low < found.min() < low + 0.01
        assert high - 0.01 < found.max() < high


def test_its_numbers_are_the_stored_ones():
    assert generation_page(PAGE, ROOT / "results") == PAGE
    wrong = re.sub(r"\| impute \| linear \| [\d.]+", "| impute | linear | 7", PAGE)
    assert wrong != PAGE
    assert generation_page(wrong, ROOT / "results") == PAGE


def again(run):
    """The same run of a seed that none has."""
    config = run.record["config"]
    training = {**config["training"], "seed": 7}
    return replace(run, record={**run.record, "config": {**config, "training": training}})


def test_only_what_all_have_is_compared():
    results = load_results(ROOT / "results" / GENERATION)
    whole = Drawn(results).beside
    one = [r for r in results.runs if r.dataset == "Wafer" and "Mixture" in r.record["title"]]
    others = tuple(r for r in results.runs if r not in one)
    fewer = Drawn(replace(results, runs=others)).beside
    assert set(fewer.datasets) == set(whole.datasets) - {"Wafer"}
    assert {(r.dataset, r.key, r.seed) for r in fewer.runs} <= {
        (r.dataset, r.key, r.seed) for r in whole.runs
    }
    for added, there in ((others, set(whole.datasets) - {"Wafer"}), (results.runs, whole.datasets)):
        runs = (*results.runs, *map(again, added))
        found = Drawn(replace(results, runs=runs)).beside
        assert found.datasets == whole.datasets
        assert {r.dataset for r in found.runs if r.seed == 7} == set(there)


def test_what_is_said_of_the_enhanced_scheme_holds():
    found = load_results(ROOT / "results" / OTHERS).generation

    def score(row, name):
        return found["ECG5000", "VQ-VAE", row, name].mean

    plain, enhanced = "masked, confidence", "masked, enhanced"
    assert score(enhanced, "fid") / score(plain, "fid") == pytest.approx(0.8, abs=0.05)
    for name in ("recall", "precision", "spread"):
        assert score(enhanced, name) < score(plain, name)
    rows = ("reconstruction", plain, "autoregressive", enhanced, "independent")
    assert sorted(rows, key=lambda row: score(row, "pseudo_bits"))[-2:] == [enhanced, rows[-1]]
    unlabelled = [score(f"{row}, no labels", "fid") for row in (enhanced, plain)]
    assert unlabelled[0] / unlabelled[1] == pytest.approx(3.6, abs=0.1)


def test_what_is_said_of_more_codes_holds():
    found = load_results(ROOT / "results" / OTHERS).generation
    drawn = Drawn(load_results(ROOT / "results" / GENERATION)).every.generation
    one, *more = (
        {key[2:]: value.mean for key, value in found.items() if key[:2] == ("ECG5000", label)}
        for label in ("VQ-VAE", "Bands", "VQ-VAE, residual", "VQ-VAE-2")
    )
    bands, residual, levels = more
    fid, whole, bits = ("reconstruction", "fid"), "autoregressive", "bits_per_dimension"
    pairs = (("independent",) * 2, (whole,) * 2, ("masked", "masked, confidence"))
    plain = (
        one["masked, confidence", "fid"],
        drawn["ECG5000", "VQ-VAE", "masked, random", "fid"].mean,
    )
    for each in more:
        assert each[whole, "recall"] > one[whole, "recall"]
        assert each["masked", "fid"] > max(plain)
        for row, others in pairs:
            assert bands[row, bits] >= each[row, bits] > one[others, bits]
        for row in (whole, "masked"):
            assert residual[row, "spread"] >= each[row, "spread"]
    assert levels[fid] == pytest.approx(one[fid], rel=0.02)
    assert (round(bands[fid], 2), round(bands["reconstruction", "recall"], 2)) == (0.03, 0.96)
    assert bands[whole, "fid"] - bands[fid] == pytest.approx(0.48, abs=0.005)
    fids = sorted(round(each[whole, "fid"], 2) for each in more)
    assert (fids[0], fids[-1]) == (0.47, 0.54)
    over_seeds = drawn["ECG5000", "VQ-VAE", whole, "fid"].mean
    assert [round(one[whole, "fid"], 2), round(over_seeds, 2)] == [0.6, 0.45]
    assert residual[whole, "spread"] == pytest.approx(0.64, abs=0.005)
