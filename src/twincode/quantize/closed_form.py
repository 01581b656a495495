"""A closed-form coder in the place of a quantiser of series."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Generator, Tensor

from twincode.closed_form import Coder, MixtureCoder
from twincode.errors import TwincodeError
from twincode.precision import in_full_precision
from twincode.quantize.grids import Grid, Layout
from twincode.quantize.quantizer import Quantized, Quantizer

# A layout is as large as the codes of a series, and lengths may be without end.
LAYOUTS_KEPT = 16

FitCoder = Callable[[Tensor, Generator], Coder]


class ClosedFormQuantizer(Quantizer):
    """z (B, C, 1, L), the series themselves -> decoded series, and codes (B, 1, tokens).

    ``fit`` makes the coder in ``initialise``, of all series there are; ``read`` of stored tensors.
    It computes on the CPU, wherever the series are.
    """

    loss_name = ""

    def __init__(self, fit: FitCoder, read: Callable[[Mapping[str, Tensor]], Coder]) -> None:
        super().__init__()
        self._fit, self._read = fit, read
        self._coder: Coder | None = None
        self._layouts: dict[int, Layout] = {}

    @property
    def coder(self) -> Coder:
        """The fitted coder; TwincodeError before there is one."""
        if self._coder is None:
            raise TwincodeError("this closed-form tokenizer has not been fitted yet")
        return self._coder

    def layout(self, width: int) -> Layout:
        """A grid for each codebook of series of ``width`` steps; none before it is fitted."""
        if self._coder is None:
            return Layout()
        if width not in self._layouts:
            if len(self._layouts) == LAYOUTS_KEPT:
                del self._layouts[next(iter(self._layouts))]
            books = self._coder.books_of(width)
            self._layouts[width] = Layout(tuple(Grid(*book) for book in books))
        return self._layouts[width]

    @in_full_precision
    def forward(self, z: Tensor) -> Quantized:
        """Series there and back."""
        length = z.shape[3]
        codes = self.coder.encode(z[:, :, 0].detach().cpu())
        decoded = self.coder.decode(codes, length)
        grid = self._join(codes, length)
        return Quantized(decoded[:, :, None].to(z), grid.to(z.device), z.new_zeros(()))

    @in_full_precision
    def encode(self, z: Tensor) -> Tensor:
        """Codes alone, (B, 1, tokens)."""
        return self._join(self.coder.encode(z[:, :, 0].detach().cpu()), z.shape[3]).to(z.device)

    @in_full_precision
    def lookup(self, codes: Tensor, length: int | None = None) -> Tensor:
        """The series (B, C, 1, L) that codes stand for, of the fitted length by default."""
        length = length or self.coder.length
        decoded = self.coder.decode(self.tokens(codes, length), length)
        return decoded[:, :, None].to(codes.device)

    def tokens(self, codes: Tensor, length: int) -> Tensor:
        """Codes (B, 1, tokens) of the layout as the coder counts them, (B, tokens)."""
        return codes[:, 0].cpu() - self.layout(length).offsets

    def bits_of(self, codes: Tensor, width: int) -> Tensor:
        """What the coder says that each series takes, (B,)."""
        return self.coder.bits_of(self.tokens(codes, width), width)

    def expected_shares(self, codes: Tensor) -> Tensor | None:
        """Shares (tokens, K) that the coder expects of codes like (B, 1, tokens), where it does."""
        if not isinstance(self.coder, MixtureCoder):
            return None
        return self.coder.expected_shares(self.tokens(codes, self.coder.length))

    def codebooks(self) -> tuple[Tensor, ...]:
        """Those of the coder, where it has vectors."""
        found: tuple[Tensor, ...] = getattr(self.coder, "codebooks", ())
        return found

    def initialise(self, z: Tensor, generator: Generator) -> None:
        """Fit the coder to series z (n, C, 1, L)."""
        self._take(self._fit(z[:, :, 0].cpu(), generator))

    def _take(self, coder: Coder) -> None:
        self._coder, self._layouts = coder, {}

    def _join(self, codes: Tensor, length: int) -> Tensor:
        """The coder's codes (B, tokens) as the layout counts them."""
        return (codes + self.layout(length).offsets)[:, None]

    # The coder's tensors have shapes that only fitting finds, so they are no buffers.

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, _keep_vars: bool
    ) -> None:
        if self._coder is not None:
            destination.update({prefix + name: v for name, v in self._coder.state().items()})

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Tensor], prefix: str, *rest: Any
    ) -> None:
        own = {name.removeprefix(prefix): value.cpu() for name, value in state_dict.items()}
        try:
            self._take(self._read(own))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            errors: list[str] = rest[-1]
            errors.append(f"these are not the tensors of a fitted coder ({error!r})")
