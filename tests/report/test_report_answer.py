import re

import pytest
import synthetic as made
from hypothesis import given
from hypothesis import strategies as st

from twincode.report import load_results
from twincode.report.answer import WITHIN, Answer, answers, verdict
from twincode.report.results import Summary


def answer_of(folder, **options) -> Answer:
    (found,) = answers(load_results(made.write_study(folder / "study", **options)))
    return found


def text_of(answer: Answer) -> str:
    return " ".join([answer.headline, *(text for _, text in answer.details)]).replace("\xa0", " ")


@pytest.mark.parametrize(
    ("gain", "noise", "word"), ((1.0, 0.001, "higher"), (-1.0, 0.001, "lower"), (0.0, 0.05, WITHIN))
)
def test_the_headline_says_whether_the_twin_loss_wins_loses_or_neither(tmp_path, gain, noise, word):
    answer = answer_of(
        tmp_path,
        models=(made.NAIVE, *made.TWINS),
        data=(made.Data(gain=gain),),
        seeds=(0, 1, 2),
        noise=noise,
    )
    assert re.search(rf"against the naive VQ-VAE: {word} for (all )?[23]", answer.headline)


def test_every_gamma_is_reported_with_its_difference(tmp_path):
    details = dict(answer_of(tmp_path, models=made.ALL_MODELS).details)
    for twin in made.TWINS:
        pattern = twin.label.replace(" ", "\xa0") + r"\xa00\.\d{3}\xa0±\xa00\.\d{3} \([+−]0\.\d{3}"
        assert re.search(pattern, details["Linear SVM accuracy on the codes"])


def test_a_long_label_may_break_a_short_one_not_and_none_before_its_number(tmp_path):
    label = "A model whose label is too long for one line of a card γ=1"
    long = made.Model(label, "bt-vqvae", 1.0, overrides={"gamma": 1.0})
    text = dict(answer_of(tmp_path, models=(made.NAIVE, long)).details)[
        "Linear SVM accuracy on the codes"
    ]
    assert f"{label}\xa00." in text
    assert text.startswith("Naive\xa0VQ-VAE\xa00.")


def test_controls_stand_beside_the_models(tmp_path):
    details = dict(answer_of(tmp_path, models=made.ALL_MODELS).details)
    controls = details["Controls under the same probe"].replace("\xa0", " ")
    assert all(control.label in controls for control in (made.AUGMENTED, made.RANDOM, made.RAW))
    assert "Against augmentation alone" in details
    assert "Against an untrained encoder" in details


def test_reconstruction_is_a_multiple_of_the_naive_models(tmp_path):
    answer = answer_of(tmp_path, models=(made.NAIVE, made.TWINS[2]), noise=0.0)
    assert "BT-VQVAE γ=2 1.80× the naive VQ-VAE's" in text_of(answer)


def test_one_seed_claims_nothing(tmp_path):
    answer = answer_of(tmp_path, seeds=(0,))
    assert "no spread is known" in answer.headline
    assert "±" not in text_of(answer)
    assert "higher" not in answer.headline


def test_without_labels_there_is_no_claim_about_classes(tmp_path):
    answer = answer_of(tmp_path, data=(made.Data(classes=()),))
    assert answer.headline.startswith("Without labels")
    assert "SVM" not in text_of(answer)
    assert "Reconstruction error" in dict(answer.details)


def test_the_authors_budget_does_not_hide_the_naive_model(tmp_path):
    naive = made.Model("VQ-VAE", "thesis-vqvae")
    twin = made.Model("BT-VQVAE γ=1", "thesis-bt-vqvae", 1.0, 0.87, overrides={"gamma": 1.0})
    answer = answer_of(tmp_path, models=(naive, twin), noise=0.001)
    assert "higher for the one twin model" in answer.headline


summaries = st.builds(Summary, st.floats(0, 1), st.floats(0, 0.3), st.just(3))


@given(summaries, summaries)
def test_swapping_the_sides_turns_the_verdict_round(first, second):
    opposite = {"higher": "lower", "lower": "higher", WITHIN: WITHIN}
    assert verdict(second, first) == opposite[verdict(first, second)]


def test_a_difference_as_large_as_the_spread_is_within_it():
    assert verdict(Summary(0.85, 0.03, 3), Summary(0.80, 0.04, 3)) == WITHIN
    assert verdict(Summary(0.86, 0.03, 3), Summary(0.80, 0.04, 3)) == "higher"
