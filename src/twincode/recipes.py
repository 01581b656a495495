"""Recipes: one short function a method, returning a frozen configuration.

A variant is a base and the few settings that differ. What a step of each costs is in docs/speed.md,
what they yield in results/.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from twincode.config import Config
from twincode.errors import unknown_name
from twincode.labels import has_codes

DEFAULT = "mixture"
THESIS_EPOCHS = 1500
CLOSED_FORMS = ("mixture", "pca-pq", "patch-rvq")
THESIS_AUGMENTATIONS = ("flip", "jitter", "amplitude_resize", "slope", "phase")


def mixture() -> Config:
    """A mixture of transforms, fitted in seconds: the codes that lead the plane (docs/frontier.md).

    ``twincode train ECG5000 --bits 200``
    """
    return _closed_form("mixture")


def pca_pq() -> Config:
    """Principal components and residual product k-means: a control of every study.

    ``twincode train ECG5000 --recipe pca-pq --bits 200``
    """
    return _closed_form("pca-pq")


def patch_rvq() -> Config:
    """Patches of time and residual k-means, for series of any length: a control of every study.

    ``twincode train ECG5000 --recipe patch-rvq --bits 200``
    """
    return _closed_form("patch-rvq")


def _closed_form(tokenizer: str) -> Config:
    return Config().replace(tokenizer=tokenizer, readouts=("flatten",))


def vqvae() -> Config:
    """The naive VQ-VAE on the time-frequency plane (thesis section 4.3): the baseline.

    ``twincode train ECG5000 --recipe vqvae``
    """
    return Config()


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
    return taught_by("barlow_twins")


def vae() -> Config:
    """A VAE on the same encoder and decoder (thesis section 4.2.1): Gaussian latents, no codes.

    ``twincode train ECG5000 --recipe vae --kl-weight 0.01``
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
    return vqvae().replace(tokenizer="bands")


def timevqvae() -> Config:
    """The tokenizer of TimeVQVAE (Lee et al., 2023): two bands, 32 codes each, grids 8 and 32 wide.

    As published, codes are used from the first step, the codebook begins at latents and the rate
    falls over all steps. It differs in the loss of the high band (see ``Bands``) and in the budget.
    The prior that belongs to it has the same name: ``twincode prior run --kind timevqvae``.

    ``twincode train ECG5000 --recipe timevqvae``
    """
    published = bands().replace(bands=(1,), band_widths=(8, 32), codebook_size=32)
    return published.replace(decay_share=1, continuous_share=0, codebook_init="data")


def warm_vqvae() -> Config:
    """A network that starts where the closed form ends, and is kept where it is better.

    ``twincode train ECG5000 --recipe warm-vqvae --bits 100``
    """
    return Config().replace(
        tokenizer="warm",
        held_out=0.2,
        steps=400,
        batch_size=64,
        learning_rate=1e-2,
        decay_share=0.5,
        upper_input="view",
        augmentations=("move",),
    )


def contrastive_vae() -> Config:
    """The contrastive VAE (Abid and Zou, 2019): what target series have and a background lacks.

    ``twincode train ArrowHead --recipe contrastive-vae --background-classes 0``
    """
    return vae().replace(tokenizer="contrastive")


def taught_by(twin_loss: str) -> Config:
    """The VQ-VAE on augmented views, its encoder also taught by a twin loss at its own settings.

    Twin losses differ in size, so equal gammas mean equal weight only as ``gamma_scale`` gradient.
    """
    return vqvae_augmented().replace(twin_loss=twin_loss)


def alone(twin_loss: str) -> Config:
    """A twin loss alone: the encoder without codebook and decoder, features as they are.

    Here gamma is a scale that AdamW hardly notices, and ``vqvae-augmented`` is the control too.
    """
    return taught_by(twin_loss).replace(tokenizer="encoder", quantizer="identity")


def is_alone(config: Config) -> bool:
    """Whether there is nothing but a twin loss to learn from."""
    return config.tokenizer.name == "encoder"


def is_closed_form(config: Config) -> bool:
    """Whether it is fitted without gradients."""
    return config.tokenizer.name in CLOSED_FORMS


def is_continuous(config: Config) -> bool:
    """Whether there are latents but no codes."""
    quantizer = config.quantizer.name if config.quantizer else None
    return not has_codes(config.tokenizer.name, quantizer)


def thesis(config: Config) -> Config:
    """The authors' form, where our defaults differ: hours on a CPU; meant for a GPU.

    1500 epochs, a cosine over all steps, codes from the first step, a slope per step.
    """
    exact = config.replace(
        epochs=THESIS_EPOCHS, decay_share=1, continuous_share=0, codebook_init="data"
    )
    return exact.replace(augmentations=THESIS_AUGMENTATIONS) if exact.makes_views else exact


def random_encoder() -> Config:
    """The untrained VQ-VAE, codes placed among its latents: what the architecture alone gives."""
    return vqvae().replace(epochs=0)


def random_encoder_continuous() -> Config:
    """``random-encoder`` without a codebook: what models without codes are to be held against."""
    return random_encoder().replace(quantizer="identity")


def raw_series() -> Config:
    """The series themselves under the same probes: what no encoder at all gives."""
    return Config().replace(tokenizer="raw", readouts=("flatten",))


# The title is what tables and charts call the model.
RECIPES: dict[str, tuple[str, Callable[[], Config]]] = {
    "mixture": ("Mixture", mixture),
    "pca-pq": ("PCA, k-means", pca_pq),
    "patch-rvq": ("Patches, k-means", patch_rvq),
    "vqvae": ("VQ-VAE", vqvae),
    "vqvae-augmented": ("VQ-VAE, augmented", vqvae_augmented),
    "bt-vqvae": ("BT-VQVAE", bt_vqvae),
    "vae": ("VAE", vae),
    "fsq-vqvae": ("VQ-VAE, finite scalar", fsq_vqvae),
    "residual-vqvae": ("VQ-VAE, residual", residual_vqvae),
    "product-vqvae": ("VQ-VAE, product", product_vqvae),
    "cosine-vqvae": ("VQ-VAE, cosine", cosine_vqvae),
    "vqvae2": ("VQ-VAE-2", vqvae2),
    "bands": ("Bands", bands),
    "timevqvae": ("TimeVQVAE", timevqvae),
    "contrastive-vae": ("Contrastive VAE", contrastive_vae),
    "warm-vqvae": ("VQ-VAE, warm start", warm_vqvae),
    "residual-bt-vqvae": ("BT-VQVAE, residual", lambda: bt_vqvae().replace(quantizer="residual")),
    "vicreg-vqvae": ("VICReg-VQVAE", lambda: taught_by("vicreg")),
    "vibcreg-vqvae": ("VIbCReg-VQVAE", lambda: taught_by("vibcreg")),
    "simclr-vqvae": ("SimCLR-VQVAE", lambda: taught_by("simclr")),
    "moco-vqvae": ("MoCo-VQVAE", lambda: taught_by("moco")),
    "byol-vqvae": ("BYOL-VQVAE", lambda: taught_by("byol")),
    "barlow-twins": ("Barlow Twins", lambda: alone("barlow_twins")),
    "vicreg": ("VICReg", lambda: alone("vicreg")),
    "vibcreg": ("VIbCReg", lambda: alone("vibcreg")),
    "simclr": ("SimCLR", lambda: alone("simclr")),
    "moco": ("MoCo", lambda: alone("moco")),
    "byol": ("BYOL", lambda: alone("byol")),
    "thesis-vqvae": ("VQ-VAE", lambda: thesis(vqvae())),
    "thesis-vqvae-augmented": ("VQ-VAE, augmented", lambda: thesis(vqvae_augmented())),
    "thesis-bt-vqvae": ("BT-VQVAE", lambda: thesis(bt_vqvae())),
    "random-encoder": ("Random encoder", random_encoder),
    "random-encoder-continuous": ("Random encoder, continuous", random_encoder_continuous),
    "raw-series": ("Raw series", raw_series),
}


def recipe(name: str = DEFAULT, **changes: Any) -> Config:
    """The configuration of a recipe, with some settings changed: ``recipe("bt-vqvae", gamma=2)``.

    Without a name it is the one that leads the plane: ``recipe(bits=100)``.

    Raises TwincodeError for an unknown recipe, or a setting that the recipe's parts do not have;
    the message names the nearest, or the parts that have it.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    _, build = RECIPES[name]
    return dataclasses.replace(build().replace(**changes), recipe=name)


def title(config: Config) -> str:
    """What a model is called in tables and charts."""
    return RECIPES[config.recipe][0] if config.recipe in RECIPES else config.recipe or "model"
