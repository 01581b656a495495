"""Which settings a twin loss reads, found by watching it, and what it then gives."""

import torch

from twincode.config import ObjectiveConfig
from twincode.losses import TWIN_LOSSES

SMALL = ObjectiveConfig(
    projector_width=8, predictor_width=5, queue_size=6, whitening_width=4, gamma=1.0
)
D = 3


class Watched:
    """Settings that remember which of them were read."""

    def __init__(self, config):
        self.config = config
        self.names = set()

    def __getattr__(self, name):
        self.names.add(name)
        return getattr(self.config, name)


def settings_read(name):
    """The settings that a loss reads to be built and to be computed."""
    config = Watched(SMALL)
    loss_at(name, config)
    return config.names


def loss_at(name, config):
    """The loss of fixed latents of two views, and of a fixed teacher where it has one."""
    torch.manual_seed(0)
    twin = TWIN_LOSSES[name](config).train()
    projector = twin.build_projector(D).train()
    views = 2 if twin.symmetric else 1
    student = projector(noise(views * 5, D, 4, 6), views=views).chunk(views)
    teacher = noise(views * 5, student[0].shape[1]).chunk(views) if twin.needs_teacher else ()
    return twin(student, teacher).item()


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))
