"""Head of SCE, symmetric cross-entropy."""

import math
from typing import Any, Dict, Optional

from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.heads import LinearHead, stack_labels
from mmfer.models.utils import at_least_float32, full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range
from mmfer.utils.presets import with_preset

from .losses import cross_entropy, reverse_cross_entropy

# The paper and both published codes differ in the logarithm of zero. The codes also
# clip probabilities: that of the authors in one term, its reproduction in the other.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(log_zero=math.log(1e-4), ce_clip=0.0, rce_clip=0.0),
    paper=dict(log_zero=-4.0, ce_clip=0.0, rce_clip=0.0),
    official=dict(log_zero=math.log(1e-4), ce_clip=1e-7, rce_clip=0.0),
    reproduction=dict(log_zero=math.log(1e-4), ce_clip=0.0, rce_clip=1e-7),
)


@MODELS.register_module()
class SCEHead(LinearHead):
    """Head of symmetric cross-entropy (Wang et al., ICCV 2019).

    The loss is ``alpha CE + beta RCE``. Reverse cross-entropy exchanges the label and
    the prediction. It is bounded and robust to wrong labels; cross-entropy makes the
    network converge.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        alpha (float): Weight of cross-entropy, at least 0. Defaults to 0.1, for 10
            classes; the paper has 6 for 100 classes.
        beta (float): Weight of reverse cross-entropy, at least 0. Defaults to 1, for
            10 classes; the paper has 0.1 for 100 classes.
        preset (str): ``'default'``, ``'paper'``, ``'official'`` (code of the authors)
            or ``'reproduction'`` (the published code in PyTorch). It sets the options
            below where they are not given, see ``PRESETS``. Defaults to
            ``'default'``.
        log_zero (float, optional): A, the value of log 0, below 0. Defaults to that of
            the preset.
        ce_clip (float, optional): Smallest probability in cross-entropy, in [0, 1).
            Defaults to that of the preset.
        rce_clip (float, optional): Smallest probability in reverse cross-entropy, in
            [0, 1). Defaults to that of the preset.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        alpha: float = 0.1,
        beta: float = 1.0,
        preset: str = 'default',
        log_zero: Optional[float] = None,
        ce_clip: Optional[float] = None,
        rce_clip: Optional[float] = None,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg)
        self.alpha = in_range(self, 'alpha', alpha, 0)
        self.beta = in_range(self, 'beta', beta, 0)
        if alpha == beta == 0:
            raise ValueError(
                'SCEHead: alpha and beta are both 0, so there is no loss. Set one of '
                'them to a number above 0.'
            )
        given = dict(log_zero=log_zero, ce_clip=ce_clip, rce_clip=rce_clip)
        chosen = with_preset(self, PRESETS, preset, given)
        self.log_zero = in_range(
            self, 'log_zero', chosen['log_zero'], None, 0, open_high=True
        )
        self.ce_clip, self.rce_clip = (
            in_range(self, name, chosen[name], 0, 1, open_high=True)
            for name in ('ce_clip', 'rce_clip')
        )

    def loss(self, feats: Any, data_samples: Samples, **kwargs: Any) -> dict:
        """Return the loss of a batch.

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss_ce`` and ``loss_rce``, with their weights.
        """
        labels = stack_labels(data_samples)
        features = at_least_float32(self.pre_logits(feats))
        with full_precision(labels):
            log_prob = self.fc(features).log_softmax(dim=1)
            losses: Dict[str, Tensor] = dict(
                loss_ce=self.alpha
                * cross_entropy(log_prob, labels, self.ce_clip).mean(),
                loss_rce=self.beta
                * reverse_cross_entropy(
                    log_prob, labels, self.log_zero, self.rce_clip
                ).mean(),
            )
        return losses
