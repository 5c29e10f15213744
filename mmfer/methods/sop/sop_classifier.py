"""Classifier that shows each image twice: SOP+ (Liu et al., ICML 2022)."""

from typing import Any, Dict

import torch
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models import FERClassifier
from mmfer.models.data_preprocessor import second_view
from mmfer.registry import MODELS


@MODELS.register_module()
class SOPClassifier(FERClassifier):
    """``FERClassifier`` whose loss compares two augmentations of each image.

    The network sees both views in one batch, so they share the statistics of
    BatchNorm. The head is a :class:`SOPHead` with ``ratio_consistency`` above 0.

    The second view comes from the step ``SecondView`` of the training pipeline, which
    can augment more strongly. Without this step, it has the augmentation of the first
    one with other draws.

    Args:
        backbone (dict | nn.Module): See :class:`~mmfer.models.FERClassifier`.
        **kwargs (Any): See :class:`~mmfer.models.FERClassifier`.

    Raises:
        ValueError: The head does not compare two views.
    """

    def __init__(self, backbone: Any, **kwargs: Any):
        super().__init__(backbone, **kwargs)
        if not getattr(self.head, 'ratio_consistency', 0):
            raise ValueError(
                'SOPClassifier shows each image twice, and this head has no use for '
                "that: set head=dict(type='SOPHead', ratio_consistency=0.9), or "
                "model.type='FERClassifier' for one view."
            )
        self.data_preprocessor.second_view = True

    def loss(self, inputs: Tensor, data_samples: Samples) -> Dict[str, Tensor]:
        """Return the loss of two views of a batch, see :meth:`SOPHead.loss`.

        Args:
            inputs (Tensor): Prepared images, (B, C, H, W).
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``,
                ``sample_id`` and ``second_view``, (B, C, H, W).

        Raises:
            ValueError: There is no second view.
        """
        second = second_view('SOPClassifier', inputs, data_samples)
        if second is None:
            raise ValueError(
                'SOPClassifier compares two views of each image, and the batch has '
                'one, because its images were augmented one by one (the log says '
                "why). Put dict(type='SecondView', transforms=[...]) after the step "
                'that loads the image, and end the pipeline with '
                "dict(type='PackFERInputs', algorithm_keys=('second_view',))."
            )
        feats = self.extract_feat(torch.cat([inputs, second]))
        return self.head.loss(feats, data_samples)
