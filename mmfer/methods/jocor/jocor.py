"""JoCoR (CVPR'20): one joint loss selects the samples and is minimised."""

from typing import Any, Dict, List

import torch.nn.functional as F
from torch import Tensor

from mmfer.models.divergences import symmetric_kl
from mmfer.models.small_loss import SmallLossNetwork, num_kept, smallest
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range


@MODELS.register_module()
class JoCoR(SmallLossNetwork):
    """Joint training with co-regularisation (Wei et al.).

    Args:
        agreement_weight (float): lambda of Eq. 1, in [0, 1): weight of the
            symmetric KL divergence. Cross-entropy has the weight 1 - lambda.
            The authors use .9 on CIFAR-10 (.65 at 80 % noise). Defaults to
            0.9.
        **kwargs: See :class:`~mmfer.models.SmallLossNetwork`.
    """

    def __init__(self, agreement_weight: float = 0.9, **kwargs: Any):
        in_range(self, 'agreement_weight', agreement_weight, 0, 1, open_high=True)
        super().__init__(**kwargs)
        self.agreement_weight = agreement_weight

    def joint_loss(
        self, log_prob: List[Tensor], labels: Tensor, agreements: Tensor
    ) -> Dict[str, Tensor]:
        """Return the mean of the smallest joint losses, Eqs. 1 and 5.

        Args:
            log_prob (list[Tensor]): Log-probabilities of both networks, each
                (B, C).
            labels (Tensor): Given labels, int64 (B, ).
            agreements (Tensor): Not used.
        """
        first, second = (F.nll_loss(x, labels, reduction='none') for x in log_prob)
        supervised = first + second
        joint = (
            1 - self.agreement_weight
        ) * supervised + self.agreement_weight * symmetric_kl(*log_prob)
        count = num_kept(len(labels), self.forget_rate)
        return dict(loss=joint[smallest(joint, count)].mean())
