"""A prior as a task: what is trained on the codes of a tokenizer that does not move."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from twincode import distributed
from twincode.data import Dataset
from twincode.data.split import prepare
from twincode.errors import TwincodeError
from twincode.evaluate import reconstruction_errors
from twincode.generate import Stages, surprise_threshold
from twincode.model import Model
from twincode.precision import computing_in
from twincode.priors import (
    NO_LABEL,
    PRIORS,
    TRAIN_LABELS,
    FittedPrior,
    Grids,
    NetworkSettings,
    Prior,
    PriorSettings,
    label_indices,
)
from twincode.randomness import drawing_weights, stream
from twincode.storage import tensors_hash
from twincode.tokenizers.tokenizer import Tokenizer, frozen
from twincode.train.held_out import BestState, Plateau, hold_out_by_class
from twincode.train.log import Record, RunLog
from twincode.train.optimizer import build_optimizer
from twincode.train.result import describe_data
from twincode.train.run import evaluation_epochs
from twincode.train.task import RunKey, Schedule

# So often, evenly spaced, the prior is judged by held-out codes.
JUDGED = 20
# With fewer train series none are held out.
FEWEST_TRAIN = 40
# What counts as one of fewer bits of held-out codes.
LEAST_GAIN = 0.005
LEAST_HELD_OUT, MOST_HELD_OUT = 2, 512
# Masks a series in the bound that judges, and so many series times masks are enough.
MOST_DRAWS, ENOUGH = 8, 512
TEST_DRAWS = 8
THRESHOLD_SERIES = 64  # held out, whose steps say what one in a hundred exceeds
MOST_NUMBERS = 1 << 26  # at once
MOST_SHARES = 1 << 26  # of codes by place and class: two gigabytes while they are counted


class PriorTask:
    """A prior of the codes of ``model`` on the train series of a data set.

    Series are encoded once. The prior begins at the frequencies of codes; the state that is kept is
    the one with the fewest bits on held-out codes. Test codes are only scored, at the end. Raises
    TwincodeError for a model without codes.
    """

    def __init__(self, settings: PriorSettings, model: Model, dataset: Dataset) -> None:
        if distributed.processes() > 1:
            raise TwincodeError("a prior is trained by one process; start it without torchrun")
        self.settings = settings
        self.key = prior_key(settings, model, dataset)
        self.device = model.device
        self.dataset = dataset
        tokenizer = model.tokenizer
        grids = Grids.of(tokenizer.layout, tokenizer.grid[0])
        split = prepare(dataset, model.scaling, self.device)
        self.classes: tuple[str, ...] = ()
        if settings.conditional and split.y_train is not None:
            # What test alone has cannot be learnt: it counts as no label.
            self.classes = tuple(split.classes[i] for i in np.unique(split.y_train))
        for name in (NO_LABEL, TRAIN_LABELS):
            if name in self.classes:
                raise TwincodeError(
                    f"a class is called {name!r}, which means something else where labels are "
                    "asked for; rename it, or leave labels out with conditional=false"
                )
        numbers = (len(self.classes) + 1) * grids.tokens_a_series * grids.largest_codebook
        if numbers > MOST_SHARES:
            raise TwincodeError(
                f"a prior cannot hold the frequencies of {grids.tokens_a_series} tokens of up to "
                f"{grids.largest_codebook} codes; give the tokenizer fewer bits"
            )
        with drawing_weights(settings.seed):
            self.prior = PRIORS.build(settings, grids, len(self.classes)).to(self.device)
        variance = None
        if tokenizer.has_decoder:
            variance = reconstruction_errors(tokenizer, split.x_train)["reconstruction_time"]
        self.y, self.y_test = (
            label_indices(y, len(x), split.classes, self.classes).to(self.device)
            for y, x in ((split.y_train, split.x_train), (split.y_test, split.x_test))
        )
        counts = torch.bincount(self.y, minlength=len(self.classes) + 1)[:-1].tolist()
        self.fitted = FittedPrior(
            self.prior, settings, self.classes, tuple(counts), variance,
            tensors_hash(tokenizer.state_dict()),
        )  # fmt: skip
        self._stages = stages = Stages(tokenizer, self.fitted)
        # The smallest whole numbers that hold any code: a quarter of what they are made as.
        kind = torch.int16 if grids.largest_codebook <= 2**15 else torch.int32
        self.tokens = stages.tokens(split.x_train).to(kind)
        self.test = stages.tokens(split.x_test).to(kind) if len(split.x_test) else self.tokens[:0]
        n = len(self.tokens)
        share = settings.held_out if n >= FEWEST_TRAIN else 0.0
        rows, held = torch.arange(n), torch.arange(0)
        if share:
            rows, held = hold_out_by_class(
                self.y.cpu(), share, settings.seed, LEAST_HELD_OUT, MOST_HELD_OUT
            )
        self.rows, self.held = rows.to(self.device), held.to(self.device)
        learnt = self.tokens[self.rows].long()
        self.prior.start(learnt, self.y[self.rows], stages.expected_shares(learnt))
        self._planned = _schedule(settings, len(rows))
        self._judged = evaluation_epochs(self._planned.epochs, JUDGED)
        self._draw: Callable[[Generator], Tensor] | None = None
        patience, decay = 0, 0.0
        if isinstance(settings, NetworkSettings):
            patience, decay = settings.patience, settings.weight_decay
            if settings.code_noise:
                self._draw = _noisy_codes(settings, tokenizer, grids, split.x_train)
            if settings.embedding_init == "codebook":
                with drawing_weights(settings.seed):
                    self.prior.embed_codes(tokenizer.quantizer.codebooks())
        self.best: BestState[Prior] | None = None
        self.plateau: Plateau | None = None
        if len(held):
            self.best = BestState(self.prior, self._held_out_bits)
            error = self.best.judge(self.prior)
            self.plateau = Plateau(patience, LEAST_GAIN, error)
        rate = self.schedule.learning_rate
        self.optimizer = build_optimizer(self.device, rate, decay, self.prior)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The parts a checkpoint holds."""
        parts: dict[str, nn.Module] = {"prior": self.prior}
        if self.best is not None and self.plateau is not None:
            parts |= {"best": self.best, "plateau": self.plateau}
        return parts

    @property
    def schedule(self) -> Schedule:
        """What was planned, or an earlier end where held-out codes stopped gaining."""
        planned, since = self._planned, self.plateau.since if self.plateau else 0
        epochs = since + math.ceil(planned.decay_share * planned.epochs)
        if not since or epochs >= planned.epochs:
            return planned
        longer = planned.epochs / epochs
        return dataclasses.replace(
            planned,
            epochs=epochs,
            decay_share=(epochs - since) / epochs,
            warmup_share=planned.warmup_share * longer,
        )

    def go_on(self, epoch: int) -> None:
        """Nothing follows from the epoch alone."""
        del epoch

    def begin_epoch(self, epoch: int) -> None:
        """Masks and withheld labels are drawn from the epoch's own stream."""
        self._epoch = epoch
        self._masks = stream(self.schedule.seed, "masks", epoch, self.device)
        if self._draw is not None:
            drawn = self._draw(stream(self.schedule.seed, "noise", epoch))
            self.tokens[self.rows] = drawn[self.rows].to(self.tokens)

    def step(self, rows: Tensor, step: int) -> dict[str, Tensor]:
        """One optimiser step on these series."""
        del step
        own = self.settings
        assert isinstance(own, NetworkSettings)
        rows = self.rows[rows]
        withheld = torch.rand(len(rows), generator=self._masks, device=self.device)
        y = torch.where(withheld < own.label_dropout, self.prior.none, self.y[rows])
        self.optimizer.zero_grad()
        with computing_in(own.precision, self.device):
            loss = self.prior.loss(self.tokens[rows].long(), y, self._masks)
        loss.backward()
        self.optimizer.step()
        return {"total": loss.detach()}

    def end_epoch(self) -> Record:
        """Bits a token of held-out codes, now and then; after the last epoch the best state."""
        last = self._epoch == self.schedule.epochs
        if self.best is None or not (last or self._epoch in self._judged):
            return {}
        told = {"held_out": self.best.judge(self.prior)}
        if self.plateau is not None:
            self.plateau.judge(told["held_out"], self._epoch)
        if self._epoch == self.schedule.epochs:  # which that may have changed
            self.best.give_back(self.prior)
        return told

    def evaluate(self, last: bool) -> list[dict[str, Any]]:
        """Bits a token of held-out and of test codes, at the end, and their standard errors."""
        if not last:
            return []
        held, found = (self.tokens[self.held], self.y[self.held]), []
        for part, (tokens, y) in {"held_out": held, "test": (self.test, self.y_test)}.items():
            if len(tokens):
                bits = self.prior.bits(tokens.long(), y, draws=TEST_DRAWS)
                size = tokens.shape[1]
                error = bits.error.square().sum().sqrt() / len(tokens)
                found.append((f"{part}_bits_per_token", float(bits.total.mean()) / size))
                found.append((f"{part}_bits_per_token_error", float(error) / size))
        return [{"readout": "", "metric": name, "value": value} for name, value in found]

    def notice(self, log: RunLog, last: bool) -> Record | None:
        """Nothing is watched for."""
        del log, last
        return None

    def describe(self) -> dict[str, Any]:
        """The data: codes, which the tokenizer's tensors and the series decide."""
        data = {**describe_data(self.dataset), "checksum": self.key.checksum}
        return {"dataset": data, "held_out": len(self.held), "epochs": self.schedule.epochs}

    @cached_property
    def finished(self) -> FittedPrior:
        """The prior, with the surprise that few steps of held-out series exceed."""
        if not len(self.held) or not self.prior.fills_gaps:
            return self.fitted
        some = self.held[:: -(-len(self.held) // THRESHOLD_SERIES)]
        threshold = surprise_threshold(self._stages, self.tokens[some].long())
        return dataclasses.replace(self.fitted, threshold=threshold)

    def keep(self, folder: Path, scores: Sequence[Record]) -> None:
        """The prior."""
        del scores
        self.finished.save(folder)

    def result(self) -> dict[str, Any]:
        """What the prior is."""
        return {
            "title": self.settings.name,
            "epochs": self.schedule.epochs,
            "parameters": sum(p.numel() for p in self.prior.parameters()),
        }

    def _held_out_bits(self, prior: Prior) -> float:
        """Bits a token of held-out codes, under the same masks each time."""
        tokens = self.tokens[self.held].long()
        draws = min(MOST_DRAWS, max(2, ENOUGH // len(tokens)))
        return (
            float(prior.bits(tokens, self.y[self.held], draws=draws).total.mean())
            / (tokens.shape[1])
        )


def prior_key(settings: PriorSettings, model: Model, dataset: Dataset) -> RunKey:
    """That of a prior, which learns from a tokenizer's tensors and the series."""
    text = tensors_hash(model.tokenizer.state_dict()) + dataset.checksum
    checksum = hashlib.sha256(text.encode()).hexdigest()
    config, identity = {"prior": settings.to_dict()}, {"prior": settings.identity()}
    return RunKey(config, identity, checksum, dataset.classes)


def _noisy_codes(
    settings: NetworkSettings, tokenizer: Tokenizer, grids: Grids, x: Tensor
) -> Callable[[Generator], Tensor]:
    """What draws the tokens (n, N) of series anew, near by as ``code_noise`` says."""
    with frozen(tokenizer):
        latents = torch.cat([tokenizer.latents(batch) for batch in tokenizer.batches(x)])
    # A number for every code that each token could have.
    at_once = max(1, MOST_NUMBERS // (grids.tokens_a_series * grids.largest_codebook))

    def drawn(latents: Tensor, generator: Generator) -> Tensor:
        draw, noise = tokenizer.quantizer.drawn_codes, settings.code_noise
        return grids.flatten(torch.cat([draw(z, noise, generator) for z in latents.split(at_once)]))

    # What cannot be drawn is told at once.
    drawn(latents[:1], stream(settings.seed, "noise"))
    return partial(drawn, latents)


def _schedule(settings: PriorSettings, n: int) -> Schedule:
    """Epochs nearest to so many steps; none for what does not train."""
    if not isinstance(settings, NetworkSettings):
        return Schedule(n, 0, max(n, 1), 1.0, settings.seed, evaluations=1)
    epochs = max(1, round(settings.steps / -(-n // settings.batch_size)))
    return Schedule(
        n, epochs, settings.batch_size, settings.learning_rate, settings.seed, 1,
        settings.decay_share, settings.warmup_share,
    )  # fmt: skip
