"""A tokenizer as a task of the training loop."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from twincode import distributed
from twincode.augment import Augmenter, PhaseSettings
from twincode.config import Config
from twincode.data import Dataset, Scaling
from twincode.data.split import prepare
from twincode.errors import TwincodeError
from twincode.evaluate import (
    Measurement,
    augmentation_exhibit,
    declared_metrics,
    evaluate_tokenizer,
    make_exhibits,
    reconstruction_errors,
)
from twincode.evaluate.codebook import code_counts, measure_codes, perplexity, used_codes
from twincode.evaluate.posterior import latent_values
from twincode.losses import Projections, TeacherSettings
from twincode.model import Model, Source
from twincode.precision import computing_in
from twincode.quantize import CodebookSettings, Layout
from twincode.randomness import drawing_weights, noise_stream, stream
from twincode.recipes import title
from twincode.spectral import STFT
from twincode.storage import write_arrays
from twincode.tokenizers import Tokenizer, build_tokenizer, settle
from twincode.tokenizers.contrastive import ContrastiveSettings
from twincode.train.background import background_rows
from twincode.train.gradient_scale import EVERY
from twincode.train.health import find_notice
from twincode.train.held_out import BestState, hold_out
from twincode.train.log import Record, RunLog
from twincode.train.objective import Objective
from twincode.train.optimizer import build_optimizer
from twincode.train.recording import recorded
from twincode.train.result import EXHIBITS, describe_data
from twincode.train.task import RunKey, Schedule
from twincode.train.teacher import Teacher, momentum_at

# In the latents of so many series, or of all, codes are placed after first steps without them.
PLACING_SERIES = 1024


class TokenizerTask:
    """A configuration's tokenizer, objective and, where that needs one, teacher, on a data set.

    The same seed gives the same weights on every device. The codebook is placed in the latents of
    a first batch, and again, in those of many series, after first steps without codes. Raises
    TwincodeError for settings that make no model of such series.
    """

    def __init__(self, config: Config, dataset: Dataset, device: torch.device) -> None:
        training, n = config.training, len(dataset.X_train)
        epochs = training.epochs_for(n)
        # Without an epoch there are no states to choose among.
        rows, held_out = hold_out(n, training.held_out_of(n) if epochs else 0, training.seed)
        self.settings = config
        self.key = tokenizer_key(config, dataset)
        self.device = device
        self.schedule = Schedule(
            len(rows),
            epochs,
            training.batch_size,
            training.learning_rate,
            training.seed,
            config.evaluation.evaluations,
            training.decay_share,
        )
        self.dataset = dataset
        self.scaling = Scaling.fit(dataset.X_train)
        self.split = prepare(dataset, self.scaling, device)
        self.x = self.split.x_train[rows.to(device)] if len(held_out) else self.split.x_train
        with drawing_weights(training.seed):
            self.tokenizer = build_tokenizer(
                config.tokenizer, config.quantizer, dataset.channels, dataset.length
            ).to(device)
            self.objective = Objective(
                config.twin_loss,
                self.tokenizer.latent_channels,
                self.tokenizer.quantizer.loss_name,
            ).to(device)
        self._check()
        began = time.perf_counter()
        place_codebook(self.tokenizer, self.x, training.batch_size, training.seed)
        self._placing = time.perf_counter() - began
        self.continuous_steps = 0
        if isinstance(config.quantizer, CodebookSettings):
            self.continuous_steps = round(config.quantizer.continuous_share * self.schedule.steps)
        self.teacher: Teacher | None = None
        if self.objective.projector is not None and self.objective.needs_teacher:
            self.teacher = Teacher(self.tokenizer, self.objective.projector)
        self.best: BestState[Tokenizer] | None = None
        if len(held_out):
            x_held = self.split.x_train[held_out.to(device)]
            self.best = BestState(self.tokenizer, lambda each: _error(each, x_held))
        self.optimizer = build_optimizer(
            device, training.learning_rate, training.weight_decay, self.tokenizer, self.objective
        )
        stft = self.tokenizer.transform
        if stft is None and any(isinstance(own, PhaseSettings) for own in config.augmentations):
            stft = STFT(dataset.length).to(device)
        self.augmenter = Augmenter(config.augmentations, stft)
        self.background: Tensor | None = None
        if isinstance(config.tokenizer, ContrastiveSettings):
            background = background_rows(config.tokenizer, dataset, device)
            self.background = background[rows.to(device)]
        self._use_codes(not self.continuous_steps)
        if self.best is not None and self.tokenizer.fits_all:
            # What begins at a fitted model may be best at its start.
            self.best.judge(self.tokenizer)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The parts a checkpoint holds."""
        parts: dict[str, nn.Module] = {"tokenizer": self.tokenizer, "objective": self.objective}
        if self.teacher is not None:
            parts["teacher"] = self.teacher
        return parts if self.best is None else {**parts, "best": self.best}

    @property
    def model(self) -> Model:
        """The model as it stands."""
        source = Source.of(self.dataset)
        return Model(self.tokenizer.eval(), self.scaling, self.settings, source).to(self.device)

    def go_on(self, epoch: int) -> None:
        """Latents are quantised from a step on."""
        if epoch * self.schedule.steps_per_epoch >= self.continuous_steps:
            self._use_codes(True)

    def begin_epoch(self, epoch: int) -> None:
        """Views are drawn from the epoch's own stream, and codes are counted anew."""
        self.tokenizer.train()
        self._epoch = epoch
        self._views_stream = stream(self.schedule.seed, "views", epoch, self.device)
        self._counts = torch.zeros(self.tokenizer.layout.codebook_size, device=self.device)

    def step(self, rows: Tensor, step: int) -> dict[str, Tensor]:
        """One optimiser step on this process's share of these series and of their views."""
        upper, lower = self._views(self.x[rows])
        share = len(upper) / len(rows)
        self._measures = step % EVERY == 0
        background = None if self.background is None else self.background[rows]
        take_step = self._recorded or self._optimise
        losses, codes = take_step(
            upper, lower, None if background is None else distributed.share(background), share
        )
        if codes is not None:
            self._counts += code_counts(codes, len(self._counts))
        if step + 1 == self.continuous_steps:
            self._begin_codes()
        self._lead_teacher(step)
        return dict(losses)

    def end_epoch(self) -> Record:
        """How the codebooks were used over the epoch, and the error on held-out series.

        After the last epoch the tokenizer is in the state that was best on these; and where that
        holds a fitted start, this is fitted anew, since these series need not be kept from it now.
        """
        distributed.sum_in_place([self._counts])
        told = code_use(self._counts.cpu(), self.tokenizer.layout)
        if self.objective.scale is not None:
            told["twin_weight"] = float(self.objective.weight)
        if self.best is None or not self._has_codes:
            return told
        told["held_out"] = self.best.judge(self.tokenizer)
        if self._epoch == self.schedule.epochs:
            self.best.give_back(self.tokenizer)
            if self.tokenizer.fits_all:
                own = self.settings.training
                place_codebook(self.tokenizer, self.split.x_train, own.batch_size, own.seed)
        return told

    def evaluate(self, last: bool) -> list[dict[str, Any]]:
        """Every metric, of the tokenizer as it stands; none without a test part, or codes yet."""
        config = self.settings
        if not self._has_codes:
            return []
        found = evaluate_tokenizer(
            self.tokenizer, self.split, config.metrics, config.evaluation.readouts, last
        )
        return [each._asdict() for each in found]

    def notice(self, log: RunLog, last: bool) -> Record | None:
        """Whether a codebook or a posterior has collapsed or recovered."""
        return find_notice(log, self.settings, latent_values(self.tokenizer), last)

    def describe(self) -> dict[str, Any]:
        """The data, and the seconds that fitting before the first step took."""
        return {"dataset": describe_data(self.dataset), "seconds": self._placing}

    def keep(self, folder: Path, scores: Sequence[Record]) -> None:
        """The model with its scores, and what a page shows of it."""
        if not all(bool(each.isfinite().all()) for each in self.tokenizer.parameters()):
            raise TwincodeError("the model ended as no numbers; try a smaller learning_rate")
        self.model.save(folder, [Measurement(**score) for score in scores])
        generator = stream(self.schedule.seed, "exhibit", device=self.device)
        arrays = make_exhibits(self.tokenizer, self.split)
        arrays |= augmentation_exhibit(self.augmenter, self.split.x_train[:1], generator)
        write_arrays(folder / EXHIBITS, arrays)

    def result(self) -> dict[str, Any]:
        """What the model is, and what its metrics are called."""
        return {
            "recipe": self.settings.recipe,
            "title": title(self.settings),
            "epochs": self.schedule.epochs,
            "parameters": sum(p.numel() for p in self.tokenizer.parameters()),
            "metrics": [
                vars(each) for each in declared_metrics(self.settings.metrics, self.tokenizer)
            ],
        }

    def _optimise(
        self, upper: Tensor, lower: Tensor | None, background: Tensor | None, share: float
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """One optimiser step: this process's share of the losses, and its codes.

        Nothing in it waits for a result on the host, so that it can be recorded.
        """
        self.optimizer.zero_grad()
        with computing_in(self.settings.training.precision, self.device):
            targets = self._targets(upper, lower)
            twin = lower if self.objective.encodes_twin else None
            output = self.tokenizer(upper, twin, background)
            losses = self.objective(output, targets)
        losses = self.objective.shared(losses, share)
        if self._measures:
            self.objective.measure(losses, list(self.tokenizer.parameters()))
        losses["total"] = self.objective.total(losses)
        losses["total"].backward()
        parameters = (p for group in self.optimizer.param_groups for p in group["params"])
        distributed.sum_in_place(p.grad for p in parameters if p.grad is not None)
        self.optimizer.step()
        if output.codes is not None:
            self.tokenizer.update(output.latents.detach(), output.codes, background)
        self.objective.update(targets)
        return {name: value.detach() for name, value in losses.items()}, output.codes

    def _use_codes(self, wanted: bool) -> None:
        """Let latents be quantised from now on, or not yet; a step is recorded anew."""
        self._has_codes = wanted
        for tokenizer in (self.tokenizer, *([self.teacher.tokenizer] if self.teacher else [])):
            tokenizer.quantizer.use_codes(wanted)
        self._recorded = recorded(self._optimise, self.device, self.modules.values())

    def _begin_codes(self) -> None:
        """Place the codes in latents that have been learnt without them, and use them."""
        self._use_codes(True)
        generator = stream(self.schedule.seed, "codebook", epoch=1)
        order = torch.randperm(self.schedule.n, generator=generator)[:PLACING_SERIES]
        self.tokenizer.initialise(self.x[order.to(self.device)], generator)
        self.tokenizer.train()
        if self.teacher:  # which would remember codes that were never used
            placed = self.tokenizer.quantizer.state_dict()
            self.teacher.tokenizer.quantizer.load_state_dict(placed)

    def _lead_teacher(self, step: int) -> None:
        """Let the teacher follow what an optimiser step has changed."""
        own, projector = self.settings.twin_loss, self.objective.projector
        if self.teacher and projector and isinstance(own, TeacherSettings):
            momentum = momentum_at(own, step, self.schedule.steps)
            self.teacher.follow(self.tokenizer, projector, momentum)

    def _targets(self, upper: Tensor, lower: Tensor | None) -> Projections:
        """The teacher's projections, where there is one."""
        if self.teacher is None or lower is None:
            return ()
        return self.teacher(upper, lower, symmetric=self.objective.encodes_twin)

    def _views(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the upper and the lower branch see of a batch; both views in one draw.

        Among several processes, each draws the views of the whole batch and keeps its share.
        """
        upper, lower = x, None
        augment_upper = self.settings.training.upper_input == "view"
        if self.objective.twin is None:
            upper = self.augmenter(x, self._views_stream) if augment_upper else x
        elif augment_upper:
            upper, lower = self.augmenter(torch.cat([x, x]), self._views_stream).chunk(2)
        else:
            lower = self.augmenter(x, self._views_stream)
        return distributed.share(upper), None if lower is None else distributed.share(lower)

    def _check(self) -> None:
        """Raise TwincodeError where there is nothing to train or nothing to learn from."""
        schedule, tokenizer = self.schedule, self.tokenizer
        name = self.settings.tokenizer.name
        if schedule.epochs and not any(True for _ in tokenizer.parameters()):
            raise TwincodeError(
                f"the {name} tokenizer has nothing to train: leave out epochs and steps, or "
                'choose a network, with recipe="vqvae" say'
            )
        if self.objective.twin is not None and not tokenizer.learns_latents:
            raise TwincodeError(
                f"the {name} tokenizer has nothing that a twin loss could teach; choose another "
                'network, with recipe="vqvae" say'
            )
        if schedule.epochs and not tokenizer.has_decoder and self.objective.twin is None:
            raise TwincodeError(
                'an encoder alone learns from its twin loss only; use twin_loss="barlow_twins"'
            )
        if self.objective.scale is not None and not tokenizer.has_decoder:
            raise TwincodeError(
                "an encoder alone has no other loss to weigh a twin loss's gradient by; "
                'use gamma_scale="loss"'
            )
        if self.settings.training.held_out and not tokenizer.has_decoder:
            raise TwincodeError(
                "held_out judges by reconstruction, and an encoder alone has none; leave it at 0"
            )
        smallest = schedule.n // schedule.steps_per_epoch
        if smallest < distributed.processes():
            raise TwincodeError(
                f"a batch of {smallest} series cannot be shared by {distributed.processes()} "
                "processes; change batch_size or start fewer"
            )


def tokenizer_key(config: Config, dataset: Dataset) -> RunKey:
    """That of a configuration on a data set."""
    return RunKey(config.to_dict(), config.identity(), dataset.checksum, dataset.classes)


def _error(tokenizer: Tokenizer, x: Tensor) -> float:
    """The error in time on series x (n, C, L)."""
    return reconstruction_errors(tokenizer, x)["reconstruction_time"]


def place_codebook(tokenizer: Tokenizer, x: Tensor, batch_size: int, seed: int) -> None:
    """Let the running statistics be those of a first batch, and place codes in its latents.

    Of what ``fits_all`` the batch is all there is.

    Without the first, an untrained encoder would be judged on activations it never trains with,
    and its decoder too, which sees the codes: so the statistics are settled once more.
    """
    generator = stream(seed, "codebook")
    chosen = torch.randperm(len(x), generator=generator)[:batch_size]
    batch = x if tokenizer.fits_all else x[chosen.to(x.device)]
    with noise_stream(seed, 0, x.device):
        settle(tokenizer, batch)
        tokenizer.initialise(batch, generator)
        settle(tokenizer, batch)


def code_use(counts: Tensor, layout: Layout) -> Record:
    """Perplexity and dead codes, means over the codebooks, and the use of each of these.

    ``counts`` (K,) are over all codebooks. Without any, or any code yet, the means are None.
    """
    measures = measure_codes(counts, layout) if layout.grids and counts.any() else {}
    return {
        "perplexity": measures.get("perplexity"),
        "dead_codes": measures.get("dead_codes"),
        "codebooks": [
            {
                "size": len(part),
                "used": used_codes(part),
                "perplexity": perplexity(part),
                "tokens": int(part.sum()),
            }
            for part in counts.split(list(layout.codebook_sizes))
        ],
    }
