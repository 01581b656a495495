"""Models as ONNX graphs, for programs without torch: series in, codes out, and back."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from twincode.closed_form import ComponentCoder
from twincode.errors import TwincodeError
from twincode.files import write_json, write_whole
from twincode.model import Model
from twincode.quantize import ClosedFormQuantizer, Quantized
from twincode.quantize.successive import SuccessiveQuantizer
from twincode.tokenizers import Tokenizer

ENCODER, DECODER, DESCRIPTION = "encoder.onnx", "decoder.onnx", "onnx.json"
EXTRA = "exporting needs more packages; pip install 'twincode[onnx]'"
FORMAT = 1


class _Components(nn.Module):
    """A ``ComponentCoder`` with the interface of a network: its codes, found by the same search."""

    def __init__(self, coder: ComponentCoder) -> None:
        super().__init__()
        widest = max(map(len, coder.groups))
        sizes = tuple(map(len, coder.codebooks))
        self.quantizer = SuccessiveQuantizer(sizes, len(coder.components), widest, coder.beam)
        self.quantizer.start_at(coder)
        self.shape = coder.shape
        self.mean: Tensor
        self.components: Tensor
        self.register_buffer("mean", coder.mean)
        self.register_buffer("components", coder.components)

    def embed(self, x: Tensor) -> Quantized:
        z = (x.flatten(1) - self.mean) @ self.components.T
        found: Quantized = self.quantizer(z[:, :, None, None])
        return found

    def series(self, latents: Tensor) -> Tensor:
        return (self.mean + latents.flatten(1) @ self.components).unflatten(1, self.shape)


class _Part(nn.Module):
    """A tokenizer between series in their own units and codes; what it maps is up to a subclass."""

    def __init__(self, tokenizer: Tokenizer | _Components, model: Model) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.mean: Tensor
        self.std: Tensor
        for name in ("mean", "std"):
            values = torch.tensor(getattr(model.scaling, name))[:, None]  # (C, 1), or (1, 1)
            self.register_buffer(name, values.to(model.device))


class _Encoder(_Part):
    def forward(self, series: Tensor) -> Tensor:
        """Codes (n, H, W) of series (n, C, L)."""
        codes = self.tokenizer.embed((series - self.mean) / self.std).codes
        assert codes is not None
        return codes


class _Decoder(_Part):
    def forward(self, codes: Tensor) -> Tensor:
        """Series (n, C, L) of codes (n, H, W)."""
        latents = self.tokenizer.quantizer.lookup(codes)
        return self.tokenizer.series(latents) * self.std + self.mean


def export_onnx(model: Model, folder: str | Path) -> None:
    """Write ``encoder.onnx``, ``decoder.onnx`` and ``onnx.json``, which tells shapes, each whole.

    The encoder maps ``series`` (n, C, L), float32 and in their own units, to ``codes`` (n, H, W),
    int64, and the decoder back; n may be any number, the length is the model's. The graphs check
    nothing: series must be finite, and codes below ``codebook_sizes``. Raises TwincodeError for a
    model without codes, for a closed form, and without the packages of the extra ``onnx``.
    """
    tokenizer, folder = model.tokenizer, Path(folder)
    if not tokenizer.layout.grids:
        raise TwincodeError(f"{model.name} is continuous: it has no codes to export")
    network = _network(tokenizer)
    if network is None:
        raise TwincodeError(
            f"how {model.name} finds its codes is no ONNX graph; "
            "pca-pq and networks can be exported"
        )
    C, L, H, W = tokenizer.channels, tokenizer.length, tokenizer.grid[0], tokenizer.layout.width
    # Two examples: one alone would make the exporter take the number of series for a constant.
    series = torch.zeros(2, C, L, device=model.device)
    codes = torch.zeros(2, H, W, dtype=torch.long, device=model.device)
    _write(_Encoder(network, model), {"series": series}, "codes", folder / ENCODER)
    _write(_Decoder(network, model), {"codes": codes}, "series", folder / DECODER)
    description = {
        "format": FORMAT,
        "recipe": model.config.recipe,
        "data": model.source.name,
        "series": ["n", C, L],
        "codes": ["n", H, W],
        "codebook_sizes": tokenizer.layout.codebook_sizes,
        "columns": list(tokenizer.layout.widths),
        "bits_per_series": tokenizer.bits_per_series,
    }
    write_json(folder / DESCRIPTION, description)


def _network(tokenizer: Tokenizer) -> Tokenizer | _Components | None:
    """The same tokenizer as nothing but tensor operations, where there is one."""
    if not isinstance(tokenizer.quantizer, ClosedFormQuantizer):
        return tokenizer
    coder = tokenizer.quantizer.coder
    return _Components(coder) if isinstance(coder, ComponentCoder) else None


def _write(part: nn.Module, given: dict[str, Tensor], gives: str, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401  # torch asks for it too late, and in many words
    except ImportError:
        raise TwincodeError(EXTRA) from None
    with _quiet():
        program = torch.onnx.export(
            part.eval(),
            tuple(given.values()),
            dynamo=True,
            external_data=False,
            input_names=list(given),
            output_names=[gives],
            dynamic_shapes=[{0: torch.export.Dim("n")}],
            verbose=False,
        )
    assert program is not None
    write_whole(path, lambda temporary: program.save(temporary))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of packages that no model here needs."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
