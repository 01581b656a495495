"""From stored results to one self-contained page, figures and tables as files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twincode.files import write_text, write_whole
from twincode.report import provenance
from twincode.report.answer import answers
from twincode.report.metrics import MAIN_READOUT
from twincode.report.models import models_of
from twincode.report.paired import FEWEST, by_comparison, paired_frame
from twincode.report.results import Results, file_names, load_results
from twincode.report.tables import (
    Comparison,
    comparison,
    comparison_frame,
    other_readouts,
    summary_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from twincode.report.canvas import Picture
    from twincode.report.gallery import Plate

PAGE_FILE = "report.html"


@dataclass(frozen=True)
class Illustration:
    """A drawn figure and its words."""

    plate: Plate
    picture: Picture


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
    for section in sections:
        _write_figures(results.folder, f"{section.anchor}-", section.illustrations)
    _write_figures(results.folder, "", overview)
    _write_tables(results, sections)
    page = results.folder / PAGE_FILE
    write_text(page, _render(results, overview, sections))
    return page


def _overview(results: Results) -> tuple[Illustration, ...]:
    from twincode.report.gallery import trade_off_plate

    plate = trade_off_plate(results)
    return (_illustrate(plate),) if plate else ()


def _section(results: Results, dataset: str, anchor: str) -> Section:
    from twincode.report.gallery import plates

    return Section(
        name=dataset,
        anchor=anchor,
        facts=next(entry for entry in provenance.data_facts(results) if entry.name == dataset),
        main=comparison(results, dataset, MAIN_READOUT),
        others=tuple(
            comparison(results, dataset, readout) for readout in other_readouts(results, dataset)
        ),
        illustrations=tuple(_illustrate(plate) for plate in plates(results, dataset)),
    )


def _illustrate(plate: Plate) -> Illustration:
    from twincode.report.canvas import draw

    return Illustration(plate, draw(plate.build))


def _write_figures(folder: Path, prefix: str, illustrations: Sequence[Illustration]) -> None:
    for entry in illustrations:
        stem = folder / "figures" / f"{prefix}{entry.plate.name}"
        for suffix, content in ((".svg", entry.picture.svg), (".png", entry.picture.png)):
            write_whole(stem.with_name(stem.name + suffix), _bytes_writer(content))


def _bytes_writer(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _write_tables(results: Results, sections: Sequence[Section]) -> None:
    tables = results.folder / "tables"
    for section in sections:
        _write_csv(tables / f"{section.anchor}.csv", comparison_frame(results, section.name))
    _write_csv(tables / "summary.csv", summary_table(results))
    _write_csv(tables / "paired.csv", paired_frame(results))
    _write_csv(tables / "history.csv", results.history)
    _write_csv(results.folder / "results.csv", results.table)
    write_whole(
        results.folder / "results.parquet", lambda path: results.table.to_parquet(path, index=False)
    )


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def _render(results: Results, overview: Sequence[Illustration], sections: Sequence[Section]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short_hash"] = provenance.short_hash
    environment.filters["duration"] = provenance.duration
    models = models_of(results.runs)
    differing, shared = provenance.settings(results, models)
    return environment.get_template("page.html.jinja").render(
        results=results,
        models=models,
        answers=answers(results),
        overview=overview,
        paired=by_comparison(results),
        fewest=FEWEST,
        sections=sections,
        warnings=provenance.warnings(results),
        facts=provenance.facts(results),
        data=provenance.data_facts(results),
        commands=provenance.commands(results),
        differing=differing,
        shared=shared,
    )
