"""How much of what it could say a model's codes, or a VAE's latent values, say."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from twincode.report.chapter.markdown import listed, points
from twincode.report.metrics import MISSING
from twincode.report.models import Model
from twincode.report.results import Results
from twincode.report.tables import value_of

# Of its codes: evenly used, no more would do the work of a codebook that training calls collapsed.
BARELY_USED = 0.1


def use_text(results: Results, model: Model) -> str:
    """``17.7 of 32``, whether a codebook is barely used; of a VAE the active units."""
    used = [use for dataset in results.datasets if (use := _use(results, model, dataset))]
    if not used:
        units = _means(results, model, "active_units")
        return f"{fmean(units):,.0f} active units" if units else MISSING
    perplexity, size = (fmean(column) for column in zip(*used, strict=True))
    text = f"{perplexity:.1f} of {size:g}"
    barely = len(barely_used(results, model))
    return f"{text}, **barely used on {barely} of {len(used)}**" if barely else text


def barely_used(results: Results, model: Model) -> list[str]:
    """The data sets on which a model's perplexity is at most a tenth of its codes."""
    return [
        dataset
        for dataset in results.datasets
        if (use := _use(results, model, dataset)) and use[0] <= max(1.0, BARELY_USED * use[1])
    ]


def barely_used_text(results: Results, models: Iterable[Model]) -> str:
    """A line for each model with a barely used codebook, on which data sets; empty without any."""
    found = {model.label: barely_used(results, model) for model in models}
    lines = [f"{label}: {listed(datasets)}." for label, datasets in found.items() if datasets]
    if not lines:
        return ""
    return (
        f"Perplexity, mean over seeds, at most {BARELY_USED:.0%} of the codes:\n\n{points(lines)}"
    )


def _use(results: Results, model: Model, dataset: str) -> tuple[float, float] | None:
    """Perplexity and number of codes, means over seeds and codebooks."""
    measured = [
        value_of(results, dataset, model.label, name)
        for name in ("perplexity", "used_codes", "dead_codes")
    ]
    if any(value is None for value in measured):
        return None
    perplexity, used, dead = (value.mean for value in measured if value)
    return perplexity, used + dead


def _means(results: Results, model: Model, name: str) -> Sequence[float]:
    found = (value_of(results, dataset, model.label, name) for dataset in results.datasets)
    return [value.mean for value in found if value]
