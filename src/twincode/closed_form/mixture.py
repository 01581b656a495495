"""Transform coding with a mixture of transforms: the tokenizer ``mixture``.

A series is cut into windows (one window may be the whole series); a token names the mode of each
window, and further tokens are the quantised components of the window in that mode. Components
share one step and one family of level probabilities, so a component gets the bits its variance
deserves without any table of bits. Rare large values cost a few bits more and are cut off at 32
deviations; what no train series had, as an event where all are flat, has no component and is lost.
Levels are chosen on a trellis for the least error + weight * bits.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch

from twincode.closed_form import levels as tables
from twincode.closed_form.books import Book
from twincode.closed_form.calibration import (
    WEIGHT,
    Calibration,
    HeldOut,
    calibrate,
    code_levels,
    cut_windows,
    join_windows,
    naming_bits,
    rank_major,
)
from twincode.closed_form.modes import Modes, least_variance, modes_before
from twincode.closed_form.packing import Contexts, Packer, Words
from twincode.closed_form.sample import check_series, encoded_in_parts, reservoir
from twincode.closed_form.steps import (
    FINER,
    SILENT,
    STEPS,
    StepSearch,
    grain,
    learn_frequencies,
    offset_of,
)
from twincode.closed_form.trellis import (
    Price,
    Scan,
    follow,
    in_turn,
    points,
    quantise,
)
from twincode.errors import TwincodeError

RATES = ("average", "capped")
FEWEST_BITS = 8
MOST_BITS_A_VALUE = 16  # what float32 can tell of levels
FEWEST_A_MODE = 2  # windows, in the mean
# Parts of train, each held out once; more where two of three have fewer windows than components.
FOLDS, MANY_FOLDS = 3, 10
FEWEST_LEARNT = 4  # windows that say what others are like
MOST_VALUES = 1024  # of a window
# Levels more than so many times as large as any of train, or as a few steps, are not expected of
# series drawn: by one wild series in a thousand these may differ more than by all others.
REACH, FEW_STEPS = 2, 8


@dataclass(frozen=True)
class MixtureCoder:
    """Codes of a mixture of transforms.

    ``codes`` (n, tokens) hold, in order: the index of the step (where the rate is capped), the
    mode of each window, and the level of each component, leading components of all windows first.
    ``mean`` (M, D), ``basis`` (M, D, d); ``ratio`` (M, d) is log2 of a component's spread over the
    common step, in sixteenths. Frequencies are whole numbers that sum to 2^20 a row.

    With ``capped``, no series takes more than ``bits``; without, series share one step and take
    ``bits`` in the mean over series like those of train.
    """

    takes_any_length: ClassVar[bool] = True

    channels: int
    length: int
    window: int
    bits: int
    capped: bool
    log2_step: float
    mean: torch.Tensor
    basis: torch.Tensor
    ratio: torch.Tensor
    mode_frequencies: torch.Tensor
    level_frequencies: torch.Tensor
    step_frequencies: torch.Tensor

    # -- fitting ------------------------------------------------------------------------------

    @classmethod
    def fit(
        cls,
        batches: torch.Tensor | Iterable[torch.Tensor],
        bits: int,
        generator: torch.Generator,
        rate: str = "capped",
        window: int | None = None,
        modes: int | None = None,
    ) -> Self:
        """Fit on series (n, C, L), or on batches of them, read once in bounded memory.

        ``window`` and ``modes`` are chosen by the error on a part of train held out, unless given.
        No more than ``MOST_BITS_A_VALUE`` are spent.
        """
        if bits < FEWEST_BITS:
            raise TwincodeError(f"a mixture code needs at least {FEWEST_BITS} bits, not {bits}")
        series = reservoir(batches, generator)
        n, C, L = series.shape
        bits = min(bits, MOST_BITS_A_VALUE * C * L)
        series = series[torch.randperm(n, generator=generator)]
        if n < 5:
            window, modes = window or min(L, 16), modes or 1
        if window is None or modes is None:
            window, modes = _choose(series, bits, generator, window, modes, rate == "capped")
        coder = cls._fit(series, bits, generator, rate == "capped", min(window, L), modes)
        if coder.capped and coder.budget(L) > bits:  # naming modes alone takes more
            return cls._fit(series, bits, generator, True, L, 1)
        return coder

    @classmethod
    def _fit(
        cls,
        series: torch.Tensor,
        bits: int,
        generator: torch.Generator,
        capped: bool,
        window: int,
        modes: int,
    ) -> Self:
        n, C, L = series.shape
        windows = cut_windows(series, window)
        t = windows.shape[1]
        if n > 1 and modes > max(1, n * t / FEWEST_A_MODE):
            raise TwincodeError(
                f"{modes} modes are too many for {n} series of {t} windows; choose fewer, or leave "
                "modes out"
            )
        D = windows.shape[2]
        folds = min(FOLDS, n)
        if (n - -(-n // folds)) * t <= D:
            folds = min(MANY_FOLDS, n)
        learnt = n - -(-n // folds)
        enough = learnt > 1 and learnt * t >= FEWEST_LEARNT
        parts = []
        for fold in range(folds) if enough else ():
            held = torch.arange(n) % folds == fold
            fitted = Modes.fit(windows[~held], modes, bits / t, generator)
            parts.append(HeldOut.of(fitted, windows[held][:1000], bits / t))
        fitted = Modes.fit(windows, modes, bits / t, generator)
        calibration = (
            calibrate(parts, bits, learnt * t)
            if parts
            else calibrate([HeldOut.of(fitted, windows, bits / t)], bits, n * t)
        )
        coder = cls._assemble((C, L, window), bits, capped, fitted, calibration)
        return coder._learn_steps(series[:1000]) if capped else coder

    @classmethod
    def _assemble(
        cls,
        shape: tuple[int, int, int],
        bits: int,
        capped: bool,
        fitted: Modes,
        calibration: Calibration,
    ) -> Self:
        variance = fitted.variance.clone()
        variance[:, calibration.rank :] = least_variance(variance)
        log2_spread = (variance * calibration.correction).log2() / 2
        ratio = ((log2_spread - calibration.log2_step) * tables.UNITS).round().long()
        reach = FINER if capped else 0
        loud = (ratio + reach >= int(tables.LOWEST * tables.UNITS)).any(0)
        d = int(loud.nonzero().max()) + 1 if bool(loud.any()) else 1
        return cls(
            *shape,
            bits,
            capped,
            calibration.log2_step,
            fitted.mean,
            fitted.basis[:, :, :d].contiguous(),
            ratio[:, :d].contiguous(),
            tables.whole_frequencies(fitted.transition_prior),
            calibration.frequencies,
            tables.whole_frequencies(torch.ones(STEPS if capped else 1, dtype=torch.float64)),
        )

    def _learn_steps(self, series: torch.Tensor) -> Self:
        chosen = torch.bincount(self.encode(series)[:, 0], minlength=STEPS)
        return replace(self, step_frequencies=learn_frequencies(chosen, self.bits))

    # -- what codes cost ----------------------------------------------------------------------

    def windows_of(self, length: int) -> int:
        """Number of windows of a series of ``length`` steps."""
        return -(-length // self.window)

    def books_of(self, length: int) -> tuple[Book, ...]:
        """Steps, modes, and the levels of each component, of a series of ``length`` steps."""
        t, filled = self.windows_of(length), length / self.window
        steps = (Book("step", 1, STEPS),) if self.capped else ()
        levels = (
            Book(f"component {rank}", t, 2 * largest + 1, filled)
            for rank, largest in enumerate(self._largest.tolist(), 1)
        )
        return (*steps, Book("mode", t, len(self.mean), filled), *levels)

    def _tokens(self, t: int) -> int:
        return int(self.capped) + t * (1 + self.ratio.shape[1])

    @cached_property
    def _largest(self) -> torch.Tensor:
        reach = FINER if self.capped else 0
        return tables.largest_level(self.ratio.amax(0) + reach)

    def bits_of(self, codes: torch.Tensor, _length: int | None = None) -> torch.Tensor:
        """Bits (n,) that each series takes, arithmetically coded; see ``pack``."""
        offset, modes, levels = self._split(codes)
        ratio = self.ratio[modes] - offset[:, None, None]
        price = Price(self._cost, *tables.contexts(rank_major(ratio).int()))
        rows = rank_major(levels)
        spent = price.of(rows.abs().int(), follow(rows).int()).sum(0)
        naming = naming_bits(modes, tables.bits_of(self.mode_frequencies))
        if not self.capped:
            return spent + naming
        return spent + naming + tables.bits_of(self.step_frequencies)[codes[:, 0]]

    def expected_shares(self, codes: torch.Tensor) -> torch.Tensor:
        """Shares (tokens, K) of codes at each place, by the frequencies that codes are packed with.

        Of series with the steps, modes and states of ``codes`` (n, tokens). Levels out of
        ``REACH`` of the largest of ``codes`` at a place are left out, but no code has less than its
        share of the least frequency. Rows are zero where a place has fewer codes than K.
        """
        offset, modes, levels = self._split(codes)
        n, t, d = levels.shape
        ratio = rank_major(self.ratio[modes] - offset[:, None, None])
        found = torch.stack([follow(rank_major(levels)), *tables.contexts(ratio)]).flatten(1)
        kinds, which = found.unique(dim=1, return_inverse=True)
        met = torch.zeros(t * d, kinds.shape[1], dtype=torch.float64)
        met.scatter_add_(1, which.view(t * d, n), torch.ones(t * d, n, dtype=torch.float64))
        largest = int(self._largest.max())
        of_levels = met @ tables.signed_shares(self.level_frequencies, kinds, largest) / n
        reach = REACH * rank_major(levels).abs().amax(1, keepdim=True).clamp(min=FEW_STEPS)
        of_levels[torch.arange(-largest, largest + 1).abs() > reach] = 0
        first = (largest - self._largest).repeat_interleave(t)
        before = modes_before(modes, len(self.mean))
        total = 1 << tables.FREQUENCY_BITS
        rows = [self.step_frequencies / total] if self.capped else []
        rows += list(self.mode_frequencies[before].double().mean(0) / total)
        rows += [own[i : len(own) - i] for own, i in zip(of_levels, first.tolist(), strict=True)]
        shares = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.float64)
        for place, row in zip(shares, rows, strict=True):
            known = row.clamp(min=1 / total / len(row))
            place[: len(row)] = known / known.sum()
        return shares

    # -- coding -------------------------------------------------------------------------------

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Codes (n, tokens) of series ``x`` (n, C, T), of any length T."""
        x = check_series(x, (self.channels, x.shape[-1]))
        t = self.windows_of(x.shape[2])
        at_once = 200_000 // (t * self.ratio.shape[1])
        return encoded_in_parts(x, at_once, self._encode, self._tokens(t))

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        windows = cut_windows(x, self.window)
        step = 2.0**self.log2_step
        modes, z = self._modes.assign(windows, self._coding_error)
        ratio = self.ratio[modes]
        n, t, _ = z.shape
        if not self.capped:
            weight = torch.full((n,), WEIGHT)
            coded = code_levels(z, ratio, torch.full((n,), step), self._cost, weight)
            return self._join(torch.zeros(n, dtype=torch.long), modes, coded.path.levels)
        budget = self.budget(x.shape[2]) - self._naming(modes)
        offset, levels, fits = self._steps.find(z, ratio, budget)
        if not bool(fits.all()):
            modes[~fits] = self._cheapest_modes(t)
            offset[~fits] = SILENT
        return self._join(offset, modes, levels)

    def search(self, x: torch.Tensor, scan: Scan = in_turn) -> torch.Tensor:
        """The same of finite series, by operations that no series changes: slower for many.

        Only at the rate ``average``: searching steps goes on for as long as a series needs.
        """
        windows = cut_windows(x, self.window)
        modes = self._modes.choose(windows, self._coding_error)
        z = torch.einsum("ntk,ntkd->ntd", windows - self.mean[modes], self.basis[modes])
        y, ratio = rank_major(z) / 2.0**self.log2_step, rank_major(self.ratio[modes]).int()
        price = Price(self._cost, *tables.contexts(ratio), of_any=True)
        weight = torch.full(x.shape[:1], WEIGHT)
        path = quantise(y, price, tables.largest_level(ratio), weight, scan)
        return self._join(modes.new_zeros(x.shape[:1]), modes, path.levels)

    @property
    def _coding_error(self) -> float:
        """About what a component is off by."""
        step = 2.0**self.log2_step
        return 0.3 * step * step

    def _naming(self, modes: torch.Tensor) -> torch.Tensor:
        return naming_bits(modes, tables.bits_of(self.mode_frequencies))

    def _cheapest_modes(self, t: int) -> torch.Tensor:
        """The modes (t,) that cost least to name one after another."""
        chosen = [int(self.mode_frequencies[-1].argmax())]
        while len(chosen) < t:
            chosen.append(int(self.mode_frequencies[chosen[-1]].argmax()))
        return torch.tensor(chosen)

    @cached_property
    def _cost(self) -> torch.Tensor:
        return tables.level_costs(self.level_frequencies)

    @cached_property
    def _steps(self) -> StepSearch:
        naming = tables.bits_of(self.step_frequencies)
        return StepSearch(self._cost, naming, self.log2_step, grain(self.bits))

    @cached_property
    def _modes(self) -> Modes:
        variance = 4.0 ** (self.ratio.double() / tables.UNITS + self.log2_step)
        return Modes(self.mean, self.basis, variance, self.mode_frequencies)

    def _join(
        self, offset: torch.Tensor, modes: torch.Tensor, levels: torch.Tensor
    ) -> torch.Tensor:
        t, d = modes.shape[1], self.ratio.shape[1]
        padded = torch.nn.functional.pad(levels, (0, 0, 0, t * d - len(levels)))
        shifted = padded + self._largest.repeat_interleave(t)[:, None]
        step = [(offset[:, None] + FINER).clamp(max=STEPS - 1)] if self.capped else []
        return torch.cat([*step, modes, shifted.T], 1)

    def _split(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Step offset (n,), modes (n, t) and levels (n, t, d) of ``codes``."""
        n, d = codes.shape[0], self.ratio.shape[1]
        first = int(self.capped)
        t, odd = divmod(codes.shape[1] - first, 1 + d)
        if odd or t < 1:
            raise TwincodeError(f"this coder makes no codes of {codes.shape[1]} tokens")
        offset = codes[:, 0] - FINER if first else codes.new_zeros(n)
        offset = torch.where(offset == STEPS - 1 - FINER, SILENT, offset)
        levels = codes[:, first + t :].view(n, d, t).transpose(1, 2) - self._largest[:, None].T
        return offset, codes[:, first : first + t], levels

    def decode(self, codes: torch.Tensor, length: int | None = None) -> torch.Tensor:
        """Series (n, C, T) of ``codes`` (n, tokens); T is ``length``, else the fitted length where
        the number of windows agrees with it, else that of all windows."""
        modes, z = self._components(codes)
        windows = self.mean[modes]
        for mode in modes.unique():
            here = modes == mode
            windows[here] += z[here] @ self.basis[mode].T
        t = modes.shape[1]
        if length is None:
            length = self.length if t == self.windows_of(self.length) else t * self.window
        return join_windows(windows, self.channels)[:, :, :length]

    def restore(self, codes: torch.Tensor) -> torch.Tensor:
        """The same of the fitted length, by operations that no codes change: slower for many."""
        modes, z = self._components(codes)
        windows = self.mean[modes] + torch.einsum("ntd,ntkd->ntk", z, self.basis[modes])
        return join_windows(windows, self.channels)[:, :, : self.length]

    def _components(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Modes (n, t) and components (n, t, d) of ``codes``."""
        offset, modes, levels = self._split(codes)
        n, t, d = levels.shape
        quantisers = follow(rank_major(levels)).view(d, t, n).permute(2, 1, 0)
        step = 2.0 ** (self.log2_step + offset / tables.UNITS)
        return modes, points(levels, quantisers) * step[:, None, None]

    # -- packing ------------------------------------------------------------------------------

    def budget(self, length: int) -> int:
        """The most bits a series of ``length`` steps takes at a capped rate: its share of
        ``bits``, and always enough to name the cheapest modes."""
        return max(math.floor(self.bits * length / self.length), self._least_bits(length))

    def _least_bits(self, length: int) -> int:
        cheapest = self._cheapest_modes(self.windows_of(length))
        silent = float(tables.bits_of(self.step_frequencies)[-1])
        return math.ceil(silent + float(self._naming(cheapest[None])) + 0.01)

    def pack(self, codes: torch.Tensor, length: int | None = None) -> list[bytes]:
        """Each series' codes in the bytes they really take, by arithmetic coding.

        At a capped rate every series takes exactly ``budget`` bits, else as many as it needs.
        ``length`` is that of the series, the fitted one by default.
        """
        length = length or self.length
        offset, modes, levels = self._split(codes)
        packed = []
        for i, spent in enumerate(self.bits_of(codes).tolist()):
            needed = -(-math.floor(spent + 1.1) // 8) * 8
            step = min(int(offset[i]) + FINER, STEPS - 1) if self.capped else None
            words = Words(step, modes[i].tolist(), levels[i].T.flatten().tolist())
            bits = self.budget(length) if self.capped else needed
            stored = self._packer.pack(words, self._contexts(step, words.modes), bits)
            if stored is None:
                raise TwincodeError("these codes take more bits than the coder's rate allows")
            packed.append(stored)
        return packed

    def unpack(self, packed: list[bytes], length: int | None = None) -> torch.Tensor:
        """The codes (n, tokens) of series of ``length`` steps that ``pack`` stored."""
        length = length or self.length
        t, d = self.windows_of(length), self.ratio.shape[1]
        rows = []
        for stored in packed:
            bits = self.budget(length) if self.capped else 8 * len(stored)
            rows.append(self._packer.unpack(stored, bits, t, self.capped, self._contexts))
        if not rows:
            return torch.empty(0, self._tokens(t), dtype=torch.long)
        offsets = torch.tensor([offset_of(words.step) for words in rows])
        modes = torch.tensor([words.modes for words in rows])
        levels = torch.tensor([words.levels for words in rows])
        return self._join(offsets, modes, levels.view(len(rows), t * d).T)

    def _contexts(self, step: int | None, modes: list[int]) -> Contexts:
        ratio = self.ratio[modes][None] - offset_of(step)
        context, low = tables.contexts(rank_major(ratio).flatten())
        return context.tolist(), low.tolist()

    @cached_property
    def _packer(self) -> Packer:
        return Packer.of(self.step_frequencies, self.mode_frequencies, self.level_frequencies)

    # -- storing ------------------------------------------------------------------------------

    def state(self) -> dict[str, torch.Tensor]:
        """Everything as tensors, for safetensors."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["log2_step"] = torch.tensor(self.log2_step, dtype=torch.float64)
        return {name: torch.as_tensor(value) for name, value in values.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """The coder whose ``state`` this is."""
        plain: dict[str, Any] = dict(state)
        for name in ("channels", "length", "window", "bits", "capped", "log2_step"):
            plain[name] = state[name].item()
        return cls(**plain)


def _windows(C: int, L: int) -> list[int]:
    """Windows to try, of so few values that their covariance takes seconds."""
    windows = {L}
    for rough in (16, 32, 64, 128):
        if rough < L:
            windows.add(-(-L // max(1, round(L / rough))))
    few = sorted(window for window in windows if C * window <= MOST_VALUES)
    return few or [min(L, max(1, MOST_VALUES // C))]


def _counts(rows: int, D: int) -> list[int]:
    """Numbers of modes to try: those that so many windows (rows, D) can carry."""
    return [
        modes
        for modes in (1, 8, 32, 128)
        if modes == 1 or (rows >= 10 * modes and modes * D**3 <= 1.2e9)
    ]


def _choose(
    series: torch.Tensor,
    bits: int,
    generator: torch.Generator,
    window: int | None,
    modes: int | None,
    capped: bool,
) -> tuple[int, int]:
    """The window and number of modes with the least error on a quarter of ``series`` held out.

    One of the two may be given.
    """
    n, C, L = series.shape
    series = series[:4000]
    held = torch.arange(len(series)) % 4 == 0
    best, least = (window or min(L, 16), modes or 1), math.inf
    for size in [min(window, L)] if window else _windows(C, L):
        windows = cut_windows(series, size)
        t = windows.shape[1]
        for count in [modes] if modes else _counts(n * t, C * size):
            fitted = Modes.fit(windows[~held], count, bits / t, generator)
            part = HeldOut.of(fitted, windows[held][:1000], bits / t)
            calibration = calibrate([part], bits, int((~held).sum()) * t)
            error = calibration.error / size
            if capped:
                shape = (C, L, size)
                coder = MixtureCoder._assemble(shape, bits, capped, fitted, calibration)
                some = series[held][:300]
                coder = coder._learn_steps(some)
                error = (
                    float((coder.decode(coder.encode(some)) - some).square().sum()) / some.numel()
                )
            if error < least:
                best, least = (size, count), error
    return best
