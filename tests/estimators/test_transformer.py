"""``TwinCode`` under scikit-learn's own checks, and in its pipelines, searches and files."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
from conftest import make_waves
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import twincode
from twincode import TwinCode
from twincode.config import setting_names
from twincode.errors import TwincodeError, TwincodeWarning
from twincode.estimators.core import SETTINGS
from twincode.evaluate import METRICS
from twincode.settings import field_types

# Checks fit tables of 1 to 10 columns.
SHORT = {"n_fft": 2, "hop_length": 1, "latent_channels": 4, "residual_blocks": 1, "epochs": 1}
SMALL = {"latent_channels": 4, "residual_blocks": 1, "codebook_size": 6, "epochs": 1}
CHECKED = {
    "mixture": {"bits": 16, "modes": 2, "window_steps": 8},
    "pca-pq": {"bits": 10},
    "bt-vqvae": {**SHORT, "codebook_size": 4, "projector_width": 8},
    "barlow-twins": {**SHORT, "projector_width": 8},
}
UNCHECKED = ["check_array_api_input"]  # needs SCIPY_ARRAY_API=1 before SciPy is imported


@pytest.fixture(scope="module")
def waves():
    return make_waves(n_train=24, n_test=8)


@pytest.fixture(scope="module")
def fitted(waves):
    return TwinCode("patch-rvq", bits=20, random_state=0).fit(waves.X_train[:, 0])


@pytest.mark.parametrize("recipe", CHECKED)
def test_every_check_of_scikit_learn_passes(recipe):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = check_estimator(TwinCode(recipe, **CHECKED[recipe]), on_fail=None)
    wrong = {each["check_name"]: each["exception"] for each in found if each["status"] != "passed"}
    assert [*wrong] == UNCHECKED, wrong
    assert len(found) > 40


def test_every_setting_of_a_model_is_a_parameter():
    probes = {name for each in METRICS for name in field_types(type(METRICS.choose(each)))}
    unasked = {*probes, "seed", "metrics", "evaluations", "readouts"}
    assert set(SETTINGS) == set(setting_names()) - unasked
    parameters = TwinCode().get_params()
    assert {parameters[name] for name in SETTINGS} == {None}
    assert TwinCode("vqvae").recipe == "vqvae"


def test_it_trains_what_fit_trains(waves):
    estimator = TwinCode("bt-vqvae", random_state=7, projector_width=8, **SMALL).fit(waves.X_train)
    seed = np.random.RandomState(7).randint(2**31 - 1)
    config = twincode.recipe("bt-vqvae", seed=seed, projector_width=8, **SMALL)
    model = twincode.fit(config.replace(evaluations=0), waves.X_train)
    np.testing.assert_array_equal(estimator.transform(waves.X_test), model.transform(waves.X_test))
    np.testing.assert_array_equal(estimator.encode(waves.X_test), model.encode(waves.X_test))
    assert estimator.n_features_in_ == waves.channels
    assert estimator.model_.config == model.config


def test_codes_come_from_bits_alone_and_go_back(waves):
    X = waves.X_train[:, 0]
    estimator = TwinCode(bits=20, window_steps=16, modes=1, random_state=0).fit(X)
    assert estimator.model_.bits_per_series == 20
    codes = estimator.encode(X)
    series = estimator.decode(codes)
    assert codes.shape[0] == series.shape[0] == len(X)
    assert ((series[:, 0] - X) ** 2).mean() < X.var()
    np.testing.assert_allclose(estimator.model_.reconstruct(X), series, atol=1e-5)


@pytest.mark.parametrize("recipe", ["patch-rvq", "bt-vqvae", "vae"])
def test_a_copy_of_any_kind_gives_the_same_numbers(recipe, waves):
    few = {key: value for key, value in SMALL.items() if recipe != "patch-rvq"}
    if recipe == "vae":
        del few["codebook_size"]
    estimator = TwinCode(recipe, **few).fit(waves.X_train)
    expected = estimator.transform(waves.X_test)
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    unpickled = pickle.loads(pickle.dumps(estimator))
    for other in (unpickled, copy.deepcopy(estimator), joblib.load(file)):
        np.testing.assert_array_equal(other.transform(waves.X_test), expected)
    assert b"torch" not in pickle.dumps(estimator)
    assert not hasattr(clone(estimator), "model_")


def test_skops_saves_a_pipeline_with_one_type_to_trust(fitted, waves):
    X = waves.X_train[:, 0]
    pipeline = make_pipeline(fitted, StandardScaler(), LogisticRegression()).fit(X, waves.y_train)
    saved = skops.io.dumps(pipeline)
    trusted = skops.io.get_untrusted_types(data=saved)
    assert trusted == ["twincode.estimators.transformer.TwinCode"]
    loaded = skops.io.loads(saved, trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(X), pipeline.predict(X))


def test_a_damaged_state_is_refused(fitted):
    state = fitted.__getstate__()
    description, tensors = state["model_"]
    for bad in ((description, tensors[:-4]), ("{}", tensors), ("[", tensors)):
        with pytest.raises(ValueError, match=r".+"):
            TwinCode().__setstate__({**state, "model_": bad})


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_features_have_names(fitted, waves, container):
    X = waves.X_test[:, 0]
    names = [f"twincode{i}" for i in range(fitted.transform(X).shape[1])]
    assert fitted.get_feature_names_out().tolist() == names
    frame = copy.deepcopy(fitted).set_output(transform=container).transform(X)
    assert type(frame).__module__.startswith(container)
    assert [*frame.columns] == names
    np.testing.assert_array_equal(frame.to_numpy(), fitted.transform(X))


def test_a_search_over_settings(waves):
    few = {**SMALL, "projector_width": 8}
    pipeline = make_pipeline(
        TwinCode("bt-vqvae", random_state=0, **few), StandardScaler(), LogisticRegression()
    )
    grid = {"twincode__gamma": [0, 1], "twincode__codebook_size": [2, 6]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
    search.fit(waves.X_train[:, 0], waves.y_train)
    assert len(search.cv_results_["params"]) == 4
    chosen = search.best_estimator_["twincode"].model_.config
    assert chosen.quantizer.codebook_size == search.best_params_["twincode__codebook_size"]
    assert chosen.gamma == search.best_params_["twincode__gamma"]


def test_a_search_in_two_processes_finds_the_same(waves):
    X = waves.X_train[:, 0]
    pipeline = make_pipeline(
        TwinCode("patch-rvq", random_state=0), StandardScaler(), LogisticRegression()
    )
    # Fresh processes, joblib's default: a fork of one that has threads may wait for ever.
    scores = [
        GridSearchCV(pipeline, {"twincode__bits": [5, 20]}, cv=2, n_jobs=jobs, error_score="raise")
        .fit(X, waves.y_train)
        .cv_results_["mean_test_score"]
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"twincode__gama": [1]}, "Invalid parameter 'gama'"),
        ({"twincode__gamma": [1]}, "gamma is a setting of the twin losses"),
        ({"twincode__bits": [0]}, "bits must be at least 8"),
        ({"twincode__recipe": ["mixtur"]}, "did you mean 'mixture'"),
        ({"twincode__readout": ["flat"]}, "did you mean 'flatten'"),
    ],
)
def test_a_search_over_what_cannot_be_set(waves, grid, message):
    pipeline = make_pipeline(TwinCode(), LogisticRegression())
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=message):
        search.fit(waves.X_train[:, 0], waves.y_train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[:, :, None, None], r"X must be \(n, L\) or \(n, C, L\)"),
        (lambda X: np.stack([X] * 33, axis=1), "X has 3 dimensions; it had 2 in fit"),
        (lambda X: X[:, :-1], "33 features as input"),
        (lambda X: np.where(X > 0, X, np.nan), "contains NaN"),
        (lambda X: X[:0], "0 sample"),
    ],
)
def test_series_that_do_not_fit(fitted, waves, change, message):
    X = change(waves.X_test[:, 0])
    for use in (fitted.transform, fitted.encode):
        with pytest.raises(ValueError, match=message):
            use(X)


def test_series_of_another_length_do_not_fit_even_where_the_model_takes_any(waves):
    fitted = TwinCode("patch-rvq", bits=20).fit(waves.X_train)
    with pytest.raises(ValueError, match="X has 30 steps; it had 33 in fit"):
        fitted.transform(waves.X_test[:, :, :30])


def test_other_errors_are_value_errors_too(waves):
    with pytest.raises(ValueError, match="device 'tpu' is not available"):
        TwinCode(device="tpu").fit(waves.X_train)
    with pytest.raises(TwincodeError, match="contrastive model has to know"):
        TwinCode("contrastive-vae").fit(waves.X_train)
    with pytest.raises(TwincodeError, match="needs codes"):
        TwinCode("raw-series", readout="histogram").fit(waves.X_train)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        TwinCode().encode(waves.X_train)
    with pytest.raises(TwincodeError, match="X has masked values"):
        TwinCode("patch-rvq").fit(np.ma.masked_greater(waves.X_train, 1))


def test_what_could_not_be_fitted_is_not_fitted(waves):
    failed = TwinCode("patch-rvq", gamma=1)
    with pytest.raises(TwincodeError, match="gamma"):
        failed.fit(waves.X_train)
    for use in (failed.transform, failed.encode, failed.decode):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            use(waves.X_test)


def test_after_a_fit_that_failed_nothing_is_left_of_the_one_before(waves):
    coder = TwinCode("patch-rvq", bits=20).fit(waves.X_train).set_params(gamma=1)
    with pytest.raises(TwincodeError, match="gamma"):
        coder.fit(waves.X_train[..., :12])
    with pytest.raises(sklearn.exceptions.NotFittedError):
        coder.transform(waves.X_test)
    for use in (sklearn.utils.validation.check_is_fitted, TwinCode.get_feature_names_out):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            use(coder)


@pytest.mark.parametrize("offset", [10**9, 10**11])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_an_offset_that_costs_digits_is_told(waves, dtype, offset):
    X = (waves.X_train * 1000).astype(dtype) + offset
    with pytest.warns(TwincodeWarning, match="channel 1 varies little around 1e"):
        TwinCode("patch-rvq", bits=20).fit(X)


def test_a_readout_that_is_set_later_waits_for_the_next_fit(waves):
    coder = TwinCode("patch-rvq", bits=20).fit(waves.X_train).set_output(transform="pandas")
    before = coder.transform(waves.X_test)
    coder.set_params(readout="mean")
    assert coder.transform(waves.X_test).equals(before)
    assert coder.fit(waves.X_train).transform(waves.X_test).shape == (len(before), 1)


def test_labels_reach_only_who_has_to_know_them(waves):
    settings = {"background_classes": (0,), **SMALL}
    del settings["codebook_size"]
    estimator = TwinCode("contrastive-vae", **settings).fit(waves.X_train, waves.y_train)
    assert estimator.model_.source.classes == ("0", "1")
    blind = TwinCode("raw-series").fit(waves.X_train, waves.y_train)
    assert blind.model_.source.classes == ()
