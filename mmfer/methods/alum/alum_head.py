"""ALUM: Adversarial data Uncertainty Modeling (ICCV'23).

Wei, Zhou, Li, Wu. RUL's random partner becomes an adversarial triplet mined
from the batch; the trunk is regularised by latent compensation (Eqs. 2 to 8,
:mod:`mmfer.models.latent_compensation`). Where the paper is silent this
follows RUL's published code.
"""

from typing import List, Optional

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.feature_mixing import dimension_weights, mix, random_partners
from mmfer.models.heads import GaussianHead, label_cross_entropy, stack_labels
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.models.utils import full_precision
from mmfer.registry import MODELS

from .losses import reduce_triplets, triplet_hinge
from .mining import READINGS, Mined, choose_anchors, mine_adversarial


@MODELS.register_module()
class ALUMHead(GaussianHead):
    """Adversarial triplets, uncertainty mixing and the loss of Eq. 12.

    The rows of the paper's Table 6 are: LC ``positive=negative=False,
    triplet_weight=0``; AP ``negative=False, triplet_weight=0``; AN
    ``positive=False, triplet_weight=0``; both ``triplet_weight=0``; full.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D, found from the neck.
        positive (bool): Mix with an adversarial positive (AP).
        negative (bool): Mix with an adversarial negative (AN). With neither,
            each image is mixed with one random other.
        mine_ratio (float): p, the share of images whose partners are mined;
            the others' are random. A ``LinearRampHook`` on
            ``head.mine_ratio`` makes it "from easy to hard".
            Defaults to 0.2.
        mining (str): Reading of Eq. 10, see :func:`mine_adversarial`.
            Defaults to ``'prose'``.
        margin (float): alpha of Eq. 14. Defaults to 1.
        triplet_weight (float): lambda of Eq. 12. Defaults to 0.003.
        triplet_space (str): Where distances of Eq. 14 are taken: between
            ``'raw'`` means as printed (default), or ``'unit'`` ones, on the
            sphere that the cosine of Eq. 10 looks at. Raw distances also
            fall when all means shrink, see ``configs/alum/README.md``.
        triplet_scope (str): Triplets of Eq. 14: of the ``'mined'`` anchors
            (default: random partners do not respect the labels) or of
            ``'all'`` images.
        triplet_reduction (str): ``'mean'`` (default) or ``'sum'``, the
            paper's, see :func:`reduce_triplets`.
        triplet_count (float): With ``'mean'``, the number of triplets whose
            sum lambda was chosen for. Defaults to 25.6 = 0.2 * 128.
        uncertainty (str): What a prediction reports, see
            :class:`GaussianHead`.
            Defaults to ``'geometric'``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        positive: bool = True,
        negative: bool = True,
        mine_ratio: float = 0.2,
        mining: str = 'prose',
        margin: float = 1.0,
        triplet_weight: float = 0.003,
        triplet_space: str = 'raw',
        triplet_scope: str = 'mined',
        triplet_reduction: str = 'mean',
        triplet_count: float = 25.6,
        uncertainty: str = 'geometric',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, uncertainty, init_cfg)
        if not 0 <= mine_ratio <= 1:
            raise ValueError(f'mine_ratio must lie in [0, 1], got {mine_ratio}')
        for name, value, choices in (
            ('mining', mining, READINGS),
            ('triplet_space', triplet_space, ('raw', 'unit')),
            ('triplet_scope', triplet_scope, ('mined', 'all')),
            ('triplet_reduction', triplet_reduction, ('mean', 'sum')),
        ):
            if value not in choices:
                raise ValueError(
                    f'ALUMHead has no {name} {value!r}, only {", ".join(choices)}.'
                )
        self.positive = positive
        self.negative = negative
        self.mine_ratio = mine_ratio
        self.mining = mining
        self.margin = margin
        self.triplet_weight = triplet_weight
        self.triplet_space = triplet_space
        self.triplet_scope = triplet_scope
        self.triplet_reduction = triplet_reduction
        self.triplet_count = triplet_count

    def loss(
        self, feats: GaussianFeature, data_samples: List[DataSample], **kwargs
    ) -> dict:
        """The two terms of Eq. 12.

        Args:
            feats (GaussianFeature): (B, D) each.
            data_samples (list[DataSample]): With ``gt_label``.

        Returns:
            dict[str, Tensor]: ``loss_cls`` and, unless its weight is 0,
            ``loss_triplet``, weight included.
        """
        labels = stack_labels(data_samples)
        anchors = choose_anchors(len(labels), self.mine_ratio, labels.device)
        with full_precision(labels):
            # Cosines too: in bfloat16 close negatives cannot be ranked.
            mined = mine_adversarial(feats.mean, labels, self.mining)
            losses = dict(
                loss_cls=self.classification_loss(
                    feats, labels, self.choose_partners(mined, anchors)
                )
            )
            if self.triplet_weight:
                losses['loss_triplet'] = self.triplet_weight * self.triplet_loss(
                    feats.mean, mined, anchors
                )
        return losses

    def choose_partners(self, mined: Mined, anchors: Tensor) -> List[Tensor]:
        """Partners of every image, Sec. 3.3.

        Mined for the anchors that have one, otherwise drawn from a
        permutation of the batch, a different one for each partner.

        Returns:
            list[Tensor]: One or two index tensors, each (B, ).
        """
        wanted = []
        if self.positive:
            wanted.append((mined.positive, mined.has_positive))
        if self.negative:
            wanted.append((mined.negative, mined.has_negative))
        shuffled = random_partners(len(anchors), max(len(wanted), 1), anchors.device)
        if not wanted:
            return shuffled
        return [
            torch.where(anchors & valid, index, random)
            for (index, valid), random in zip(wanted, shuffled, strict=True)
        ]

    def classification_loss(
        self, feats: GaussianFeature, labels: Tensor, partners: List[Tensor]
    ) -> Tensor:
        """Mix by Eq. 11 and recognise every label in it, Eq. 13.

        A partner counts with its own label, mined or not.
        """
        own = torch.arange(len(labels), device=labels.device)
        index = torch.stack([own, *partners])
        mixed = mix(feats.mean[index], dimension_weights(feats.log_var[index]))
        return label_cross_entropy(self.fc(mixed), tuple(labels[index]))

    def triplet_loss(self, mean: Tensor, mined: Mined, anchors: Tensor) -> Tensor:
        """L_T of Eq. 14 over the triplets in scope."""
        if self.triplet_space == 'unit':
            mean = F.normalize(mean, dim=1)
        hinges = triplet_hinge(
            mean, mean[mined.positive], mean[mined.negative], self.margin
        )
        valid = mined.has_positive & mined.has_negative
        if self.triplet_scope == 'mined':
            valid = valid & anchors
        return reduce_triplets(
            hinges, valid, self.triplet_reduction, self.triplet_count
        )
