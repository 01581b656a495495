"""The losses of a textbook step."""

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.reference.model import VQVAE, Projector

EPSILON = 1e-5
VICREG_EPSILON = 1e-4


def barlow_twins(a: Tensor, b: Tensor, off_diagonal_weight: float = 0.005) -> Tensor:
    """The loss with its P x P matrix in full (Zbontar et al., 2021), divided by P."""
    a = (a - a.mean(0)) / (a.var(0, correction=0) + EPSILON).sqrt()
    b = (b - b.mean(0)) / (b.var(0, correction=0) + EPSILON).sqrt()
    C = a.T @ b / len(a)
    on_diagonal = (C.diagonal() - 1).pow(2).sum()
    return (on_diagonal + off_diagonal_weight * off_diagonal(C).pow(2).sum()) / len(C)


def vicreg(a: Tensor, b: Tensor) -> Tensor:
    """The loss with its two P x P matrices in full (Bardes et al., 2022, algorithm 1)."""
    loss = 25 * F.mse_loss(a, b)
    for view in (a, b):
        std = (view.var(0) + VICREG_EPSILON).sqrt()
        C = torch.cov(view.T)
        loss = loss + 25 * F.relu(1 - std).mean() + off_diagonal(C).pow(2).sum() / len(C)
    return loss


def vibcreg(a: Tensor, b: Tensor) -> Tensor:
    """The loss with its two P x P matrices in full (Lee and Aune, 2021)."""
    loss = 25 * F.mse_loss(a, b)
    for view in (a, b):
        std = (view.var(0) + VICREG_EPSILON).sqrt()
        scaled = (view - view.mean(0)) / (view.var(0, correction=0) + EPSILON).sqrt()
        C = scaled.T @ scaled / len(scaled)
        loss = loss + 25 * F.relu(1 - std).mean() + 200 * off_diagonal(C).pow(2).sum() / C.numel()
    return loss


def off_diagonal(C: Tensor) -> Tensor:
    """The entries of a square matrix that are not on its diagonal."""
    return C.masked_select(~torch.eye(len(C), dtype=torch.bool, device=C.device))


def naive_losses(model: VQVAE, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Total loss of the naive VQ-VAE on x, its latents and its codes."""
    u = model.transform(x)
    z = model.encoder(u)
    z_q, codes, vq_loss = model.quantizer(z)
    u_hat = model.decoder(z_q)
    x_hat = model.series(u_hat)
    return F.mse_loss(x_hat, x) + F.mse_loss(u_hat, u) + vq_loss, z, codes


def twin_losses(
    model: VQVAE, projector: Projector, upper: Tensor, lower: Tensor, gamma: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Total loss of BT-VQVAE: the naive one on the upper view, one more pass for the lower."""
    loss, z, codes = naive_losses(model, upper)
    twin = model.encoder(model.transform(lower))
    return loss + gamma * barlow_twins(projector(z), projector(twin)), z, codes
