"""Models as ONNX graphs, for programs without torch: series in, codes out, and back."""

from pathlib import Path

import torch
from torch import Tensor, nn

from twincode.errors import TwincodeError
from twincode.files import write_json, write_whole
from twincode.model import Model
from twincode.quantize import ClosedFormQuantizer
from twincode.tokenizers import Tokenizer

ENCODER, DECODER, DESCRIPTION = "encoder.onnx", "decoder.onnx", "onnx.json"
EXTRA = "exporting needs more packages; pip install 'twincode[onnx]'"
FORMAT = 1


class _Part(nn.Module):
    """A tokenizer between series in their own units and codes; what it maps is up to a subclass."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.tokenizer: Tokenizer = model.tokenizer
        self.mean: Tensor
        self.std: Tensor
        for name in ("mean", "std"):
            values = torch.tensor(getattr(model.scaling, name))[:, None]  # (C, 1), or (1, 1)
            self.register_buffer(name, values.to(model.device))


class _Encoder(_Part):
    def forward(self, series: Tensor) -> Tensor:
        """Codes (n, H, W) of series (n, C, L)."""
        latents = self.tokenizer.latents((series - self.mean) / self.std)
        codes: Tensor = self.tokenizer.quantizer(latents).codes
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
    name = model.config.recipe or "this model"
    if not tokenizer.layout.grids:
        raise TwincodeError(f"{name} is continuous: it has no codes to export")
    if any(isinstance(part, ClosedFormQuantizer) for part in tokenizer.modules()):
        raise TwincodeError(
            f"{name} searches for its codes step by step, which is no ONNX graph; "
            "networks such as vqvae can be exported"
        )
    C, L, H, W = tokenizer.channels, tokenizer.length, tokenizer.grid[0], tokenizer.layout.width
    # Two examples: one alone would make the exporter take the number of series for a constant.
    series = torch.zeros(2, C, L, device=model.device)
    codes = torch.zeros(2, H, W, dtype=torch.long, device=model.device)
    _write(_Encoder(model), {"series": series}, "codes", folder / ENCODER)
    _write(_Decoder(model), {"codes": codes}, "series", folder / DECODER)
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


def _write(part: nn.Module, given: dict[str, Tensor], gives: str, path: Path) -> None:
    try:
        import onnxscript  # noqa: F401  # torch asks for it too late, and in many words
    except ImportError:
        raise TwincodeError(EXTRA) from None
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
