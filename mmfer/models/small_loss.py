"""Small-loss selection: what Co-teaching and JoCoR have in common."""

from typing import Optional

import torch
from torch import Tensor

from .dual_network import DualNetwork


def num_kept(batch_size: int, forget_rate: float) -> int:
    """Samples of a batch that are trained on; at least one."""
    return max(int((1 - forget_rate) * batch_size), 1)


def smallest(losses: Tensor, count: int) -> Tensor:
    """Indices of the ``count`` smallest of (B, ) losses."""
    return torch.topk(losses.detach(), count, largest=False).indices


def ramp(epoch: int, ramp_epochs: int) -> float:
    """From 0 in the first epoch (0) to 1 in the last of ``ramp_epochs``.

    With a ramp of one epoch, 1 from the second on.
    """
    return min(epoch / max(ramp_epochs - 1, 1), 1.0)


class SmallLossNetwork(DualNetwork):
    """Base of methods that train on the samples of smallest loss.

    The share that is left out rises linearly over the first epochs to the
    noise rate.

    Args:
        noise_rate (float, optional): Share of wrong labels, in [0, 1), which
            both methods are told; the authors give half of the rate of pair
            and asymmetric noise. Defaults to None, where it is not known:
            estimated after each epoch as the weight of the noisy component,
            averaged over the two noise models.
        ramp_epochs (int): Epochs until the whole rate is left out.
            Defaults to 10.
        **kwargs: See :class:`DualNetwork`.
    """

    def __init__(
        self, noise_rate: Optional[float] = None, ramp_epochs: int = 10, **kwargs
    ):
        if noise_rate is not None and not 0 <= noise_rate < 1:
            raise ValueError(
                f'{type(self).__name__}: noise_rate must lie in '
                f'[0, 1) or be None, got {noise_rate}'
            )
        if ramp_epochs < 1:
            raise ValueError(
                f'{type(self).__name__}: ramp_epochs must be at '
                f'least 1, got {ramp_epochs}'
            )
        super().__init__(**kwargs)
        self.noise_rate = noise_rate
        self.ramp_epochs = ramp_epochs
        self._forget_rate = 0.0

    @property
    def forget_rate(self) -> float:
        """Share of each batch that is left out in this epoch."""
        return self._forget_rate if self.epoch else 0.0

    def estimated_noise_rate(self) -> float:
        """Mean of what the fitted noise models say; 0 without any.

        At most (C - 1) / C, where labels are mere chance.
        """
        rates = [
            model.mixture.noise_rate for model in self.noise_models if model.fitted
        ]
        mean = sum(rates) / len(rates) if rates else 0.0
        return min(mean, 1 - 1 / self.num_classes)

    def start_epoch(self, epoch: int) -> None:
        """See the base class; sets the forget rate, 0 in the first epoch."""
        super().start_epoch(epoch)
        rate = (
            self.estimated_noise_rate() if self.noise_rate is None else self.noise_rate
        )
        self._forget_rate = rate * ramp(epoch, self.ramp_epochs)
