"""DMUE: a classifier with a branch for each class beside the one that predicts."""

from typing import Any, Optional, Sequence, cast

import torch
import torch.nn as nn
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.classifier import FERClassifier
from mmfer.models.data_preprocessor import blank_images
from mmfer.models.heads import stack_labels
from mmfer.models.utils import last_feature
from mmfer.registry import MODELS

from .branches import Branch, find_last_stage
from .dmue_head import DMUEHead
from .losses import own_class


@MODELS.register_module()
class DMUEClassifier(FERClassifier):
    """Latent distribution mining and pairwise uncertainty estimation (CVPR'21).

    The backbone is the target branch, which alone is used for predictions. Each of C
    auxiliary branches has a copy of its last stage, and shares the rest. They start
    from the weights of the backbone, also from pretrained ones.

    In several processes all terms are those of the global batch, see
    :mod:`mmfer.models.gathering`.

    Args:
        last_stage (str, optional): Layer of the backbone that each branch copies. Its
            output must be the feature of the backbone. Defaults to None: the largest
            such layer, which is ``layer4`` in a ResNet.
        **kwargs: Options of :class:`~mmfer.models.FERClassifier`. The neck is shared,
            and the head is a :class:`DMUEHead`.

    Raises:
        ValueError: The backbone has no such layer, or the head is another one.
    """

    def __init__(self, last_stage: Optional[str] = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(self.head, DMUEHead):
            raise ValueError(
                'DMUEClassifier trains the branches of a DMUEHead, and model.head is '
                f"{type(self.head).__name__}. Set model.head=dict(type='DMUEHead')."
            )
        # The stage is no part of its own: it stays where the backbone has it.
        self.last_stage, stage = find_last_stage(
            self.backbone,
            self.fitting(blank_images(self.data_preprocessor)),
            last_stage,
        )
        self.auxiliary = nn.ModuleList(
            Branch(stage) for _ in range(self.head.num_classes)
        )
        stage.register_forward_pre_hook(self._capture)
        self._captures = False
        self._captured: Optional[Tensor] = None

    def _capture(self, module: nn.Module, args: tuple) -> None:
        if self._captures:
            self._captured = args[0]

    def init_weights(self) -> None:
        """Initialise the weights; the branches get those of the last stage."""
        was_init = self.is_init
        super().init_weights()
        if not was_init:
            stage = self.backbone.get_submodule(self.last_stage)
            for branch in cast(Sequence[Branch], self.auxiliary):
                branch.copy_weights(stage)

    def loss(self, inputs: Tensor, data_samples: Samples) -> dict:
        """Compute the losses of all branches.

        Args:
            inputs (Tensor): Prepared images, (B, channels, H, W).
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``.
        """
        self._captures = True
        try:
            feats = self.extract_feat(inputs)
        finally:
            self._captures = False
            shared, self._captured = self._captured, None
        own = own_class(stack_labels(data_samples), len(self.auxiliary))
        maps = (branch(shared, mask) for branch, mask in zip(self.auxiliary, own))
        auxiliary = [
            last_feature(self.neck((x,)) if self.with_neck else x) for x in maps
        ]
        return self.head.loss(feats, data_samples, auxiliary=torch.stack(auxiliary))
