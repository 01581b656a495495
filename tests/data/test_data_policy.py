import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twincode.data import Policy, apply_policy
from twincode.errors import TwincodeError

NAN = np.nan
VALUES = st.floats(-1e6, 1e6, width=32)
SERVES_ALL = Policy(missing="interpolate", lengths="resample")


def series(*rows):
    return [np.atleast_2d(np.array(row, dtype=float)) for row in rows]


@st.composite
def ragged(draw, gaps=False):
    """Series of unequal lengths; with gaps, every channel keeps its first and last value."""
    channels = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    result = []
    for length in lengths:
        array = draw(hnp.arrays(np.float64, (channels, length), elements=VALUES))
        if gaps:
            hidden = draw(hnp.arrays(bool, array.shape))
            hidden[:, [0, -1]] = False
            array[hidden] = NAN
        result.append(array)
    return result


@given(ragged(gaps=True))
def test_result_is_finite_float32_of_the_longest_length(arrays):
    result = apply_policy(arrays, SERVES_ALL)
    longest = max(array.shape[1] for array in arrays)
    assert result.dtype == np.float32
    assert result.shape == (len(arrays), arrays[0].shape[0], longest)
    assert np.isfinite(result).all()


@given(ragged(gaps=True))
def test_filling_and_resampling_stay_within_the_known_range(arrays):
    for array, result in zip(arrays, apply_policy(arrays, SERVES_ALL), strict=True):
        low, high = np.nanmin(array, axis=1), np.nanmax(array, axis=1)
        slack = 1e-6 * np.maximum(np.abs(low), np.abs(high))
        assert (result.min(axis=1) >= low - slack).all()
        assert (result.max(axis=1) <= high + slack).all()


@given(ragged(), st.integers(1, 15))
def test_resampling_keeps_both_ends(arrays, length):
    result = apply_policy(arrays, SERVES_ALL, target_length=length)
    assert result.shape[2] == length
    for array, resampled in zip(arrays, result, strict=True):
        np.testing.assert_array_equal(resampled[:, 0], array[:, 0].astype(np.float32))
        if length > 1:
            np.testing.assert_array_equal(resampled[:, -1], array[:, -1].astype(np.float32))


@given(ragged())
def test_truncation_keeps_the_beginning(arrays):
    result = apply_policy(arrays, Policy(lengths="truncate"))
    shortest = min(array.shape[1] for array in arrays)
    expected = np.stack([array[:, :shortest] for array in arrays]).astype(np.float32)
    np.testing.assert_array_equal(result, expected)


@given(ragged(), st.integers(1, 4))
def test_padding_with_nan_means_shorter(arrays, padding):
    padded = [np.pad(array, ((0, 0), (0, padding)), constant_values=NAN) for array in arrays]
    for lengths in ("resample", "truncate"):
        policy = Policy(lengths=lengths)
        np.testing.assert_array_equal(apply_policy(padded, policy), apply_policy(arrays, policy))


@given(hnp.arrays(np.float32, (3, 2, 5), elements=VALUES))
def test_clean_series_pass_unchanged_under_every_policy(X):
    for missing in ("error", "interpolate"):
        for lengths in ("error", "resample", "truncate"):
            result = apply_policy(list(X), Policy(missing, lengths))
            np.testing.assert_array_equal(result, X)


def test_interpolation_is_linear_within_a_channel_and_flat_at_its_ends():
    arrays = [np.array([[NAN, 1, NAN, NAN, 4, NAN], [0, 0, 0, 0, 0, 6]])]
    result = apply_policy(arrays, Policy(missing="interpolate"))
    np.testing.assert_array_equal(result, [[[1, 1, 2, 3, 4, 4], [0, 0, 0, 0, 0, 6]]])


def test_resampling_a_line_gives_a_line():
    result = apply_policy(series([0, 1, 2], [0, 1, 2, 3, 4]), Policy(lengths="resample"))
    np.testing.assert_allclose(result[0, 0], [0, 0.5, 1, 1.5, 2])


def test_resampling_looks_at_the_train_part_only():
    arrays = series([1, 2], [1, 2, 3], [1, 2, 3, 4, 5])
    assert apply_policy(arrays, Policy(lengths="resample"), train_size=2).shape == (3, 1, 3)


def test_input_is_left_alone():
    arrays = series([1, NAN, 3, NAN])
    apply_policy(arrays, SERVES_ALL)
    np.testing.assert_array_equal(arrays[0], [[1, NAN, 3, NAN]])


def test_whole_numbers_are_welcome():
    assert apply_policy([np.array([[1, 2]])]).tolist() == [[[1, 2]]]


@pytest.mark.parametrize(
    ("arrays", "words"),
    (
        ([], ["no series"]),
        (series([1, 2], [1, NAN, 2]), ["series 2", "series 1", "3", 'lengths="resample"']),
        (series([1, 2, 3], [1, NAN, 2]), ["series 2", "time step 2", 'missing="interpolate"']),
        (series([1, 2, 3], [1, 2, NAN]), ["series 2", "2 time steps", 'lengths="resample"']),
        (series([1, 2], [NAN, NAN]), ["series 2", "no known value"]),
        (series([1, 2], [1, np.inf]), ["series 2", "infinite"]),
        (series([1, 2], [1, 1e39]), ["series 2", "float32"]),
        ([np.zeros((1, 3)), np.zeros((2, 3))], ["series 2", "2 channels"]),
        ([np.zeros(3)], ["series 1", "(3,)"]),
        ([np.zeros((1, 0))], ["series 1", "no known value"]),
        ([np.zeros((0, 4))], ["series 1", "no known value"]),
    ),
)
def test_what_is_refused_by_default(arrays, words):
    with pytest.raises(TwincodeError) as caught:
        apply_policy(arrays)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("bad", (np.inf, -np.inf, 1e39))
def test_no_policy_lets_unusable_values_pass(bad):
    with pytest.raises(TwincodeError, match="series 1"):
        apply_policy(series([1, bad, 2], [1, 2]), SERVES_ALL)


def test_channel_without_known_values_cannot_be_interpolated():
    with pytest.raises(TwincodeError, match="series 1 has no known value in channel 2"):
        apply_policy([np.array([[1.0, 2], [NAN, NAN]])], SERVES_ALL)


@pytest.mark.parametrize("lengths", ("error", "truncate"))
def test_a_fixed_length_names_both_lengths(lengths):
    with pytest.raises(TwincodeError, match='3 time steps, not 5; use lengths="resample"'):
        apply_policy(series([1, 2, 3]), Policy(lengths=lengths), target_length=5)


def test_a_fixed_length_must_be_positive():
    with pytest.raises(TwincodeError, match="at least 1"):
        apply_policy(series([1, 2]), target_length=0)


@pytest.mark.parametrize(
    ("field", "value", "offer"),
    (("missing", "interpolat", "interpolate"), ("lengths", "truncated", "truncate")),
)
def test_unknown_policy_offers_the_nearest(field, value, offer):
    with pytest.raises(TwincodeError, match=f"did you mean '{offer}'"):
        Policy(**{field: value})


@pytest.mark.parametrize(("offset", "told"), [(0, False), (1e3, False), (1e6, True), (1e9, True)])
def test_an_offset_that_costs_digits_is_told(offset, told):
    series = list(np.random.default_rng(0).normal(size=(5, 2, 30)) + np.array([[0], [offset]]))
    series[0][1, 3] = np.nan
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        apply_policy(series, Policy(missing="interpolate"))
        apply_policy([np.full((1, 9), offset)])  # constant, and so in float32
    assert [str(each.message)[:9] for each in found] == ["channel 2"] * told
