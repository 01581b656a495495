"""Writes made-up studies in the form in which runs store their results."""

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CODEBOOK_SIZE = 32
GRID = (5, 8)
ACCURACIES = ("svm_accuracy", "knn1_accuracy", "knn5_accuracy")
AUGMENTATIONS = ("flip", "jitter", "amplitude_resize", "slope", "phase")
METRICS = (
    ("reconstruction", "Reconstruction error", "lower"),
    ("reconstruction_time", "Time error", "lower"),
    ("svm_accuracy", "Linear SVM", "higher"),
    ("knn1_accuracy", "1-NN", "higher"),
    ("knn5_accuracy", "5-NN", "higher"),
    ("intrinsic_dimension", "Intrinsic dimension", ""),
    ("perplexity", "Perplexity", ""),
)
FRONTIER = (
    ("bits", "Bits a series", ""),
    ("bits_per_step", "Bits a step", ""),
    ("model_bytes", "Bytes of the model", ""),
    ("bound", "Gaussian bound", ""),
    ("nmse", "NMSE", "lower"),
    ("kernels", "Kernels accuracy", "higher"),
    ("retained_accuracy", "Retained accuracy", "higher"),
)


@dataclass(frozen=True)
class Model:
    """A model to be made up; ``accuracy`` and ``error`` are the levels it ends at."""

    title: str
    recipe: str
    accuracy: float = 0.8
    error: float = 0.05
    gamma: float = 0.0
    trained: bool = True
    quantizer: str | None = "vq"
    settings: dict[str, Any] = field(default_factory=dict)
    tokenizer: str = ""  # a closed form's


NAIVE = Model("VQ-VAE", "vqvae", 0.81, 0.05)
AUGMENTED = Model("VQ-VAE, augmented", "vqvae-augmented", 0.80, 0.06)
TWINS = tuple(
    Model("BT-VQVAE", "bt-vqvae", accuracy, error, gamma)
    for gamma, accuracy, error in ((0.5, 0.83, 0.055), (1.0, 0.87, 0.07), (2.0, 0.86, 0.09))
)
RANDOM = Model("Random encoder", "random-encoder", 0.7, trained=False)
RAW = Model("Raw series", "raw-series", 0.75, trained=False, quantizer=None)
CONTINUOUS = Model("VAE", "vae", 0.8, 0.04, quantizer="gaussian")
FIVE = (NAIVE, AUGMENTED, TWINS[1], RANDOM, RAW)


def sized(model: Model, size: int) -> Model:
    """The same with a codebook of another size."""
    values = {**vars(model), "settings": {**model.settings, "codebook_size": size}}
    return Model(**values)


def closed_form(title: str, name: str, bits: int) -> Model:
    """A tokenizer that was asked for ``bits`` and fitted without epochs."""
    return Model(title, name, trained=False, quantizer=None, tokenizer=name,
                 settings={"bits": bits})  # fmt: skip


def write_study(
    folder: Path,
    models: Sequence[Model] = FIVE,
    datasets: Sequence[str] = ("GunPoint", "ECG200"),
    seeds: Sequence[int] = (0, 1),
    epochs: int = 20,
    points: int = 60,
    **study: Any,
) -> Path:
    """Write a study with one run per model, data set and seed; without points, no examples."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for place, dataset in enumerate(datasets):
        for number, model in enumerate(models):
            for seed in seeds:
                generator = np.random.default_rng((place, number, seed))
                name = f"{place:02d}{number:02d}-{seed}"
                names.append(name)
                write_run(
                    folder / "runs" / name, result(name, model, dataset, seed, epochs, generator)
                )
                if model.trained and points:
                    arrays = exhibits(points, generator)
                    np.savez_compressed(folder / "runs" / name / "exhibits.npz", **arrays)
    described = {
        "format": 2, "name": folder.name, "command": ["twincode", "study", "run"],
        "datasets": list(datasets), "seeds": list(seeds), "axes": {}, "runs": names, **study,
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(described))
    return folder


def write_run(folder: Path, record: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(record))


def add_frontier(folder: Path, original: float = 0.9) -> Path:
    """Add to the runs of a study what they measure of their rates; see ``at_its_rate``."""
    for path in sorted(folder.glob("runs/*/result.json")):
        record = json.loads(path.read_text())
        generator = np.random.default_rng(zlib.crc32(path.parent.name.encode()))
        record["metrics"] += [
            {"name": metric, "title": title, "better": better, "labels": metric == "kernels"}
            for metric, title, better in FRONTIER
        ]
        record["evaluations"] += [
            {"epoch": record["epochs"], "readout": "", "metric": metric, "value": value}
            for metric, value in at_its_rate(record["config"], original, generator).items()
        ]
        path.write_text(json.dumps(record))
    return folder


def at_its_rate(
    config: dict[str, Any], original: float, generator: np.random.Generator
) -> dict[str, float]:
    """What a model costs and keeps; one without codes has no bits, raw series lose nothing."""
    tokenizer, quantizer = config["tokenizer"], config["quantizer"]
    if tokenizer["name"] == "raw":
        return {"nmse": 0.0, "kernels": original, "model_bytes": 0.0}
    bits = tokenizer.get("bits") or GRID[0] * GRID[1] * math.log2(CODEBOOK_SIZE)
    bits *= generator.uniform(0.95, 1.05)
    bound = 0.7 * 2 ** (-bits / 50)
    nmse = min(1.0, bound * (1 + len(config["recipe"]) / 4) * generator.uniform(1, 1.2))
    retained = 1 - 0.2 * nmse**0.3
    found = {"nmse": nmse, "kernels": original * retained, "retained_accuracy": retained}
    found["model_bytes"] = float(generator.integers(10_000, 1_000_000))
    if quantizer is None or quantizer["name"] == "vq":
        found |= {"bits": bits, "bits_per_step": bits / 60, "bound": bound}
    return found


def config(model: Model, seed: int, epochs: int) -> dict[str, Any]:
    twin = {"name": "barlow_twins", "gamma": model.gamma, "projector_width": 512}
    view = model.recipe in ("vqvae-augmented", "bt-vqvae")
    return {
        "recipe": model.recipe,
        "tokenizer": {"name": model.tokenizer, **model.settings}
        if model.tokenizer
        else {"name": "vqvae" if model.quantizer else "raw", "n_fft": 8},
        "quantizer": model.quantizer
        and {"name": model.quantizer, "codebook_size": CODEBOOK_SIZE, **model.settings},
        "twin_loss": twin if model.gamma else None,
        "augmentations": [{"name": "flip", "flip_probability": 0.5}] if view else [],
        "training": {
            "epochs": epochs, "steps": 0, "upper_input": "view" if view else "clean", "seed": seed,
        },
        "evaluation": {"evaluations": 2, "readouts": ["flatten", "mean"]},
        "metrics": [{"name": "separability", "svm_c": 1.0}],
    }  # fmt: skip


def result(
    name: str, model: Model, dataset: str, seed: int, epochs: int, generator: np.random.Generator
) -> dict[str, Any]:
    epochs = epochs if model.trained else 0
    return {
        "format": 2, "run": name, "recipe": model.recipe, "title": model.title,
        "config": config(model, seed, epochs),
        "command": ["twincode", "train", dataset, "--seed", str(seed)],
        "dataset": {
            "name": dataset, "origin": "made up for a test", "checksum": "5f3a" * 16,
            "n_train": 50, "n_test": 150, "channels": 1, "length": 60, "classes": ["1", "2"],
        },
        "device": "cpu", "threads": 2, "versions": {"twincode": "0.1.0", "torch": "2.13.0"},
        "commit": "0123456789ab", "started": f"2026-01-0{seed % 9 + 1}T10:00:00+00:00",
        "epochs": epochs, "seconds": 100 * float(1 + generator.random()), "parameters": 1234567,
        "metrics": [
            {"name": metric, "title": title, "better": better, "labels": False}
            for metric, title, better in METRICS
        ],
        "history": [
            {
                "epoch": epoch,
                "losses": {loss: float(np.exp(-4 * epoch / epochs) + 0.02 * generator.random())
                           for loss in ("reconstruction_time", "codebook", "total")},
                "perplexity": 20 - 12 * float(np.exp(-4 * epoch / epochs)), "dead_codes": 3,
            }
            for epoch in range(1, epochs + 1)
        ],
        "evaluations": [
            entry
            for epoch in sorted({epochs // 2, epochs})
            for entry in evaluations(model, epoch, max(1, epochs), generator)
        ],
        "health": [],
    }  # fmt: skip


def evaluations(
    model: Model, epoch: int, epochs: int, generator: np.random.Generator
) -> list[dict[str, Any]]:
    learnt = 1 - float(np.exp(-4 * epoch / epochs)) if model.trained else 1.0
    found: list[tuple[str, str, float]] = []
    for drop, readout in enumerate(("flatten", "mean") if model.quantizer else ("flatten",)):
        for place, metric in enumerate(ACCURACIES):
            level = model.accuracy * learnt - 0.02 * place - 0.03 * drop
            found.append((readout, metric, float(np.clip(level + 0.01 * generator.normal(), 0, 1))))
        found.append((readout, "intrinsic_dimension", float(generator.integers(20, 30))))
    if model.trained:
        error = model.error * (2 - learnt) * (1 + 0.02 * generator.normal())
        found += [("", "reconstruction", error), ("", "reconstruction_time", error / 3)]
        found.append(("", "perplexity", 8 + 10 * learnt + generator.random()))
    return [
        {"epoch": epoch, "readout": readout, "metric": metric, "value": float(value)}
        for readout, metric, value in found
    ]


def exhibits(points: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Arrays of the shapes a run keeps; the class of a series sets its frequency."""
    labels = np.arange(6) % 2
    series = np.sin(2 * np.pi * np.linspace(0, 1, 60) * (1 + labels[:, None, None]))
    series = (series + 0.1 * generator.normal(size=series.shape)).astype(np.float32)
    weights = generator.dirichlet(np.full(CODEBOOK_SIZE, 0.6))
    cloud = np.arange(points) % 2
    return {
        "example_series": series[:3],
        "example_reconstructions": series[:3] + 0.1 * generator.normal(size=(3, 1, 60)),
        "example_errors": np.array([0.01, 0.02, 0.05]),
        "token_series": series,
        "token_labels": labels,
        "token_codes": generator.choice(CODEBOOK_SIZE, (6, *GRID), p=weights),
        "code_counts": generator.multinomial(6000, weights),
        "codebook_sizes": np.array([CODEBOOK_SIZE]),
        "latents_2d": generator.normal(size=(points, 2)) + 2 * cloud[:, None],
        "latents_labels": cloud,
        "latents_explained": np.array([0.41, 0.17]),
        "augmentation_names": np.array(AUGMENTATIONS),
        "augmentation_series": np.stack(
            [series[0] * scale for scale in (1, -1, 0.9, 1.1, 1.2, 0.8)]
        ),
    }


GENERATION_ROWS = (
    *("train", "copies", "reconstruction", "independent"),
    *("masked, sure", "masked, sure, no labels", "autoregressive", "test"),
)
UNSCORED = {("masked, sure, no labels", "recall"), ("test", "fid"), ("test", "spread")}


def add_generation(folder: Path, recipes: Sequence[str] = ("vqvae", "bt-vqvae")) -> Path:
    """Give runs of these recipes priors whose samples were judged."""
    stages = {}
    for path in sorted(folder.glob("runs/*/result.json")):
        record = json.loads(path.read_text())
        if record["recipe"] not in recipes:
            continue
        generator = np.random.default_rng(zlib.crc32(path.parent.name.encode()))
        stages[path.parent.name] = "abc"
        place = path.parent / "generation" / "abc"
        place.mkdir(parents=True)
        metrics = [
            ("fid", "FID", "lower"),
            ("spread", "Spread", ""),
            ("recall", "Recall", "higher"),
        ]
        scores = [
            {"row": row, "metric": name, "value": float(number + generator.random()),
             "deviation": 0.0 if name == "spread" else float(generator.random())}
            for number, row in enumerate(GENERATION_ROWS)
            for name, *_ in metrics
            if (row, name) not in UNSCORED
        ]  # fmt: skip
        (place / "result.json").write_text(json.dumps({
            "format": 1, "name": "abc", "scores": scores, "seconds": 1.0,
            "metrics": [{"name": n, "title": t, "better": b} for n, t, b in metrics],
        }))  # fmt: skip
        shown = ["test", "reconstruction", "masked, sure", "autoregressive"]
        H, W = GRID
        codes = generator.integers(CODEBOOK_SIZE, size=(3, H, W))
        np.savez_compressed(
            place / "exhibits.npz",
            gallery_rows=np.repeat(shown, 4),
            gallery_labels=np.tile([0, 0, 1, 1], 4),
            gallery_series=generator.normal(size=(16, 1, 40)),
            decoding_row=np.array("masked, sure"),
            decoding_steps=np.array([1, 4, 10]),
            decoding_series=generator.normal(size=(3, 1, 40)),
            decoding_codes=codes,
            decoding_hidden=np.arange(3)[::-1, None, None] * np.ones((H, W)) > 0,
            decoding_widths=np.array([3, W - 3]),
            nearest_rows=np.repeat(shown[2:], 2),
            nearest_samples=generator.normal(size=(4, 1, 40)),
            nearest_train=generator.normal(size=(4, 1, 40)),
        )
    described = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps({**described, "second_stages": stages}))
    return folder
