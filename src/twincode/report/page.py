"""From stored results to one page, figures and tables as files beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twincode.files import write_text, write_whole
from twincode.report import provenance
from twincode.report.across import fronts
from twincode.report.answer import answers
from twincode.report.metrics import MAIN_READOUT
from twincode.report.paired import (
    Difference,
    by_comparison,
    dataset_rows,
    paired_dataset_frame,
    paired_differences,
    paired_frame,
)
from twincode.report.results import RECORDS_FILE, Results, file_names, load_results, records_text
from twincode.report.statistics import FEWEST
from twincode.report.tables import (
    Comparison,
    comparison,
    comparison_frame,
    other_readouts,
    summary_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from twincode.report.gallery import Plate

PAGE_FILE = "report.html"
ZERO_WIDTH_SPACE = "\u200b"
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")
SELF_CONTAINED = 2  # data sets; a page of more loads their figures from beside it when looked at


@dataclass(frozen=True)
class Illustration:
    """A drawn figure, its words, and the addresses of its two widths."""

    plate: Plate
    wide: str
    narrow: str


@dataclass(frozen=True)
class Section:
    """Everything the page shows of one data set; ``anchor`` is its address within the page."""

    name: str
    anchor: str
    facts: provenance.DataFacts
    main: Comparison
    others: tuple[Comparison, ...]
    illustrations: tuple[Illustration, ...]


def write_report(folder: Path) -> Path:
    """Write ``report.html``, figures, tables and the tidy results into ``folder``.

    Reads the stored results of a study or of one run and nothing else; equal results give an
    equal page. Returns the page's path. Raises TwincodeError where results are missing or damaged.
    """
    results = load_results(folder)
    anchors = file_names(results.datasets)
    overview = _overview(results)
    sections = [_section(results, name, anchors[name]) for name in results.datasets]
    differences = paired_differences(results)
    _write_tables(results, sections, differences)
    page = results.folder / PAGE_FILE
    write_text(page, _render(results, overview, sections, differences))
    return page


def _overview(results: Results) -> tuple[Illustration, ...]:
    from twincode.report.gallery import overview_plates

    return tuple(_illustrate(results.folder, "", plate, True) for plate in overview_plates(results))


def _section(results: Results, dataset: str, anchor: str) -> Section:
    from twincode.report.gallery import plates

    within = len(results.datasets) <= SELF_CONTAINED
    return Section(
        name=dataset,
        anchor=anchor,
        facts=next(entry for entry in provenance.data_facts(results) if entry.name == dataset),
        main=comparison(results, dataset, MAIN_READOUT),
        others=tuple(
            comparison(results, dataset, readout) for readout in other_readouts(results, dataset)
        ),
        illustrations=tuple(
            _illustrate(results.folder, f"{anchor}-", plate, within)
            for plate in plates(results, dataset)
        ),
    )


def _illustrate(folder: Path, prefix: str, plate: Plate, within: bool) -> Illustration:
    """Draw a figure and keep its files; ``within`` the page, or beside it."""
    from twincode.report.canvas import draw, embedded

    drawing = draw(plate.build)
    wide, narrow = f"figures/{prefix}{plate.name}.svg", f"figures/narrow/{prefix}{plate.name}.svg"
    write_text(folder / wide, drawing.wide)
    write_text(folder / narrow, drawing.narrow)
    if within:
        return Illustration(plate, embedded(drawing.wide), embedded(drawing.narrow))
    return Illustration(plate, wide, narrow)


def _write_tables(
    results: Results, sections: Sequence[Section], differences: Sequence[Difference]
) -> None:
    tables = results.folder / "tables"
    for section in sections:
        _write_csv(tables / f"{section.anchor}.csv", comparison_frame(results, section.name))
    _write_csv(tables / "summary.csv", summary_table(results))
    _write_csv(tables / "paired.csv", paired_frame(differences))
    _write_csv(tables / "paired-by-dataset.csv", paired_dataset_frame(differences))
    _write_parquet(tables / "history.parquet", results.history)
    _write_csv(results.folder / "results.csv", results.table)
    _write_parquet(results.folder / "results.parquet", results.table)
    write_text(results.folder / RECORDS_FILE, records_text(results))


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def _write_parquet(path: Path, frame: pd.DataFrame) -> None:
    write_whole(path, lambda temporary: frame.to_parquet(temporary, index=False))


def _breakable(name: str) -> str:
    """A data set's name that may break before each capital: names of the archive are long."""
    return _WORD_START.sub(ZERO_WIDTH_SPACE, name)


def _render(
    results: Results,
    overview: Sequence[Illustration],
    sections: Sequence[Section],
    differences: Sequence[Difference],
) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short_hash"] = provenance.short_hash
    environment.filters["breakable"] = _breakable
    environment.filters["duration"] = provenance.duration
    differing, shared = provenance.settings(results, results.models)
    return environment.get_template("page.html.jinja").render(
        results=results,
        models=results.models,
        answers=answers(results),
        overview=overview,
        fronts=fronts(results) if len(results.datasets) > 1 else [],
        paired=by_comparison(differences),
        fewest=FEWEST,
        sections=sections,
        against_naive=lambda dataset: dataset_rows(differences, dataset),
        compact=len(results.datasets) > SELF_CONTAINED,
        warnings=provenance.warnings(results),
        facts=provenance.facts(results),
        data=provenance.data_facts(results),
        commands=provenance.commands(results),
        differing=differing,
        shared=shared,
    )
