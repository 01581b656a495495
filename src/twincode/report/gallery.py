"""Which figures a data set gets, and what each says to a reader and to a screen reader."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from twincode.report import figures_exhibits as show
from twincode.report.across import FEWEST_AVERAGED, critical_rankings
from twincode.report.canvas import Layout
from twincode.report.codebooks import codebook_names
from twincode.report.figures_exhibits import CHANNELS_SHOWN, Exhibit
from twincode.report.figures_metrics import (
    families,
    gamma_figure,
    loss_courses,
    metric_courses,
    trade_off_figure,
    training_figure,
)
from twincode.report.figures_ranks import rank_figure
from twincode.report.metrics import MAIN_READOUT, metric_of, plotted_metrics
from twincode.report.models import Model
from twincode.report.results import Results
from twincode.report.tables import metric_names
from twincode.report.trade import dataset_trade_offs, probes_of, relative_trade_offs

MOST_SIDE_BY_SIDE = 3  # data sets in the first figure; more have theirs in their own section


@dataclass(frozen=True)
class Plate:
    """A figure to be drawn: file name, heading, caption, text for those who cannot see it."""

    name: str
    heading: str
    caption: str
    alt: str
    build: Callable[[Layout], str]


def overview_plates(results: Results) -> list[Plate]:
    """The figures over all data sets, those left out for which there is too little."""
    found = [_headline_trade_off(results), _relative_trade_off(results), _ranks(results)]
    return [plate for plate in found if plate]


def plates(results: Results, dataset: str) -> list[Plate]:
    """The figures of one data set, those left out for which nothing is stored."""
    models = results.models_on(dataset)
    exhibits = _exhibits(results, dataset, models)
    found = [
        _trade_off(results, dataset),
        _training(results, dataset, models),
        _gamma(results, dataset, models),
        _reconstructions(dataset, exhibits),
        _augmentations(dataset, exhibits),
        _tokens(dataset, exhibits),
        _codebooks(dataset, exhibits),
        _latents(dataset, exhibits),
    ]
    return [plate for plate in found if plate]


def _headline_trade_off(results: Results) -> Plate | None:
    """Codes against cost on each of a few data sets."""
    if len(results.datasets) > MOST_SIDE_BY_SIDE:
        return None
    panels = [
        panel
        for dataset in results.datasets
        for panel in dataset_trade_offs(results, dataset, probes_of(results)[:1], dataset)
    ]
    if not panels:
        return None
    over = _over((run.seed for run in results.runs), "bars")
    names = [panel.title for panel in panels]
    return Plate(
        "trade-off",
        "What the codes carry, and what it costs",
        f"Up is better, left is better. Each dot is a trained model, {over}; a thin line leads "
        "through the γ of one method. Level lines are controls, which are not trained.",
        f"{panels[0].y_label} against reconstruction error of each model on {_list(names)}.",
        partial(trade_off_figure, panels, results.models),
    )


def _relative_trade_off(results: Results) -> Plate | None:
    panels = relative_trade_offs(results, probes_of(results))
    if len(results.datasets) < FEWEST_AVERAGED or not panels:
        return None
    return Plate(
        "trade-off-relative",
        "Over all data sets, relative to the naive model",
        "Up is better, left is better. Across, the geometric mean over data sets of the error as a "
        "multiple of the naive model's; upwards, the mean difference of each probe. A thin line "
        "leads through the γ of one method; level lines are controls. Only data sets count on "
        "which every compared model was measured.",
        f"{_list([panel.title for panel in panels])} gained against reconstruction error paid.",
        partial(trade_off_figure, panels, results.models),
    )


def _ranks(results: Results) -> Plate | None:
    found = critical_rankings(results)
    if not found:
        return None
    rankings = [(metric.heading, ranking) for metric, ranking in found]
    return Plate(
        "ranks",
        "Average ranks",
        "Average ranks over data sets, the best to the left. Models under one thick bar differ by "
        "less than the critical difference CD (Nemenyi, 5 %) and cannot be told apart.",
        f"Critical-difference diagrams of {_list([title for title, _ in rankings])}.",
        partial(rank_figure, rankings, results.models),
    )


def _exhibits(results: Results, dataset: str, models: Sequence[Model]) -> list[Exhibit]:
    """The examples of each trained model's run of the lowest seed that kept any."""
    found = []
    for model in models:
        runs = [run for run in results.of_dataset(dataset) if run.label == model.label]
        for run in sorted(runs, key=lambda run: run.seed):
            if model.trained and run.exhibits:
                classes = tuple(str(name) for name in run.record["dataset"]["classes"])
                names = codebook_names(run)
                found.append(Exhibit(model, run.seed, classes, run.exhibits, names))
                break
    return found


def _trade_off(results: Results, dataset: str) -> Plate | None:
    panels = dataset_trade_offs(results, dataset, probes_of(results))
    if not panels:
        return None
    over = _over((run.seed for run in results.of_dataset(dataset)), "bars")
    return Plate(
        "trade-off",
        "Codes against cost",
        f"Up is better, left is better. Each dot is a trained model, {over}; a thin line leads "
        "through the γ of one method. Level lines are controls.",
        f"{_list([panel.title for panel in panels])} against reconstruction error on {dataset}.",
        partial(trade_off_figure, panels, results.models),
    )


def _training(results: Results, dataset: str, models: Sequence[Model]) -> Plate | None:
    trained = {model.label for model in models if model.trained}
    runs = [run for run in results.of_dataset(dataset) if run.label in trained]
    epochs = {epoch for run in runs for epoch, *_ in run.evaluations()}
    losses = loss_courses(runs)
    known = metric_names(results, dataset, MAIN_READOUT)
    names = plotted_metrics(known) if len(epochs) > 1 else []
    if not names and not losses:
        return None
    metrics = metric_courses(results.of_dataset(dataset), names)
    over = _over((run.seed for run in runs), "bands")
    losing = "Every training loss"
    if names:
        losing = (
            f"Probes on the codes ({MAIN_READOUT} readout), the codebook and every training loss"
        )
    return Plate(
        "training",
        "During training",
        f"{losing}, over epochs: {over}. Arrows say which way is better.",
        f"Small line charts over epochs for {dataset}: {_list([*_named(names), 'losses'])}.",
        partial(training_figure, metrics, losses, models, names),
    )


def _gamma(results: Results, dataset: str, models: Sequence[Model]) -> Plate | None:
    twins = {model.label for model in models if model.twin}
    several = any(len(members) > 1 for members in families(models).values())
    names = plotted_metrics(metric_names(results, dataset, MAIN_READOUT)) if several else []
    if not names:
        return None
    seeds = [run.seed for run in results.of_dataset(dataset) if run.label in twins]
    return Plate(
        "gamma",
        "As γ grows",
        "Each metric at the end of training against the weight γ of the twin loss. Models without "
        "a twin loss stand side by side at γ = 0, a thin line carrying their level across; dashed "
        f"levels are controls. Each number is {_over(seeds, 'bars')}.",
        f"Small charts for {dataset} of {_titles(names)} against gamma, with error bars.",
        partial(gamma_figure, results, dataset, models, names),
    )


def _reconstructions(dataset: str, exhibits: Sequence[Exhibit]) -> Plate | None:
    names = ("example_series", "example_reconstructions", "example_errors")
    kept = [exhibit for exhibit in exhibits if exhibit.has(*names)]
    if not kept:
        return None
    channels = kept[0].arrays["example_series"].shape[1]
    return Plate(
        "reconstructions",
        "Original and reconstruction",
        "The test series each model reconstructs best, at the median and worst by mean squared "
        "error over time (in brackets), each in its model's colour. "
        f"{_one_seed(kept)}{_channels(channels)}",
        f"Test series of {dataset} and their reconstructions by {_labels(kept)}.",
        partial(show.reconstruction_figure, kept),
    )


def _augmentations(dataset: str, exhibits: Sequence[Exhibit]) -> Plate | None:
    kept = [exhibit for exhibit in exhibits if exhibit.has("augmentation_series")]
    kept = [exhibit for exhibit in kept if len(exhibit.arrays["augmentation_names"])]
    if not kept:
        return None
    source = next((exhibit for exhibit in kept if exhibit.model.twin), kept[-1])
    arrays = source.arrays
    return Plate(
        "augmentations",
        "What each augmentation does",
        f"One series of {dataset} before and after each augmentation alone, at the strengths of "
        f"{source.model.label}: of 16 draws the one that changes it most. {_one_seed([source])}"
        f"{_channels(arrays['augmentation_series'].shape[1])}",
        f"A series under {_list([str(name) for name in arrays['augmentation_names']])}.",
        partial(show.augmentation_figure, source),
    )


def _tokens(dataset: str, exhibits: Sequence[Exhibit]) -> Plate | None:
    kept = [exhibit for exhibit in exhibits if exhibit.has("token_series", "token_codes")]
    if not kept:
        return None
    return Plate(
        "tokens",
        "Series as tokens",
        "Series above their grids of codes: time runs to the right, frequency upwards. Equal "
        "colour and number mean the same code within one model, not between models. Levels, bands "
        "and codebooks stand side by side, each under the whole series. "
        f"{_one_seed(kept)}{_channels(kept[0].arrays['token_series'].shape[1])}",
        f"Series of {dataset} above their token grids under {_labels(kept)}.",
        partial(show.token_figure, kept),
    )


def _codebooks(dataset: str, exhibits: Sequence[Exhibit]) -> Plate | None:
    kept = [exhibit for exhibit in exhibits if exhibit.has("code_counts")]
    if not kept:
        return None
    return Plate(
        "codebook",
        "Codebook use",
        "The share of tokens that each code of a codebook takes, most used first, against even "
        f"use; perplexity says how many codes would do the same work evenly. {_one_seed(kept)}",
        f"Bar charts of code shares on {dataset} for {_labels(kept)}.",
        partial(show.codebook_figure, kept),
    )


def _latents(dataset: str, exhibits: Sequence[Exhibit]) -> Plate | None:
    kept = [exhibit for exhibit in exhibits if exhibit.has("latents_2d", "latents_labels")]
    if not kept:
        return None
    return Plate(
        "latents",
        "Latents in the plane",
        "The quantised latents of each series on their first two principal axes; brackets give "
        f"the share of variance. Labels colour the points and took no part in training. "
        f"{_one_seed(kept)}",
        f"Scatter plots of the latents of {dataset} for {_labels(kept)}, coloured by class.",
        partial(show.latents_figure, kept),
    )


def _titles(names: Iterable[str]) -> str:
    return _list(_named(names))


def _named(names: Iterable[str]) -> list[str]:
    return [metric_of(name).title for name in names]


def _labels(exhibits: Iterable[Exhibit]) -> str:
    return _list([exhibit.model.label for exhibit in exhibits])


def _list(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _over(seeds: Iterable[int], marks: str) -> str:
    """What a drawn number is taken over, and what the bars or bands around it are."""
    count = len(set(seeds))
    if count == 1:
        return f"from one seed, so without {marks}"
    return f"the mean over {count} seeds with {marks} of one sample standard deviation either way"


def _one_seed(exhibits: Sequence[Exhibit]) -> str:
    seeds = sorted({exhibit.seed for exhibit in exhibits})
    if len(seeds) == 1:
        return f"From one run, of the lowest seed ({seeds[0]})."
    return f"From one run a model, of its lowest seed ({_list([str(seed) for seed in seeds])})."


def _channels(count: int) -> str:
    if count == 1:
        return ""
    shown = min(count, CHANNELS_SHOWN)
    return f" Channels stand one above the other: {shown} of {count} are shown."
