"""Co-teaching (NeurIPS'18): each network picks samples for the other."""

from typing import Dict, List

import torch.nn.functional as F
from torch import Tensor

from mmfer.models.small_loss import SmallLossNetwork, num_kept, smallest
from mmfer.registry import MODELS


@MODELS.register_module()
class CoTeaching(SmallLossNetwork):
    """Han et al., Co-teaching, Algorithm 1.

    Each network's samples of smallest loss are what the other one is trained
    on.

    Args:
        **kwargs: See :class:`SmallLossNetwork`.
    """

    def joint_loss(
        self, log_prob: List[Tensor], labels: Tensor, agreements: Tensor
    ) -> Dict[str, Tensor]:
        """Cross-entropy over what the other network picked."""
        losses = [F.nll_loss(x, labels, reduction='none') for x in log_prob]
        count = num_kept(len(labels), self.forget_rate)
        picked = [smallest(x, count) for x in losses]
        return dict(
            loss_network1=losses[0][picked[1]].mean(),
            loss_network2=losses[1][picked[0]].mean(),
        )
