import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler

from twincode.errors import TwincodeError
from twincode.evaluate.clusters import Clusters, ClustersSettings
from twincode.evaluate.dimension import Dimension, DimensionSettings
from twincode.evaluate.metric import Features
from twincode.evaluate.readout import READOUTS, histogram, minmax_scale, readout_features
from twincode.quantize import Grid, Layout

CONTINUOUS = Layout()


def plain_histogram(codes, K):
    n, H, W = codes.shape
    features = np.zeros((n, H * K))
    for series in range(n):
        for h in range(H):
            for w in range(W):
                features[series, h * K + codes[series, h, w]] += 1
    return np.sqrt(features)


def plain_pyramid(codes, K):
    """``plain_histogram`` of all, both halves and all quarters, where there are so many columns."""
    W = codes.shape[2]
    windows = [np.array_split(codes, count, axis=2) for count in (1, 2, 4) if count <= W]
    parts = [plain_histogram(window, K) for level in windows for window in level]
    return np.concatenate(parts, axis=1)


@given(
    n=st.integers(0, 5),
    D=st.integers(1, 4),
    H=st.integers(1, 3),
    W=st.integers(1, 9),
    K=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_each_readout_equals_its_definition(n, D, H, W, K, seed):
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(n, D, H, W, generator=generator)
    codes = torch.randint(K, (n, H, W), generator=generator)
    z = latents.numpy()
    expected = {
        "flatten": z.reshape(n, D * H * W),
        "mean": z.astype(np.float64).mean(axis=(2, 3)),
        "histogram": plain_histogram(codes.numpy(), K),
        "pyramid": plain_pyramid(codes.numpy(), K),
    }
    assert expected.keys() == READOUTS.keys()
    for name, features in expected.items():
        found = readout_features(name, latents, codes, Layout((Grid("", W, K),)))
        assert found.dtype == np.float32
        assert found.shape == features.shape
        np.testing.assert_allclose(found, features, atol=1e-6)


def test_only_a_histogram_needs_codes():
    latents = torch.ones(2, 3, 2, 2)
    assert histogram(latents, None, CONTINUOUS) is None
    with pytest.raises(TwincodeError, match="continuous"):
        readout_features("histogram", latents, None, CONTINUOUS)
    assert len(readout_features("flatten", latents, None, CONTINUOUS)) == 2
    assert len(readout_features("mean", latents, None, CONTINUOUS)) == 2


@pytest.mark.parametrize("code", (-1, 4))
def test_histogram_refuses_codes_outside_the_codebook(code):
    with pytest.raises(TwincodeError, match="between 0 and 3"):
        histogram(torch.zeros(1, 1, 1, 2), torch.tensor([[[0, code]]]), Layout((Grid("", 2, 4),)))


def test_a_histogram_keeps_the_codes_of_two_grids_apart():
    layout = Layout((Grid("top", 1, 2), Grid("bottom", 2, 3)))
    codes = layout.join([torch.tensor([[[1]]]), torch.tensor([[[0, 0]]])])
    found = histogram(torch.zeros(1, 1, 1, 3), codes, layout)
    np.testing.assert_allclose(found, np.sqrt([[0, 1, 2, 0, 0]]), rtol=1e-6)


def test_an_unknown_readout_is_an_error():
    with pytest.raises(TwincodeError, match="'flatten'"):
        readout_features("flaten", torch.ones(1, 1, 1, 1), None, CONTINUOUS)


def test_readouts_follow_no_gradient_and_keep_the_latents():
    latents = torch.randn(2, 3, 2, 2, requires_grad=True)
    before = latents.detach().clone()
    features = readout_features("mean", latents, None, CONTINUOUS)
    features += 1
    assert torch.equal(latents, before)


def test_scaling_is_scikit_learns_in_double_precision():
    random = np.random.default_rng(0)
    train, test = random.normal(size=(2, 9, 4)).astype(np.float32)
    train[:, 1] = 7.0
    before = train.copy()
    scaled = minmax_scale(train, test)
    scaled_train, scaled_test = scaled[:9], scaled[9:]
    scaler = MinMaxScaler((-1, 1), clip=True).fit(train.astype(np.float64))
    np.testing.assert_array_equal(scaled_train, scaler.transform(train.astype(np.float64)))
    np.testing.assert_array_equal(scaled_test, scaler.transform(test.astype(np.float64)))
    assert scaled_train.dtype == scaled_test.dtype == np.float64
    np.testing.assert_array_equal(scaled_train[:, 1], -1.0)
    np.testing.assert_array_equal(train, before)


def test_a_code_that_train_lacks_at_a_place_does_not_decide_every_distance():
    """Train has two codes there, one channel of which differs by 0.001; test has a third one."""
    random = np.random.default_rng(0)
    train, test = random.normal(size=(2, 200, 50))
    train[:, 0] = random.choice([0.5, 0.501], 200)
    test[:, 0] = random.choice([0.5, 0.501, 2.0], 200, p=[0.48, 0.48, 0.04])
    points = minmax_scale(train, test)
    assert np.abs(points).max() <= 1
    features = Features(train, test, None, None, 2)
    assert Dimension(DimensionSettings()).probe(features)["intrinsic_dimension"] > 40
    assert Clusters(ClustersSettings()).probe(features)["silhouette"] < 0.2
