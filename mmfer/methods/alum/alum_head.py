"""Head of ALUM (Wei, Zhou, Li and Wu, ICCV'23).

RUL mixes each image with a random partner. ALUM mixes it with an adversarial
positive and an adversarial negative, both mined from the batch. Latent
compensation (Eqs. 2 to 8, :mod:`mmfer.models.latent_compensation`) regularises
the backbone. Where the paper leaves a choice open, this head follows the
published code of RUL.
"""

from typing import Any, Dict, List, Optional

import torch
import torch.nn.functional as F
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.feature_mixing import dimension_weights, mix, random_partners
from mmfer.models.gathering import gather_batch
from mmfer.models.heads import GaussianHead, label_cross_entropy, stack_labels
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.models.utils import full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range
from mmfer.utils.presets import with_preset

from .losses import reduce_triplets, triplet_hinge
from .mining import READINGS, Mined, choose_anchors, mine_adversarial

# The paper sums Eq. 14 over all images, with the partners that were mixed. It rejects
# images by their variances, and does not say which mean of them it takes.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(
        triplet_scope='mined', triplet_reduction='mean', uncertainty='geometric'
    ),
    paper=dict(triplet_scope='used', triplet_reduction='sum', uncertainty='arithmetic'),
)


@MODELS.register_module()
class ALUMHead(GaussianHead):
    """Head that mines partners, mixes by uncertainty, and computes Eq. 12.

    In several processes, partners and anchors are chosen from the global batch,
    and each process computes its whole loss, see :mod:`mmfer.models.gathering`.

    These options give rows of the paper's Table 6. Its first two rows have
    :class:`RULHead` instead, without and with latent compensation (LC).

    - AP: ``negative=False, triplet_weight=0``
    - AN: ``positive=False, triplet_weight=0``
    - AP and AN: ``triplet_weight=0``
    - full: the defaults

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        positive (bool): Mix with an adversarial positive (AP). Defaults to
            True.
        negative (bool): Mix with an adversarial negative (AN). If both
            ``positive`` and ``negative`` are False, each image is mixed with
            one random image. Defaults to True.
        mine_ratio (float): p, the share of images whose partners are mined;
            the other images have random partners. A ``LinearRampHook`` that
            raises ``head.mine_ratio`` gives the "from easy to hard" of the
            paper. Defaults to 0.2.
        mining (str): Reading of Eq. 10, see :func:`mine_adversarial`.
            Defaults to ``'prose'``.
        margin (float): alpha of Eq. 14. Defaults to 1.
        triplet_weight (float): lambda of Eq. 12. Defaults to 0.003.
        triplet_space (str): Space of the distances in Eq. 14. ``'raw'``: means
            as they are, like the printed equation. ``'unit'``: means scaled to
            length 1, where Eq. 10 computes its cosine. Raw distances also fall
            when all means shrink, see ``configs/alum/README.md``. Defaults to
            ``'raw'``.
        triplet_scope (str, optional): Triplets that count in Eq. 14. Defaults
            to that of the preset.

            - ``'mined'``: the mined partners of the images that use them,
              because random partners do not respect the labels.
            - ``'used'``: all images, with the partners that they are mixed
              with, the random ones included. This is Eq. 14 as printed.
            - ``'all'``: all images with their mined partners, whether they are
              mixed with them or not.
        triplet_reduction (str, optional): ``'mean'``, or ``'sum'`` as in the
            paper, see :func:`reduce_triplets`. Defaults to that of the preset.
        triplet_count (float): Number of triplets in the sum for which lambda
            was chosen, used with ``'mean'``. Defaults to
            25.6 = 0.2 * 128.
        uncertainty (str, optional): Uncertainty of a prediction, see
            :class:`GaussianHead`. Defaults to that of the preset.
        preset (str): ``'default'`` or ``'paper'`` (Eq. 14 to the letter). It
            sets ``triplet_scope``, ``triplet_reduction`` and ``uncertainty``
            where these are not given, see ``PRESETS``. The equations of the
            backbone have a preset of their own, see
            :class:`~mmfer.models.LatentCompensation`. Defaults to
            ``'default'``.

    Raises:
        ValueError: An option is out of range. Or ``triplet_scope='used'`` lacks
            the positive or the negative of its triplets.
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
        triplet_scope: Optional[str] = None,
        triplet_reduction: Optional[str] = None,
        triplet_count: float = 25.6,
        uncertainty: Optional[str] = None,
        preset: str = 'default',
        init_cfg: Optional[dict] = None,
    ):
        given = dict(
            triplet_scope=triplet_scope,
            triplet_reduction=triplet_reduction,
            uncertainty=uncertainty,
        )
        chosen = with_preset(type(self), PRESETS, preset, given)
        super().__init__(num_classes, in_channels, chosen['uncertainty'], init_cfg)
        self.positive = positive
        self.negative = negative
        self.mine_ratio = in_range(self, 'mine_ratio', mine_ratio, 0, 1)
        self.mining = choices(self, 'mining', mining, READINGS)
        self.margin = in_range(self, 'margin', margin, 0)
        self.triplet_weight = in_range(self, 'triplet_weight', triplet_weight, 0)
        self.triplet_space = choices(
            self, 'triplet_space', triplet_space, ('raw', 'unit')
        )
        self.triplet_scope = choices(
            self, 'triplet_scope', chosen['triplet_scope'], ('mined', 'used', 'all')
        )
        self.triplet_reduction = choices(
            self, 'triplet_reduction', chosen['triplet_reduction'], ('mean', 'sum')
        )
        self.triplet_count = in_range(
            self, 'triplet_count', triplet_count, 0, open_low=True
        )
        if self.triplet_scope == 'used' and triplet_weight:
            if not (positive and negative):
                raise ValueError(
                    f"ALUMHead: triplet_scope='used' takes the triplets from the "
                    f'partners that are mixed, but positive={positive} and '
                    f'negative={negative}. Set triplet_weight=0 to train without '
                    "triplets, or triplet_scope='mined'."
                )

    def loss(
        self, feats: GaussianFeature, data_samples: List[DataSample], **kwargs: Any
    ) -> dict:
        """Compute the two terms of Eq. 12.

        Args:
            feats (GaussianFeature): Mean and log-variance, each (B, D).
            data_samples (list[DataSample]): Samples with ``gt_label``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss_cls`` and, unless its weight is 0,
            ``loss_triplet``, which includes the weight.
        """
        labels = gather_batch(stack_labels(data_samples))
        feats = GaussianFeature(*map(gather_batch, self.check_feature(feats)))
        anchors = choose_anchors(len(labels), self.mine_ratio, labels.device)
        with full_precision(labels):
            # Mining needs full precision too: cosines in bfloat16 are too coarse
            # to rank close negatives.
            mined = self.mine(feats.mean, labels)
            partners = self.choose_partners(mined, anchors)
            losses = dict(loss_cls=self.classification_loss(feats, labels, partners))
            if self.triplet_weight:
                losses['loss_triplet'] = self.triplet_weight * self.triplet_loss(
                    feats.mean, mined, anchors, partners
                )
        return losses

    def mine(self, mean: Tensor, labels: Tensor) -> Mined:
        """Mine the partners of every image, Eq. 10.

        To try another rule, override this method: the mixing, the anchors and the
        triplets use what it returns.

        Args:
            mean (Tensor): Means mu of the global batch in full precision, (B, D).
            labels (Tensor): Given labels, int64 (B, ).

        Returns:
            Mined: Partners, and whether each image has one.
        """
        return mine_adversarial(mean, labels, self.mining)

    def choose_partners(self, mined: Mined, anchors: Tensor) -> List[Tensor]:
        """Choose the partners of every image, Sec. 3.3.

        An anchor gets its mined partner if it has one. Every other image gets
        its partner from a random permutation of the batch. Each kind of
        partner has its own permutation.

        Args:
            mined (Mined): Mined partners of the batch.
            anchors (Tensor): Whether an image is an anchor, bool (B, ).

        Returns:
            list[Tensor]: One or two tensors of indices, each (B, ).
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
        """Compute Eq. 13: mix features by Eq. 11, and classify as each label.

        The label of a partner is its own, whether it was mined or random.

        Args:
            feats (GaussianFeature): Mean and log-variance, each (B, D).
            labels (Tensor): Given labels, int64 (B, ).
            partners (list[Tensor]): Indices of partners, each (B, ).

        Returns:
            Tensor: Scalar.
        """
        own = torch.arange(len(labels), device=labels.device)
        index = torch.stack([own, *partners])
        mixed = mix(feats.mean[index], self.mixing_weights(feats.log_var[index]))
        return label_cross_entropy(self.fc(mixed), tuple(labels[index]))

    def mixing_weights(self, log_var: Tensor) -> Tensor:
        """Return the weights of the mixture, Eq. 11.

        To try others, override this method.

        Args:
            log_var (Tensor): Log-variances of the images and of their partners, K of
                each, (K, B, D).

        Returns:
            Tensor: Weights that sum to 1 over the K images, (K, B, D) or (K, B, 1).
        """
        return dimension_weights(log_var)

    def triplet_loss(
        self, mean: Tensor, mined: Mined, anchors: Tensor, partners: List[Tensor]
    ) -> Tensor:
        """Compute L_T of Eq. 14 over the triplets in ``triplet_scope``.

        Args:
            mean (Tensor): Means mu, (B, D).
            mined (Mined): Mined partners of the batch.
            anchors (Tensor): Whether an image is an anchor, bool (B, ).
            partners (list[Tensor]): Indices of the partners that are mixed, each
                (B, ).

        Returns:
            Tensor: Scalar.
        """
        if self.triplet_space == 'unit':
            mean = F.normalize(mean, dim=1)
        if self.triplet_scope == 'used':
            positive, negative = partners
            valid = torch.ones_like(anchors)
        else:
            positive, negative = mined.positive, mined.negative
            valid = mined.has_positive & mined.has_negative
        if self.triplet_scope == 'mined':
            valid = valid & anchors
        hinges = self.hinges(mean, mean[positive], mean[negative])
        return reduce_triplets(
            hinges, valid, self.triplet_reduction, self.triplet_count
        )

    def hinges(self, mean: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss of each triplet, a summand of Eq. 14.

        To try another one, override this method.

        Args:
            mean (Tensor): mu of the images x, (B, D).
            positive (Tensor): mu of x+, (B, D).
            negative (Tensor): mu of x-, (B, D).

        Returns:
            Tensor: Shape (B, ).
        """
        return triplet_hinge(mean, positive, negative, self.margin)
