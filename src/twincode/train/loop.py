"""The one training loop."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from twincode import distributed
from twincode.augment import Augmenter
from twincode.config import Config
from twincode.errors import TwincodeError
from twincode.evaluate.codebook import code_counts, measure_codes, perplexity, used_codes
from twincode.losses import Projections
from twincode.precision import computing_in
from twincode.tokenizers import Tokenizer, build_tokenizer
from twincode.tokenizers.plane import build_stft
from twincode.train.log import Record
from twincode.train.objective import Objective
from twincode.train.randomness import noise_stream, stream, stream_seed
from twincode.train.recording import (
    Batch,
    RecordedStep,
    Recorder,
    Step,
    StepResult,
    recorder_for,
)
from twincode.train.teacher import Teacher, momentum_at


@dataclass(frozen=True)
class Learner:
    """All that training changes and all that makes the views.

    A ``teacher`` is there only where the objective needs one. With a ``recorder``, steps are
    recorded and played again where that is faster.
    """

    config: Config
    tokenizer: Tokenizer
    objective: Objective
    optimizer: torch.optim.Optimizer
    augmenter: Augmenter
    device: torch.device
    teacher: Teacher | None = None
    recorder: Recorder | None = None

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The parts a checkpoint holds."""
        parts: dict[str, nn.Module] = {"tokenizer": self.tokenizer, "objective": self.objective}
        return parts if self.teacher is None else {**parts, "teacher": self.teacher}

    def train_epoch(self, x: Tensor, epoch: int, background: Tensor | None = None) -> Record:
        """One pass over x (n, C, L), in an order and with views that follow from the epoch alone.

        ``background`` (n,) is for a tokenizer that takes it: which series are background.
        Returns the mean of every loss, how the codebooks were used over the epoch, and the seconds
        it took. Raises TwincodeError when a loss stops being finite.
        """
        began = time.perf_counter()
        self.tokenizer.train()
        generator = stream(self.config.training.seed, "views", epoch, self.device)
        sums: dict[str, Tensor] = {}
        sizes = self.tokenizer.quantizer.codebook_sizes
        counts = torch.zeros(sum(sizes), device=self.device)
        with noise_stream(self.config.training.seed, epoch, self.device):
            for step, chosen in self._order(len(x), epoch):
                self._set_learning_rate(step, len(x))
                batch = self._batch(x, chosen, background, generator)
                losses, codes = self._take_step(batch)
                self._lead_teacher(step, len(x))
                if codes is not None:
                    counts += code_counts(codes, len(counts))
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0) + value * len(chosen)
        distributed.sum_in_place([*sums.values(), counts])
        means = {name: (total / len(x)).item() for name, total in sums.items()}
        _check_finite(means, epoch)
        return {
            "epoch": epoch,
            "losses": means,
            **_code_use(counts.cpu(), sizes),
            "seconds": time.perf_counter() - began,
        }

    @cached_property
    def _take_step(self) -> Step:
        return self._step if self.recorder is None else RecordedStep(self._step, self.recorder)

    def _batch(
        self, x: Tensor, chosen: Tensor, background: Tensor | None, generator: torch.Generator
    ) -> Batch:
        """This process's share of the series ``chosen``, as the branches see them."""
        upper, lower = self._views(x[chosen], generator)
        groups = None if background is None else distributed.share(background[chosen])
        return Batch(upper, lower, groups, len(upper) / len(chosen))

    def _step(self, batch: Batch) -> StepResult:
        """One optimiser step on this process's share of a batch: its losses and its codes.

        Nothing in it waits for a result on the host, so that it can be recorded.
        """
        self.optimizer.zero_grad()
        upper, lower, background, share = batch
        groups = () if background is None else (background,)
        with computing_in(self.config.training.precision, self.device):
            targets = self._targets(upper, lower)
            output = self.tokenizer(upper, lower if self.objective.encodes_twin else None, *groups)
            losses = self.objective(output, targets)
        losses = self.objective.portion(losses, share)
        losses["total"] = self.objective.total(losses)
        losses["total"].backward()
        distributed.sum_in_place(p.grad for p in self._parameters if p.grad is not None)
        self.optimizer.step()
        if output.codes is not None:
            self.tokenizer.update(output.latents.detach(), output.codes, background)
        self.objective.update(targets)
        return {name: value.detach() for name, value in losses.items()}, output.codes

    def _targets(self, upper: Tensor, lower: Tensor | None) -> Projections:
        """The teacher's projections, where there is one."""
        if self.teacher is None or lower is None:
            return ()
        return self.teacher(upper, lower, symmetric=self.objective.encodes_twin)

    def _lead_teacher(self, step: int, n: int) -> None:
        """Let the teacher follow what an optimiser step has changed."""
        if self.teacher is not None and self.objective.projector is not None:
            momentum = momentum_at(self.config.objective, step, self._steps(n))
            self.teacher.follow(self.tokenizer, self.objective.projector, momentum)

    def _order(self, n: int, epoch: int) -> Iterator[tuple[int, Tensor]]:
        """The optimiser steps of an epoch, counted over the whole run, and their series."""
        size = self.config.training.batch_size
        order = torch.randperm(n, generator=stream(self.config.training.seed, "order", epoch))
        first = (epoch - 1) * math.ceil(n / size)
        return enumerate(order.to(self.device).split(size), start=first)

    def _views(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """What the upper and the lower branch see of a batch; both views in one draw.

        Among several processes, each draws the views of the whole batch and keeps its share.
        """
        upper, lower = self._whole_views(x, generator)
        return distributed.share(upper), None if lower is None else distributed.share(lower)

    def _whole_views(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        augment_upper = self.config.objective.upper_input == "view"
        twin = self.objective.needs_twin
        if augment_upper and twin:
            upper, lower = self.augmenter(torch.cat([x, x]), generator).chunk(2)
            return upper, lower
        if augment_upper:
            return self.augmenter(x, generator), None
        return x, self.augmenter(x, generator) if twin else None

    @property
    def _parameters(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _set_learning_rate(self, step: int, n: int) -> None:
        rate = cosine_rate(self.config.training.learning_rate, step, self._steps(n))
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)  # where a recorded step reads it
            else:
                group["lr"] = rate

    def _steps(self, n: int) -> int:
        """The optimiser steps of the whole run on n series."""
        return self.config.training.epochs * math.ceil(n / self.config.training.batch_size)


def _code_use(counts: Tensor, codebook_sizes: tuple[int, ...]) -> Record:
    """Perplexity and dead codes, means over the codebooks, and the use of each of these.

    ``counts`` (K,) are over all codebooks. Without any, perplexity and dead codes are None.
    """
    measures = measure_codes(counts, codebook_sizes) if codebook_sizes else {}
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
            for part in counts.split(list(codebook_sizes))
        ],
    }


def cosine_rate(peak: float, step: int, steps: int) -> float:
    """Cosine decay from ``peak`` at step 0 to 0 at ``steps`` (Loshchilov and Hutter, 2017)."""
    return peak * 0.5 * (1 + math.cos(math.pi * step / steps))


def build_learner(config: Config, x: Tensor, device: torch.device) -> Learner:
    """An untrained learner for series like x (n, C, L), its codebook placed in their latents.

    Torch's global random state is left as it was. The same seed gives the same weights on every
    device.
    """
    _check_training(config, len(x))
    _, channels, length = x.shape
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would reseed accelerators as well.
        torch.default_generator.manual_seed(stream_seed(config.training.seed, "weights"))
        tokenizer = build_tokenizer(config, channels, length).to(device)
        # Channels last is how convolutions run fastest, here and on accelerators.
        tokenizer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        objective = Objective(
            config.objective, tokenizer.latent_channels, tokenizer.quantizer.loss_name
        ).to(device)
    if config.training.epochs and not any(True for _ in tokenizer.parameters()):
        raise TwincodeError(
            f"the {config.tokenizer.tokenizer} tokenizer has nothing to train; use --epochs 0"
        )
    if config.training.epochs and not (tokenizer.has_decoder or config.objective.gamma):
        raise TwincodeError("an encoder alone learns from its twin loss only; use --gamma 1")
    _place_codebook(config, tokenizer, x)
    stft = build_stft(config.tokenizer, length).to(device)
    teacher = _teacher(tokenizer, objective)
    parts = [part for part in (tokenizer, objective, teacher) if part is not None]
    return Learner(
        config,
        tokenizer,
        objective,
        build_optimizer(config, device, tokenizer, objective),
        Augmenter(config.augmentation, stft),
        device,
        teacher,
        recorder_for(device, parts),
    )


def _teacher(tokenizer: Tokenizer, objective: Objective) -> Teacher | None:
    if objective.projector is None or not objective.needs_teacher:
        return None
    return Teacher(tokenizer, objective.projector)


def build_optimizer(
    config: Config, device: torch.device, *modules: nn.Module
) -> torch.optim.Optimizer:
    """AdamW over every parameter of ``modules``, in one pass over all of them."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    training, accelerated = config.training, device.type == "cuda"
    rate = training.learning_rate
    return torch.optim.AdamW(
        # A control without parameters is never stepped, but AdamW insists on something to hold.
        parameters or [nn.Parameter(torch.empty(0, device=device))],
        lr=torch.tensor(rate, device=device) if accelerated else rate,
        weight_decay=training.weight_decay,
        fused=True,
        capturable=accelerated,
    )


def _place_codebook(config: Config, tokenizer: Tokenizer, x: Tensor) -> None:
    """Let the running statistics be those of a first batch, then place codes in its latents.

    Without the first, an untrained encoder would be judged on activations it never trains with.
    """
    generator = stream(config.training.seed, "codebook")
    chosen = torch.randperm(len(x), generator=generator)[: config.training.batch_size]
    batch = x[chosen.to(x.device)]
    norms = [m for m in tokenizer.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad(), noise_stream(config.training.seed, 0, x.device):
        tokenizer.train()(distributed.share(batch))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    tokenizer.initialise(batch, generator)


def _check_training(config: Config, n: int) -> None:
    training = config.training
    if training.epochs < 0 or training.batch_size < 1:
        raise TwincodeError(
            f"epochs must be at least 0 and batch_size at least 1, not {training.epochs} and "
            f"{training.batch_size}"
        )
    if not (training.learning_rate > 0 and training.weight_decay >= 0):
        raise TwincodeError("learning_rate must be above 0 and weight_decay at least 0")
    smallest = n % training.batch_size or min(n, training.batch_size)
    if smallest < distributed.processes():
        raise TwincodeError(
            f"a batch of {smallest} series cannot be shared by {distributed.processes()} "
            "processes; change batch_size or start fewer"
        )


def _check_finite(losses: dict[str, float], epoch: int) -> None:
    broken = [name for name, value in losses.items() if not math.isfinite(value)]
    if broken:
        raise TwincodeError(
            f"{broken[0]} stopped being a number in epoch {epoch}; try a smaller learning_rate"
        )
