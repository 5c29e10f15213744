"""Head of RUL, relative uncertainty learning (Zhang, Wang and Deng, NeurIPS'21).

Features of images are mixed, with their uncertainties as weights. The network
must classify the mixed feature as each of their labels. To lower the loss, it
has to give the harder image the larger weight. The equations are those of the
published code.
"""

from itertools import combinations
from typing import Any, Callable, List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.feature_mixing import mix, random_partners, scalar_weights
from mmfer.models.gathering import gather_batch
from mmfer.models.heads import GaussianHead, label_cross_entropy, stack_labels
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.models.utils import full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, whole_number


def mixed_feature_loss(
    means: Tensor,
    log_var: Tensor,
    labels: Tuple[Tensor, ...],
    classifier: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the loss of classifying a mixture of K images as each label.

    Args:
        means (Tensor): Means of the images, (K, B, D).
        log_var (Tensor): Log-variances of the images, (K, B, D).
        labels (tuple[Tensor, ...]): K labels, each (B, ).
        classifier (Callable): Maps features (B, D) to logits (B, C).

    Returns:
        Tensor: Mean over the K labels and the batch.
    """
    mixed = mix(means, scalar_weights(log_var))
    return label_cross_entropy(classifier(mixed), labels) / len(labels)


def mixed_output_loss(
    means: Tensor,
    log_var: Tensor,
    labels: Tuple[Tensor, ...],
    classifier: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the loss of mixed logits, *mix output* of supplement G.

    The classifier of RUL is affine and the weights sum to one, so this equals
    :func:`mixed_feature_loss`. It differs for classifiers of more than one
    layer. For the arguments see :func:`mixed_feature_loss`.
    """
    logits = torch.stack([classifier(mean) for mean in means])
    mixed = mix(logits, scalar_weights(log_var))
    return label_cross_entropy(mixed, labels) / len(labels)


def loss_attention_loss(
    means: Tensor,
    log_var: Tensor,
    labels: Tuple[Tensor, ...],
    classifier: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the weighted losses of single images, *loss attention* of supplement G.

    Neither features nor logits are mixed. For the arguments see
    :func:`mixed_feature_loss`.

    The learned uncertainty is *inverted*. With u the uncertainties of two images, and
    l their losses, the loss L of the pair has the derivative
    ``dL/du_1 = u_2 (l_1 - l_2) / (u_1 + u_2)**2``. So a step lowers the uncertainty of
    the image with the larger loss. :func:`mixed_feature_loss` does the opposite.
    """
    losses = torch.stack(
        [
            F.cross_entropy(classifier(mean), label, reduction='none')
            for mean, label in zip(means, labels, strict=True)
        ]
    )
    return mix(losses, scalar_weights(log_var).squeeze(-1)).mean()


# What a user of loss_attention must know, since its scores look like those of RUL.
INVERTED = (
    "RULHead: variant='loss_attention' learns an inverted uncertainty: to lower the "
    'weighted loss, the network gives hard images a small one. Rejection and '
    'RelabelHook would then choose the easy images. Set model.head.uncertainty='
    "'confidence' to measure uncertainty by the largest probability instead."
)

VARIANTS = dict(
    mix_feature=mixed_feature_loss,
    mix_output=mixed_output_loss,
    loss_attention=loss_attention_loss,
)


@MODELS.register_module()
class RULHead(GaussianHead):
    """Head of relative uncertainty learning, after an ``UncertaintyNeck``.

    In several processes, images are mixed with those of the global batch, and
    each process computes its whole loss, see :mod:`mmfer.models.gathering`.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        num_images (int): Number of images that are mixed. Defaults to 2.
        pairwise (bool): Mix the ``num_images`` images in all pairs, and
            average the losses (C(3, 2) in the supplement). False: mix all
            images at once. Defaults to False.
        variant (str): ``'mix_feature'`` (RUL), ``'mix_output'`` or
            ``'loss_attention'`` (supplement G). The learned uncertainty of
            ``'loss_attention'`` is inverted, see :func:`loss_attention_loss`.
            Defaults to ``'mix_feature'``.
        uncertainty (str): Uncertainty of a prediction, see
            :class:`GaussianHead`. Defaults to ``'arithmetic'``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_images: int = 2,
        pairwise: bool = False,
        variant: str = 'mix_feature',
        uncertainty: str = 'arithmetic',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, uncertainty, init_cfg=init_cfg)
        self.num_images = whole_number(self, 'num_images', num_images, 2)
        self.pairwise = pairwise
        self.variant = choices(self, 'variant', variant, VARIANTS)
        if variant == 'loss_attention' and uncertainty != 'confidence':
            MMLogger.get_current_instance().warning(INVERTED)

    def loss(
        self, feats: GaussianFeature, data_samples: List[DataSample], **kwargs: Any
    ) -> dict:
        """Return the loss of mixing each image with random images of the batch.

        Args:
            feats (GaussianFeature): Mean and log-variance, each (B, D).
            data_samples (list[DataSample]): Samples with ``gt_label``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss``.
        """
        labels = gather_batch(stack_labels(data_samples))
        feats = GaussianFeature(*map(gather_batch, self.check_feature(feats)))
        own = torch.arange(len(labels), device=labels.device)
        images = [own] + random_partners(
            len(labels), self.num_images - 1, labels.device
        )
        groups: List[Sequence[Tensor]] = (
            list(combinations(images, 2)) if self.pairwise else [images]
        )
        with full_precision(labels):
            losses = [self.group_loss(feats, labels, group) for group in groups]
            loss = sum(losses[1:], losses[0])
        return dict(loss=loss / len(groups))

    def group_loss(
        self, feats: GaussianFeature, labels: Tensor, group: Sequence[Tensor]
    ) -> Tensor:
        """Compute the loss of mixing the K images of each row of a group.

        Args:
            feats (GaussianFeature): Mean and log-variance, each (B, D).
            labels (Tensor): Given labels, int64 (B, ).
            group (Sequence[Tensor]): Indices of the K images of each mixture,
                each int64 (B, ).

        Returns:
            Tensor: Scalar.
        """
        index = torch.stack(tuple(group))
        return VARIANTS[self.variant](
            feats.mean[index], feats.log_var[index], tuple(labels[index]), self.fc
        )
