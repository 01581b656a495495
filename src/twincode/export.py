"""Models as ONNX graphs, for programs without torch: series in, codes out, and back."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from twincode.closed_form import ComponentCoder, MixtureCoder, PatchCoder
from twincode.errors import TwincodeError, installing
from twincode.files import make_folder, write_json, write_whole
from twincode.model import Model
from twincode.quantize import ClosedFormQuantizer, Layout, Quantized
from twincode.quantize.successive import SuccessiveQuantizer
from twincode.tokenizers import Tokenizer

ENCODER, DECODER, DESCRIPTION = "encoder.onnx", "decoder.onnx", "onnx.json"
FORMAT = 1


class _Components(nn.Module):
    """A ``ComponentCoder`` with the two methods of a tokenizer: its codes, by the same search."""

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

    def encode(self, x: Tensor) -> Tensor:
        z = (x.flatten(1) - self.mean) @ self.components.T
        found: Quantized = self.quantizer(z[:, :, None, None])
        assert found.codes is not None
        return found.codes

    def decode(self, codes: Tensor) -> Tensor:
        z = self.quantizer.lookup(codes).flatten(1)
        return (self.mean + z @ self.components).unflatten(1, self.shape)


class _Coder(nn.Module):
    """Another closed form as a fixed sequence of operations, with the same two methods."""

    def __init__(self, coder: MixtureCoder | PatchCoder, layout: Layout) -> None:
        super().__init__()
        self.coder = coder
        self.offsets = layout.offsets
        # Thousands of operations in a row would be a graph that takes minutes to write.
        self.search = coder.search
        if isinstance(coder, MixtureCoder):
            self.search = partial(coder.search, scan=scan)

    def encode(self, x: Tensor) -> Tensor:
        return (self.search(x) + self.offsets)[:, None]

    def decode(self, codes: Tensor) -> Tensor:
        return self.coder.restore(codes[:, 0] - self.offsets)


Network = Tokenizer | _Components | _Coder


class _Part(nn.Module):
    """A tokenizer between series in their own units and codes; what it maps is up to a subclass."""

    def __init__(self, tokenizer: Network, model: Model) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.mean: Tensor
        self.rest: Tensor
        self.std: Tensor
        # Two numbers hold the digits of a mean that one would lose, many deviations from zero.
        mean = torch.tensor(model.scaling.mean, dtype=torch.float64)
        rest = mean - mean.float()
        for name, values in (("mean", mean), ("rest", rest), ("std", model.scaling.std)):
            column = torch.as_tensor(values, dtype=torch.float32)[:, None]  # (C, 1), or (1, 1)
            self.register_buffer(name, column.to(model.device))


class _Encoder(_Part):
    def forward(self, series: Tensor) -> Tensor:
        """Codes (n, H, W) of series (n, C, L)."""
        return self.tokenizer.encode((series - self.mean - self.rest) / self.std)


class _Decoder(_Part):
    def forward(self, codes: Tensor) -> Tensor:
        """Series (n, C, L) of codes (n, H, W)."""
        return self.tokenizer.decode(codes) * self.std + self.rest + self.mean


def export_onnx(model: Model, folder: str | Path) -> None:
    """Write ``encoder.onnx``, ``decoder.onnx`` where there is one, and ``onnx.json``, each whole.

    The last tells shapes. The encoder maps ``series`` (n, C, L), float32 and in their own units, to
    ``codes`` (n, H, W), int64, and the decoder back; n may be any number, the length is the
    model's. The graphs check nothing: series must be finite, and codes below ``codebook_sizes``.
    Raises TwincodeError for a model without codes, for ``mixture`` at a capped rate, and without
    the packages of the extra ``onnx``.
    """
    tokenizer, folder = model.tokenizer, Path(folder)
    if not tokenizer.layout.grids:
        raise TwincodeError(f"{model.name} is continuous: it has no codes to export")
    network = _network(tokenizer)
    make_folder(folder)
    C, L = tokenizer.channels, tokenizer.length
    # Two examples: one alone would make the exporter take the number of series for a constant.
    series = torch.zeros(2, C, L, device=model.device)
    codes = tokenizer.encode(series)
    if tokenizer.has_decoder:
        tokenizer.decode(codes)  # what is kept for later is kept now, not as a place in a graph
        _write(_Decoder(network, model), {"codes": codes}, "series", folder / DECODER)
    else:
        (folder / DECODER).unlink(missing_ok=True)  # that of another model
    _write(_Encoder(network, model), {"series": series}, "codes", folder / ENCODER)
    description = {
        "format": FORMAT,
        "recipe": model.config.recipe,
        "data": model.source.name,
        "series": ["n", C, L],
        "codes": ["n", *codes.shape[1:]],
        "codebook_sizes": tokenizer.layout.codebook_sizes,
        "columns": list(tokenizer.layout.widths),
        "bits_per_series": tokenizer.bits_per_series,
    }
    write_json(folder / DESCRIPTION, description)


def _network(tokenizer: Tokenizer) -> Network:
    """The same tokenizer as nothing but tensor operations; TwincodeError where there is none."""
    if not isinstance(tokenizer.quantizer, ClosedFormQuantizer):
        return tokenizer
    coder = tokenizer.quantizer.coder
    if isinstance(coder, ComponentCoder):
        return _Components(coder)
    if isinstance(coder, MixtureCoder) and coder.capped:
        raise TwincodeError(
            "mixture with rate=capped is no ONNX graph: it looks for the step of a series until "
            "its bits fit; rate=average can be exported"
        )
    return _Coder(coder, tokenizer.layout)


def _write(part: nn.Module, given: dict[str, Tensor], gives: str, path: Path) -> None:
    try:
        from onnxscript import opset18  # torch asks for it too late, and in many words
    except ImportError:
        raise TwincodeError(f"exporting needs more packages; {installing('onnx')}") from None

    # What torch has no translation of, in values of a graph, which have no type here.
    op: Any = opset18

    def with_sign(size: Any, signed: Any) -> Any:
        negative = op.Less(signed, op.Constant(value_float=0.0))
        return op.Where(negative, op.Neg(op.Abs(size)), op.Abs(size))

    with _quiet():
        program = torch.onnx.export(
            part.eval(),
            tuple(given.values()),
            dynamo=True,
            external_data=False,
            input_names=list(given),
            output_names=[gives],
            dynamic_shapes=[{0: torch.export.Dim("n")}],
            custom_translation_table={torch.ops.aten.copysign.Tensor: with_sign},
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
