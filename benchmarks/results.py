"""Brings the pages of ``docs/`` that quote results up to date with what is kept.

``python -m benchmarks.results`` rewrites what stands between ``<!-- table NAME -->`` and
``<!-- end -->``, every number that a comment such as ``<!--: mean | nmse | VAE-->`` follows, and
the figures; all else on the pages is written by hand. The full tables go beside the stored runs as
``summary.csv`` and ``paired.csv``.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from operator import methodcaller
from pathlib import Path
from statistics import fmean

from benchmarks import accuracy, conditions, equal, training
from benchmarks.drawn import GENERATION, Drawn, generation_page
from benchmarks.tables import TABLE, anchor_rows, filled, markdown, read_rows
from twincode.errors import TwincodeError, unknown_name
from twincode.files import write_text, write_whole
from twincode.recipes import CLOSED_FORMS, DEFAULT, RECIPES
from twincode.report.compare import Difference, comparable, differences, signed_rank
from twincode.report.figures.frontier import accuracy_against_bits, error_against_bits
from twincode.report.figures.trade_off import relative_trade_off
from twincode.report.frontier import Numbers, on_dataset, over_all, rates
from twincode.report.metrics import decimals_for, number, signed
from twincode.report.models import BITS
from twincode.report.page import drawn
from twincode.report.runs import Results, Run, load_results
from twincode.report.tables import paired_frame, summary_table

ROOT = Path(__file__).parents[1]
STUDY, FRONTIER, SHOWN = "converged", "frontier", 200
BUDGET = 1200  # optimiser steps of the networks that are compared
# What is told of a level in per cent of labels or length, and in deviations.
CONDITIONS = {
    "labels": "{:g} % of the labels",
    "noise": "noise of {1} deviations",
    "shift": "moved by up to {:g} %",
    "transfer": "another data set",
}
_QUOTED = re.compile(r"([^\s(|*]*)<!--: ([^>]*?)-->")
_SVM, _NEIGHBOURS = "svm_accuracy@flatten", "knn5_accuracy@flatten"


class Study:
    """What the page can quote of one kept study, each by a word and what it is of.

    ``budgets`` has it for each number of optimiser steps that networks were given, by which they
    are not told apart; models that take none are in each. ``results`` are those at ``BUDGET``, of
    the seeds that every network was run with on every data set.
    """

    def __init__(self, folder: Path) -> None:
        whole = load_results(folder)
        steps = {_steps(run) for run in whole.runs} - {0}
        self.whole = whole
        self._folder = folder
        self.budgets = {
            budget: replace(
                whole, axes=(), runs=tuple(r for r in whole.runs if _steps(r) in (0, budget))
            )
            for budget in sorted(steps)
        }
        self.results = _of_whole_seeds(self.budgets[BUDGET])

    @cached_property
    def differences(self) -> list[Difference]:
        """Of every two models that are compared."""
        return differences(self.results)

    def quote(self, words: str) -> str:
        """The text for ``word | measure | model | ...``; raises TwincodeError for another word."""
        kind, *of = (each.strip() for each in words.split("|"))
        kinds: Mapping[str, Callable[..., str]] = {
            "runs": lambda: str(len(self.whole.runs)),
            "mean": lambda *of: number(self.mean(*of), 3),
            "gain": lambda *of: signed(self.pair(*of).mean, 3),
            "factor": lambda *of: number(self.factor(*of), 2),
            "on": lambda name, measure, model: number(self.results.mean(name, model, measure), 3),
            "p": lambda *of: number(self.pair(*of).holm, 3),
            "higher": lambda *of: str(self.pair(*of).higher),
            "lower": lambda *of: str(self.pair(*of).lower),
            "longer": lambda *of: number(self.longer(*of), 2),
            "gain at": lambda *of: signed(fmean(self.gains(*of).values()), 3),
            "ahead at": lambda *of: str(sum(gain > 0 for gain in self.gains(*of).values())),
            "gain under": lambda *of: signed(fmean(self.under(*of).values()), 3),
            "ahead under": lambda *of: str(sum(gain > 0 for gain in self.under(*of).values())),
            "p under": lambda *of: number(signed_rank([*self.under(*of).values()]), 3),
            "at network's bits": lambda *of: number(self.at_their_bits(*of), 3),
            "ahead with bits": lambda bits: str(len(self.ahead_with(int(bits)))),
            "drawn": lambda *of: number(self.drawn.score(*of), 3),
            "drawn on": lambda: str(len(self.drawn.beside.datasets)),
            "drawn ahead": lambda *of: str(len(self.drawn.ahead(*of))),
        }
        if kind not in kinds:
            raise unknown_name("kind of number", kind, kinds)
        return kinds[kind](*of)

    def mean(self, measure: str, model: str) -> float:
        """The mean over the data sets on which every compared model was measured."""
        table = comparable(self.results, self.results.measures[measure])
        return float(table[model].mean()) if model in table else math.nan

    def factor(self, measure: str, model: str, base: str) -> float:
        """The geometric mean of a number as a multiple of another model's."""
        table = comparable(self.results, self.results.measures[measure])
        return math.exp(fmean(map(math.log, table[model] / table[base])))

    def alike(self, budgets: Iterable[int]) -> dict[int, Results]:
        """The results at these budgets, of data sets, models and seeds that all of them have."""
        found = {budget: self.budgets[budget] for budget in budgets}
        runs = {
            budget: {(r.dataset, results.model_of(r).label, r.seed): r for r in results.runs}
            for budget, results in found.items()
        }
        common = set.intersection(*map(set, runs.values()))
        return {
            budget: replace(results, runs=tuple(runs[budget][key] for key in sorted(common)))
            for budget, results in found.items()
        }

    def longer(self, measure: str, model: str, budget: str, base: str) -> float:
        """The geometric mean of a number as a multiple of what it is at another budget."""
        ours, theirs = self.alike((int(budget), int(base))).values()
        pairs = [
            (ours.mean(d, model, measure), theirs.mean(d, model, measure))
            for d in self.whole.datasets
        ]
        return math.exp(fmean(math.log(a / b) for a, b in pairs if not math.isnan(a * b)))

    def gains(
        self, measure: str, model: str, base: str, budget: str, *others: str
    ) -> dict[str, float]:
        """What a model has over another at a budget, by data set, where the others were run too."""
        results = self.alike(map(int, (budget, *others)))[int(budget)]
        each = {
            dataset: results.mean(dataset, model, measure) - results.mean(dataset, base, measure)
            for dataset in self.whole.datasets
        }
        return {dataset: gain for dataset, gain in each.items() if not math.isnan(gain)}

    @cached_property
    def disturbed(self) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
        """Accuracies by condition and level, by model and by the data set it was trained on.

        Means over seeds; another data set is one condition, whichever it is.
        """
        rows = read_rows(self._folder.parent / "benchmarks" / "conditions.csv", conditions.Row)
        labels = {r.record["recipe"]: self.results.model_of(r).label for r in self.results.runs}
        found: dict[tuple[str, str], dict[str, dict[str, list[float]]]] = {}
        for row in (each for each in rows if each.steps in (0, BUDGET)):
            level = "" if row.condition == "transfer" else row.level
            cells = found.setdefault((row.condition, level), {})
            own = cells.setdefault(labels[row.recipe], {})
            own.setdefault(row.dataset, []).append(row.accuracy)
        return {
            key: {
                label: {name: fmean(values) for name, values in own.items()}
                for label, own in cells.items()
            }
            for key, cells in found.items()
        }

    def under(self, condition: str, level: str, model: str, base: str) -> dict[str, float]:
        """What a model has over another under a condition, by data set."""
        ours, theirs = (self.disturbed[condition, level][each] for each in (model, base))
        return {name: ours[name] - theirs[name] for name in self.whole.datasets}

    @cached_property
    def equal(self) -> Mapping[tuple[str, str], Mapping[str, float]]:
        """Closed forms at the bits of networks, by data set and recipe: means over seeds."""
        rows = read_rows(self._folder.parent / "benchmarks" / "equal.csv", equal.Row)
        keys = dict.fromkeys((row.dataset, row.recipe) for row in rows)
        return {
            key: {
                name: fmean(getattr(row, name) for row in rows if (row.dataset, row.recipe) == key)
                for name in ("asked", "bits", "nmse", "kernels")
            }
            for key in keys
        }

    def at_their_bits(self, measure: str, recipe: str) -> float:
        """The mean over data sets of a number of a closed form there."""
        return fmean(own[measure] for (_, name), own in self.equal.items() if name == recipe)

    def ahead_with(self, bits: int) -> list[str]:
        """Data sets on which the flagship, asked for so many bits, has less error than networks."""
        plane = load_results(self._folder.parent / FRONTIER)
        label = _flagship(plane, bits)
        return [
            name
            for name in self.results.datasets
            if all(
                plane.mean(name, label, "nmse") < self.results.mean(name, network, "nmse")
                for network in self.networks
            )
        ]

    @property
    def networks(self) -> list[str]:
        """The models that are trained step by step."""
        trained = {self.results.model_of(run).label for run in self.results.runs if _steps(run)}
        return [model.label for model in self.results.models if model.label in trained]

    @cached_property
    def drawn(self) -> Drawn:
        """What priors over the codes draw."""
        return Drawn(load_results(self._folder.parent / GENERATION))

    def value(self, measure: str, model: str, dataset: str) -> str:
        """A mean over seeds on one data set, or a dash where nothing was measured."""
        mean = self.results.mean(dataset, model, measure)
        return "–" if math.isnan(mean) else number(mean, max(2, decimals_for([mean])))

    def pair(self, measure: str, model: str, against: str) -> Difference:
        """The paired difference of two models."""
        for found in self.differences:
            if (found.measure.key, found.model.label, found.base.label) == (
                measure,
                model,
                against,
            ):
                return found
        raise TwincodeError(f"{model} is not compared with {against} by {measure}")


def _of_whole_seeds(results: Results) -> Results:
    """Without runs of seeds that a data set or a network has not."""
    cells: dict[int, set[tuple[str, str]]] = {}
    for run in results.runs:
        if _steps(run):
            cells.setdefault(run.seed, set()).add((run.dataset, results.model_of(run).label))
    every = set.union(*cells.values())
    return replace(results, runs=tuple(r for r in results.runs if cells.get(r.seed) == every))


def _steps(run: Run) -> int:
    """The optimiser steps that a run was given; 0 where nothing is trained step by step."""
    return int(run.record["config"]["training"]["steps"])


def page(text: str, stored: Path) -> str:
    """The page ``text`` with every table and quoted number as the studies in ``stored`` have it."""
    study = Study(stored / STUDY)
    tables = {
        "conditions": lambda: _conditions(study),
        "equal": lambda: _equal(study),
        "length": lambda: _length(study),
        "models": lambda: _models(study),
        "published": lambda: _published(study, _anchors(stored)),
        "thesis": lambda: _thesis(study, stored),
    }
    text = filled(text, tables)
    return _QUOTED.sub(lambda found: f"{study.quote(found[2])}<!--: {found[2]}-->", text)


def frontier_page(text: str, stored: Path) -> str:
    """The page ``text`` with its tables as the study of the frontier in ``stored`` has them."""
    results = load_results(stored / FRONTIER)
    unlimited = read_rows(stored / "benchmarks" / "accuracy.csv", accuracy.Row)
    tables = {
        "plane": lambda: _plane(results),
        "sets": lambda: _sets(results),
        "accuracy": lambda: _accuracy(unlimited, _anchors(stored)),
    }
    return filled(text, tables)


def training_page(text: str, stored: Path) -> str:
    """The page ``text`` with its tables as the times to quality in ``stored`` have them."""
    rows = read_rows(stored / "benchmarks" / "training.csv", training.Row)
    tables = {"minute": lambda: _minute(rows), "reached": lambda: _reached(rows)}
    return filled(text, tables)


def unquoted(text: str) -> list[str]:
    """The numbers in the prose of a page that no comment says the source of."""
    prose = _QUOTED.sub("", TABLE.sub("", text))
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->|\b\w*[A-Za-z]+-?\d\w*", "", prose)
    return re.findall(r"[+−<]?\d[\d.,]*\d|\d", prose)


def write_results(stored: Path, docs: Path) -> None:
    """Bring the page, its figures and the full tables up to date."""
    path = docs / "results.md"
    write_text(path, page(path.read_text(encoding="utf-8"), stored))
    results = Study(stored / STUDY).results
    if figure := relative_trade_off(results):
        path = docs / "figures" / f"{STUDY}-trade-off.svg"
        write_whole(path, methodcaller("write_bytes", drawn(figure)))
    for kind, frame in (("summary", summary_table(results)), ("paired", paired_frame(results))):
        text = frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
        write_text(stored / STUDY / f"{kind}.csv", text)
    path = docs / "training.md"
    write_text(path, training_page(path.read_text(encoding="utf-8"), stored))
    path = docs / "generation.md"
    write_text(path, generation_page(path.read_text(encoding="utf-8"), stored))
    path = docs / "frontier.md"
    write_text(path, frontier_page(path.read_text(encoding="utf-8"), stored))
    results = load_results(stored / FRONTIER)
    placed = {"": _everywhere(results)}
    for draw in (error_against_bits, accuracy_against_bits):
        if figure := draw(results, placed):
            path = docs / "figures" / f"{figure.name}.svg"
            write_whole(path, methodcaller("write_bytes", drawn(figure)))


def _everywhere(results: Results) -> Numbers:
    """The numbers of the frontier over all data sets."""
    numbers, _ = over_all({d: on_dataset(results, d) for d in results.datasets})
    return numbers


def _plane(results: Results) -> str:
    """Every model over all data sets: by what it was asked for, then by error."""
    numbers = _everywhere(results)
    rate_of = rates(results, numbers)
    models = [m for m in results.models if m.label in rate_of]
    models.sort(key=lambda m: (rate_of[m.label], numbers[m.label]["nmse"]))
    rows = [
        [f"{rate_of[m.label]:.0f}", m.kind(BITS) if m.fitted else f"*{m.kind(BITS)}*",
         f"{own['bits']:.0f}", number(own["over_bound"], 2), number(own["kernels"], 3),
         number(own["retained_accuracy"], 3), f"{own['model_bytes'] / 1e6:.2f}"]
        for m in models for own in [numbers[m.label]]
    ]  # fmt: skip
    names = ["Bits taken", "NMSE over bound", "Accuracy", "Classes kept", "Model, MB"]
    return markdown(["Bits asked", "Model", *names], rows)


def _sets(results: Results) -> str:
    """The flagship at 200 bits on each data set."""
    label = _flagship(results)
    rows = []
    for dataset in results.datasets:
        own = on_dataset(results, dataset).get(label)
        if own is None:
            continue  # not run yet
        rows.append([
            dataset, f"{own['bits']:.0f}", number(own["nmse"], 4), number(own["bound"], 4),
            number(own["retained_accuracy"], 3), f"{own['model_bytes'] / 1e6:.2f}",
        ])  # fmt: skip
    return markdown(["", "Bits taken", "NMSE", "Bound", "Classes kept", "Model, MB"], rows)


def _flagship(results: Results, bits: int = SHOWN) -> str:
    """What the default is called where it is asked for so many bits."""
    (label,) = (m.label for m in results.models if m.method == DEFAULT and m.settings[BITS] == bits)
    return label


def _length(study: Study) -> str:
    """What twice the steps change, set by set and model by model, where more than one were run."""
    lines = []
    for dataset in study.whole.datasets:
        for name in study.networks:
            run = [
                budget
                for budget, results in study.budgets.items()
                if not math.isnan(results.mean(dataset, name, "nmse"))
            ]
            if len(run) > 1:
                alike = study.alike(run)
                lines.append([dataset, name, *(
                    number(alike[b].mean(dataset, name, measure), 3) if b in alike else "–"
                    for measure in ("nmse", _SVM, _NEIGHBOURS)
                    for b in study.budgets
                )])  # fmt: skip
    budgets = [f"{budget}" for budget in study.budgets]
    names = [f"{what} {b}" for what in ("NMSE,", "SVM,", "5-NN,") for b in budgets]
    return markdown(["", "Model", *names], lines)


def _equal(study: Study) -> str:
    """Errors at the bits that networks take, data set by data set."""
    lines = []
    for dataset in study.results.datasets:
        own = {recipe: each for (name, recipe), each in study.equal.items() if name == dataset}
        (asked,) = {each["asked"] for each in own.values()}
        errors = [study.results.mean(dataset, label, "nmse") for label in study.networks]
        errors += [own[recipe]["nmse"] for recipe in CLOSED_FORMS]
        lines.append([dataset, f"{asked:.0f}", *(number(error, 4) for error in errors)])
    names = [RECIPES[recipe][0] for recipe in CLOSED_FORMS]
    return markdown(["", "Bits", *study.networks, *names], lines)


def _conditions(study: Study) -> str:
    """How well a linear SVM does where a twin loss might pay."""
    told = study.disturbed
    models = [m for m in study.results.models if m.label in next(iter(told.values()))]
    rows = [
        [CONDITIONS[condition].format(100 * float(level or 0), level), *(
            number(fmean(cells[m.label].values()), 3) for m in models
        )]
        for (condition, level), cells in told.items()
    ]  # fmt: skip
    return markdown(["", *(m.label if m.fitted else f"*{m.label}*" for m in models)], rows)


def _models(study: Study) -> str:
    """Every model over all data sets: what it costs, what it loses, what it keeps."""
    numbers = _everywhere(study.results)
    rows = []
    for model in study.results.models:
        own = numbers.get(model.label, {})
        rows.append([
            model.label if model.fitted else f"*{model.label}*",
            f"{own['bits']:.0f}" if own.get("bits", 0) > 0 else "–",
            *(number(own.get(name, math.nan), 3) for name in ("nmse", "over_bound", "kernels")),
            *(number(study.mean(measure, model.label), 3) for measure in (_SVM, _NEIGHBOURS)),
        ])  # fmt: skip
    names = ["Bits", "NMSE", "over bound", "Decoded, MiniROCKET", "Linear SVM", "5-NN"]
    return markdown(["Model", *names], rows)


def _anchors(stored: Path) -> Mapping[tuple[str, str, str], float]:
    """Published accuracies by data set, source and model."""
    return {
        (row["dataset"], row["source"], row["model"].split(",")[0]): float(row["value"])
        for row in anchor_rows(stored)
        if row["metric"] in ("svm_accuracy", "accuracy")
    }


def _accuracy(rows: list[accuracy.Row], found: Mapping[tuple[str, str, str], float]) -> str:
    """Classes from codes of any size beside classifiers of the series, and the mean of both."""
    sets = list(dict.fromkeys(row.dataset for row in rows))
    sources = [("bake-off", "MiniROCKET"), ("bake-off", "MR-Hydra"), ("bake-off", "HC2")]
    table = []
    for dataset in sets:
        own = [row for row in rows if row.dataset == dataset]
        chosen = "/".join(sorted({row.chosen for row in own}))
        values = [fmean(row.accuracy for row in own), *(found[dataset, *s] for s in sources)]
        table.append((dataset, f"{fmean(row.bits for row in own):.0f}", chosen, values))
    means = [fmean(column) for column in zip(*(row[-1] for row in table), strict=True)]
    lines = [
        [*words, *(number(value, 3) for value in values)]
        for *words, values in [*table, ("mean", "", "", means)]
    ]
    return markdown(["", "Bits", "Read by", "Codes", "MiniROCKET", "MR-Hydra", "HC2"], lines)


def _published(study: Study, found: Mapping[tuple[str, str, str], float]) -> str:
    """MiniROCKET on decoded series beside published numbers, data set by data set."""
    sources = [
        ("follow-up", "VQ-VAE"), ("follow-up", "BT-VQVAE"), ("bake-off", "MiniROCKET"),
        ("unsupervised", "TS2Vec"), ("bake-off", "HC2"),
    ]  # fmt: skip
    own = ("VQ-VAE", "BT-VQVAE", "Mixture")
    rows = [
        [dataset, *(study.value("kernels", model, dataset) for model in own),
         *(f"{found[dataset, *source]:.3f}" for source in sources)]
        for dataset in study.results.datasets
    ]  # fmt: skip
    ours = ["VQ-VAE", "BT-VQVAE", f"Mixture, {SHOWN} bits"]
    theirs = ["VQ-VAE, authors", "BT-VQVAE, authors", "MiniROCKET", "TS2Vec", "HIVE-COTE 2"]
    return markdown(["", *ours, *theirs], rows)


def _thesis(study: Study, stored: Path) -> str:
    """The thesis's own runs beside ours, on the data set that both have."""
    told = [row for row in anchor_rows(stored) if row["source"] == "thesis"]
    lines = []
    for row in told:
        model = row["model"].removesuffix(" γ=1")
        key = f"{row['metric']}@{row['readout']}" if row["readout"] else row["metric"]
        ours = study.results.mean(row["dataset"], model, key)
        if not math.isnan(ours):
            title = study.results.measures[key].title
            lines.append(
                [row["dataset"], model, title, number(float(row["value"]), 3), number(ours, 3)]
            )
    return markdown(["", "Model", "", "Thesis", "Here"], lines)


def _reached(rows: list[training.Row]) -> str:
    """CPU seconds that each recipe takes to the error of the thesis's form after its minutes."""
    thesis = "thesis-vqvae"
    others = list(dict.fromkeys(row.recipe for row in rows if row.recipe != thesis))
    lines = []
    aims = [row for row in rows if row.recipe == thesis]
    for aim in sorted(aims, key=lambda row: (row.dataset, float(row.minutes))):
        own = [row for row in rows if row.dataset == aim.dataset]
        cells = []
        for name in others:
            runs = [row for row in own if row.recipe == name]
            there = [row.cpu_seconds for row in runs if row.nmse <= aim.nmse]
            longest = max((row.cpu_seconds for row in runs), default=math.nan)
            late = f"> {longest:.0f}" if runs else "–"
            cells.append(f"{min(there):.0f}" if there else late)
        lines.append([aim.dataset, aim.minutes, number(aim.nmse, 4), *cells])
    names = [f"`{name}`" for name in others]
    return markdown(["", "Minutes", f"`{thesis}`, NMSE", *names], lines)


def _minute(rows: list[training.Row]) -> str:
    """Networks after a CPU minute; what brings its own time, with its seconds."""
    cells: dict[str, dict[str, str]] = {}
    for row in rows:
        if row.minutes in ("1", ""):
            seconds = f" ({row.cpu_seconds:.0f} s)" if not row.minutes else ""
            cells.setdefault(row.dataset, {})[row.recipe] = number(row.nmse, 4) + seconds
    names = list(dict.fromkeys(row.recipe for row in rows if row.minutes in ("1", "")))
    lines = [[name, *(own.get(each, "–") for each in names)] for name, own in cells.items()]
    return markdown(["", *(f"`{name}`" for name in names)], lines)


if __name__ == "__main__":
    write_results(ROOT / "results", ROOT / "docs")
