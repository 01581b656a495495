"""The chapter's figures, each with the text that stands around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from twincode.report.across import comparable, critical_rankings, naive_label, ranking_text
from twincode.report.canvas import WIDE
from twincode.report.chapter.markdown import points
from twincode.report.figures_metrics import COST, families, gamma_sheet, trade_off_figure
from twincode.report.figures_ranks import rank_figure
from twincode.report.metrics import metric_of
from twincode.report.results import Results
from twincode.report.runs import Summary
from twincode.report.tables import values_of
from twincode.report.trade import probes_of, relative_trade_offs

_HEADLINE_PROBES = ("svm_accuracy", "knn5_accuracy", "silhouette")
_GAMMA_METRICS = ("svm_accuracy", "knn5_accuracy", "silhouette", COST)


@dataclass(frozen=True)
class ChapterFigure:
    """A drawing, the file that keeps it, what it shows in a word and in a caption, a remark."""

    file: str
    svg: str
    alt: str
    caption: str
    remark: str = ""

    @property
    def block(self) -> str:
        """The figure in Markdown."""
        picture = f"![{self.alt}](figures/{self.file})\n\n*{self.caption}*"
        return f"{picture}\n\n{self.remark}" if self.remark else picture


def figures_of(results: Results, prefix: str) -> list[ChapterFigure]:
    """The figures of a study for which there are numbers; ``prefix`` keeps studies' files apart."""
    found = [_trade_off(results, prefix), _ranks(results, prefix), _gamma(results, prefix)]
    return [figure for figure in found if figure]


def _trade_off(results: Results, prefix: str) -> ChapterFigure | None:
    probes = [name for name in probes_of(results) if name in _HEADLINE_PROBES]
    panels = relative_trade_offs(results, probes)
    if not panels:
        return None
    shared = set(comparable(results, probes[0]).datasets) & set(comparable(results, COST).datasets)
    return ChapterFigure(
        f"{prefix}trade-off.svg",
        trade_off_figure(panels, results.models, WIDE),
        "What the codes gain against what it costs",
        "Each probe less the naive model's, against the reconstruction error as a multiple of the "
        f"naive model's, over {len(shared)} of {len(results.datasets)} data sets; a line leads "
        "through the γ of one method, levels are controls. Up and left is better.",
    )


def _ranks(results: Results, prefix: str) -> ChapterFigure | None:
    found = critical_rankings(results)
    if not found:
        return None
    titled = [(metric.heading, ranking) for metric, ranking in found]
    return ChapterFigure(
        f"{prefix}ranks.svg",
        rank_figure(titled, results.models, WIDE),
        "Average ranks with critical differences",
        "Average ranks over data sets, the best to the left; models under one thick bar cannot be "
        "told apart.",
        points(f"{metric.title}: {ranking_text(ranking)}" for metric, ranking in found),
    )


def _gamma(results: Results, prefix: str) -> ChapterFigure | None:
    """The means over data sets of what each model changes, then each data set's linear SVM."""
    if all(len(members) < 2 for members in families(results.models).values()):
        return None
    names = [name for name in _GAMMA_METRICS if _changes(results, name)]
    panels = [(f"{metric_of(name).heading}, change", _changes(results, name)) for name in names]
    own = [(dataset, values_of(results, dataset, "svm_accuracy")) for dataset in results.datasets]
    panels += [(dataset, values) for dataset, values in own if values]
    controls = [metric_of(name).probe for name in names] + [True] * (len(panels) - len(names))
    if not panels:
        return None
    return ChapterFigure(
        f"{prefix}gamma.svg",
        gamma_sheet(panels, results.models, WIDE, controls),
        "Each metric as gamma grows",
        "As γ grows: first the mean change from the naive model over data sets, then linear SVM "
        "accuracy on each data set with one sample standard deviation over seeds either way. "
        "Models without a twin loss stand at γ = 0; dashed levels are controls.",
    )


def _changes(results: Results, name: str) -> dict[str, Summary]:
    """Each model's mean difference from the naive one over the data sets that all have."""
    shared, naive = comparable(results, name), naive_label(results)
    labels = [model.label for model in shared.models]
    if naive not in labels or not shared.datasets:
        return {}
    changes = shared.values - shared.values[:, [labels.index(naive)]]
    means = [fmean(column) for column in changes.T.tolist()]
    return {
        label: Summary(mean, None, len(shared.datasets))
        for label, mean in zip(labels, means, strict=True)
    }


def written(figures: Sequence[ChapterFigure]) -> str:
    """Every figure's block, one after another."""
    return "\n\n".join(figure.block for figure in figures)
