"""Stored results of format 1 in the form of format 2: plain JSON in, plain JSON out.

Format 1 kept every setting of every part; format 2 keeps those of the parts a model is made of.
A setting that came to format 1 late takes the value runs had before it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from twincode.errors import TwincodeError

FORMAT = 2
Json = dict[str, Any]

_TITLES = {
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

# What a setting was before there was one.
_BEFORE: Json = {
    "top_width": 4,
    "bands": [],
    "band_widths": [],
    "background_classes": [],
    "distance": "euclidean",
    "revive_below": 0.0,
    "quantizer_depth": 2,
    "codebook_groups": 2,
    "fsq_levels": [8, 4],
    "kl_weight": 1.0,
    "invariance_weight": 25.0,
    "variance_weight": 25.0,
    "covariance_weight": 1.0,
    "whitening_iterations": 5,
    "whitening_width": 64,
    "contrastive_temperature": 0.5,
    "queue_size": 256,
    "predictor_width": 4096,
    "teacher_momentum": 0.996,
    "teacher_schedule": "constant",
}

# What settings were that came to format 2 later, by slot and part: what ``added`` says of them.
_TRAINED_CODES: Json = {"distance": "euclidean", "revive_below": 0.0, "continuous_share": 0.0}
_TWINS: Json = {"gamma_scale": "loss"}
_TAUGHT: Json = {**_TWINS, "teacher_span": 0.0}
LATER: dict[str, dict[str, Json]] = {
    "training": {"": {"decay_share": 1.0, "held_out": 0.0}},
    "quantizer": dict.fromkeys(("vq", "residual", "product"), _TRAINED_CODES),
    "twin_loss": {
        **dict.fromkeys(("barlow_twins", "vicreg", "vibcreg", "simclr"), _TWINS),
        **dict.fromkeys(("moco", "byol"), _TAUGHT),
    },
}

_PLANE = ("n_fft", "hop_length", "window", "latent_channels", "residual_blocks")
_LEARNT = (
    *("codebook_size", "codebook_update", "codebook_init", "commitment_weight"),
    *("ema_decay", "ema_epsilon", "distance", "revive_below"),
)
_WEIGHTS = ("invariance_weight", "variance_weight", "covariance_weight")
_TEACHER = ("teacher_momentum", "teacher_schedule")
# Which settings belong to which part.
_TOKENIZERS = {
    "vqvae": (*_PLANE, "downsampled_width"),
    "vqvae2": (*_PLANE, "downsampled_width", "top_width"),
    "bands": (*_PLANE, "bands", "band_widths"),
    "contrastive": (*_PLANE, "downsampled_width", "background_classes"),
    "encoder": (*_PLANE, "downsampled_width"),
    "raw": (),
}
_QUANTIZERS = {
    "vq": _LEARNT,
    "residual": (*_LEARNT, "quantizer_depth"),
    "product": (*_LEARNT, "codebook_groups"),
    "fsq": ("fsq_levels",),
    "gaussian": ("kl_weight",),
    "identity": (),
}
_TWIN_LOSSES = {
    "barlow_twins": ("off_diagonal_weight",),
    "vicreg": _WEIGHTS,
    "vibcreg": (*_WEIGHTS, "whitening_iterations", "whitening_width"),
    "simclr": ("contrastive_temperature",),
    "moco": ("contrastive_temperature", "queue_size", *_TEACHER),
    "byol": ("predictor_width", *_TEACHER),
}
_AUGMENTATIONS = {
    "flip": ("flip_probability",),
    "jitter": ("jitter_std",),
    "amplitude_resize": ("amplitude_std",),
    "slope": ("slope_rate",),
    "phase": ("phase_range",),
    "window_warp": ("warp_fraction", "warp_scales"),
    "slice_and_shuffle": ("shuffle_slices",),
    "window_crop": ("crop_fraction",),
    "gaussian_noise": ("noise_level",),
}
_METRICS = {
    "separability": ("svm_c", "neighbours"),
    "dimension": ("explained_variance",),
    "clusters": ("kmeans_fits", "kmeans_clusters"),
    "reconstruction": (),
    "codebook": (),
    "posterior": (),
}
# What was measured: name, title, which direction is better, whether it needs labels.
_MEASURES = (
    ("reconstruction", "Reconstruction error", "lower", False),
    ("reconstruction_time", "Time error", "lower", False),
    ("reconstruction_frequency", "Frequency error", "lower", False),
    ("train_reconstruction_time", "Time error, train", "lower", False),
    ("svm_accuracy", "Linear SVM", "higher", True),
    ("silhouette", "Silhouette", "higher", False),
    ("silhouette_std", "Silhouette, fits' spread", "", False),
    ("intrinsic_dimension", "Intrinsic dimension", "", False),
    ("perplexity", "Perplexity", "", False),
    ("used_codes", "Used codes", "", False),
    ("dead_codes", "Dead codes", "", False),
    ("codebook_cosine", "Codebook cosine", "", False),
    ("active_units", "Active units", "", False),
)
_NEIGHBOURS = re.compile(r"knn(\d+)_accuracy")
_EPOCHS = 200  # the setting's default, where a budget of steps stood in its place
_KEPT = (
    *("command", "dataset", "device", "threads", "versions", "commit", "started"),
    *("seconds", "parameters"),
)


def upgrade_result(record: Mapping[str, Any], steps: int = 0) -> Json:
    """The content of a ``result.json`` of any format as one of format 2, with all its settings.

    ``steps`` is the budget of the study the run belongs to, which a record of format 1 does not
    tell: there the runs of one model have different ``epochs`` on different data sets.
    Raises TwincodeError for a format this version does not know, KeyError for a missing field.
    """
    if _format_of(record) == FORMAT:
        return {**record, "config": _completed(record["config"])}
    recipe = record["recipe"]
    return {
        "format": FORMAT,
        "run": record["run"],
        "recipe": recipe,
        "title": _TITLES.get(recipe.removeprefix("thesis-"), recipe),
        "config": _completed(upgrade_config(record["config"], steps)),
        **{name: record[name] for name in _KEPT},
        "epochs": record["config"]["training"]["epochs"],
        "metrics": _measures(entry["metric"] for entry in record["evaluations"]),
        "history": record.get("history", []),
        "evaluations": record["evaluations"],
        "health": record.get("health", []),
    }


def upgrade_config(config: Mapping[str, Any], steps: int = 0) -> Json:
    """A configuration of format 1, six groups of fields, as one of format 2, a part a slot.

    ``steps`` is as in ``upgrade_result``. Raises KeyError for a missing field.
    """
    tokenizer = {**_BEFORE, **config["tokenizer"]}
    if not tokenizer["band_widths"]:
        bands = len(tokenizer["bands"]) + 1
        tokenizer["band_widths"] = [tokenizer["downsampled_width"]] * bands
    quantizer = {**_BEFORE, **config["quantizer"]}
    objective = {**_BEFORE, **config["objective"]}
    augmentation, evaluation = config["augmentation"], config["evaluation"]
    training = dict(config["training"])
    if not training["epochs"]:
        steps = 0
    twin, view = objective["gamma"] != 0, objective["upper_input"] == "view"
    of_loss = _TWIN_LOSSES.get(objective["twin_loss"], ())
    return {
        "recipe": config["recipe"],
        "tokenizer": _part(tokenizer["tokenizer"], tokenizer, _TOKENIZERS),
        "quantizer": None
        if tokenizer["tokenizer"] == "raw"
        else _part(quantizer["quantizer"], quantizer, _QUANTIZERS),
        "twin_loss": {
            "name": objective["twin_loss"],
            **_chosen(objective, ("gamma", "projector_width", *of_loss)),
        }
        if twin
        else None,
        "augmentations": [
            _part(name, augmentation, _AUGMENTATIONS) for name in augmentation["augmentations"]
        ]
        if twin or view
        else [],
        "training": {
            "epochs": _EPOCHS if steps else training["epochs"],
            "steps": steps,
            **_chosen(training, ("batch_size", "learning_rate", "weight_decay")),
            "upper_input": objective["upper_input"],
            **_chosen(training, ("precision", "seed")),
        },
        "evaluation": _chosen(evaluation, ("evaluations", "readouts")),
        "metrics": [_part(name, evaluation, _METRICS) for name in _METRICS],
    }


def upgrade_study(record: Mapping[str, Any]) -> Json:
    """The content of a ``study.json`` of any format as one of format 2.

    A budget of steps, which format 1 kept here alone, stays as ``steps``. Raises TwincodeError for
    a format this version does not know and for what is no study.
    """
    if not isinstance(record, Mapping):
        raise TwincodeError("this does not describe a study; run the study again")
    if _format_of(record, missing=1) == FORMAT:
        return dict(record)
    return {
        "format": FORMAT,
        "name": record.get("name", ""),
        "command": record.get("command", []),
        "datasets": record.get("datasets", []),
        "seeds": record.get("seeds", []),
        "axes": {},
        "steps": record.get("steps", 0),
        "runs": record.get("runs"),
    }


def _completed(config: Mapping[str, Any]) -> Json:
    """A configuration of format 2 with the settings that it was written before."""
    full = dict(config)
    for slot, parts in LATER.items():
        if isinstance(own := config.get(slot), Mapping):
            full[slot] = {**parts.get(own.get("name", ""), {}), **own}
    return full


def _format_of(record: Mapping[str, Any], missing: int | None = None) -> int:
    found = record.get("format", missing) if missing else record["format"]
    if found not in (1, FORMAT):
        raise TwincodeError(
            f"format {found!r} is not one this version reads ({FORMAT} and 1); "
            "use the version that wrote it"
        )
    return int(found)


def _part(name: str, fields: Mapping[str, Any], owners: Mapping[str, tuple[str, ...]]) -> Json:
    return {"name": name, **_chosen(fields, owners.get(name, ()))}


def _chosen(fields: Mapping[str, Any], names: Iterable[str]) -> Json:
    return {name: fields[name] for name in names}


def _measures(names: Iterable[str]) -> list[Json]:
    """What is known of each metric that was measured, in the order tables show them."""
    present = set(names)
    counts = sorted(int(found[1]) for name in present if (found := _NEIGHBOURS.fullmatch(name)))
    neighbours = [(f"knn{count}_accuracy", f"{count}-NN", "higher", True) for count in counts]
    place = 1 + [name for name, *_ in _MEASURES].index("svm_accuracy")
    known = [*_MEASURES[:place], *neighbours, *_MEASURES[place:]]
    others = sorted(present - {name for name, *_ in known})
    known += [(name, name.replace("_", " ").capitalize(), "", False) for name in others]
    return [
        {"name": name, "title": title, "better": better, "labels": labels}
        for name, title, better, labels in known
        if name in present
    ]
