"""RUL: Relative Uncertainty Learning (NeurIPS'21).

Zhang, Wang, Deng. Features of images are mixed with their uncertainties as
weights, and the mixed feature must be recognised as each of them. To lower
the loss the network has to give the harder image the larger share.
Equations are those of the published code; supplement sections are named.
"""

from itertools import combinations
from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.feature_mixing import mix, random_partners, scalar_weights
from mmfer.models.heads import GaussianHead, label_cross_entropy, stack_labels
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.models.utils import full_precision
from mmfer.registry import MODELS


def mixed_feature_loss(
    means: Tensor, log_var: Tensor, labels: Tuple[Tensor, ...], classifier
) -> Tensor:
    """Recognise every label in the mixture of K images.

    Args:
        means (Tensor): (K, B, D).
        log_var (Tensor): (K, B, D).
        labels (tuple[Tensor, ...]): K labels, each (B, ).
        classifier (Callable): (B, D) -> (B, C).

    Returns:
        Tensor: Mean over the K labels and the batch.
    """
    mixed = mix(means, scalar_weights(log_var))
    return label_cross_entropy(classifier(mixed), labels) / len(labels)


def mixed_output_loss(
    means: Tensor, log_var: Tensor, labels: Tuple[Tensor, ...], classifier
) -> Tensor:
    """*Mix output* (supplement G): mix logits instead of features.

    With an affine classifier and weights that sum to one this is the same
    function as :func:`mixed_feature_loss`; it differs for classifiers of
    more than one layer.
    """
    logits = torch.stack([classifier(mean) for mean in means])
    mixed = mix(logits, scalar_weights(log_var))
    return label_cross_entropy(mixed, labels) / len(labels)


def loss_attention_loss(
    means: Tensor, log_var: Tensor, labels: Tuple[Tensor, ...], classifier
) -> Tensor:
    """*Loss attention* (supplement G): weigh the losses, mix nothing."""
    losses = torch.stack(
        [
            F.cross_entropy(classifier(mean), label, reduction='none')
            for mean, label in zip(means, labels, strict=True)
        ]
    )
    return mix(losses, scalar_weights(log_var).squeeze(-1)).mean()


VARIANTS = dict(
    mix_feature=mixed_feature_loss,
    mix_output=mixed_output_loss,
    loss_attention=loss_attention_loss,
)


@MODELS.register_module()
class RULHead(GaussianHead):
    """Relative uncertainty learning over an ``UncertaintyNeck``.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D, found from the neck.
        num_images (int): Images that are mixed. Defaults to 2.
        pairwise (bool): Mix the ``num_images`` images in all pairs and
            average the losses, C(3, 2) in the supplement, instead of all at
            once. Defaults to False.
        variant (str): ``'mix_feature'`` (RUL), ``'mix_output'`` or
            ``'loss_attention'`` (supplement G).
            Defaults to ``'mix_feature'``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_images: int = 2,
        pairwise: bool = False,
        variant: str = 'mix_feature',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg=init_cfg)
        if num_images < 2:
            raise ValueError(f'RULHead mixes at least 2 images, got {num_images}')
        if variant not in VARIANTS:
            raise ValueError(
                f'RULHead has no variant {variant!r}, only {", ".join(VARIANTS)}.'
            )
        self.num_images = num_images
        self.pairwise = pairwise
        self.variant = variant

    def loss(
        self, feats: GaussianFeature, data_samples: List[DataSample], **kwargs
    ) -> dict:
        """Mix each image with random others of the batch.

        Args:
            feats (GaussianFeature): (B, D) each.
            data_samples (list[DataSample]): With ``gt_label``.

        Returns:
            dict[str, Tensor]: ``loss``.
        """
        labels = stack_labels(data_samples)
        own = torch.arange(len(labels), device=labels.device)
        images = [own] + random_partners(
            len(labels), self.num_images - 1, labels.device
        )
        groups = list(combinations(images, 2)) if self.pairwise else [images]
        with full_precision(labels):
            loss = sum(self.group_loss(feats, labels, g) for g in groups)
        return dict(loss=loss / len(groups))

    def group_loss(
        self, feats: GaussianFeature, labels: Tensor, group: Tuple[Tensor, ...]
    ) -> Tensor:
        """Loss of one way to put images together.

        Args:
            group (Sequence[Tensor]): K index tensors, each (B, ).
        """
        index = torch.stack(tuple(group))
        return VARIANTS[self.variant](
            feats.mean[index], feats.log_var[index], tuple(labels[index]), self.fc
        )
