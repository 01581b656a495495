"""Two epochs of training, alone or as one of several processes, and all that they reached.

One case for every recipe that trains, and one for every further way in which processes have to
come together.
"""

import json
import sys
from pathlib import Path

import torch
from conftest import make_waves, tiny
from safetensors.torch import save_file

from twincode import distributed
from twincode.recipes import RECIPES
from twincode.train.loop import build_learner

CPU = torch.device("cpu")
TRAINED = [
    name
    for name, make in RECIPES.items()
    if make().training.epochs and not name.startswith("thesis-")
]
CASES = {
    **{name: (name, {}) for name in TRAINED},
    "gradient": ("bt-vqvae", {"codebook_update": "gradient"}),
    "revived": ("bt-vqvae", {"quantizer": "residual", "revive_below": 0.12}),
    "gaussian": ("bt-vqvae", {"quantizer": "gaussian"}),
    "contrastive codes": ("contrastive-vae", {"quantizer": "vq", "codebook_update": "gradient"}),
}
# So few series are not background that some shares of a batch hold none.
FEW = 5


def config_of(case):
    """The configuration of a case."""
    name, changes = CASES[case]
    return tiny(name, batch_size=16, **changes)


def train_two_epochs(case):
    """The records of both epochs, the first step's gradients and the final modules."""
    x = torch.from_numpy(make_waves(40).X_train)
    learner = build_learner(config_of(case), x, CPU)
    takes_background = learner.tokenizer.takes_background
    background = torch.arange(len(x)) % FEW > 0 if takes_background else None
    named = {
        n: p for part in (learner.tokenizer, learner.objective) for n, p in part.named_parameters()
    }
    gradients = {}
    step = learner.optimizer.step

    def remember():
        if not gradients:
            gradients.update({f"gradient.{n}": p.grad.clone() for n, p in named.items()})
        step()

    learner.optimizer.step = remember
    records = [learner.train_epoch(x, epoch, background) for epoch in (1, 2)]
    state = {
        f"state.{part}.{n}": t
        for part, module in learner.modules.items()
        for n, t in module.state_dict().items()
    }
    return records, {**gradients, **state}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    distributed.join(CPU)
    for case in CASES:
        records, tensors = train_two_epochs(case)
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, folder / f"{case}{distributed.rank()}.safetensors")
        if distributed.rank() == 0:
            (folder / f"{case}.json").write_text(json.dumps(records))
    distributed.leave()
