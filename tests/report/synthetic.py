"""Writes made-up studies in the form in which runs store their results."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from twincode.config import Config

CODEBOOK_SIZE = 32
GRID = (5, 8)
AUGMENTATIONS = ("flip", "jitter", "amplitude_resize", "slope", "phase")
ACCURACIES = ("svm_accuracy", "knn1_accuracy", "knn5_accuracy", "knn10_accuracy")
LOSSES = ("reconstruction_time", "reconstruction_frequency", "codebook", "barlow_twins")


@dataclass(frozen=True)
class Model:
    """A model to be made up; ``accuracy`` and ``error`` are the levels it ends at."""

    label: str
    recipe: str
    gamma: float = 0.0
    accuracy: float = 0.8
    error: float = 0.05
    trained: bool = True
    discrete: bool = True
    overrides: dict[str, Any] = field(default_factory=dict)


NAIVE = Model("Naive VQ-VAE", "vqvae", accuracy=0.81, error=0.05)
AUGMENTED = Model(
    "VQ-VAE, augmented", "vqvae-augmented", accuracy=0.80, error=0.06,
    overrides={"upper_input": "view"},
)  # fmt: skip
TWINS = tuple(
    Model(f"BT-VQVAE γ={gamma:g}", "bt-vqvae", gamma, accuracy, error, overrides={"gamma": gamma})
    for gamma, accuracy, error in ((0.5, 0.83, 0.055), (1.0, 0.87, 0.07), (2.0, 0.86, 0.09))
)
RAW = Model("Raw series", "raw-series", accuracy=0.80, trained=False, discrete=False)
RANDOM = Model("Random encoder", "random-encoder", accuracy=0.7, trained=False)
RANDOM_CONTINUOUS = Model(
    "Random encoder, continuous", "random-encoder-continuous",
    accuracy=0.72, trained=False, discrete=False,
)  # fmt: skip
ALL_MODELS = (NAIVE, AUGMENTED, *TWINS, RANDOM, RAW)


@dataclass(frozen=True)
class Data:
    """A data set to be made up; ``gain`` scales what the models' accuracies differ by."""

    name: str = "GunPoint"
    channels: int = 1
    length: int = 60
    classes: tuple[str, ...] = ("1", "2")
    gain: float = 1.0


def write_study(
    folder: Path,
    models: tuple[Model, ...] = (NAIVE, TWINS[1], RAW),
    data: tuple[Data, ...] = (Data(),),
    seeds: tuple[int, ...] = (0, 1),
    epochs: int = 20,
    noise: float = 0.01,
    planned: int | list[str] | None = None,
    points: int = 60,
    examples: bool = True,
) -> Path:
    """Write a study with one run per model, data set and seed (one seed for the raw series)."""
    study: dict[str, Any] = {
        "name": folder.name,
        "command": ["twincode", "study", "--data", ",".join(entry.name for entry in data)],
        "datasets": [entry.name for entry in data],
        "seeds": list(seeds),
        "epochs": epochs,
    }
    if planned is not None:
        study["runs"] = planned
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(study))
    for entry_index, entry in enumerate(data):
        for model_index, model in enumerate(models):
            for seed in seeds[:1] if model.recipe == "raw-series" else seeds:
                name = f"{entry_index}{model_index}-{seed}"
                generator = np.random.default_rng((entry_index, model_index, seed))
                write_run(
                    folder / "runs" / name,
                    name,
                    model,
                    entry,
                    seed,
                    epochs,
                    noise,
                    points if examples else 0,
                    generator,
                )
    return folder


def write_run(
    folder: Path, name: str, model: Model, data: Data, seed: int, epochs: int, noise: float,
    points: int, generator: np.random.Generator,
) -> None:  # fmt: skip
    """Write one run's ``result.json`` and, for trained models with points, ``exhibits.npz``."""
    folder.mkdir(parents=True)
    run_epochs = epochs if model.trained else 0
    steps = sorted({0, epochs // 4, epochs // 2, epochs}) if model.trained else [0]
    config = Config(recipe=model.recipe).replace(epochs=run_epochs, seed=seed, **model.overrides)
    record = {
        "format": 1,
        "run": name,
        "recipe": model.recipe,
        "label": model.label,
        "gamma": model.gamma,
        "seed": seed,
        "config": config.to_dict(),
        "dataset": {
            "name": data.name, "origin": "made up for a test", "checksum": "5f3a" * 16,
            "n_train": 50, "n_test": 150, "channels": data.channels, "length": data.length,
            "classes": list(data.classes),
        },
        "command": ["twincode", "train", data.name, "--recipe", model.recipe, "--seed", str(seed)],
        "device": "cpu",
        "threads": 2,
        "versions": {"twincode": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
        "commit": "0123456789abcdef",
        "started": f"2026-01-0{seed + 1}T10:00:00+00:00",
        "seconds": 100 * float(1 + generator.random()) if model.trained else 2.5,
        "parameters": 1234567 if model.trained else 0,
        "history": _history(model, run_epochs, generator),
        "evaluations": [
            entry for step in steps
            for entry in _evaluations(model, data, step, max(1, epochs), noise, generator)
        ],
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(record))
    if model.trained and points:
        np.savez_compressed(folder / "exhibits.npz", **exhibits(model, data, points, generator))


def _history(model: Model, epochs: int, generator: np.random.Generator) -> list[dict[str, Any]]:
    names = LOSSES if model.gamma else LOSSES[:-1]
    rows = []
    for epoch in range(1, epochs + 1):
        fall = np.exp(-4 * epoch / epochs)
        losses = {name: float(0.05 + fall * (1 + 0.05 * generator.random())) for name in names}
        losses["total"] = sum(losses.values())
        rows.append({"epoch": epoch, "losses": losses, "perplexity": float(20 - 12 * fall)})
    return rows


def _evaluations(
    model: Model, data: Data, epoch: int, epochs: int, noise: float, generator: np.random.Generator
) -> list[dict[str, Any]]:
    learnt = 1 - np.exp(-4 * epoch / epochs) if model.trained else 1.0
    level = 0.6 + (model.accuracy - 0.8) * data.gain * learnt + 0.2 * learnt
    rows = []

    def add(readout: str, metric: str, value: float) -> None:
        rows.append({"epoch": epoch, "readout": readout, "metric": metric, "value": float(value)})

    readouts = ("flatten", "mean", "histogram") if model.discrete else ("flatten",)
    for place, readout in enumerate(readouts):
        if data.classes:
            for index, name in enumerate(ACCURACIES):
                drop = 0.02 * index + 0.03 * place
                add(
                    readout, name, np.clip(level - drop + noise * generator.standard_normal(), 0, 1)
                )
            add(readout, "silhouette", 0.2 * level + noise * generator.standard_normal())
            add(readout, "silhouette_std", 0.01)
        add(readout, "intrinsic_dimension", 30 + 10 * model.gamma + generator.integers(0, 3))
    if model.trained:
        error = model.error * (1 + 3 * (1 - learnt)) * (1 + noise * generator.standard_normal())
        add("", "reconstruction_time", error / 3)
        add("", "reconstruction_frequency", error * 2 / 3)
        add("", "reconstruction", error)
        add("", "train_reconstruction_time", error / 4)
    if model.trained and model.discrete:
        add("", "perplexity", 8 + 10 * learnt + generator.random())
        used = 20 + int(8 * learnt)
        add("", "used_codes", used)
        add("", "dead_codes", CODEBOOK_SIZE - used)
        add("", "codebook_cosine", 0.2)
    return rows


def exhibits(
    model: Model, data: Data, points: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Arrays of the shapes a run keeps; the class of a series sets its frequency."""
    steps = np.linspace(0, 1, data.length)
    count, labelled = 6, bool(data.classes)
    labels = np.arange(count) % len(data.classes) if labelled else np.full(count, -1)
    channels = np.arange(1, data.channels + 1)[None, :, None]
    series = np.sin(2 * np.pi * steps * channels * (1 + labels[:, None, None] % 3))
    series = series + 0.1 * generator.standard_normal(series.shape)
    offs = np.array([0.05, 0.15, 0.4])
    errors = offs[:, None, None] * generator.standard_normal(series[:3].shape)
    cloud_labels = np.arange(points) % len(data.classes) if labelled else np.full(points, -1)
    cloud = generator.standard_normal((points, 2)) + 3 * np.cos(cloud_labels[:, None] * [1.0, 2.0])
    arrays: dict[str, np.ndarray] = {
        "example_series": series[:3].astype(np.float32),
        "example_reconstructions": (series[:3] + errors).astype(np.float32),
        "example_errors": (offs**2).astype(np.float32),
        "token_series": series.astype(np.float32),
        "token_labels": labels.astype(np.int64),
        "latents_2d": cloud.astype(np.float32),
        "latents_labels": cloud_labels.astype(np.int64),
        "latents_explained": np.array([0.41, 0.17], np.float32),
        "augmentation_names": np.array(AUGMENTATIONS),
        "augmentation_series": np.stack(
            [series[0], series[0, :, ::-1], *(series[0] * scale for scale in (0.9, 1.1, 1.2, 0.8))]
        ).astype(np.float32),
    }
    if model.discrete:
        weights = generator.dirichlet(np.full(CODEBOOK_SIZE, 0.6 + model.gamma))
        arrays["token_codes"] = generator.choice(CODEBOOK_SIZE, (count, *GRID), p=weights)
        arrays["code_counts"] = generator.multinomial(6000, weights)
    return arrays
