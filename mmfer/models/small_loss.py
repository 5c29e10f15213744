"""Selection of samples with a small loss, for Co-teaching and JoCoR."""

import logging
from typing import Any, Optional

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmfer.utils.checks import in_range, positive_int

from .dual_network import DualNetwork


def num_kept(batch_size: int, forget_rate: float) -> int:
    """Return the number of samples of a batch to train on; at least one.

    Args:
        batch_size (int): B.
        forget_rate (float): Share of the batch that is discarded.
    """
    return max(int((1 - forget_rate) * batch_size), 1)


def smallest(losses: Tensor, count: int) -> Tensor:
    """Return the indices of the ``count`` smallest losses, (count, ).

    Args:
        losses (Tensor): Loss of each sample, (B, ).
        count (int): Number of samples.
    """
    return torch.topk(losses.detach(), count, largest=False).indices


def ramp(epoch: int, ramp_epochs: int) -> float:
    """Return a factor that rises linearly from 0 to 1 over the first epochs.

    It is 0 in the first epoch, and 1 in the last epoch of the ramp and after
    it. With a ramp of one epoch it is 1 from the second epoch on.

    Args:
        epoch (int): Epoch, 0-based.
        ramp_epochs (int): Number of epochs of the ramp.
    """
    return min(epoch / max(ramp_epochs - 1, 1), 1.0)


class SmallLossNetwork(DualNetwork):
    """Base of methods that train on the samples with the smallest loss.

    The share of a batch that is discarded rises linearly over the first
    epochs, up to the noise rate.

    Args:
        noise_rate (float, optional): Share of wrong labels, in [0, 1). In all
            tables of papers it is known. For asymmetric noise JoCoR's code sets
            half of the rate, because half of the classes keep their labels.
            None: our addition; the rate is estimated after each epoch, as the
            weight of the noisy component, averaged over the two noise models.
            Defaults to None.
        ramp_epochs (int): Epochs over which the discarded share rises.
            Defaults to 10.
        **kwargs: See :class:`DualNetwork`.
    """

    def __init__(
        self, noise_rate: Optional[float] = None, ramp_epochs: int = 10, **kwargs: Any
    ):
        in_range(self, 'noise_rate', noise_rate, 0, 1, open_high=True, optional=True)
        positive_int(self, 'ramp_epochs', ramp_epochs)
        super().__init__(**kwargs)
        self.noise_rate = noise_rate
        self.ramp_epochs = ramp_epochs
        self._forget_rate = 0.0

    def check_schedule(self, max_epochs: int) -> None:
        """Also warn if the noise rate is estimated, see the base class."""
        super().check_schedule(max_epochs)
        if self.noise_rate is None:
            print_log(
                f'{type(self).__name__}: model.noise_rate is not given, so this run '
                'estimates the noise rate after each epoch. In the tables of papers '
                f'{type(self).__name__} knows it, so these results are not comparable '
                'to them. If you know the rate, set model.noise_rate.',
                'current',
                level=logging.WARNING,
            )

    @property
    def forget_rate(self) -> float:
        """Share of each batch that is discarded in this epoch."""
        return self._forget_rate if self.epoch else 0.0

    def estimated_noise_rate(self) -> float:
        """Return the mean noise rate of the fitted noise models.

        It is 0 if none is fitted. It is at most (C - 1) / C, the noise rate of
        labels that are drawn at random.
        """
        rates = [
            model.mixture.noise_rate for model in self.noise_models if model.fitted
        ]
        mean = sum(rates) / len(rates) if rates else 0.0
        return min(mean, 1 - 1 / self.num_classes)

    def start_epoch(self, epoch: int) -> None:
        """Store the number of the epoch that begins, and set its forget rate.

        Args:
            epoch (int): Epoch, 0-based.
        """
        super().start_epoch(epoch)
        rate = (
            self.estimated_noise_rate() if self.noise_rate is None else self.noise_rate
        )
        self._forget_rate = rate * ramp(epoch, self.ramp_epochs)
