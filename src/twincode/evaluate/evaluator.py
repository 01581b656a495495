"""Everything a frozen tokenizer is judged by, as (readout, metric, value)."""

from collections.abc import Iterable, Sequence

from twincode.data import Split
from twincode.evaluate.metric import METRICS, Features, Judged, Measurement, Metric
from twincode.evaluate.readout import READOUTS
from twincode.settings import Settings
from twincode.tokenizers import Tokenizer, embed


def evaluate_tokenizer(
    tokenizer: Tokenizer, split: Split, metrics: Sequence[Settings], readouts: Sequence[str]
) -> list[Measurement]:
    """What the metrics measure: features under every readout, then the model as a whole.

    The tokenizer's parameters and buffers, its mode and the random streams are left as they were.
    What cannot be measured, for want of labels, test series, codes or a decoder, is left out.
    Raises TwincodeError for features that are not finite.
    """
    evaluators = [METRICS.build(settings) for settings in metrics]
    judged = Judged(
        tokenizer, split, embed(tokenizer, split.x_train), embed(tokenizer, split.x_test)
    )
    found = []
    for readout in readouts:
        features = _features(judged, readout)
        if features is not None:
            for evaluator in evaluators:
                scores = evaluator.probe(features)
                found += [Measurement(readout, name, value) for name, value in scores.items()]
    for evaluator in evaluators:
        scores = evaluator.measure(judged)
        found += [Measurement("", name, value) for name, value in scores.items()]
    return found


def declared_metrics(metrics: Sequence[Settings], measured: Iterable[str]) -> list[Metric]:
    """What is declared of the metrics that were measured, by their names, in order of display.

    One that no evaluator declares comes last and is called by its own words.
    """
    known = {each.name: each for own in metrics for each in METRICS.build(own).metrics}
    names = dict.fromkeys(measured)
    declared = [metric for name, metric in known.items() if name in names]
    others = [name for name in names if name not in known]
    return [*declared, *(Metric(name, name.replace("_", " ").capitalize()) for name in others)]


def _features(judged: Judged, readout: str) -> Features | None:
    """What a readout makes of both parts; None where it needs codes and there are none."""
    layout, split = judged.tokenizer.layout, judged.split
    train = READOUTS[readout](*judged.train, layout)
    test = READOUTS[readout](*judged.test, layout)
    if train is None or test is None:
        return None
    return Features(train, test, split.y_train, split.y_test, split.n_classes)
