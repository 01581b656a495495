"""Paired differences between models, with their test."""

from collections.abc import Sequence

from twincode.report.blocks import Cell, Choice, Row, Section, Table, Text
from twincode.report.compare import FEWEST, Difference, differences
from twincode.report.metrics import decimals_for, p_text, signed
from twincode.report.runs import Results

_COLUMNS = ("Model", "Mean difference", "p", "p, Holm", "Higher, lower on", "Data sets", "Pairs")
_NOTE = (
    "A fitted model minus the model it is compared with, on the same data set and with the same "
    "seed, at the last epoch. In the mean every data set counts the same. p is from a two-sided "
    f"Wilcoxon signed-rank test over the data sets' mean differences; under {FEWEST} data sets "
    "there is no test, for seeds of one data set are not independent data sets. Holm's correction "
    "is over the models compared by one measure, those with a twin loss apart."
)


def sections(results: Results) -> list[Section]:
    """One section where two models share a data set and a seed."""
    found = differences(results)
    if not found:
        return []
    tables = {}
    for against in dict.fromkeys(each.against for each in found):
        for measure in results.main_measures:
            own = [d for d in found if (d.against, d.measure) == (against, measure)]
            title = f"{measure.heading}, against {against}"
            if own:
                tables[title] = Table(title, _COLUMNS, _rows(own))
    return [Section("Paired differences", "paired", (Text(_NOTE), Choice("Measure", tables)))]


def _rows(found: Sequence[Difference]) -> tuple[Row, ...]:
    decimals, rows = decimals_for(each.mean for each in found), []
    for each in found:
        base = f" (less {each.base.label})" if each.base.label != each.against else ""
        row = (
            Cell(signed(each.mean, decimals), each.mean),
            *(Cell(p_text(p), p if p == p else "") for p in (each.p, each.holm)),
            Cell(f"{each.higher}, {each.lower}", each.higher),
            *(Cell(str(count), count) for count in (len(each.by_dataset), each.pairs)),
        )
        rows.append(Row(each.model.label + base, row, each.model))
    return tuple(rows)
