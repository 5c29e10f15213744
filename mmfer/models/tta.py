"""Test-time augmentation that also averages uncertainties."""

from typing import Any, List

import torch
from mmpretrain.models.tta import AverageClsScoreTTA
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils.checks import choices


def mean_probabilities(scores: Tensor) -> Tensor:
    """Average the probabilities of the views of an image.

    Args:
        scores (Tensor): Probabilities, (V, C).

    Returns:
        Tensor: Probabilities, (C, ).
    """
    return scores.mean(dim=0)


def mean_logits(scores: Tensor) -> Tensor:
    """Return the softmax of the average logits of the views of an image.

    Logarithms of the probabilities differ from the logits by one constant for each
    view. A constant does not change a softmax, so the logits are not needed.

    Args:
        scores (Tensor): Probabilities, (V, C).

    Returns:
        Tensor: Probabilities, (C, ).
    """
    smallest = torch.finfo(scores.dtype).tiny
    return scores.clamp(min=smallest).log().mean(dim=0).softmax(dim=0)


AVERAGES = dict(probabilities=mean_probabilities, logits=mean_logits)
"""Ways to average predictions of several views."""


@MODELS.register_module()
class AverageUncertaintyTTA(AverageClsScoreTTA):
    """``AverageClsScoreTTA`` that also averages ``uncertainty`` and ``pred_va``.

    Fields that the model does not predict are omitted.

    Args:
        average (str): What is averaged over the views of an image,
            ``'probabilities'`` as mmpretrain does, or ``'logits'`` as RUL does for
            FER2013. Defaults to ``'probabilities'``.
        **kwargs (Any): See mmengine's ``BaseTTAModel``.
    """

    def __init__(self, *args: Any, average: str = 'probabilities', **kwargs: Any):
        self.average = choices(self, 'average', average, AVERAGES)
        super().__init__(*args, **kwargs)

    def _merge_single_sample(self, data_samples: List[DataSample]) -> DataSample:
        merged = data_samples[0].new()
        if 'pred_score' in data_samples[0]:
            scores = torch.stack([sample.pred_score for sample in data_samples])
            merged.set_pred_score(AVERAGES[self.average](scores))
            merged.set_pred_label(merged.pred_score.argmax())
        if 'pred_va' in merged:
            mean = sum(s.pred_va for s in data_samples) / len(data_samples)
            merged.set_field(mean, 'pred_va')
        if 'uncertainty' in merged:
            mean = sum(s.uncertainty for s in data_samples) / len(data_samples)
            merged.set_field(mean, 'uncertainty')
        return merged
