"""BYOL: predict what a teacher makes of the other view (Grill et al., 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twincode.losses.twin import Projections, TeacherSettings, TwinObjective
from twincode.nets import Perceptron, ShallowProjector


def byol_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """The mean of 2 - 2 cos(prediction, target) over a batch of rows (B, P) (equation 2).

    Between 0 and 4. Invariant to the length of any row.
    """
    return (2 - 2 * F.cosine_similarity(prediction, target, dim=1)).mean()


@dataclass(frozen=True)
class BYOLSettings(TeacherSettings):
    """The paper's teacher, and the hidden width of the predictor."""

    predictor_width: int = 4096
    teacher_schedule: str = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_at_least(1, "predictor_width")


class BYOL(TwinObjective):
    """Each view's prediction is compared with the teacher's projection of the other view.

    Projector and predictor are the paper's: two layers with a normalisation and a ReLU between
    them, the predictor's hidden one ``predictor_width`` wide. Projections are P wide, as for all
    objectives, where the paper has 256 behind a hidden layer of 4096.
    """

    needs_teacher = True

    def __init__(self, settings: BYOLSettings) -> None:
        super().__init__()
        self.settings = settings
        P = settings.projector_width
        self.predictor = Perceptron(P, settings.predictor_width, P, normalised=True)

    def build_projector(self, latent_channels: int) -> nn.Module:
        """Two layers with a normalisation and a ReLU between them."""
        return ShallowProjector(latent_channels, self.settings.projector_width, normalised=True)

    def predict(self, student: Projections) -> Projections:
        """What either projection says of the teacher's of the other view."""
        return self.predictor(torch.cat(list(student)), views=2).chunk(2)

    def forward(self, student: Projections, teacher: Projections = ()) -> Tensor:
        """The symmetric loss: the sum over both ways round."""
        upper, lower = student
        of_upper, of_lower = teacher
        return byol_loss(upper, of_lower) + byol_loss(lower, of_upper)
