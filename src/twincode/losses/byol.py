"""BYOL: predict what a teacher makes of the other view (Grill et al., 2020)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twincode.config import ObjectiveConfig
from twincode.distributed import whole_batch
from twincode.losses.contract import Projections, TwinObjective
from twincode.nets import Perceptron, ShallowProjector
from twincode.precision import in_full_precision


@in_full_precision
def byol_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """The mean of 2 - 2 cos(prediction, target) over a batch of rows (B, P) (equation 2).

    Between 0 and 4. Among several processes the batch is that of all of them. Invariant to the
    length of any row.
    """
    prediction, target = whole_batch(prediction), whole_batch(target)
    return (2 - 2 * F.cosine_similarity(prediction, target, dim=1)).mean()


class BYOL(TwinObjective):
    """Each view's prediction is compared with the teacher's projection of the other view.

    Projector and predictor are the paper's: two layers with a normalisation and a ReLU between
    them, the predictor's hidden one ``predictor_width`` wide. Projections are P wide, as for all
    objectives, where the paper has 256 behind a hidden layer of 4096.
    """

    needs_teacher = True

    def __init__(self, config: ObjectiveConfig) -> None:
        super().__init__(config)
        P = config.projector_width
        self.predictor = Perceptron(P, config.predictor_width, P, normalised=True)

    def build_projector(self, latent_channels: int) -> nn.Module:
        """Two layers with a normalisation and a ReLU between them."""
        return ShallowProjector(latent_channels, self.config.projector_width, normalised=True)

    def forward(self, student: Projections, teacher: Projections = ()) -> Tensor:
        """The symmetric loss: the sum over both ways round."""
        upper, lower = self.predictor(torch.cat(list(student)), views=2).chunk(2)
        of_upper, of_lower = teacher
        return byol_loss(upper, of_lower) + byol_loss(lower, of_upper)
