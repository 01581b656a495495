"""One data set: a table a readout, and the figures."""

from twincode.report.blocks import Block, Cell, Choice, Row, Section, Table, Text
from twincode.report.figures.codes import codebook_use, tokens
from twincode.report.figures.latents import latent_plane
from twincode.report.figures.samples import decoding, gallery, nearest
from twincode.report.figures.series import augmentations, reconstructions
from twincode.report.figures.trade_off import trade_off
from twincode.report.figures.training import training
from twincode.report.metrics import MISSING
from twincode.report.runs import Results
from twincode.report.tables import cells

FIGURES = (
    *(trade_off, training, reconstructions, augmentations, tokens, codebook_use, latent_plane),
    *(gallery, decoding, nearest),
)


def sections(results: Results) -> list[Section]:
    """A section for every data set."""
    found = []
    for place, dataset in enumerate(results.datasets, start=1):
        tables = {r: _table(results, dataset, r) for r in ["", *results.readouts]}
        tables = {readout: table for readout, table in tables.items() if table.rows}
        main = results.readouts[:1]
        blocks: list[Block] = [Text(_facts(results, dataset))]
        blocks += [tables.pop(readout) for readout in (*main, "") if readout in tables]
        if tables:
            blocks.append(Choice("Other readouts", {t.caption: t for t in tables.values()}))
        blocks += [figure for draw in FIGURES if (figure := draw(results, dataset))]
        found.append(Section(dataset, f"data-{place}", tuple(blocks)))
    return found


def _facts(results: Results, dataset: str) -> str:
    data = results.of_dataset(dataset)[0].record["dataset"]
    classes = f"{len(data['classes'])} classes" if data["classes"] else "no labels"
    return (
        f"{data['n_train']} training and {data['n_test']} test series of length {data['length']}, "
        f"channels: {data['channels']}, {classes}. Means over seeds ± one sample standard "
        "deviation; the best fitted model is underlined, controls are grey."
    )


def _table(results: Results, dataset: str, readout: str) -> Table:
    """Models against the measures of one readout, or of the model as a whole."""
    found = {
        measure: column
        for measure in results.measures.values()
        if measure.readout == readout and (column := cells(results, dataset, measure))
    }
    rows = tuple(
        Row(m.label, tuple(column.get(m.label, Cell(MISSING)) for column in found.values()), m)
        for m in results.models
        if any(m.label in column for column in found.values())
    )
    caption = f"Probes of the codes, readout {readout}" if readout else "The model as a whole"
    return Table(caption, ("Model", *(measure.short for measure in found)), rows)
