"""Series drawn from priors over codes: every score beside every control, and FID against spread."""

from twincode.report.blocks import Block, Cell, Choice, Row, Section, Table, Text
from twincode.report.figures.samples import fid_against_spread
from twincode.report.metrics import MISSING, Measure, decimals_for, number
from twincode.report.runs import Results, Summary
from twincode.report.tables import hint

# Series as they are, the same for every tokenizer.
TRAIN, TEST = "train", "test"
REAL = {TRAIN: "Train series", TEST: "Test series"}
# Measures that are about a tokenizer's codes, which such series do not have.
OF_CODES = ("memorised_distance", "memorised_share", "repeated_share", "pseudo_bits")
# What is no prior that was trained.
CONTROLS = (*REAL, "copies", "reconstruction", "independent", "independent, no labels")

_NOTE = (
    "Every row is compared with test series, or, where the title says so, with a fifth of train "
    "in their place: train series, the same through the codes (copies), test through the codes "
    "(reconstruction, the ceiling of any prior), codes drawn independently, and each prior, with "
    "labels drawn as in train and without. FID alone can be low while samples have lost their "
    "variety: read it beside spread, recall and what is nearer to train than test is. Features "
    "are those of networks trained on the train part here, or of random convolutions where there "
    "are no labels, so no FID compares with one of another page or paper."
)


def sections(results: Results) -> list[Section]:
    """One section where priors were trained, none otherwise."""
    if not results.generation:
        return []
    present = dict.fromkeys(dataset for dataset, *_ in results.generation)
    tables = {name: _table(results, name) for name in results.datasets if name in present}
    blocks: list[Block] = [Text(_NOTE), Choice("Data set", tables)]
    blocks += [figure] if (figure := fid_against_spread(results)) else []
    return [Section("Samples", "samples", tuple(blocks))]


def _table(results: Results, dataset: str) -> Table:
    """Rows of every tokenizer against all measures."""
    own = {key[1:3]: None for key in results.generation if key[0] == dataset}
    models = {model.label: model for model in results.models}
    ordered = [key for label in models for key in own if key[0] == label]
    # Of each kind the first tokenizer's stand for all.
    real = {key[1]: key for key in reversed(ordered) if key[1] in REAL}
    keys = [
        *(real[row] for row in REAL if row in real),
        *(key for key in ordered if key[1] not in REAL),
    ]
    columns = [
        (measure.short, column)
        for measure in results.generation_measures
        if (column := _column(results, dataset, measure, keys))
    ]
    rows = tuple(
        Row(
            REAL.get(key[1], f"{key[0]}: {key[1]}"),
            tuple(column.get(key, Cell(MISSING)) for _, column in columns),
            None if key[1] in REAL else models[key[0]],
            key[1] in CONTROLS,
        )
        for key in keys
    )
    told = [run.generation for run in results.runs if run.dataset == dataset and run.generation]
    by_train = all(each.get("judging", {}).get("reference") == TRAIN for each in told)
    part = "a fifth of train" if by_train else "the test part"
    title = f"Series drawn, judged against {part} of {dataset}"
    return Table(title, ("Drawn from", *(head for head, _ in columns)), rows)


def _column(
    results: Results, dataset: str, measure: Measure, keys: list[tuple[str, str]]
) -> dict[tuple[str, str], Cell]:
    """One measure by row, the best trained prior marked."""
    found = {
        key: value
        for key in keys
        if not (key[1] in REAL and measure.metric in OF_CODES)
        and (value := results.generation.get((dataset, *key, measure.metric)))
    }
    decimals = decimals_for(value.mean for value in found.values())
    texts = {key: number(value.mean, decimals) for key, value in found.items()}
    trained = [key for key in found if key[1] not in CONTROLS]
    best = ""
    if measure.better and len(trained) > 1:
        choose = max if measure.better == "higher" else min
        best = texts[choose(trained, key=lambda key: found[key].mean)]
    return {
        key: Cell(
            texts[key],
            value.mean,
            number(value.std, decimals) if value.n > 1 else "",
            _hint(value, results.over_extractors[dataset, *key, measure.metric], decimals),
            key in trained and texts[key] == best,
        )
        for key, value in found.items()
    }


def _hint(value: Summary, over_extractors: float, decimals: int) -> str:
    """What lies around a number: over seeds, and over extractors where it comes from features."""
    told = f", ± {number(over_extractors, decimals)} over extractors" if over_extractors else ""
    return hint(value, decimals) + told
