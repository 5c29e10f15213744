"""Head of DUL, data uncertainty learning (Chang et al., CVPR'20).

Each image has a Gaussian feature. In training the classifier sees a random draw from
it, so that a large variance disturbs the classification. A second term keeps the
variance from shrinking to zero.
"""

from typing import Any, Dict, Optional, Sequence

from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.gathering import step_normal
from mmfer.models.heads import GaussianHead, label_cross_entropy, stack_labels
from mmfer.models.uncertainty_neck import GaussianFeature
from mmfer.models.utils import full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range, number_pair
from mmfer.utils.presets import with_preset

from .losses import (
    KL_REDUCTIONS,
    kl_to_standard_normal,
    sample_feature,
    standard_deviation,
)

# The authors published no code. Of two other implementations, one sums over the
# dimensions as the paper does, but switches the term off. The other one, `official`
# here, takes the mean over them, and bounds the standard deviation.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(
        kl_reduction='sum', std_clamp=None, log_eps=0.0, uncertainty='arithmetic'
    ),
    official=dict(
        kl_reduction='mean',
        std_clamp=(1e-8, 1.0),
        log_eps=1e-8,
        uncertainty='arithmetic',
    ),
    paper=dict(kl_reduction='sum', std_clamp=None, log_eps=0.0, uncertainty='harmonic'),
)


@MODELS.register_module()
class DULHead(GaussianHead):
    """Head of data uncertainty learning, after an ``UncertaintyNeck``.

    With s a draw from the Gaussian feature, the loss of the classification form is::

        L = CE(W s + b, y) + kl_weight KL(N(mu, sigma^2) || N(0, 1))

    A prediction classifies mu, without a draw. In a training step, the draws depend on
    the seed, the step and the position of the image in the global batch.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        kl_weight (float): lambda of the paper, at least 0. With 0 nothing keeps the
            variances from shrinking. Defaults to 0.01.
        preset (str): ``'default'``, ``'official'`` (published code) or ``'paper'``.
            It sets the options below where they are not given, see ``PRESETS``.
            Defaults to ``'default'``.
        kl_reduction (str, optional): ``'sum'`` over the D dimensions, or ``'mean'``,
            which is D times weaker. Defaults to that of the preset, ``'sum'``.
        std_clamp (tuple[float, float], optional): Bounds of sigma in the loss, see
            :func:`~mmfer.methods.dul.losses.standard_deviation`. Defaults to those of
            the preset; that is none, except for ``'official'``.
        log_eps (float, optional): Added to the variance inside the logarithm. Defaults
            to that of the preset, 0.
        uncertainty (str, optional): Uncertainty of a prediction, see
            :class:`~mmfer.models.heads.GaussianHead`. Defaults to that of the preset,
            ``'arithmetic'``.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        kl_weight: float = 0.01,
        preset: str = 'default',
        kl_reduction: Optional[str] = None,
        std_clamp: Optional[Sequence[float]] = None,
        log_eps: Optional[float] = None,
        uncertainty: Optional[str] = None,
        init_cfg: Optional[dict] = None,
    ):
        given = dict(
            kl_reduction=kl_reduction,
            std_clamp=std_clamp,
            log_eps=log_eps,
            uncertainty=uncertainty,
        )
        chosen = with_preset(self, PRESETS, preset, given)
        super().__init__(
            num_classes, in_channels, chosen['uncertainty'], init_cfg=init_cfg
        )
        self.kl_weight = in_range(self, 'kl_weight', kl_weight, 0)
        self.kl_reduction = choices(
            self, 'kl_reduction', chosen['kl_reduction'], KL_REDUCTIONS
        )
        self.std_clamp = chosen['std_clamp']
        if self.std_clamp is not None:
            self.std_clamp = number_pair(
                self, 'std_clamp', self.std_clamp, 0, open_low=True
            )
        self.log_eps = in_range(self, 'log_eps', chosen['log_eps'], 0)

    def loss(
        self, feats: GaussianFeature, data_samples: Samples, **kwargs: Any
    ) -> Dict[str, Tensor]:
        """Return both terms of the loss of a batch.

        Args:
            feats (GaussianFeature): Mean and log-variance, each (B, D).
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss_cls`` and ``loss_kl``, which is weighted.
        """
        labels = stack_labels(data_samples)
        mean, log_var = self.check_feature(feats)
        noise = step_normal('feature', len(mean), mean.shape[1], mean)[0]
        with full_precision(labels):
            std = standard_deviation(log_var, self.std_clamp)
            logits = self.fc(sample_feature(mean, std, noise))
            kl = kl_to_standard_normal(mean, std, self.kl_reduction, self.log_eps)
            return dict(
                loss_cls=label_cross_entropy(logits, [labels]),
                loss_kl=self.kl_weight * kl,
            )
