"""Two epochs of training, alone or as one of several processes, and all that they reached."""

import json
import sys
from pathlib import Path

import torch
from conftest import make_waves, tiny
from safetensors.torch import save_file

from twincode import distributed
from twincode.train.loop import build_learner

CPU = torch.device("cpu")


CASES = {
    "ema": {"codebook_update": "ema"},
    "gradient": {"codebook_update": "gradient"},
    "revived": {"quantizer": "residual", "revive_below": 0.12},
    "gaussian": {"quantizer": "gaussian"},
}


def train_two_epochs(case):
    """The records of both epochs, the first step's gradients and the final tokenizer."""
    x = torch.from_numpy(make_waves(40).X_train)
    learner = build_learner(tiny("bt-vqvae", batch_size=16, **CASES[case]), x, CPU)
    named = {n: p for module in learner.modules.values() for n, p in module.named_parameters()}
    gradients = {}
    step = learner.optimizer.step

    def remember():
        if not gradients:
            gradients.update({f"gradient.{n}": p.grad.clone() for n, p in named.items()})
        step()

    learner.optimizer.step = remember
    records = [learner.train_epoch(x, epoch) for epoch in (1, 2)]
    state = {f"state.{n}": t for n, t in learner.tokenizer.state_dict().items()}
    return records, {**gradients, **state}


if __name__ == "__main__":
    folder, case = Path(sys.argv[1]), sys.argv[2]
    distributed.join(CPU)
    records, tensors = train_two_epochs(case)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, folder / f"rank{distributed.rank()}.safetensors")
    if distributed.rank() == 0:
        (folder / "records.json").write_text(json.dumps(records))
    distributed.leave()
