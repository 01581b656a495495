"""``TwinCodeTransformer`` under aeon's own checks and in its pipelines."""

import pickle
import warnings

import numpy as np
import pytest
from aeon.classification.compose import ClassifierPipeline
from aeon.datasets import load_basic_motions, load_japanese_vowels
from aeon.testing.estimator_checking import check_estimator
from sklearn.linear_model import LogisticRegression

from twincode import TwinCode
from twincode.data import Policy, apply_policy
from twincode.estimators.aeon import TwinCodeTransformer

CHECKED = {
    "bt-vqvae": {
        **{"n_fft": 2, "hop_length": 1, "latent_channels": 4, "residual_blocks": 1, "epochs": 1},
        **{"codebook_size": 4, "projector_width": 8},
    },
}


@pytest.mark.parametrize("recipe", [None, *CHECKED])
def test_every_check_of_aeon_passes(recipe):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = (
            TwinCodeTransformer
            if recipe is None
            else TwinCodeTransformer(recipe, **CHECKED[recipe])
        )
        found = check_estimator(chosen)
    assert {name: word for name, word in found.items() if word != "PASSED"} == {}
    assert len(found) > 20


@pytest.mark.parametrize("load", [load_basic_motions, load_japanese_vowels])
def test_pipelines_on_several_channels_and_unequal_lengths(load):
    X, y = load(split="train")
    X_test, y_test = load(split="test")
    coder = TwinCodeTransformer("patch-rvq", bits=60, random_state=0)
    pipeline = ClassifierPipeline(coder, LogisticRegression(max_iter=300)).fit(X, y)
    assert pipeline.score(X_test, y_test) > 0.6
    other = pickle.loads(pickle.dumps(pipeline))
    assert (other.predict(X_test) == pipeline.predict(X_test)).all()


def test_it_is_the_transformer_of_scikit_learn_on_series_made_equal():
    X, _ = load_japanese_vowels(split="train")
    X = [each.copy() for each in X[:40]]
    X[3][:, 2] = np.nan
    known = [each.copy() for each in X]
    known[3][:, 2] = (X[3][:, 1] + X[3][:, 3]) / 2
    whole = apply_policy(known, Policy(lengths="resample"))
    ours = TwinCodeTransformer("patch-rvq", bits=20, random_state=0).fit(X)
    plain = TwinCode("patch-rvq", bits=20, random_state=0).fit(whole)
    np.testing.assert_array_equal(ours.transform(X), plain.transform(whole))
    np.testing.assert_array_equal(ours.encode(X), plain.encode(whole))
    assert ours.decode(ours.encode(X)).shape == whole.shape
    assert ours.get_params() == plain.get_params()


def test_a_gap_at_the_end_is_a_gap_and_no_shorter_series():
    X = np.cumsum(np.random.default_rng(0).normal(size=(20, 1, 24)), axis=2)
    gappy, known = X.copy(), X.copy()
    gappy[:, :, -4:] = np.nan
    known[:, :, -4:] = X[:, :, -5:-4]
    ours = TwinCodeTransformer("patch-rvq", bits=20, random_state=0).fit(gappy)
    plain = TwinCode("patch-rvq", bits=20, random_state=0).fit(known)
    assert ours.model_.tokenizer.length == 24
    np.testing.assert_array_equal(ours.transform(gappy), plain.transform(known))


def test_bad_series_are_value_errors():
    X, _ = load_basic_motions(split="train")
    ours = TwinCodeTransformer("patch-rvq", bits=20).fit(X)
    with pytest.raises(ValueError, match="channels"):
        ours.encode(X[:, :2])
    with pytest.raises(ValueError, match="infinite"):
        ours.transform(np.where(X > 5, np.inf, X))
    with pytest.raises(ValueError, match="not been fitted"):
        TwinCodeTransformer().encode(X)
