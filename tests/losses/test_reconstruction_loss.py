import equations
import numpy as np
import torch

from twincode.losses import reconstruction_losses


def test_equals_equation_4_12():
    generator = torch.Generator().manual_seed(0)
    x, x_hat = torch.randn(2, 3, 1, 11, generator=generator)
    u, u_hat = torch.randn(2, 3, 2, 5, 6, generator=generator)
    losses = reconstruction_losses({"time": (x, x_hat), "frequency": (u, u_hat)})
    expected = equations.mean_squared_error(x, x_hat) + equations.mean_squared_error(u, u_hat)
    np.testing.assert_allclose(float(sum(losses.values())), expected, rtol=1e-6)
    swapped = reconstruction_losses({"time": (x_hat, x)})["reconstruction_time"]
    assert torch.equal(swapped, losses["reconstruction_time"])
