"""Tensors as safetensors: in files whole or not at all, or in memory; reading runs no code."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file

from twincode.errors import TwincodeError
from twincode.files import json_text, write_together, write_whole

_HASH = "tensors_sha256"


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file, whole or not at all."""
    write_whole(path, lambda temporary: _save(tensors, temporary, metadata))


def write_described(
    path: Path, tensors: Mapping[str, torch.Tensor], description: Path, told: Mapping[str, Any]
) -> None:
    """Write a safetensors file and, as JSON, its description with its hash: both or neither."""
    parts: dict[str, Any] = dict(told)

    def write(temporary: Path) -> None:
        _save(tensors, temporary)
        parts[_HASH] = file_hash(temporary)

    def describe(temporary: Path) -> None:
        temporary.write_text(json_text(parts), encoding="utf-8")

    write_together({path: write, description: describe})


def read_described(
    path: Path, description: Mapping[str, Any], origin: Path, remedy: str
) -> dict[str, torch.Tensor]:
    """The tensors that a description, read from ``origin``, speaks of.

    Raises TwincodeError, with a ``remedy``, for others.
    """
    tensors = read_tensors(path)
    if file_hash(path) != description.get(_HASH):
        raise TwincodeError(f"{path} is corrupt or belongs to another {origin.name}; {remedy}")
    return tensors


def _save(
    tensors: Mapping[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contiguous, path, metadata)
    except SafetensorError as error:
        raise _system_error(error) from error


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; raises TwincodeError where it is missing or corrupt."""
    if not path.is_file():
        raise TwincodeError(f"no model weights at {path}")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise TwincodeError(f"{path} is corrupt or not a safetensors file: {error}") from error


def pack_tensors(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """The bytes that ``write_tensors`` would write."""
    return save({name: tensor.contiguous() for name, tensor in tensors.items()})


def unpack_tensors(packed: bytes) -> dict[str, torch.Tensor]:
    """The inverse of ``pack_tensors``; raises TwincodeError for other bytes."""
    try:
        return load(packed)
    except SafetensorError as error:
        raise TwincodeError(f"these are not the tensors of a model: {error}") from error


def restore(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], origin: object) -> None:
    """Load ``tensors`` into ``module``; TwincodeError unless every name and shape matches.

    ``origin`` says in errors where they come from.
    """
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise TwincodeError(f"{origin} does not fit its configuration: {reason}") from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray]) -> None:
    """Write arrays as a compressed ``.npz``, whole or not at all."""
    write_whole(path, lambda temporary: np.savez_compressed(temporary, **arrays))  # type: ignore[arg-type]


def file_hash(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tensors_hash(tensors: Mapping[str, torch.Tensor]) -> str:
    """The SHA-256 of tensors and their names, wherever and in whatever order of memory they lie."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        array = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _system_error(error: SafetensorError) -> OSError:
    """The operating system's complaint that safetensors reports as one of its own."""
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]) if number else 0, str(error))
