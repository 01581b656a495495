"""What a page shows of generated series: arrays to draw, chosen without a hand in it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from twincode.evaluate.exhibits import evenly
from twincode.evaluate.generation import Row
from twincode.evaluate.generation.memory import nearest_rows
from twincode.generate.judging import Judged, Sampler
from twincode.generate.stages import Stages
from twincode.priors import MaskedPrior

CLASSES_SHOWN, OF_A_CLASS = 6, 4
NEAREST_SHOWN = 3
STEPS_SHOWN = 10

Exhibits = dict[str, NDArray]


def make_exhibits(samplers: Sequence[Sampler], judged: Judged, seed: int) -> Exhibits:
    """The gallery, a grid being decoded, and samples beside the train series nearest to them.

    All in scaled units. ``gallery_series`` (M, C, L) are the first few series of each class, with
    the row and the class of each, -1 without one; samples drawn without labels are not among them.
    ``decoding_series``, ``decoding_codes`` and ``decoding_hidden`` follow one sample of the first
    prior that decodes in steps; grids that have not begun show the codes most usual in train.
    ``nearest_samples`` stand beside ``nearest_train``, which went through the codes.
    """
    shown = ["test", "reconstruction", *(sampler.name for sampler in samplers)]
    rows = [judged.rows[name] for name in dict.fromkeys(shown)]
    return {**_gallery(rows), **_decoding(samplers, judged, seed), **_nearest(rows[2:], judged)}


def _gallery(rows: Sequence[Row]) -> Exhibits:
    names, labels, series = [], [], []
    for row in rows:
        told = np.full(len(row.series), -1) if row.labels is None else row.labels
        for label in np.unique(told)[:CLASSES_SHOWN]:
            chosen = np.flatnonzero(told == label)[:OF_A_CLASS]
            names += [row.name] * len(chosen)
            labels += [label] * len(chosen)
            series.append(row.series[chosen])
    return {
        "gallery_rows": np.array(names, dtype=np.str_),
        "gallery_labels": np.array(labels),
        "gallery_series": np.concatenate(series).astype(np.float32),
    }


def _decoding(samplers: Sequence[Sampler], judged: Judged, seed: int) -> Exhibits:
    for sampler in samplers:
        prior = sampler.stages.fitted.prior
        if isinstance(prior, MaskedPrior):
            return {
                "decoding_row": np.array(sampler.name, dtype=np.str_),
                **_followed(sampler, prior, judged, seed),
            }
    return {}


def _followed(sampler: Sampler, prior: MaskedPrior, judged: Judged, seed: int) -> Exhibits:
    stages = sampler.stages
    y = stages.labels_for(1, None, seed)
    told = prior.decoding(y, sampler.sampling, seed)
    kept = evenly(len(told), STEPS_SHOWN)
    shown = [told[step] for step in kept]
    usual = _usual(judged.control)
    tokens = torch.cat([torch.cat([m.tokens[0, : m.begun], usual[m.begun :]])[None] for m in shown])
    hidden = torch.cat([moment.hidden for moment in shown])
    grids = prior.grids
    parts = hidden.split(list(grids.sizes), dim=1)
    return {
        "decoding_steps": kept + 1,
        "decoding_series": stages.series(tokens).cpu().numpy().astype(np.float32),
        "decoding_codes": grids.unflatten(tokens).cpu().numpy(),
        "decoding_hidden": torch.cat([part.unflatten(1, (grids.height, -1)) for part in parts], 2)
        .cpu()
        .numpy(),
        "decoding_widths": np.array([part.width for part in grids.parts]),
    }  # fmt: skip


def _usual(control: Stages) -> torch.Tensor:
    """The code (N,) most usual at each place."""
    prior = control.fitted.prior
    log_p = prior.get_buffer("log_p")
    return log_p[prior.none].argmax(-1)


def _nearest(rows: Sequence[Row], judged: Judged) -> Exhibits:
    train = judged.copies.series
    names = [row.name for row in rows for _ in row.series[:NEAREST_SHOWN]]
    samples = np.concatenate([row.series[:NEAREST_SHOWN] for row in rows])
    nearest = train[nearest_rows(samples, train)]
    return {
        "nearest_rows": np.array(names, dtype=np.str_),
        "nearest_samples": samples.astype(np.float32),
        "nearest_train": nearest.astype(np.float32),
    }
