"""Two epochs of training, alone or as one of several processes, and all that they reached.

One case for every recipe that trains, and one for every further way in which processes have to
come together.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from conftest import make_task, make_waves, tiny
from safetensors.torch import save_file

from twincode import distributed
from twincode.recipes import RECIPES
from twincode.train.loop import train_epoch

CPU = torch.device("cpu")
TRAINED = [
    name
    for name, (_, make) in RECIPES.items()
    if make().training.epochs and not name.startswith("thesis-")
]
CASES = {
    **{name: (name, {}) for name in TRAINED},
    # k-means, in single precision before the first step, has ties in so narrow a band.
    "bands": ("bands", {"codebook_init": "data"}),
    "gradient": ("bt-vqvae", {"codebook_update": "gradient", "continuous_share": 0}),
    "gradient scale": ("vicreg-vqvae", {"gamma_scale": "gradient"}),
    "revived": ("bt-vqvae", {"quantizer": "residual", "revive_below": 0.12}),
    "gaussian": ("bt-vqvae", {"quantizer": "gaussian"}),
    "contrastive codes": ("contrastive-vae", {"quantizer": "vq", "codebook_update": "gradient"}),
}
# So few series are not background that some shares of a batch hold none.
FEW = 5


def config_of(case):
    """The configuration of a case."""
    name, changes = CASES[case]
    if name == "contrastive-vae":
        changes = {**changes, "background_classes": "True"}
    return tiny(name, batch_size=16, **changes)


def train_two_epochs(case):
    """The records of both epochs, the first step's gradients and the final modules."""
    learner = make_task(config_of(case), make_waves(40).X_train, np.arange(40) % FEW > 0)
    # In double precision no rounding decides which of two codes is nearer.
    for module in learner.modules.values():
        module.double()
    learner.x = learner.x.double()
    named = {
        n: p for part in (learner.tokenizer, learner.objective) for n, p in part.named_parameters()
    }
    gradients = {}
    step = learner.optimizer.step

    def remember():
        if not gradients:
            seen = {n: p.grad for n, p in named.items() if p.grad is not None}  # codes come later
            gradients.update({f"gradient.{n}": gradient.clone() for n, gradient in seen.items()})
        step()

    learner.optimizer.step = remember
    records = [train_epoch(learner, epoch) for epoch in (1, 2)]
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
