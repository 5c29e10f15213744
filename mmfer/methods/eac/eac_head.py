"""Head of EAC, erasing attention consistency (Zhang et al., ECCV'22)."""

import logging
from typing import Any, Dict, Optional, Tuple

import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.heads import LinearHead, stack_labels
from mmfer.models.utils import full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range

from .losses import attention_maps, flip_consistency

# Said once, when the model is built.
NO_WIDTH = (
    'EACHead: the last feature of the backbone has {} x {} positions (height x '
    'width), so there is nothing to mirror. The consistency term then compares pooled '
    'values of both views, not attention maps. Choose an output with maps, such as '
    "model.backbone.out_type='featmap' of a transformer, or another backbone."
)


@MODELS.register_module()
class EACHead(LinearHead):
    """Head of erasing attention consistency, after a ``LastMap``.

    An image is learned from its first view alone. A second view is its mirror image,
    and where it shows a class must be the mirror image of where the first one does::

        L = CE(z_1, y) + consistency_weight mean (A(x) - flip(A(x~)))^2

    A prediction classifies the mean of the map, as a plain network does.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Channels D of the map. ``FERClassifier`` fills it in.
        map_size (tuple[int, int], optional): Height and width of the map.
            ``FERClassifier`` fills it in. It is used for a warning only. Defaults to
            None.
        consistency_weight (float): lambda, at least 0. Defaults to 5.
        init_cfg (dict, optional): See mmengine's ``BaseModule``. Defaults to that of
            mmpretrain's ``LinearClsHead``.

    Raises:
        ValueError: ``consistency_weight`` is negative.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        map_size: Optional[Tuple[int, int]] = None,
        consistency_weight: float = 5.0,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg)
        self.consistency_weight = in_range(
            self, 'consistency_weight', consistency_weight, 0
        )
        if map_size is not None and map_size[1] == 1:
            print_log(NO_WIDTH.format(*map_size), 'current', logging.WARNING)

    def check_feature(self, feats: Any) -> Tensor:
        """Return the map (B, D, H, W).

        Raises:
            ValueError: The neck gives another kind of feature.
        """
        feature = feats[-1] if isinstance(feats, (tuple, list)) else feats
        if isinstance(feature, Tensor) and feature.ndim == 4:
            return feature
        raise ValueError(
            'EACHead needs the last feature map of each image, which the neck of this '
            "model does not give: set model.neck=dict(type='mmfer.LastMap')."
        )

    def pre_logits(self, feats: Tuple[Tensor]) -> Tensor:
        """Return the mean of the map, (B, D)."""
        return self.check_feature(feats).mean(dim=(2, 3))

    def loss(
        self,
        feats: Tuple[Tensor],
        data_samples: Samples,
        mirrored: Optional[Tuple[Tensor]] = None,
        **kwargs: Any,
    ) -> Dict[str, Tensor]:
        """Return both terms of the loss of a batch.

        Args:
            feats (tuple[Tensor]): Map of the first view, (B, D, H, W).
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``.
            mirrored (tuple[Tensor]): Map of the mirrored view, of the same shape.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss_cls`` and ``loss_consistency``, which is weighted.

        Raises:
            ValueError: There is no second view.
        """
        if mirrored is None:
            raise ValueError(
                'EACHead needs two views of each image, and this model makes one: set '
                "model.type='EACClassifier'."
            )
        labels = stack_labels(data_samples)
        dtype = self.fc.weight.dtype
        with full_precision(labels):
            # Autocast may have made the maps bfloat16.
            first, second = (self.check_feature(x).to(dtype) for x in (feats, mirrored))
            logits = self.fc(first.mean(dim=(2, 3)))
            if first.shape[3] == 1:
                first, second = (
                    x.mean(dim=(2, 3), keepdim=True) for x in (first, second)
                )
            distance = flip_consistency(
                *(attention_maps(x, self.fc.weight) for x in (first, second))
            )
            return dict(
                loss_cls=F.cross_entropy(logits, labels),
                loss_consistency=self.consistency_weight * distance,
            )
