"""Recipes: one short function a method, returning a frozen configuration.

A variant is a base and the few fields that differ. What a step of each costs is in docs/speed.md,
what they yield in results/.
"""

from collections.abc import Callable
from typing import Any

from twincode.config import Config
from twincode.errors import unknown_name

THESIS_EPOCHS = 1500


def vqvae() -> Config:
    """The naive VQ-VAE on the time-frequency plane (thesis section 4.3): the baseline.

    ``twincode train ECG5000 --recipe vqvae``
    """
    return Config(recipe="vqvae")


def vqvae_augmented() -> Config:
    """The naive VQ-VAE fed augmented views: the control that tells augmentation from the twin loss.

    ``twincode train ECG5000 --recipe vqvae-augmented``
    """
    return vqvae().replace(upper_input="view")


def bt_vqvae() -> Config:
    """BT-VQVAE (thesis section 4.4): the VQ-VAE, its encoder also taught by Barlow Twins.

    The upper branch sees a view, as in the authors' runs, so ``vqvae-augmented`` is the same model
    at gamma 0. ``twincode train ECG5000 --recipe bt-vqvae --gamma 1``
    """
    return vqvae_augmented().replace(gamma=1.0)


def vae() -> Config:
    """A VAE on the same encoder and decoder (thesis section 4.2.1): Gaussian latents, no codes.

    ``twincode train ECG5000 --recipe vae --kl-weight 1``
    """
    return vqvae().replace(quantizer="gaussian")


def fsq_vqvae() -> Config:
    """``vqvae`` with finite scalar quantisation: as many codes, but no codebook that could die.

    ``twincode train ECG5000 --recipe fsq-vqvae --fsq-levels 8,6,5``
    """
    return vqvae().replace(quantizer="fsq")


def residual_vqvae() -> Config:
    """``vqvae`` with a second codebook for what the first leaves over: two codes a latent.

    ``twincode train ECG5000 --recipe residual-vqvae --quantizer-depth 3``
    """
    return vqvae().replace(quantizer="residual")


def product_vqvae() -> Config:
    """``vqvae`` with a codebook for each half of the channels: two codes a latent.

    ``twincode train ECG5000 --recipe product-vqvae --codebook-groups 4``
    """
    return vqvae().replace(quantizer="product")


def cosine_vqvae() -> Config:
    """``vqvae`` whose latents and codes have unit length: nearest by angle alone.

    ``twincode train ECG5000 --recipe cosine-vqvae``
    """
    return vqvae().replace(distance="cosine")


def thesis_vqvae() -> Config:
    """``vqvae`` with the authors' budget: 1500 epochs. Hours on a CPU; meant for a GPU."""
    return vqvae().replace(epochs=THESIS_EPOCHS)


def thesis_vqvae_augmented() -> Config:
    """``vqvae-augmented`` with the authors' budget."""
    return vqvae_augmented().replace(epochs=THESIS_EPOCHS)


def thesis_bt_vqvae() -> Config:
    """``bt-vqvae`` with the authors' budget; they ran gamma 0.5, 1 and 2."""
    return bt_vqvae().replace(epochs=THESIS_EPOCHS)


def random_encoder() -> Config:
    """The untrained VQ-VAE, its codes drawn from its latents: what the architecture alone gives."""
    return vqvae().replace(epochs=0)


def raw_series() -> Config:
    """The series themselves under the same probes: what no encoder at all gives."""
    return Config().replace(tokenizer="raw", quantizer="identity", readouts=("flatten",), epochs=0)


RECIPES: dict[str, Callable[[], Config]] = {
    "vqvae": vqvae,
    "vqvae-augmented": vqvae_augmented,
    "bt-vqvae": bt_vqvae,
    "vae": vae,
    "fsq-vqvae": fsq_vqvae,
    "residual-vqvae": residual_vqvae,
    "product-vqvae": product_vqvae,
    "cosine-vqvae": cosine_vqvae,
    "thesis-vqvae": thesis_vqvae,
    "thesis-vqvae-augmented": thesis_vqvae_augmented,
    "thesis-bt-vqvae": thesis_bt_vqvae,
    "random-encoder": random_encoder,
    "raw-series": raw_series,
}

_LABELS = {
    "vqvae": "VQ-VAE",
    "vqvae-augmented": "VQ-VAE, augmented",
    "bt-vqvae": "BT-VQVAE",
    "vae": "VAE",
    "fsq-vqvae": "VQ-VAE, finite scalar",
    "residual-vqvae": "VQ-VAE, residual",
    "product-vqvae": "VQ-VAE, product",
    "cosine-vqvae": "VQ-VAE, cosine",
    "random-encoder": "Random encoder",
    "raw-series": "Raw series",
}


def recipe(name: str, **changes: Any) -> Config:
    """The configuration of a recipe, with some fields changed: ``recipe("bt-vqvae", gamma=2)``.

    Raises TwincodeError for an unknown recipe or field; the message names the nearest.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    config = RECIPES[name]().replace(**changes)
    return Config(**{**vars(config), "recipe": name})


def label(config: Config) -> str:
    """The model's name for tables and figures, with gamma where a twin loss is at work."""
    base = _LABELS.get(config.recipe.removeprefix("thesis-"), config.recipe)
    gamma = config.objective.gamma
    return f"{base} γ={gamma:g}" if gamma else base
