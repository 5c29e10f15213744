"""JoCoR (CVPR'20): one joint loss decides and is minimised."""

from typing import Dict, List

import torch.nn.functional as F
from torch import Tensor

from mmfer.models.small_loss import SmallLossNetwork, num_kept, smallest
from mmfer.registry import MODELS


def symmetric_kl(log_prob1: Tensor, log_prob2: Tensor) -> Tensor:
    """KL(p1 | p2) + KL(p2 | p1) per sample, (B, ) (JoCoR, Eq. 4)."""
    difference = log_prob1 - log_prob2
    return ((log_prob1.exp() - log_prob2.exp()) * difference).sum(dim=1)


@MODELS.register_module()
class JoCoR(SmallLossNetwork):
    """Wei et al., Combating Noisy Labels by Agreement.

    Args:
        agreement_weight (float): lambda of Eq. 1, in [0, 1): weight of the
            symmetric KL divergence; cross-entropy has the rest. The authors
            use .9 on CIFAR-10 (.65 at 80 % noise). Defaults to 0.9.
        **kwargs: See :class:`SmallLossNetwork`.
    """

    def __init__(self, agreement_weight: float = 0.9, **kwargs):
        if not 0 <= agreement_weight < 1:
            raise ValueError(
                f'JoCoR: agreement_weight must lie in [0, 1), got {agreement_weight}'
            )
        super().__init__(**kwargs)
        self.agreement_weight = agreement_weight

    def joint_loss(
        self, log_prob: List[Tensor], labels: Tensor, agreements: Tensor
    ) -> Dict[str, Tensor]:
        """Mean of the smallest joint losses (Eqs. 1 and 5)."""
        supervised = sum(F.nll_loss(x, labels, reduction='none') for x in log_prob)
        joint = (
            1 - self.agreement_weight
        ) * supervised + self.agreement_weight * symmetric_kl(*log_prob)
        count = num_kept(len(labels), self.forget_rate)
        return dict(loss=joint[smallest(joint, count)].mean())
