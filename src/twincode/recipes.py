"""Recipes: one short function a method, returning a frozen configuration.

A variant is a base and the few fields that differ. What a step of each costs is in docs/speed.md,
what they yield in results/.
"""

from collections.abc import Callable
from typing import Any

from twincode.config import Config, ObjectiveConfig
from twincode.errors import unknown_name

THESIS_EPOCHS = 1500
_WITHOUT_CODES = ("gaussian", "identity")  # quantisers
# What the papers set otherwise than the configuration does, by twin loss.
_PUBLISHED: dict[str, dict[str, Any]] = {
    "vibcreg": {"covariance_weight": 200.0},
    "moco": {"contrastive_temperature": 0.2, "teacher_momentum": 0.999},
    "byol": {"teacher_momentum": 0.996, "teacher_schedule": "cosine"},
}


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


def vqvae2() -> Config:
    """VQ-VAE-2 (Razavi et al., 2019): codes on two levels, the fine ones knowing the coarse.

    ``twincode train ECG5000 --recipe vqvae2``
    """
    return vqvae().replace(tokenizer="vqvae2")


def bands() -> Config:
    """Codes by frequency band, the lowest row and the rest (TimeVQVAE, Lee et al., 2023).

    ``twincode train ECG5000 --recipe bands --bands 1,3 --band-widths 8,16,32``
    """
    return vqvae().replace(tokenizer="bands", bands=(1,), band_widths=(8, 32))


def contrastive_vae() -> Config:
    """The contrastive VAE (Abid and Zou, 2019): what target series have and background has not.

    ``twincode train ArrowHead --recipe contrastive-vae --background-classes 0``
    """
    return vqvae().replace(tokenizer="contrastive", quantizer="gaussian")


def vicreg_vqvae() -> Config:
    """The VQ-VAE whose encoder is also taught by VICReg (Bardes et al., 2022).

    Twin losses differ in size, so equal gammas do not mean equal weight.
    ``twincode train ECG5000 --recipe vicreg-vqvae --gamma 0.1``
    """
    return taught_by(bt_vqvae(), "vicreg")


def vibcreg_vqvae() -> Config:
    """The VQ-VAE whose encoder is also taught by VIbCReg (Lee and Aune, 2021)."""
    return taught_by(bt_vqvae(), "vibcreg")


def simclr_vqvae() -> Config:
    """The VQ-VAE whose encoder is also taught by SimCLR (Chen et al., 2020).

    The temperature is the one the paper has for small images (CIFAR-10).
    """
    return taught_by(bt_vqvae(), "simclr")


def moco_vqvae() -> Config:
    """The VQ-VAE whose encoder is also taught by MoCo (He et al., 2020; settings of version 2)."""
    return taught_by(bt_vqvae(), "moco")


def byol_vqvae() -> Config:
    """The VQ-VAE whose encoder is also taught by BYOL (Grill et al., 2020)."""
    return taught_by(bt_vqvae(), "byol")


def taught_by(config: Config, twin_loss: str) -> Config:
    """The same under another twin loss, with the settings published for that one.

    Weight and augmentations stay as they are.
    """
    usual = ObjectiveConfig()
    names = {name for published in _PUBLISHED.values() for name in published}
    settings = {name: getattr(usual, name) for name in names} | _PUBLISHED.get(twin_loss, {})
    return config.replace(twin_loss=twin_loss, **settings)


def alone(config: Config) -> Config:
    """A twin objective alone: the encoder without codebook and decoder, features as they are.

    Here gamma is a scale that AdamW hardly notices, and ``vqvae-augmented`` is the control too.
    """
    return config.replace(tokenizer="encoder", quantizer="identity")


def is_alone(config: Config) -> bool:
    """Whether there is nothing but a twin objective to learn from."""
    return config.tokenizer.tokenizer == "encoder"


def is_continuous(config: Config) -> bool:
    """Whether there are latents but no codes."""
    return config.quantizer.quantizer in _WITHOUT_CODES


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


def random_encoder_continuous() -> Config:
    """``random-encoder`` without a codebook: what models without codes are to be held against."""
    return random_encoder().replace(quantizer="identity")


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
    "vqvae2": vqvae2,
    "bands": bands,
    "contrastive-vae": contrastive_vae,
    "vicreg-vqvae": vicreg_vqvae,
    "vibcreg-vqvae": vibcreg_vqvae,
    "simclr-vqvae": simclr_vqvae,
    "moco-vqvae": moco_vqvae,
    "byol-vqvae": byol_vqvae,
    "barlow-twins": lambda: alone(bt_vqvae()),
    "vicreg": lambda: alone(vicreg_vqvae()),
    "vibcreg": lambda: alone(vibcreg_vqvae()),
    "simclr": lambda: alone(simclr_vqvae()),
    "moco": lambda: alone(moco_vqvae()),
    "byol": lambda: alone(byol_vqvae()),
    "thesis-vqvae": thesis_vqvae,
    "thesis-vqvae-augmented": thesis_vqvae_augmented,
    "thesis-bt-vqvae": thesis_bt_vqvae,
    "random-encoder": random_encoder,
    "random-encoder-continuous": random_encoder_continuous,
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
    "vqvae2": "VQ-VAE-2",
    "bands": "Bands",
    "contrastive-vae": "Contrastive VAE",
    "vicreg-vqvae": "VICReg-VQVAE",
    "vibcreg-vqvae": "VIbCReg-VQVAE",
    "simclr-vqvae": "SimCLR-VQVAE",
    "moco-vqvae": "MoCo-VQVAE",
    "byol-vqvae": "BYOL-VQVAE",
    "barlow-twins": "Barlow Twins",
    "vicreg": "VICReg",
    "vibcreg": "VIbCReg",
    "simclr": "SimCLR",
    "moco": "MoCo",
    "byol": "BYOL",
    "random-encoder": "Random encoder",
    "random-encoder-continuous": "Random encoder, continuous",
    "raw-series": "Raw series",
}


def recipe(name: str, **changes: Any) -> Config:
    """The configuration of a recipe, with some fields changed: ``recipe("bt-vqvae", gamma=2)``.

    Another ``twin_loss`` comes with the settings published for it. Raises TwincodeError for an
    unknown recipe or field; the message names the nearest.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    config = RECIPES[name]()
    twin_loss = changes.get("twin_loss", config.objective.twin_loss)
    if twin_loss != config.objective.twin_loss:
        config = taught_by(config, twin_loss)
    config = config.replace(**changes)
    return Config(**{**vars(config), "recipe": name})


def label(config: Config) -> str:
    """The model's name for tables and figures, with gamma where it weighs a twin loss."""
    base = _LABELS.get(config.recipe.removeprefix("thesis-"), config.recipe)
    gamma, twin_loss = config.objective.gamma, config.objective.twin_loss
    if gamma and config.recipe in RECIPES:
        named = RECIPES[config.recipe]().objective.twin_loss
        base = base if twin_loss == named else f"{base} ({twin_loss})"
    usual = 1.0 if is_alone(config) else 0.0
    return base if gamma == usual else f"{base} γ={gamma:g}"
