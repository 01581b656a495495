"""The suites that need an accelerator or a long time, walked through on the CPU in tiny sizes."""

import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import benchmarks.__main__ as suite
from benchmarks import accelerator, accuracy, equal, figures, precision, priors, training
from benchmarks.accelerator import Size, launches, sharing
from benchmarks.cases import all_cases, our_step, our_task
from benchmarks.encoding import agreements
from benchmarks.floor import Machine
from benchmarks.memory import Sizes, peaks
from benchmarks.startup import first_step
from benchmarks.systems import SYSTEMS, costs, footprint, study_settings
from benchmarks.tables import measure_missing, read_rows, write_table
from benchmarks.timing import Comparison, clock_name

ROOT = Path(__file__).parents[2]
NETS = {"latent_channels": 8, "residual_blocks": 1}
SETTINGS = {**NETS, "projector_width": 16}
SIZE = Size("bt-vqvae", 24, batch=8, steps=2, settings=tuple(SETTINGS.items()))


@pytest.fixture(autouse=True)
def processes_find_the_suites(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'src'}")
    monkeypatch.setenv("TWINCODE_GRAPHS", "")


def test_the_accelerators_suite_is_measured_written_and_shown(monkeypatch, tmp_path):
    kept = shutil.copytree(figures.RESULTS, tmp_path / "kept")
    monkeypatch.setattr(accelerator, "PRECISIONS", ("tf32", "bfloat16"))
    monkeypatch.setattr(suite, "choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(suite, "launches", lambda _: launches("cpu", [SIZE], rounds=2))
    monkeypatch.setattr(suite, "sharing", lambda _: sharing("cpu", [SIZE], counts=(2,)))
    words = ["benchmarks", "--tables", "launches,sharing", "--out", str(kept)]
    monkeypatch.setattr(sys, "argv", words)
    assert suite.main() == 0
    assert torch.get_float32_matmul_precision() == "highest"
    monkeypatch.setattr(suite, "device_name", lambda _: "A made-up GPU")
    suite.describe(kept, torch.device("cuda"), 1, Machine(1, 2, 3))
    monkeypatch.setattr(figures, "RESULTS", kept)
    _, section = figures.page().split("Measured on A made-up GPU:")
    assert section.count("| bt-vqvae step, L 24 |") == 2
    assert section.count("| bt-vqvae, L 24 | bfloat16 | 2 |") == 1


def test_without_an_accelerator_its_suite_says_so_in_one_line(monkeypatch, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--device", "cuda"])
    assert suite.main() == 1
    assert capsys.readouterr().err == "device 'cuda' is not available here; try cpu\n"


def test_a_ratio_says_how_many_times_as_long_the_first_takes():
    found = Comparison((6.0, 2.0, 8.0), (2.0, 2.0, 4.0))
    assert (found.ratios, found.spread) == ([3, 1, 2], (2, 1, 3))


def test_a_person_waits_for_the_first_step_in_a_process_that_ends_well():
    assert 0 < first_step() < 600


def test_every_case_has_a_name_and_a_goal():
    for device in ("cpu", "cuda"):
        cases = list(all_cases(device))
        assert len({(case.name, case.precision) for case in cases}) == len(cases)
        assert all(case.wanted > 0 and case.rounds > 0 for case in cases)


def test_memory_is_measured_stage_by_stage_and_does_not_grow_with_steps():
    (found,) = peaks((Sizes("Tiny", 20, 12, 40),), **SETTINGS)
    assert found[:4] == ("Tiny", 20, 12, 40)
    assert 0 < found.imported <= found.first_steps <= found.later_steps <= found.evaluation
    assert found.later_steps < 1.05 * found.first_steps


def test_what_a_system_costs_is_measured_in_time_memory_and_parameters():
    settings = {**SETTINGS, "batch_size": 8}
    (found,) = costs(settings, recipes=["contrastive-vae"], lengths=[24], rounds=2)
    assert found[:2] == ("contrastive-vae", 24)
    assert 0 < found.lowest <= found.ratio <= found.highest
    tokenizer = our_task(24, "contrastive-vae", n=8, **NETS).tokenizer
    assert found.parameters == sum(tensor.numel() for tensor in tokenizer.parameters())
    assert found.peak_memory > 4 * found.parameters
    assert found.codes == 0
    H, W = our_task(24, "bands", n=8, **NETS).tokenizer.grid
    assert footprint("bands", 24, settings)[2] == H * W
    projected = footprint("bt-vqvae", 24, settings)[1] - footprint("vqvae", 24, settings)[1]
    channels, width = SETTINGS["latent_channels"], SETTINGS["projector_width"]
    assert projected == (channels + 1) * width + 2 * (width + 1) * width + 4 * width


def test_systems_are_the_recipes_that_train():
    assert {"random-encoder", "raw-series", "thesis-vqvae"}.isdisjoint(SYSTEMS)
    assert {"vqvae", "bands", "contrastive-vae", "byol"} <= set(SYSTEMS)
    assert study_settings()["batch_size"] > 1


def test_precision_of_encoding_is_counted_in_codes():
    (found,) = agreements(("ItalyPowerDemand",), **NETS, epochs=1)
    assert found.codes == 1029 * 5 * 6
    assert 0 <= found.changed < 0.05


def test_a_step_can_be_made_and_taken():
    work = our_step(24, "bt-vqvae", "bfloat16", n=8, **SETTINGS)
    assert work()["losses"]["total"] > 0
    assert clock_name() in ("process_time", "perf_counter")


@pytest.mark.parametrize("ours", [False, True])
def test_work_of_priors_can_be_done(ours, monkeypatch):
    monkeypatch.setattr(priors, "LENGTHS", {40: (64, 8)})
    for name, few in {"BATCH": 6, "SAMPLES": 3, "STEPS": 4, "DOUBTED": 2}.items():
        monkeypatch.setattr(priors, name, few)
    monkeypatch.setattr(priors, "FEATURES", (20, 3))
    step = priors.our_prior_step(40, "float32") if ours else priors.plain_prior_step(40)
    makers = (priors.sampling, priors.continuing, priors.doubting, priors.distance)
    for work in (step, *(maker(ours) for maker in makers)):
        work()


def test_the_page_is_what_the_stored_files_make():
    assert (ROOT / "docs" / "speed.md").read_text(encoding="utf-8") == figures.page()


def test_what_is_stored_is_all_that_is_measured():
    stored = pd.read_csv(ROOT / "results" / "benchmarks" / "cpu-ratios.csv")
    cases = [(case.name, case.precision) for case in all_cases("cpu")]
    assert sorted(zip(stored.case, stored.precision, strict=True)) == sorted(cases)
    stored = pd.read_csv(ROOT / "results" / "benchmarks" / "systems.csv")
    assert sorted(set(stored.recipe)) == sorted(SYSTEMS)


def test_rows_of_other_keys_stay(tmp_path):
    path = tmp_path / "a.csv"
    write_table(path, [{"case": name, "ratio": 1} for name in "ab"])
    write_table(path, [{"case": name, "ratio": 2} for name in "bc"], ("case",))
    found = pd.read_csv(path)
    assert sorted(zip(found.case, found.ratio, strict=True)) == [("a", 1), ("b", 2), ("c", 2)]


def test_precisions_differ_by_less_than_seeds_or_more(tmp_path):
    """Of two studies, the last evaluations of what was trained, flattened."""
    for folder, shift in (("full", 0.0), ("low", 0.03)):
        rows = [
            {"dataset": "A", "model": "M", "seed": seed, "epoch": epoch, "readout": readout,
             "metric": metric, "value": value + shift * (metric == "perplexity")}
            for seed in (0, 1)
            for epoch, readout, metric, value in (
                (0, "flatten", "svm_accuracy", 0.1),
                (1, "flatten", "svm_accuracy", 0.2),
                (2, "mean", "svm_accuracy", 0.3),
                (2, "flatten", "svm_accuracy", 0.5 + 0.1 * seed),
                (2, "", "perplexity", 4.0 + 0.001 * seed),
            )
        ]  # fmt: skip
        (tmp_path / folder).mkdir()
        pd.DataFrame(rows).to_csv(tmp_path / folder / "results.csv", index=False)
    found = precision.compare(*(precision.final(tmp_path / name) for name in ("full", "low")))
    assert found.metric.tolist() == ["perplexity", "svm_accuracy"]
    assert found.within_spread.tolist() == [False, True]
    assert found.seeds.tolist() == [2, 2]
    assert found.value_full.tolist() == pytest.approx([4.0005, 0.55])
    assert found.difference.tolist() == pytest.approx([0.03, 0])


def test_time_to_quality_is_measured_once(monkeypatch, tmp_path):
    monkeypatch.setattr(training, "TIMED", 1)
    out = tmp_path / "training.csv"
    asked = ["training", "ItalyPowerDemand", "--recipes", "vqvae,pca-pq", "--minutes", "0.001"]
    monkeypatch.setattr(sys, "argv", [*asked, "--out", str(out)])
    training.main()
    first = read_rows(out, training.Row)
    assert [(row.recipe, row.minutes) for row in first] == [("vqvae", "0.001"), ("pca-pq", "")]
    assert first[0].steps >= 1
    assert 0 < first[1].nmse < first[0].nmse
    training.main()
    assert read_rows(out, training.Row) == first


def test_rows_are_measured_once(tmp_path):
    asked = []

    def measure(name, closed_form, seed):
        asked.append((name, closed_form, seed))
        return equal.Row(name, closed_form, seed, 8, 7.5, 0.5, 0.75, 1.0, None)

    keys = [("GunPoint", "mixture", seed) for seed in (0, 1)]
    for some in (keys[:1], keys, keys):
        measure_missing(tmp_path / "rows.csv", equal.Row, some, measure)
    assert asked == keys
    assert [row[:3] for row in read_rows(tmp_path / "rows.csv", equal.Row)] == keys


def test_accuracy_from_codes_is_that_of_what_was_chosen_on_train():
    row = accuracy.measure("ItalyPowerDemand", 0, 3.0)
    assert row.chosen == max(
        ("kernels", "machine"), key=lambda name: getattr(row, f"{name}_on_train")
    )
    assert row.accuracy > 0.9
    assert row.nmse < 0.05
