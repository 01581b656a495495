"""One of several processes of a distributed test: trains two epochs and keeps what it reached."""

import json
import sys
from pathlib import Path

import torch
from conftest import make_waves, tiny
from safetensors.torch import save_file

from twincode import distributed
from twincode.train.loop import build_learner

folder, update = Path(sys.argv[1]), sys.argv[2]
cpu = torch.device("cpu")
distributed.join(cpu)
x = torch.from_numpy(make_waves(40).X_train)
learner = build_learner(tiny("bt-vqvae", batch_size=16, codebook_update=update), x, cpu)
modules = learner.modules
named = {n: p for module in modules.values() for n, p in module.named_parameters()}
gradients = {}
step = learner.optimizer.step


def remember():
    if not gradients:
        gradients.update({f"gradient.{n}": p.grad.clone() for n, p in named.items()})
    step()


learner.optimizer.step = remember
records = [learner.train_epoch(x, epoch) for epoch in (1, 2)]
state = {f"state.{n}": t.contiguous() for n, t in learner.tokenizer.state_dict().items()}
gradients = {n: t.contiguous() for n, t in gradients.items()}
save_file({**gradients, **state}, folder / f"rank{distributed.rank()}.safetensors")
if distributed.rank() == 0:
    (folder / "records.json").write_text(json.dumps(records))
distributed.leave()
