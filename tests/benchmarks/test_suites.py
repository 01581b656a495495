"""The suites that need an accelerator or a long time, walked through on the CPU in tiny sizes."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import TINY

sys.path.insert(0, str(Path(__file__).parents[2]))

import benchmarks.__main__ as suite
import benchmarks.figures as figures
from benchmarks.accelerator import Size, launches, sharing
from benchmarks.cases import all_cases, our_step, twin_loss
from benchmarks.encoding import agreements
from benchmarks.floor import Machine
from benchmarks.memory import Sizes, peaks
from benchmarks.reference import losses as plain_losses
from benchmarks.systems import STUDY, SYSTEMS, Cost, costs, footprint
from benchmarks.tables import write_table
from benchmarks.timing import Comparison, Side, clock_name, compare
from twincode.losses import barlow_twins_loss
from twincode.recipes import recipe
from twincode.study.study_file import read_study_file
from twincode.tokenizers import build_tokenizer

ROOT = Path(__file__).parents[2]
SETTINGS = {k: TINY[k] for k in ("latent_channels", "residual_blocks", "projector_width")}


@pytest.fixture(autouse=True)
def processes_find_the_suites(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'src'}")


def size(steps):
    return Size("bt-vqvae", 24, batch=8, steps=steps, settings=tuple(SETTINGS.items()))


def test_recorded_and_launched_steps_are_timed_in_turns():
    found = list(launches("cpu", [size(2)], rounds=2))
    assert [launch.precision for launch in found] == ["float32", "tf32", "bfloat16"]
    for launch in found:
        assert launch.lowest <= launch.ratio <= launch.highest
        assert min(launch.launched, launch.recorded) > 0
    assert torch.get_float32_matmul_precision() == "highest"


def test_several_runs_share_a_device():
    found = list(sharing("cpu", [size(2)], counts=(1, 2)))
    assert [(one.precision, one.runs) for one in found] == [
        ("tf32", 1), ("tf32", 2), ("bfloat16", 1), ("bfloat16", 2),
    ]  # fmt: skip
    assert all(one.steps_a_second > 0 for one in found)
    assert [one.times_one for one in found if one.runs == 1] == [1, 1]


def test_the_accelerators_suite_is_written_and_read(monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(suite, "launches", lambda _: launches("cpu", [size(1)], rounds=1))
    monkeypatch.setattr(suite, "sharing", lambda _: sharing("cpu", [size(1)], counts=(1,)))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    assert "None of this has been measured" in figures.accelerator_section()
    words = ["benchmarks", "--tables", "launches,sharing", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    assert suite.main() == 0
    monkeypatch.setattr(suite, "device_name", lambda _: "A made-up GPU")
    suite._describe(tmp_path, torch.device("cuda"), 1, Machine(1, 2, 3))
    section = figures.accelerator_section()
    assert section.startswith("Measured on A made-up GPU:")
    assert section.count("| bt-vqvae") == 3 + 2


def test_without_an_accelerator_its_suite_says_so_in_one_line():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    words = [sys.executable, "-m", "benchmarks", "--device", "cuda"]
    found = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 1
    assert found.stderr == "device 'cuda' is not available here; try cpu\n"


def test_both_sides_run_in_processes_of_their_own():
    losses = (plain_losses.barlow_twins, barlow_twins_loss)
    makers = tuple(partial(twin_loss, loss, batch=4, width=8) for loss in losses)
    with Side(keep_memory=False) as plain, Side(keep_memory=True) as ours:
        found = compare(plain, ours, makers, rounds=3, warm=True)
    assert len(found.ratios) == 3
    assert min(found.ratios) <= found.ratio <= max(found.ratios)


def test_every_case_has_two_sides_and_a_goal():
    for device in ("cpu", "cuda"):
        cases = list(all_cases(device))
        assert len({(case.name, case.precision) for case in cases}) == len(cases)
        assert all(case.wanted > 1 and case.rounds > 0 for case in cases)


def test_memory_is_measured_stage_by_stage_and_does_not_grow_with_epochs():
    (found,) = peaks((Sizes("Tiny", 20, 12, 40),), **SETTINGS)
    assert found[:4] == ("Tiny", 20, 12, 40)
    assert 0 < found.imported <= found.first_steps <= found.later_steps <= found.evaluation
    assert found.later_steps < 1.05 * found.first_steps


def test_what_a_system_costs_is_measured_in_time_memory_and_parameters():
    settings = {**SETTINGS, "batch_size": 8, "precision": "bfloat16"}
    (found,) = costs(settings, recipes=["contrastive-vae"], lengths=[24], rounds=2)
    assert found[:2] == ("contrastive-vae", 24)
    assert 0 < found.lowest <= found.ratio <= found.highest
    tokenizer = build_tokenizer(recipe("contrastive-vae", **SETTINGS), 1, 24)
    assert found.parameters == sum(tensor.numel() for tensor in tokenizer.parameters())
    assert found.peak_memory > 4 * found.parameters
    assert found.codes == 0
    H, W = build_tokenizer(recipe("bands", **SETTINGS), 1, 24).grid
    assert footprint("bands", 24, settings)[2] == H * W
    projected = footprint("bt-vqvae", 24, settings)[1] - footprint("vqvae", 24, settings)[1]
    channels, width = SETTINGS["latent_channels"], SETTINGS["projector_width"]
    assert projected == (channels + 1) * width + 2 * (width + 1) * width + 4 * width


def test_a_ratio_says_how_many_times_as_long_the_first_takes():
    found = Comparison((6.0, 2.0, 8.0), (2.0, 2.0, 4.0))
    assert (found.ratios, found.ratio) == ([3, 1, 2], 2)


def test_the_page_has_a_row_for_every_system(monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    assert "not done yet" in figures.systems_section()
    found = [
        Cost("vqvae", 24, 1.0, 0.98, 1.02, 500_000_000, 1_500_000, 40),
        Cost("vqvae", 33, 1.0, 0.99, 1.01, 600_000_000, 1_600_000, 40),
        Cost("bands", 24, 1.84, 1.8, 1.9, 700_000_000, 2_500_000, 200),
        Cost("bands", 33, 1.9, 1.8, 2.0, 800_000_000, 2_600_000, 200),
    ]
    write_table(tmp_path / "systems.csv", found)
    *_, rule, naive, bands = figures.systems_section().splitlines()
    assert naive.startswith("| `vqvae` | **1.00** (0.98 to 1.02) | 0.50 | 1.50 | **1.00**")
    assert bands.endswith(" | **1.90** (1.80 to 2.00) | 0.80 | 2.60 |")
    assert rule.count("|") == naive.count("|") == bands.count("|")


def test_systems_are_those_of_the_registry_that_train_and_the_study_is_among_them():
    study = read_study_file(STUDY)
    assert set(study["recipes"]) <= set(SYSTEMS)
    assert {"random-encoder", "raw-series", "thesis-vqvae"}.isdisjoint(SYSTEMS)
    assert study["settings"]["batch_size"] > 1


def test_precision_of_encoding_is_counted_in_codes():
    (found,) = agreements(("ItalyPowerDemand",), **SETTINGS, epochs=1)
    assert found.codes == 1029 * 5 * 6
    assert 0 <= found.changed < 0.05


def test_a_step_can_be_made_and_taken():
    work = our_step(24, "bt-vqvae", "bfloat16", n=8, **SETTINGS)
    assert work()["losses"]["total"] > 0
    assert clock_name() in ("process_time", "perf_counter")
