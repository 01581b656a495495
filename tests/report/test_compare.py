"""Statistics beside SciPy and values worked out by hand; paired differences and their bases."""

import json
import math
import shutil

import numpy as np
import pytest
import synthetic
from scipy import stats

from twincode.report.compare import (
    Difference,
    comparable,
    critical_difference,
    differences,
    friedman,
    half_interval,
    holm,
    ranking,
    references,
    signed_rank,
)  # fmt: skip
from twincode.report.figures.trade_off import relative_trade_off
from twincode.report.runs import Summary, load_results, summary


def test_signed_rank_is_exact_as_scipy_has_it():
    values = [0.3, -0.1, 0.5, 0.7, -0.2, 0.9, 1.1]
    assert signed_rank(values) == stats.wilcoxon(values, method="exact").pvalue
    assert signed_rank([1, 2, 3, 4, 5, 6, 7]) == 2 / 2**7


def test_ties_and_zeros_are_still_exact():
    assert signed_rank([0.1] * 6) == pytest.approx(2 / 2**6)
    # Signs of 1, 1, 2, 3, 4 and a zero that counts half to either side: 2 of 32 ways are as far.
    assert signed_rank([0.0, 1, 1, 2, 3, 4]) == pytest.approx(2 / 32)
    assert signed_rank([0.0] * 7) == 1.0
    assert math.isnan(signed_rank([1, 2, 3, 4, 5]))


def test_steps_that_differ_by_rounding_are_ties():
    assert signed_rank([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]) == pytest.approx(2 / 2**6)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    mixed = holm([math.nan, 0.02])
    assert math.isnan(mixed[0])
    assert mixed[1] == 0.02


def test_critical_difference_is_demsars():
    # Demšar (2006), table 5: q at 5 % is 2.343 for 2... 4 models 2.569; section 3.2.2's example.
    assert critical_difference(4, 14) == pytest.approx(
        2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=1e-3
    )


def test_friedman_is_scipys_and_one_for_equal_models():
    values = np.random.default_rng(0).normal(size=(7, 4))
    assert friedman(values) == stats.friedmanchisquare(*values.T).pvalue
    assert friedman(np.ones((6, 3))) == 1.0


def test_interval_is_students_and_needs_three_seeds():
    value = summary([1.0, 2.0, 4.0])
    expected = stats.t.interval(0.95, 2, loc=value.mean, scale=value.std / math.sqrt(3))
    assert value.mean - half_interval(value) == pytest.approx(expected[0])
    assert math.isnan(half_interval(summary([1.0, 2.0])))
    assert summary([1.0])[2] == 1


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_number_that_is_not_finite_has_no_deviation(wrong):
    mean, std, n = summary([1.0, wrong])
    assert not math.isfinite(mean)
    assert math.isnan(std)
    assert n == 2


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    names = [f"Set{number}" for number in range(6)]
    return load_results(synthetic.write_study(folder, datasets=names, points=0))


def test_ranks_go_by_the_better_direction(results):
    svm, error = results.measures["svm_accuracy@flatten"], results.measures["reconstruction"]
    found = ranking(results, svm)
    assert min(found.ranks, key=found.ranks.get) == "BT-VQVAE"
    assert found.critical == critical_difference(5, 6)
    assert min(ranking(results, error).ranks, key=ranking(results, error).ranks.get) == "VQ-VAE"
    table = comparable(results, svm)
    assert found.p == friedman(table.to_numpy())
    assert ranking(results, results.measures["perplexity"]) is None


def test_errors_of_untrained_decoders_are_not_compared(results):
    assert "Random encoder" not in comparable(results, results.measures["reconstruction"])
    assert "Random encoder" in comparable(results, results.measures["svm_accuracy@flatten"])


def test_a_difference_is_over_pairs_then_over_data_sets(results):
    found = next(
        d
        for d in differences(results)
        if (d.model.label, d.base.label, d.measure.key)
        == ("BT-VQVAE", "VQ-VAE", "svm_accuracy@flatten")
    )
    last = results.table[(results.table.epoch == 20) & (results.table.readout == "flatten")]
    svm = last[last.metric == "svm_accuracy"].pivot_table("value", ["dataset", "seed"], "model")
    by_hand = (svm["BT-VQVAE"] - svm["VQ-VAE"]).groupby("dataset").mean()
    assert found.mean == pytest.approx(by_hand.mean())
    assert {name: value.mean for name, value in found.by_dataset.items()} == pytest.approx(
        by_hand.to_dict()
    )
    assert (found.higher, found.lower, found.pairs) == (6, 0, 12)
    assert found.p == signed_rank(by_hand.to_list()) == found.holm


def test_a_difference_of_rounding_is_neither_higher_nor_lower(results):
    model, measure = results.models[0], results.main_measures[0]
    means = {"a": 0.1 + 0.2 - 0.3, "b": -1e-17, "c": 0.0, "d": 0.1}
    found = Difference("", model, model, measure, {k: Summary(v, 0, 1) for k, v in means.items()})
    assert (found.higher, found.lower) == (1, 0)


def test_what_is_compared_with_what(results):
    found = {title: [m.label for m, _ in pairs] for title, pairs in references(results)}
    assert found == {
        "VQ-VAE": ["VQ-VAE, augmented", "BT-VQVAE"],
        "VQ-VAE, augmented": ["BT-VQVAE"],
        "Random encoder": ["VQ-VAE", "VQ-VAE, augmented", "BT-VQVAE"],
    }


def in_two_sizes(folder, *models):
    """What is compared in a study of each model with a small codebook and a large one."""
    sized = [synthetic.sized(model, size) for model in models for size in (16, 64)]
    return list(references(load_results(synthetic.write_study(folder, sized, points=0))))


def test_a_model_is_compared_with_the_base_that_differs_least(tmp_path):
    ((_, pairs),) = in_two_sizes(tmp_path / "study", synthetic.NAIVE, synthetic.TWINS[1])
    assert [(model.label, base.label) for model, base in pairs] == [
        ("BT-VQVAE codebook_size=16", "VQ-VAE codebook_size=16"),
        ("BT-VQVAE codebook_size=64", "VQ-VAE codebook_size=64"),
    ]


def test_of_equally_near_bases_it_is_that_with_the_most_runs(tmp_path):
    models = [synthetic.sized(synthetic.NAIVE, size) for size in (16, 64)]
    folder = synthetic.write_study(
        tmp_path / "study", [*models, synthetic.closed_form("Mixture", "mixture", 45)], points=0
    )
    shutil.rmtree(folder / "runs" / "0000-1")  # one seed of the first on one data set
    results = load_results(folder)
    found = {m.label: base.label for _, pairs in references(results) for m, base in pairs}
    assert found["Mixture"] == "VQ-VAE codebook_size=64"
    figure = relative_trade_off(results)
    assert "Relative to VQ-VAE codebook_size=64" in figure.caption


def test_what_is_relative_is_over_seeds_in_common(tmp_path):
    """Two models that are equal seed by seed are, although one has been run less often."""
    folder = synthetic.write_study(tmp_path / "study", [synthetic.NAIVE, synthetic.AUGMENTED])
    for path in folder.glob("runs/*00-*/result.json"):
        other = path.parents[1] / path.parent.name.replace("00-", "01-") / "result.json"
        record, same = (json.loads(each.read_text()) for each in (path, other))
        other.write_text(json.dumps({**same, "evaluations": record["evaluations"]}))
    for name in ("0001-1", "0101-1"):
        shutil.rmtree(folder / "runs" / name)
    data = relative_trade_off(load_results(folder)).data.set_index("model")
    assert len(data) == 2
    assert data.loc["VQ-VAE, augmented", "reconstruction"] == pytest.approx(1)
    assert data.loc["VQ-VAE, augmented", "svm_accuracy@flatten"] == pytest.approx(0)


def test_without_a_naive_model_augmentation_alone_is_the_base_once(tmp_path):
    ((title, pairs),) = in_two_sizes(tmp_path / "study", synthetic.AUGMENTED, synthetic.TWINS[1])
    assert title == "VQ-VAE, augmented"
    assert [(model.label[-2:], base.label[-2:]) for model, base in pairs] == [
        ("16", "16"),
        ("64", "64"),
    ]


def test_without_another_method_the_first_model_is_the_base(tmp_path):
    models = [synthetic.sized(synthetic.NAIVE, size) for size in (16, 32, 64)]
    results = load_results(synthetic.write_study(tmp_path / "study", models, points=0))
    ((_, pairs),) = references(results)
    assert {base.label for _, base in pairs} == {"VQ-VAE codebook_size=16"}
    assert len(pairs) == 2


def test_a_diverged_number_has_no_part_in_a_pair(tmp_path):
    assert Summary(1.0, math.nan, 1).n == 1
    folder = synthetic.write_study(tmp_path / "study", points=0)
    path = folder / "runs" / "0002-0" / "result.json"
    path.write_text(
        path.read_text().replace(
            '"metric": "svm_accuracy", "value": 0.',
            '"metric": "svm_accuracy", "value": null, "x": 0.',
        )
    )
    results = load_results(folder)
    found = next(d for d in differences(results) if d.model.label == "BT-VQVAE"
                 and d.against == "VQ-VAE" and d.measure.key == "svm_accuracy@flatten")  # fmt: skip
    assert found.by_dataset["GunPoint"].n == 1
    assert found.by_dataset["ECG200"].n == 2
