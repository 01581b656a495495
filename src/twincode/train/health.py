"""Whether a codebook, or a posterior, has collapsed: found in the log and said in plain words.

A notice is a record of the log, written when a collapse is found, when it is over, and at the end
of a run that it lasted to. Nothing is kept beside the log, so a resumed run says what an
undisturbed one says.
"""

from collections.abc import Callable, Sequence

from twincode.config import Config
from twincode.train.log import Record, RunLog

# Evenly used, so small a share of its codes would do the same work as a collapsed codebook.
COLLAPSED_SHARE = 0.1
# So many epochs in a row decide, so that neither a slow start nor one odd epoch does.
PATIENCE = 5
# Of the latent values of a Gaussian posterior; most may rest, but hardly all.
COLLAPSED_UNITS_SHARE = 0.01
# What to try for revive_below, as a part of an even share.
REVIVAL_PART = 0.25

Words = Callable[[bool], str]


def notice(log: RunLog, config: Config, units: int) -> Record | None:
    """What is new since the last notice, if anything: ``epoch``, ``collapsed`` and ``message``.

    ``units`` is the number of latent values of a series, D * H * W.
    """
    epoch, found, words = _judge(log, config, units)
    if found is None or found == _told(log):
        return None
    return {"epoch": epoch, "collapsed": found, "message": words(found)}


def last_notice(log: RunLog, config: Config, units: int) -> Record | None:
    """Said at the end of a run that a collapse lasted to, unless it was said just now."""
    epoch, _, words = _judge(log, config, units)
    if not _told(log) or log.of("health")[-1]["epoch"] == epoch:
        return None
    return {"epoch": epoch, "collapsed": True, "message": f"to the end: {words(True)}"}


def codebook_collapsed(codebook: Record) -> bool:
    """Whether a codebook's ``perplexity`` is no more than a tenth of what it could be, or than 1.

    It could be its ``size``, or the number of ``tokens`` where there are fewer.
    """
    possible = min(codebook["size"], codebook["tokens"])
    return possible > 1 and codebook["perplexity"] <= max(1, COLLAPSED_SHARE * possible)


def _told(log: RunLog) -> bool:
    """Whether the last notice was of a collapse."""
    told = log.of("health")
    return bool(told) and bool(told[-1]["collapsed"])


def _judge(log: RunLog, config: Config, units: int) -> tuple[int, bool | None, Words]:
    """The epoch reached, whether there is a collapse (None: undecided), and how to say so."""
    evaluations = [each for each in log.of("evaluation") if each["epoch"] > 0]
    active = [_active_units(each) for each in evaluations[-1:]]
    if active and active[0] is not None:
        epoch, count = evaluations[-1]["epoch"], active[0]
        collapsed = count < COLLAPSED_UNITS_SHARE * units
        return epoch, collapsed, lambda fallen: _posterior_words(fallen, epoch, count, units)
    epochs = log.of("epoch")[-PATIENCE:]
    if not epochs or not epochs[-1]["codebooks"]:
        return 0, None, lambda _fallen: ""
    last = epochs[-1]
    verdicts = {any(map(codebook_collapsed, each["codebooks"])) for each in epochs}
    decided = len(epochs) == PATIENCE and len(verdicts) == 1
    return (
        last["epoch"],
        verdicts.pop() if decided else None,
        lambda fallen: _codebook_words(fallen, last, config),
    )


def _active_units(evaluation: Record) -> int | None:
    found = [m["value"] for m in evaluation["measurements"] if m["metric"] == "active_units"]
    return int(found[0]) if found else None


def _codebook_words(fallen: bool, record: Record, config: Config) -> str:
    codebooks: Sequence[Record] = record["codebooks"]
    worst = min(range(len(codebooks)), key=lambda i: codebooks[i]["perplexity"])
    codebook = codebooks[worst]
    of_several = f" {worst + 1} of {len(codebooks)}" if len(codebooks) > 1 else ""
    use = (
        f"{codebook['used']} of {codebook['size']} codes are in use (perplexity "
        f"{codebook['perplexity']:.1f}) after {record['epoch']} epochs"
    )
    if not fallen:
        return f"{use}: codebook{of_several} has recovered"
    remedies = _remedies(config, codebook["size"])
    return f"only {use}: codebook{of_several} has collapsed; try {remedies}"


def _remedies(config: Config, size: int) -> str:
    """What is left to try with these settings."""
    quantizer = config.quantizer
    if quantizer.quantizer == "fsq":
        return "other fsq_levels or a smaller learning_rate"
    possible = {
        f"revive_below={REVIVAL_PART / size:.2g}": not quantizer.revive_below,
        "a smaller ema_decay": quantizer.codebook_update == "ema" and quantizer.ema_decay > 0,
        "codebook_init=kmeans": quantizer.codebook_init != "kmeans",
    }
    return ", ".join([*(name for name, open_ in possible.items() if open_), "another seed"])


def _posterior_words(fallen: bool, epoch: int, count: int, units: int) -> str:
    if not fallen:
        return f"{count} of {units} latent values depend on the series after {epoch} epochs again"
    return (
        f"only {count} of {units} latent values still depend on the series after {epoch} epochs: "
        "the posterior has collapsed; try a smaller kl_weight"
    )
