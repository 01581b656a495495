"""Tokenizers to judge, untrained and small, and the data to judge them by."""

import torch
from conftest import make_waves, tiny

from twincode.data import Scaling
from twincode.data.split import prepare
from twincode.evaluate import evaluate_tokenizer
from twincode.randomness import drawing_weights
from twincode.tokenizers import build_tokenizer


def untrained(name="vqvae", dataset=None, **changes):
    """The tokenizer of a recipe, a data set made ready for it, and the configuration."""
    dataset, config = dataset or make_waves(), tiny(name, **changes)
    with drawing_weights(0):
        tokenizer = build_tokenizer(
            config.tokenizer, config.quantizer, dataset.channels, dataset.length
        )
    split = prepare(dataset, Scaling.fit(dataset.X_train), torch.device("cpu"))
    return tokenizer, split, config


def judge(tokenizer, split, config):
    """Every measurement by readout and metric."""
    found = evaluate_tokenizer(tokenizer, split, config.metrics, config.evaluation.readouts)
    return {(each.readout, each.metric): each.value for each in found}
