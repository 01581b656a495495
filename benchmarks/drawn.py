"""What priors over codes draw, and what else they are used for, as the page on priors shows it."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from benchmarks.tables import anchor_rows, filled, markdown, text_rows
from twincode.report.metrics import number
from twincode.report.pages.samples import OF_CODES, TEST, TRAIN
from twincode.report.runs import Results, load_results

GENERATION, OTHERS = "generation", "drawn"
QUALITY = ("fid", "cas", "recall", "spread", "memorised_share", "bits_per_dimension")
CHEAP = tuple(name for name in QUALITY if name != "cas")  # what other tokenizers are judged by
# What stands side by side for each data set.
BESIDE = (
    ("TimeVQVAE", TRAIN), ("TimeVQVAE", "masked"), ("TimeVQVAE", "tree"), ("Mixture", "tree"),
)  # fmt: skip
PUBLISHED, BEST = BESIDE[1], BESIDE[-1]
# The same of the plain tokenizer.
PLAIN = (
    ("VQ-VAE", "masked, random"), ("VQ-VAE", "autoregressive"), ("VQ-VAE", "tree"), BEST,
)  # fmt: skip
PAPERS = ("fid", "inception_score", "cas")  # what these give


class Drawn:
    """What was drawn with every tokenizer, and with those of ``BESIDE`` and ``PLAIN`` on more sets.

    Each of data sets that all of its tokenizers were judged on, and of the seeds that all were
    there: only rows of one data set are ever compared.
    """

    def __init__(self, results: Results) -> None:
        labels = {results.model_of(run).label for run in results.runs if run.generation}
        self.every = _alike(results, labels)
        self.beside, self.plain = (
            _alike(results, {label for label, _ in side}) for side in (BESIDE, PLAIN)
        )

    def score(self, dataset: str, label: str, row: str, name: str) -> float:
        """A mean over seeds, among all tokenizers."""
        return _score(self.every, dataset, label, row, name)

    def ahead(self, name: str) -> list[str]:
        """The data sets on which a tree over closed-form codes is ahead of the published prior."""
        (measure,) = (m for m in self.beside.generation_measures if m.key == name)
        sign = 1 if measure.better == "higher" else -1
        return [
            dataset
            for dataset in self.beside.datasets
            if sign * _score(self.beside, dataset, *BEST, name)
            > sign * _score(self.beside, dataset, *PUBLISHED, name)
        ]


def _alike(results: Results, labels: Collection[str]) -> Results:
    """What was judged with these tokenizers, where and of the seeds that all of them have there."""
    seeds: dict[tuple[str, str], set[int]] = {}
    for run in results.runs:
        if run.generation:
            seeds.setdefault((run.dataset, results.model_of(run).label), set()).add(run.seed)
    common = {
        name: set.intersection(*(seeds.get((name, label), set()) for label in labels))
        for name in results.datasets
    }
    sets = tuple(name for name, own in common.items() if own)
    runs = (
        run
        for run in results.runs
        if run.seed in common[run.dataset] and results.model_of(run).label in labels
    )
    return replace(results, datasets=sets, runs=tuple(runs))


def generation_page(text: str, stored: Path) -> str:
    """The page ``text`` with its tables as what is drawn from priors, and their uses, are kept."""
    rows = text_rows(stored / "benchmarks" / "uses.csv")
    drawn = Drawn(load_results(stored / GENERATION))
    tables = {
        "uses": lambda: _uses(rows),
        "drawn": lambda: _drawn(drawn.every, QUALITY),
        "others": lambda: _drawn(load_results(stored / OTHERS), CHEAP),
        "beside": lambda: _beside(drawn.beside, BESIDE),
        "plain": lambda: _beside(drawn.plain, PLAIN),
        "published": lambda: _published(stored),
    }
    return filled(text, tables)


def _drawn(results: Results, names: Sequence[str]) -> str:
    """Scores of what was drawn by class, and of the controls: means over data sets."""
    present = dict.fromkeys(key[1:3] for key in results.generation if "no labels" not in key[2])
    rows = [each for model in results.models for each in present if each[0] == model.label]
    lines: list[list[str]] = []
    for label, row in rows:
        # Train series have no tokenizer; what they are through the codes memorises all of them.
        if row in ("copies", TEST) or (row == TRAIN and lines):
            continue
        found = [[_score(results, d, label, row, n) for d in results.datasets] for n in names]
        scores = [number(fmean(each), 3) for each in found]
        lines.append(["–" if row == TRAIN else label, row, *scores])
    return markdown(["Tokenizer", "Drawn by", *_titles(results, names)], lines)


def _beside(results: Results, rows: Sequence[tuple[str, str]]) -> str:
    """Scores of these rows, each a tokenizer and what draws, side by side for each data set."""
    names = [name for name in QUALITY if name != "bits_per_dimension"]
    lines = []
    for dataset in results.datasets:
        found = [[_score(results, dataset, *of, name) for of in rows] for name in names]
        lines.append([dataset, *(" / ".join(number(x, 3) for x in each) for each in found)])
    return markdown(["", *_titles(results, names)], lines)


def _score(results: Results, dataset: str, label: str, row: str, name: str) -> float:
    """A mean over seeds; NaN where there is none, and of train series for what codes are like."""
    found = results.generation.get((dataset, label, row, name))
    return math.nan if found is None or (row == TRAIN and name in OF_CODES) else found.mean


def _titles(results: Results, names: Iterable[str]) -> list[str]:
    titles = {measure.key: measure.title for measure in results.generation_measures}
    return [titles[name] for name in names]


def _published(stored: Path) -> str:
    """Published scores of series drawn, data set by data set."""
    told = [row for row in anchor_rows(stored) if row["metric"] in PAPERS]
    models = list(dict.fromkeys(row["model"].split(",")[0] for row in told))
    cells = {
        (row["dataset"], row["model"].split(",")[0], row["metric"]): row["value"] for row in told
    }
    lines = [
        [
            dataset,
            *(" / ".join(cells.get((dataset, model, m), "–") for m in PAPERS) for model in models),
        ]
        for dataset in dict.fromkeys(row["dataset"] for row in told)
    ]
    return markdown(["", *models], lines)


def _uses(rows: list[dict[str, str]]) -> str:
    """Every way of every task, a column a data set: errors, or how well classes are told apart."""
    sets = list(dict.fromkeys(row["dataset"] for row in rows))
    told = ("mae", "crps", "auroc")
    cells = {
        (row["task"], row["way"], row["dataset"]): " / ".join(
            number(float(row[name]), 3) for name in told if row[name]
        )
        for row in rows
    }
    ways = dict.fromkeys((task, way) for task, way, _ in cells)
    lines = [[*way, *(cells[*way, name] for name in sets)] for way in ways]
    return markdown(["Task", "Way", *sets], lines)
