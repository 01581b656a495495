"""The state of a training run between two epochs, in one safetensors file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from twincode.errors import TwincodeError
from twincode.storage import restore, write_tensors

FORMAT = 2
CHECKPOINT = "checkpoint.safetensors"
REMEDY = "delete it to train from the start"

# What a run says of itself in a checkpoint.
PROGRESS = {"epoch": int, "log_position": int, "config": dict, "data": str, "classes": list}


def save_checkpoint(
    path: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> None:
    """Write modules, optimiser and ``progress`` (plain values) to ``path``, whole or not at all."""
    tensors = {
        f"{name}.{key}": tensor
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(v) for key, v in state.items()}
    metadata = {"twincode": json.dumps({"format": FORMAT, **progress})}
    write_tensors(path, tensors, metadata)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: what the run had reached, and the state it had reached it in."""

    path: Path
    progress: dict[str, Any]
    tensors: dict[str, Tensor]

    def restore(self, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
        """Put the state into modules and optimiser; TwincodeError where it does not fit them."""
        for name, module in modules.items():
            restore(module, _below(name, self.tensors), self.path)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        try:
            for key, tensor in _below("optimizer", self.tensors).items():
                index, _, field = key.partition(".")
                like = parameters[int(index)]
                state.setdefault(int(index), {})[field] = _laid_out_like(like, tensor)
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        except (IndexError, ValueError) as error:
            raise TwincodeError(f"{self.path} does not fit its model; {REMEDY}") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read ``path``; TwincodeError for a file that is corrupt, foreign or of another version."""
    try:
        with safe_open(path, "pt") as file:
            progress = json.loads((file.metadata() or {}).get("twincode", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise TwincodeError(f"the checkpoint {path} is corrupt ({error}); {REMEDY}") from error
    if not isinstance(progress, dict) or progress.get("format") != FORMAT:
        raise TwincodeError(f"{path} is not a checkpoint this version can read; {REMEDY}")
    if any(not isinstance(progress.get(name), kind) for name, kind in PROGRESS.items()):
        raise TwincodeError(f"{path} does not say how far its run had come; {REMEDY}")
    return Checkpoint(path, progress, tensors)


def _laid_out_like(parameter: Tensor, tensor: Tensor) -> Tensor:
    """``tensor`` in the memory order of ``parameter``; the fused optimiser takes it for granted."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, device=tensor.device, requires_grad=False).copy_(tensor)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
