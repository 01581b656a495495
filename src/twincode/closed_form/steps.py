"""The step of each series under a cap: that of the least error within its budget."""

from dataclasses import dataclass

import torch

from twincode.closed_form import levels as tables
from twincode.closed_form.calibration import WEIGHT, code_levels, rank_major
from twincode.closed_form.trellis import Price, zero_tail

# Steps a series may choose from, in sixteenths of an octave: two octaves finer than the common one,
# and coarser ones enough for series far larger than any in train.
FINER, STEPS = 32, 128
SPARE = 0.05  # of its bits a series may leave unused before more passes are made
PASSES, MOST_PASSES = 3, 8  # of the trellis
NEIGHBOURS = (1, 2, 3, 4, -1, -2)  # of the best step found: coarser ones, and finer
SILENT = 32 * tables.UNITS  # the offset of the last step: nothing is coded but modes


def grain(bits: int) -> int:
    """Steps in sixteenths of an octave that are worth naming: finer where bits are many."""
    return 8 if bits < 64 else 4 if bits < 150 else 2 if bits < 350 else 1


def learn_frequencies(chosen: torch.Tensor, bits: int) -> torch.Tensor:
    """Whole frequencies (STEPS,) of steps, of how often train series have chosen each."""
    places, every = torch.arange(STEPS), grain(bits)
    kernel = 0.7 ** ((places[:, None] - places).abs().double() / every)
    near = kernel @ chosen.double() * (places % every == 0)
    near = near / near.sum() + 0.02 / STEPS
    near[-1] = near.sum() / bits  # few bits must still pay for "nothing but modes"
    return tables.whole_frequencies(near)


def offset_of(step: int | None) -> int:
    """A step's offset from the common one, in sixteenths of an octave; 0 where all share that."""
    if step is None:
        return 0
    return SILENT if step == STEPS - 1 else step - FINER


@dataclass(frozen=True)
class Cut:
    """Levels (S, n) that fit a budget, their error and bits (n,), and the bits before cutting."""

    levels: torch.Tensor
    error: torch.Tensor
    used: torch.Tensor
    uncut: torch.Tensor


@dataclass(frozen=True)
class StepSearch:
    """Finds the step of each series: ``cost`` prices levels, ``naming`` (STEPS,) steps in bits.

    Steps are offsets from ``log2_step``, in sixteenths of an octave; every ``grain``-th is tried.
    """

    cost: torch.Tensor
    naming: torch.Tensor
    log2_step: float
    grain: int

    def find(
        self, z: torch.Tensor, ratio: torch.Tensor, budget: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Step offset (n,) and levels (S, n) of least error within ``budget`` (n,) bits.

        An estimate brackets the step; passes of the trellis then move step and weight together,
        and every pass also offers its path cut off at any place, the rest zero. Then steps beside
        the best are tried: a path that was cut may be far worse than that of a coarser step that
        fits whole. The last result says which series fit at all.
        """
        n, t, d = z.shape
        a, wide = rank_major(z).abs(), rank_major(ratio).int()
        coarsest, grain = STEPS - FINER - 2, self.grain
        low, high = torch.full((n,), -FINER).int(), torch.full((n,), coarsest).int()
        for _ in range(7):
            middle = (low + high) // 2
            fits = self._estimate(a, wide, middle) <= budget
            high = torch.where(fits, middle, high)
            low = torch.where(fits, low, middle + 1).minimum(high)
        slope = (self._estimate(a, wide, high - 8) - self._estimate(a, wide, high + 8)).clamp(min=4)
        aim = high.float()
        best = torch.full((n,), torch.inf)
        used = torch.zeros(n)
        best_levels = torch.zeros(t * d, n, dtype=torch.long)
        best_offset = torch.zeros(n, dtype=torch.long)

        def offer(rows: torch.Tensor, offset: torch.Tensor, weight: torch.Tensor) -> Cut:
            """Keep what is better at a step; returns all."""
            cut = self.cut(z[rows], ratio[rows], offset, weight, budget[rows])
            better = cut.error < best[rows]
            where = rows[better]
            best[where], used[where] = cut.error[better], cut.used[better]
            best_offset[where], best_levels[:, where] = offset[better], cut.levels[:, better]
            return cut

        todo = torch.arange(n)
        for attempt in range(MOST_PASSES):
            if attempt >= PASSES:  # only series that have not used what they may
                todo = (used < (1 - SPARE) * budget).nonzero().flatten()
                if not len(todo):
                    break
            offset = (aim[todo] / grain).round().long() * grain
            offset = offset.clamp(-FINER, coarsest // grain * grain)
            weight = WEIGHT * 4.0 ** ((aim[todo] - offset) / tables.UNITS).clamp(-1, 1)
            cut = offer(todo, offset, weight)
            # Full use of the budget, but further from it where nothing has fitted yet.
            margin = torch.where(best[todo] < torch.inf, -1.0, 4.0 * attempt)
            change = (cut.uncut - budget[todo] + margin).clamp(-60, 60) / slope[todo]
            aim[todo] = (aim[todo] + tables.UNITS * change).clamp(-FINER - 8, coarsest + 8)
        fitting, middle = (best < torch.inf).nonzero().flatten(), best_offset.clone()
        for steps in NEIGHBOURS:
            offset = middle[fitting] + steps * grain
            there = (offset >= -FINER) & (offset <= coarsest // grain * grain)
            rows = fitting[there]
            offer(rows, offset[there], torch.full((len(rows),), WEIGHT))
        return best_offset, best_levels, best < torch.inf

    def cut(
        self,
        z: torch.Tensor,
        ratio: torch.Tensor,
        offset: torch.Tensor,
        weight: torch.Tensor,
        budget: torch.Tensor,
    ) -> Cut:
        """The trellis's path at step ``offset`` (n,), cut off where the error within ``budget`` is
        least."""
        n, t, d = z.shape
        step = 2.0 ** (self.log2_step + offset / tables.UNITS)
        coded = code_levels(z, ratio - offset[:, None, None], step, self.cost, weight)
        levels = coded.path.levels
        nothing = coded.y.new_zeros(1, n)
        tail = zero_tail(coded.price)[:-1].gather(1, coded.path.states[:, None])[:, 0]
        spent = torch.cat([nothing, coded.bits.cumsum(0)]) + torch.cat([tail, nothing])
        spent += self.naming[offset + FINER]
        lost = coded.y.square().flip(0).cumsum(0).flip(0)
        error = torch.cat([nothing, coded.error.cumsum(0)]) + torch.cat([lost, nothing])
        error = error * step.square() + coded.left_out
        least, place = torch.where(spent <= budget - 0.02, error, torch.inf).min(0)
        kept = torch.where(torch.arange(len(levels))[:, None] < place, levels, 0)
        kept = torch.nn.functional.pad(kept, (0, 0, 0, t * d - len(levels)))
        return Cut(kept, least, spent.gather(0, place[None])[0], spent[-1])

    def _estimate(self, a: torch.Tensor, ratio: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        """About how many bits the sizes ``a`` (S, n) take at the step ``offset`` (n,)."""
        relative = ratio - offset
        price = Price(self.cost, *tables.contexts(relative))
        size = a / (2 * torch.exp2(self.log2_step + offset / tables.UNITS)) + 0.3
        # Cut off before they are whole numbers: what is large enough would be none of these.
        size = torch.minimum(size, tables.largest_level(relative).to(size)).int()
        size = torch.where(price.context == 0, 0, size)  # silent, however large
        return price.of(size, 0).clamp(max=100).sum(0)
