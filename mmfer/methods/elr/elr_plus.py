"""ELR+: two networks with mixup, whose averaged weights make the targets."""

import copy
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmfer.models.dual_network import DualNetwork
from mmfer.models.gathering import interleave, own_images
from mmfer.models.heads import stack_labels
from mmfer.models.mixup import mix_rows, mixing_share
from mmfer.models.predictions import suggest_by_margin
from mmfer.models.sample_state import SampleTables, TrainingFacts, require_sample_ids
from mmfer.models.utils import at_least_float32, full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range, whole_number
from mmfer.utils.random import step_permutation

from .losses import average_targets, elr_plus_loss, label_evidence, ramp


@MODELS.register_module()
class ELRPlus(SampleTables, DualNetwork):
    """Early-learning regularisation with two networks (NeurIPS 2020, ELR+).

    Each network has a running average of its weights. The average of the *other*
    network predicts the images as they are, and its predictions move the targets of
    this network. The network itself learns from mixed images, labels and targets
    (mixup). Each network has partners and shares of its own.

    In several processes, images are mixed with those of the global batch.

    Args:
        beta (float): See :class:`ELRHead`. Defaults to 0.7.
        weight (float): See :class:`ELRHead`. Defaults to 3.
        ramp_steps (int): Steps over which ``weight`` rises, see
            :func:`~mmfer.methods.elr.losses.ramp`. Defaults to 0.
        momentum (float): Momentum of the averaged weights, in [0, 1), after its ramp.
            Defaults to 0.997.
        momentum_steps (int): Steps over which the momentum rises. Defaults to 40000.
        mixup (float): Both parameters of the beta distribution of the shares; 0:
            images are not mixed. Defaults to 1.
        refine_labels (bool): See :func:`~mmfer.methods.elr.losses.elr_plus_loss`.
            Defaults to False.
        predict_with (str): See :class:`~mmfer.models.DualNetwork`. Defaults to
            ``'mean'``.
        **kwargs: Further options of :class:`~mmfer.models.DualNetwork`. Its noise
            models describe the averaged weights, and change nothing.
    """

    averaged: Sequence[nn.Module]

    def __init__(
        self,
        beta: float = 0.7,
        weight: float = 3.0,
        ramp_steps: int = 0,
        momentum: float = 0.997,
        momentum_steps: int = 40_000,
        mixup: float = 1.0,
        refine_labels: bool = False,
        predict_with: str = 'mean',
        **kwargs: Any,
    ):
        super().__init__(predict_with=predict_with, **kwargs)
        self.beta = in_range(self, 'beta', beta, 0, 1, open_high=True)
        self.weight = in_range(self, 'weight', weight, 0)
        self.ramp_steps = whole_number(self, 'ramp_steps', ramp_steps, 0)
        self.momentum = in_range(self, 'momentum', momentum, 0, 1, open_high=True)
        self.momentum_steps = whole_number(self, 'momentum_steps', momentum_steps, 0)
        self.mixup = in_range(self, 'mixup', mixup, 0)
        self.refine_labels = refine_labels
        self.averaged = cast(
            Sequence[nn.Module],
            nn.ModuleList(copy.deepcopy(network) for network in self.networks),
        )
        for network in self.averaged:
            network.requires_grad_(False)
        # Steps of this training; the ramps depend on it.
        self.steps = 0

    # -- the training ----------------------------------------------------------------
    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return ``targets1`` and ``targets2``, zeros of shape (N, C)."""
        shape = facts.num_samples, self.num_classes
        return {f'targets{k}': torch.zeros(shape) for k in (1, 2)}

    def start_training(self, facts: TrainingFacts) -> None:
        """Make the tables, and count the steps from 0.

        A warning says if the run is too short for a ramp.
        """
        super().start_training(facts)
        for name in ('ramp_steps', 'momentum_steps'):
            length = getattr(self, name)
            if facts.max_steps is not None and length > facts.max_steps:
                MMLogger.get_current_instance().warning(
                    f'ELRPlus: {name}={length}, but the run has {facts.max_steps} '
                    f'steps, so its ramp ends at {ramp(facts.max_steps, length):.0%}. '
                    f'Lower model.{name}, or train longer (train_cfg.max_epochs).'
                )
        self._epoch = None
        self.steps = 0

    def sample_state(self) -> Dict[str, Tensor]:
        """Return the tables and the number of steps."""
        return dict(super().sample_state(), steps=torch.tensor(self.steps))

    def load_sample_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the tables and the step of a checkpoint."""
        super().load_sample_state(state)
        self.steps = int(state['steps'])

    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """See :meth:`DualNetwork.check_schedule`."""
        if max_epochs is not None:
            DualNetwork.check_schedule(self, max_epochs)

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch, of which two hooks tell; the second call does nothing."""
        if epoch != self._epoch:
            DualNetwork.start_epoch(self, epoch)

    def loss(self, inputs: Tensor, data_samples: List[DataSample]) -> dict:
        """Move averaged weights and targets, and compute the losses of both networks.

        Args:
            inputs (Tensor): Prepared images, (B, channels, H, W).
            data_samples (list[DataSample]): Samples with ``gt_label`` and
                ``sample_id``.

        Returns:
            dict[str, Tensor]: ``loss_network1`` and ``loss_network2``.
        """
        labels = stack_labels(data_samples)
        ids = require_sample_ids(self, data_samples)
        self._average_weights()
        scores = [self._predict_averaged(network, inputs) for network in self.averaged]
        losses = {}
        with full_precision(inputs):
            logs = [x.clamp_min(torch.finfo(x.dtype).tiny).log() for x in scores]
            self._collect(data_samples, self.measure(logs, labels))
            weight = self.weight * ramp(self.steps, self.ramp_steps)
            one_hot = F.one_hot(labels, self.num_classes).to(scores[0])
        for k, network in enumerate(self.networks):
            targets = self._move_targets(f'targets{k + 1}', ids, scores[1 - k])
            share, partners = self._draw(len(labels), inputs.device)
            images, soft_labels, targets = (
                mix_rows(x, interleave(x)[partners], share)
                for x in (inputs, one_hot, targets)
            )
            logits = network(images)
            with full_precision(logits):
                losses[f'loss_network{k + 1}'] = elr_plus_loss(
                    at_least_float32(logits),
                    soft_labels,
                    targets,
                    weight,
                    self.refine_labels,
                )
        self.steps += 1
        return losses

    def _draw(self, count: int, device: torch.device) -> Tuple[float, Tensor]:
        """Draw the share of the images of this step, and a partner for each.

        Args:
            count (int): Number of images of this process, B.
            device (torch.device): Device of the images.

        Returns:
            tuple[float, Tensor]: Share in [0.5, 1], and positions in the global
            batch, int64 (B, ).
        """
        own = torch.arange(count, device=device)
        everybody = step_permutation(len(interleave(own)), 'elr_partners', device)
        return mixing_share(self.mixup, 'elr_share'), own_images(everybody)

    @torch.no_grad()
    def _predict_averaged(self, network: nn.Module, inputs: Tensor) -> Tensor:
        """Return the probabilities by averaged weights, at least float32 (B, C)."""
        return at_least_float32(network(inputs)).softmax(dim=1)

    @torch.no_grad()
    def _move_targets(self, name: str, ids: Tensor, scores: Tensor) -> Tensor:
        """Add predictions to the targets of a network, and return these, (B, C)."""
        targets = average_targets(self.rows(name, ids, scores), scores, self.beta)
        self.write(name, ids, targets)
        return targets

    @torch.no_grad()
    def _average_weights(self) -> None:
        """Add the weights after the last step to their averages.

        In the first step the averages become the weights: only now these are
        initialised, or loaded. Buffers, such as the statistics of BatchNorm, are not
        averaged.
        """
        if not self.steps:
            for network, averaged in zip(self.networks, self.averaged, strict=True):
                averaged.load_state_dict(network.state_dict())
            return
        momentum = self.momentum * ramp(self.steps, self.momentum_steps)
        for network, averaged in zip(self.networks, self.averaged, strict=True):
            pairs = zip(network.parameters(), averaged.parameters(), strict=True)
            for weights, average in pairs:
                average.lerp_(weights, 1 - momentum)

    # -- noise score -----------------------------------------------------------------
    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return ``noise_score`` and ``suggested_label``, see :class:`ELRHead`.

        The targets are the mean of those of both networks.

        Args:
            predictions (Mapping[str, Tensor]): With ``pred_score`` (N, C) and
                ``sample_id`` (N, ).
            labels (Tensor): Given labels, int64 (N, ).
        """
        scores, ids = predictions['pred_score'], predictions['sample_id']
        first, second = (self.table(f'targets{k}').to(scores) for k in (1, 2))
        targets = (first + second)[ids] / 2
        evidence = label_evidence(targets, scores)
        return dict(
            noise_score=1 - evidence.gather(1, labels[:, None])[:, 0],
            suggested_label=suggest_by_margin(evidence, labels),
        )
