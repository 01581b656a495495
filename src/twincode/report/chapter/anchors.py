"""Published numbers to stand beside, each with the protocol that it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from twincode.report.chapter.markdown import plural, points, table
from twincode.report.chapter.settings import epochs, seed_count, setting, steps
from twincode.report.chapter.stored import read_rows
from twincode.report.metrics import MISSING, decimals_for, metric_of, number, signed
from twincode.report.models import NAIVE_RECIPE, RAW_RECIPE, Model
from twincode.report.results import Results
from twincode.report.tables import value_of

ANCHORS_FILE = "anchors.csv"
THESIS, FOLLOW_UP, ARCHIVE = "thesis", "follow-up", "archive"
_COLUMNS = ["source", "dataset", "model", "readout", "metric", "value"]
_DECIMALS = 3
_FOLLOW_UP_METRICS = ("svm_accuracy", "knn5_accuracy")


@dataclass(frozen=True)
class Anchor:
    """One published number."""

    source: str
    dataset: str
    model: str
    readout: str
    metric: str
    value: float


def read_anchors(folder: Path) -> list[Anchor]:
    """The anchors beside the results, none where there is no such file.

    Raises TwincodeError for a file with other columns or a value that is no number.
    """
    path = folder / ANCHORS_FILE
    return read_rows(path, _COLUMNS, lambda row: _anchor(*row), "a table of published numbers")


def _anchor(source: str, dataset: str, model: str, readout: str, metric: str, value: str) -> Anchor:
    return Anchor(source, dataset, model, readout, metric, float(value))


def against_authors(results: Results, anchors: Sequence[Anchor]) -> str:
    """The authors' numbers beside ours, what differs in protocol named; empty without any."""
    shared = [anchor for anchor in anchors if anchor.dataset in results.datasets]
    tables = [
        *(_follow_up(results, shared, name) for name in _FOLLOW_UP_METRICS),
        _thesis(results, shared),
        _peers(results, shared),
    ]
    found = [text for text in tables if text]
    return "\n\n".join([_protocols(results), *found]) if found else ""


def _protocols(results: Results) -> str:
    return "What differs, so that numbers stand beside each other and not against:\n\n" + points(
        [
            "The thesis's stored runs: 2 seeds, 1500 epochs, batch 128, codes flattened, a "
            "projector 4096 wide that was not trained. Ours: "
            f"{plural(seed_count(results), 'seed')}, {epochs(results)} epochs "
            f"({steps(results)} steps), batch {setting(results, 'training', 'batch_size')}, "
            f"precision {setting(results, 'training', 'precision')}, a projector "
            f"{setting(results, 'objective', 'projector_width')} wide and trained.",
            "The authors' follow-up: mean of 4 runs, codes averaged over the grid (64 numbers a "
            "series), and for BT-VQVAE the best of three augmentation sets, chosen on test "
            "accuracy. Ours: the `mean` readout, one augmentation set, nothing chosen.",
            "Published peers use their own probes (TS2Vec an RBF SVM with a grid of C; MiniROCKET, "
            "MR-Hydra and HC2 are supervised); they tell how far codes are from what is possible.",
        ]
    )


def _follow_up(results: Results, anchors: Sequence[Anchor], name: str) -> str:
    """The follow-up's naive and best twin model beside ours under the same readout."""
    own = [a for a in anchors if a.source == FOLLOW_UP and a.metric == name]
    theirs = list(dict.fromkeys(anchor.model for anchor in own))
    models = [model for model in results.models if model.trained]
    rows = []
    for dataset in results.datasets:
        stored = {anchor.model: anchor for anchor in own if anchor.dataset == dataset}
        if not stored:
            continue
        readout = next(iter(stored.values())).readout
        found = [value_of(results, dataset, model.label, name, readout) for model in models]
        rows.append(
            [
                dataset,
                *(_plain(stored[model].value) if model in stored else MISSING for model in theirs),
                *(_plain(value.mean) if value else MISSING for value in found),
            ]
        )
    if not rows:
        return ""
    header = ["", *(f"theirs: {m}" for m in theirs), *(f"ours: {m.label}" for m in models)]
    title = f"{metric_of(name).title}, codes averaged over the grid:"
    return f"{title}\n\n{table(header, rows)}{_gains(results, own, theirs, models, name)}"


def _gains(
    results: Results,
    own: Sequence[Anchor],
    theirs: Sequence[str],
    models: Sequence[Model],
    name: str,
) -> str:
    """The mean gain over the naive model, theirs and ours, over the same data sets."""
    values = {(anchor.dataset, anchor.model): anchor.value for anchor in own}
    naive = results.of_method(NAIVE_RECIPE)
    twins = [model for model in models if model.twin]
    if len(theirs) < 2 or not naive or not twins:
        return ""
    ours = {model: _by_dataset(results, model, name, own[0].readout) for model in (naive, *twins)}
    datasets = [
        dataset
        for dataset in results.datasets
        if all((dataset, model) in values for model in theirs)
        and all(dataset in found for found in ours.values())
    ]
    if not datasets:
        return ""
    gain = fmean(values[dataset, theirs[-1]] - values[dataset, theirs[0]] for dataset in datasets)
    texts = [
        f"{signed(fmean(ours[model][d] - ours[naive][d] for d in datasets), _DECIMALS)} "
        f"({model.label})"
        for model in twins
    ]
    return (
        f"\n\nMean gain of the twin loss over the {plural(len(datasets), 'data set')} that all "
        f"have: theirs {signed(gain, _DECIMALS)}; ours {', '.join(texts)}."
    )


def _by_dataset(results: Results, model: Model, name: str, readout: str) -> dict[str, float]:
    """A model's mean over seeds on every data set that has one."""
    return {
        dataset: value.mean
        for dataset in results.datasets
        if (value := value_of(results, dataset, model.label, name, readout))
    }


def _thesis(results: Results, anchors: Sequence[Anchor]) -> str:
    """The thesis's stored runs beside ours of the same model: a row a data set and model."""
    own = [anchor for anchor in anchors if anchor.source == THESIS]
    metrics = list(dict.fromkeys(anchor.metric for anchor in own))
    rows = []
    for dataset, model in dict.fromkeys((anchor.dataset, anchor.model) for anchor in own):
        stored = {a.metric: a for a in own if (a.dataset, a.model) == (dataset, model)}
        rows.append(
            [f"{dataset}, {model}", *(_beside(results, stored.get(name)) for name in metrics)]
        )
    if not rows:
        return ""
    header = ["theirs / ours", *(metric_of(name).title for name in metrics)]
    return f"The thesis's stored runs, flattened codes:\n\n{table(header, rows)}"


def _beside(results: Results, anchor: Anchor | None) -> str:
    if anchor is None:
        return MISSING
    ours = value_of(results, anchor.dataset, anchor.model, anchor.metric, anchor.readout)
    decimals = decimals_for(anchor.metric, [anchor.value])
    text = number(ours.mean, decimals) if ours else MISSING
    return f"{number(anchor.value, decimals)} / {text}"


def _peers(results: Results, anchors: Sequence[Anchor]) -> str:
    """Accuracies of other methods, and our raw series under nearest neighbours as a check."""
    own = [anchor for anchor in anchors if anchor.source not in (THESIS, FOLLOW_UP)]
    columns = list(dict.fromkeys((anchor.source, anchor.model) for anchor in own))
    raw = results.of_method(RAW_RECIPE)
    rows = []
    for dataset in results.datasets:
        stored = {(a.source, a.model): a.value for a in own if a.dataset == dataset}
        if stored:
            ours = value_of(results, dataset, raw.label, "knn1_accuracy") if raw else None
            published = [_plain(stored[key]) if key in stored else MISSING for key in columns]
            rows.append([dataset, _plain(ours.mean) if ours else MISSING, *published])
    if not rows:
        return ""
    header = ["", "ours: raw series, 1-NN", *(f"{model} ({source})" for source, model in columns)]
    return f"Published accuracies on the same split:\n\n{table(header, rows)}"


def _plain(value: float) -> str:
    return number(value, _DECIMALS)
