"""The whole chapter: ``docs/results.md`` and its figures from the folder of committed results."""

from collections.abc import Sequence
from pathlib import Path

from twincode.errors import TwincodeError
from twincode.files import write_text
from twincode.report.chapter.anchors import Anchor, against_authors, read_anchors
from twincode.report.chapter.answer import MAIN_METRICS, against, answer, protocol
from twincode.report.chapter.costs import Cost, read_costs
from twincode.report.chapter.figures import ChapterFigure, figures_of, written
from twincode.report.chapter.findings import findings
from twincode.report.chapter.numbers import difference_table, level_table, readout_table
from twincode.report.chapter.systems import (
    GAINS,
    augmentation_table,
    controls_table,
    systems_note,
    systems_table,
)
from twincode.report.chapter.use import barely_used_text
from twincode.report.figures_metrics import COST
from twincode.report.metrics import MAIN_READOUT, metric_of
from twincode.report.models import AUGMENTED_RECIPE, NAIVE_RECIPE
from twincode.report.paired import Difference, paired_differences
from twincode.report.results import Results, load_results

MAIN_STUDY, SYSTEMS_STUDY = "study", "systems"  # folders among the committed results
CHAPTER_FILE = "results.md"
_LEVELS = (*MAIN_METRICS, "perplexity")


def write_chapter(results: Path, docs: Path) -> Path:
    """Write ``results.md`` and its figures into ``docs``; returns the chapter's path.

    ``results`` holds the folders ``study`` and, if there is one, ``systems``, and perhaps
    ``anchors.csv`` and ``benchmarks/systems.csv``.
    Raises TwincodeError where there is no study or it is damaged.
    """
    if not (results / MAIN_STUDY).is_dir():
        raise TwincodeError(f"no folder {results / MAIN_STUDY}; keep the study's results there")
    main, anchors = load_results(results / MAIN_STUDY), read_anchors(results)
    figures = figures_of(main, "results-")
    parts = [_opening(), *_main_parts(main, figures, anchors)]
    if (results / SYSTEMS_STUDY).is_dir():
        systems = load_results(results / SYSTEMS_STUDY)
        more = figures_of(systems, "systems-")
        parts += _system_parts(systems, more, read_costs(results))
        figures = [*figures, *more]
    for figure in figures:
        write_text(docs / "figures" / figure.file, figure.svg)
    chapter = docs / CHAPTER_FILE
    write_text(chapter, "\n\n".join(part for part in parts if part) + "\n")
    return chapter


def _opening() -> str:
    return (
        "# Results\n\n"
        "Written by `make results` from the stored runs in [results/](../results): every number "
        "and every sentence is computed, none is edited. A ± is half the 95 % confidence interval "
        "over seeds (Student's t) or, with two seeds, half the distance between them, for two give "
        "no interval worth the name; p values are from two-sided Wilcoxon signed-rank tests over "
        "the data sets' means, corrected by Holm's procedure over the models that are compared "
        "with one base by one metric, those with a twin loss apart from those without. Probes read "
        f"the codes through the `{MAIN_READOUT}` readout unless another is named. See "
        "[method.md](method.md) for what is measured and [report.md](report.md) for the statistics."
    )


def _main_parts(
    results: Results, figures: Sequence[ChapterFigure], anchors: Sequence[Anchor]
) -> list[str]:
    found = paired_differences(results)
    beside = against_authors(results, anchors)
    return [
        "## The naive VQ-VAE and BT-VQVAE",
        protocol(results),
        answer(results),
        written(figures),
        "### Levels",
        *(_level_block(results, name) for name in _LEVELS),
        "### Paired differences from the naive model",
        *(_difference_block(results, found, NAIVE_RECIPE, name) for name in MAIN_METRICS),
        "### Paired differences from augmentation alone",
        *(_difference_block(results, found, AUGMENTED_RECIPE, name) for name in MAIN_METRICS),
        _readout_block(results),
        f"### Beside the authors' numbers\n\n{beside}" if beside else "",
    ]


def _system_parts(
    results: Results, figures: Sequence[ChapterFigure], costs: Sequence[Cost]
) -> list[str]:
    found = paired_differences(results, MAIN_METRICS)
    return [
        "## Every system against the naive one",
        protocol(results),
        *(_compared_parts(results, found, costs) if results.of_method(NAIVE_RECIPE) else []),
        written(figures),
        "### Levels of every system",
        *(_level_block(results, name) for name in _LEVELS),
        "### Every system's paired differences from the naive model",
        *(_difference_block(results, found, NAIVE_RECIPE, name) for name in (*GAINS, COST)),
    ]


def _compared_parts(
    results: Results, found: Sequence[Difference], costs: Sequence[Cost]
) -> list[str]:
    """What each system gains and costs, with its controls; parts without numbers left out."""
    parts = {
        "What the systems gain, in short": findings(results, found, costs),
        "What each system gains, and at what cost": (
            f"{systems_table(results, found, costs)}\n\n{systems_note(costs)}"
        ),
        "The twin losses against augmentation alone": augmentation_table(found),
        "Each system beside the untrained controls": controls_table(results),
        "Codebooks that are barely used": barely_used_text(results, results.models),
    }
    return [f"### {title}\n\n{text}" for title, text in parts.items() if text]


def _level_block(results: Results, name: str) -> str:
    if not any(metric == name for _, metric in results.measures):
        return ""
    return f"{metric_of(name).heading}:\n\n{level_table(results, name)}"


def _difference_block(results: Results, found: Sequence[Difference], method: str, name: str) -> str:
    own = against(found, method, name)
    return difference_table(results, own) if own else ""


def _readout_block(results: Results) -> str:
    """The linear SVM's mean difference from the naive model under every readout."""
    readouts = [readout for readout, name in results.measures if name == "svm_accuracy"]
    groups = [
        (readout, against(paired_differences(results, ["svm_accuracy"], readout), NAIVE_RECIPE,
                          "svm_accuracy"))
        for readout in readouts
    ]  # fmt: skip
    shown = [(readout, group) for readout, group in groups if group]
    if len(shown) < 2:
        return ""
    return f"### Under other readouts\n\n{readout_table(results, shown)}"
