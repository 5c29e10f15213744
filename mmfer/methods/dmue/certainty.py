"""Certainty of the given label of a sample, from the classes of similar samples."""

from typing import Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .losses import own_class


def class_similarities(
    features: Tensor, labels: Tensor, num_classes: int
) -> Tuple[Tensor, Tensor]:
    """Return the mean cosine of each sample with the samples of each class.

    The mean cosine is the product of the unit feature and the mean of the class's
    unit features. A sample is also compared with itself.

    Args:
        features (Tensor): Pooled features of the target branch, (B, D).
        labels (Tensor): Given labels, int64 (B, ).
        num_classes (int): Number of classes C.

    Returns:
        tuple[Tensor, Tensor]: Mean cosines, in [-1, 1], (B, C), 0 for a class
        without samples; and which classes have samples, bool (C, ).
    """
    unit = F.normalize(features, dim=1)
    members = own_class(labels, num_classes)
    counts = members.sum(1)
    centres = members.to(unit.dtype) @ unit / counts.clamp_min(1)[:, None]
    return unit @ centres.t(), counts > 0


def min_max(similarities: Tensor, present: Tensor, eps: float = 1e-4) -> Tensor:
    """Scale the similarities of each sample to [0, 1].

    Args:
        similarities (Tensor): Shape (B, C).
        present (Tensor): Classes that count, bool (C, ). The others become 0.
        eps (float): Least difference of the extremes by which is divided. Without it,
            equal similarities would give 0 / 0. Defaults to 1e-4.
    """
    low = similarities.masked_fill(~present, torch.inf).amin(1, keepdim=True)
    high = similarities.masked_fill(~present, -torch.inf).amax(1, keepdim=True)
    scaled = (similarities - low) / (high - low).clamp_min(eps)
    return scaled.masked_fill(~present, 0)


class Certainty(nn.Module):
    """Network that judges a label by the similarities of its sample to all classes.

    Two linear layers, 2 C to C to 1, with a PReLU between them.

    Args:
        num_classes (int): Number of classes C.
    """

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = num_classes
        self.project_1 = nn.Linear(2 * num_classes, num_classes)
        self.prelu = nn.PReLU()
        self.project_2 = nn.Linear(num_classes, 1)

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the certainty of each label, in (0, 1), (B, ).

        Args:
            features (Tensor): Pooled features of the target branch, (B, D). Their
                similarities are those among these B samples.
            labels (Tensor): Given labels, int64 (B, ).
        """
        found = min_max(*class_similarities(features, labels, self.num_classes))
        given = own_class(labels, self.num_classes).t().to(found.dtype)
        # The similarities of a whole training set are computed where its features are.
        inputs = torch.cat([found, given], dim=1).to(self.project_1.weight.device)
        hidden = self.prelu(self.project_1(inputs))
        return self.project_2(hidden).sigmoid().squeeze(1)
