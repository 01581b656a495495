"""Whether a codebook, or a posterior, has collapsed: found in the log and said in plain words.

A codebook is judged by the codes of training, which are those of views where the model is trained
on views, and by those of train and test series whenever it is evaluated.
A notice is a record of the log, written when a collapse is found, when it is over, and at the end
of a run that it lasted to. Nothing is kept beside the log, so a resumed run says what an
undisturbed one says.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from twincode.config import Config
from twincode.evaluate.posterior import ACTIVE_UNITS
from twincode.quantize import CodebookSettings
from twincode.train.log import Record, RunLog

# Evenly used, so small a share of its codes would do the same work as a collapsed codebook.
COLLAPSED_SHARE = 0.1
# So many epochs in a row decide, so that neither a slow start nor one odd epoch does.
PATIENCE = 5
# Of the latent values of a Gaussian posterior; most may rest, but hardly all.
COLLAPSED_UNITS_SHARE = 0.01
# What to try for revive_below, as a part of an even share.
REVIVAL_PART = 0.25


@dataclass(frozen=True)
class _Finding:
    """How things stand after ``epoch``, and both sentences. Undecided, ``collapsed`` is None."""

    epoch: int
    collapsed: bool | None
    collapse: str
    recovery: str


def find_notice(log: RunLog, config: Config, units: Mapping[str, int], last: bool) -> Record | None:
    """What is new since the last notice, if anything: ``epoch``, ``collapsed`` and ``message``.

    ``units`` are the ``latent_values`` of a posterior by the measure that counts active ones. At
    the ``last`` epoch a collapse that lasts is told once more, unless it was told just now.
    """
    found = _find(log, config, units)
    if found is None or found.collapsed is None:
        return None
    told = log.of("health")
    known = bool(told) and bool(told[-1]["collapsed"])
    if found.collapsed != known:
        message = found.collapse if found.collapsed else found.recovery
        return {"epoch": found.epoch, "collapsed": found.collapsed, "message": message}
    if last and known and told[-1]["epoch"] != found.epoch:
        return {"epoch": found.epoch, "collapsed": True, "message": f"to the end: {found.collapse}"}
    return None


def codebook_collapsed(codebook: Record) -> bool:
    """Whether a codebook's ``perplexity`` is no more than a tenth of what it could be, or than 1.

    It could be its ``size``, or the number of ``tokens`` where there are fewer.
    """
    possible = min(codebook["size"], codebook["tokens"])
    return possible > 1 and codebook["perplexity"] <= max(1, COLLAPSED_SHARE * possible)


def _find(log: RunLog, config: Config, units: Mapping[str, int]) -> _Finding | None:
    epochs = [each for each in log.of("epoch") if _has_codes(each)][-PATIENCE:]
    evaluations = [each for each in log.of("evaluation") if each["epoch"] > 0]
    if not epochs:
        return _of_posterior(evaluations[-1], units) if evaluations else None
    in_training = _of_codebooks(epochs, config)
    evaluated = _of_evaluation(evaluations[-1], epochs[-1], config) if evaluations else None
    if evaluated is None or in_training.collapsed:
        return in_training
    undecided = in_training.collapsed is None and evaluated.epoch == in_training.epoch
    return evaluated if evaluated.collapsed or undecided else in_training


def _has_codes(epoch: Record) -> bool:
    """Whether any were used in an epoch: there are none in first steps without."""
    return any(each["tokens"] for each in epoch["codebooks"])


def _of_codebooks(epochs: list[Record], config: Config) -> _Finding:
    last = epochs[-1]
    verdicts = {any(map(codebook_collapsed, each["codebooks"])) for each in epochs}
    decided = len(epochs) == PATIENCE and len(verdicts) == 1
    books = last["codebooks"]
    worst = min(range(len(books)), key=lambda i: float(books[i]["perplexity"] / books[i]["size"]))
    name = f"codebook {worst + 1} of {len(books)}" if len(books) > 1 else "the codebook"
    use = (
        f"{books[worst]['used']} of {books[worst]['size']} codes are in use (perplexity "
        f"{books[worst]['perplexity']:.1f}) after {last['epoch']} epochs"
    )
    return _Finding(
        last["epoch"],
        verdicts.pop() if decided else None,
        f"only {use}: {name} has collapsed; try {_remedies(config, books[worst]['size'])}",
        f"{use}: {name} has recovered",
    )


def _of_evaluation(evaluation: Record, epoch: Record, config: Config) -> _Finding | None:
    """By the perplexity of train and test series, a mean over codebooks; None if not measured."""
    rows = evaluation["measurements"]
    measured = [row["value"] for row in rows if row["metric"] == "perplexity"]
    if not measured:
        return None
    # The codebook with the most to use: what would be a collapse of all is one of the mean.
    largest = max(epoch["codebooks"], key=lambda each: float(each["size"]))
    use = (
        f"codes of train and test series have perplexity {measured[0]:.1f} of {largest['size']} "
        f"after {evaluation['epoch']} epochs"
    )
    weaker = "weaker augmentations, " if config.training.upper_input == "view" else ""
    return _Finding(
        evaluation["epoch"],
        codebook_collapsed({**largest, "perplexity": measured[0]}),
        f"{use}: the codebook has collapsed; try {weaker}{_remedies(config, largest['size'])}",
        f"{use}: the codebook has recovered",
    )


def _remedies(config: Config, size: int) -> str:
    """What is left to try with these settings."""
    quantizer = config.quantizer
    if not isinstance(quantizer, CodebookSettings):
        return "a smaller learning_rate, another seed"
    possible = {
        f"revive_below={REVIVAL_PART / size:.2g}": not quantizer.revive_below,
        "a smaller ema_decay": quantizer.codebook_update == "ema" and quantizer.ema_decay > 0,
        "codebook_init=kmeans": quantizer.codebook_init != "kmeans",
    }
    return ", ".join([*(remedy for remedy, left in possible.items() if left), "another seed"])


def _of_posterior(evaluation: Record, units: Mapping[str, int]) -> _Finding | None:
    rows = evaluation["measurements"]
    active = {row["metric"]: int(row["value"]) for row in rows if row["metric"] in units}
    if not active:
        return None
    worst = min(active, key=lambda name: active[name] / units[name])
    epoch, region = evaluation["epoch"], worst.removeprefix(ACTIVE_UNITS).replace("_", " ")
    share = f"{active[worst]} of {units[worst]}{region} latent values"
    return _Finding(
        epoch,
        active[worst] < COLLAPSED_UNITS_SHARE * units[worst],
        f"only {share} still depend on the series after {epoch} epochs: the posterior has "
        "collapsed, and its probes read scaled-up remains; try a smaller kl_weight",
        f"{share} depend on the series again after {epoch} epochs",
    )
