"""Co-teaching (NeurIPS'18): each network selects samples for the other."""

from typing import Dict, List

import torch.nn.functional as F
from torch import Tensor

from mmfer.models.small_loss import SmallLossNetwork, num_kept, smallest
from mmfer.registry import MODELS


@MODELS.register_module()
class CoTeaching(SmallLossNetwork):
    """Co-teaching, Algorithm 1 of Han et al.

    Each network is trained on the samples for which the other network has the
    smallest loss.

    Args:
        **kwargs: See :class:`~mmfer.models.SmallLossNetwork`.
    """

    def joint_loss(
        self, log_prob: List[Tensor], labels: Tensor, agreements: Tensor
    ) -> Dict[str, Tensor]:
        """Return each network's cross-entropy on the other one's selection.

        Args:
            log_prob (list[Tensor]): Log-probabilities of both networks, each
                (B, C).
            labels (Tensor): Given labels, int64 (B, ).
            agreements (Tensor): Not used.
        """
        losses = [F.nll_loss(x, labels, reduction='none') for x in log_prob]
        count = num_kept(len(labels), self.forget_rate)
        picked = [smallest(x, count) for x in losses]
        return dict(
            loss_network1=losses[0][picked[1]].mean(),
            loss_network2=losses[1][picked[0]].mean(),
        )
