"""Everything a frozen tokenizer is judged by, as (readout, metric, value)."""

from collections.abc import Sequence

from twincode.data.split import Split
from twincode.evaluate.metric import METRICS, Features, Judged, Measurement, Metric
from twincode.evaluate.readout import READOUTS
from twincode.settings import Settings
from twincode.tokenizers import Tokenizer, embed


def evaluate_tokenizer(
    tokenizer: Tokenizer,
    split: Split,
    metrics: Sequence[Settings],
    readouts: Sequence[str],
    last: bool = True,
) -> list[Measurement]:
    """What the metrics measure: features under every readout, then the model as a whole.

    Where it is not the ``last`` evaluation of a run, evaluators that are for the end are left out.

    The tokenizer's parameters and buffers, its mode and the random streams are left as they were.
    What cannot be measured, for want of labels, codes or a decoder, is left out; without test
    series that is everything. Raises TwincodeError for features that are not finite.
    """
    if not len(split.x_test):
        return []
    evaluators = [METRICS.build(settings) for settings in metrics]
    evaluators = [each for each in evaluators if last or not each.at_the_end]
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


def declared_metrics(metrics: Sequence[Settings], tokenizer: Tokenizer) -> list[Metric]:
    """What these metrics can measure of a tokenizer, in the order of display."""
    return [each for own in metrics for each in METRICS.build(own).declare(tokenizer)]


def _features(judged: Judged, readout: str) -> Features | None:
    """What a readout makes of both parts; None where it needs codes and there are none."""
    layout, split = judged.tokenizer.layout, judged.split
    train = READOUTS[readout](*judged.train, layout)
    test = READOUTS[readout](*judged.test, layout)
    if train is None or test is None:
        return None
    return Features(train, test, split.y_train, split.y_test, len(split.classes))
