"""Head of loss correction by a transition matrix."""

from typing import Any, Dict, Mapping, Optional, Sequence

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.heads import LinearHead, stack_labels
from mmfer.models.sample_state import SampleTables, TrainingFacts
from mmfer.models.utils import at_least_float32, full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range, invalid

from .losses import (
    anchor_transition,
    backward_loss,
    clean_posterior,
    forward_loss,
    reweighted_loss,
)

# Above this ratio of its largest and smallest singular values, T is near singular.
MAX_CONDITION = 1e3


@MODELS.register_module()
class TransitionHead(SampleTables, LinearHead):
    """Head of forward and backward loss correction (Patrini et al., CVPR 2017).

    The head predicts true classes. A matrix T with the probabilities of given labels
    connects them with the labels in the loss. T is known, or it is estimated once: in
    the first epochs the head learns by cross-entropy; then anchors give T, from
    predictions of all training samples; after that the loss is corrected.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        correction (str): ``'forward'``, ``'backward'`` or ``'reweight'``. Defaults to
            ``'forward'``.
        matrix (Sequence[Sequence[float]], optional): T; row i has the probabilities of
            the given labels of the true class i. None: T is estimated. Defaults to
            None.
        warmup (float): Share of the epochs before T is estimated, in (0, 1); at least
            one epoch. Defaults to 0.2.
        percentile (float, optional): See :func:`anchor_transition`. Defaults to None.
        clip (float): Smallest probability in the backward correction, see
            :func:`backward_loss`. Defaults to 1e-7.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.
    """

    transition: Tensor
    inverse: Tensor

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        correction: str = 'forward',
        matrix: Optional[Sequence[Sequence[float]]] = None,
        warmup: float = 0.2,
        percentile: Optional[float] = None,
        clip: float = 1e-7,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg)
        self.correction = choices(
            self, 'correction', correction, ('forward', 'backward', 'reweight')
        )
        self.warmup = in_range(
            self, 'warmup', warmup, 0, 1, open_low=True, open_high=True
        )
        self.percentile = in_range(
            self,
            'percentile',
            percentile,
            0,
            100,
            open_low=True,
            open_high=True,
            optional=True,
        )
        self.clip = in_range(self, 'clip', clip, 0, 0.5, open_low=True, open_high=True)
        self.given = matrix is not None
        self.estimate_epoch: Optional[int] = None
        # Buffers: a resumed run has the matrix of its checkpoint.
        self.register_buffer('transition', torch.eye(num_classes))
        self.register_buffer('inverse', torch.eye(num_classes))
        # T at the start of a training.
        self._first = torch.eye(num_classes, dtype=torch.float64)
        if matrix is not None:
            self._first = self._checked(matrix)
            self._set(self._first)

    def _checked(self, matrix: Sequence[Sequence[float]]) -> Tensor:
        """Return a given T as float64.

        Raises:
            ValueError: It is no transition matrix, or backward correction cannot
                invert it.
        """
        count = self.num_classes
        try:
            found = torch.tensor(matrix, dtype=torch.float64)
        except (TypeError, ValueError):
            found = torch.empty(0)
        if tuple(found.shape) != (count, count):
            raise invalid(
                self,
                'matrix',
                matrix,
                f'{count} rows of {count} probabilities each',
                'The data set has so many classes.',
            )
        sums = found.sum(dim=1)
        if not (found >= 0).all() or not ((sums - 1).abs() < 1e-3).all():
            raise invalid(
                self,
                'matrix',
                matrix,
                'rows of probabilities that sum to 1',
                f'The rows sum to {[round(float(value), 4) for value in sums]}. Row i '
                'has the probabilities of the given labels of the true class i.',
            )
        if self.correction == 'backward' and torch.linalg.cond(found) > MAX_CONDITION:
            raise ValueError(
                'TransitionHead: backward correction inverts the matrix, and this one '
                'is nearly singular: two classes have nearly the same labels. Use '
                "correction='forward'."
            )
        return found / sums[:, None]

    def _set(self, transition: Tensor) -> None:
        """Use a matrix, float64 (C, C), and its inverse from now on."""
        self.transition.copy_(transition)
        self.inverse.copy_(torch.linalg.pinv(transition))

    # -- the estimate ------------------------------------------------------
    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """Raise if there are no two epochs between which T could be estimated.

        Raises:
            ValueError: There are none, and no matrix is given.
        """
        if self.given or (max_epochs is not None and max_epochs >= 2):
            return
        found = 'one epoch' if max_epochs else 'iterations instead of epochs'
        raise ValueError(
            'TransitionHead: the matrix is estimated between two epochs, and this run '
            f'has {found}. Train for several epochs (train_cfg.by_epoch=True), or set '
            'model.head.matrix.'
        )

    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Choose the epoch before which T is estimated; there are no tables."""
        if not self.given:
            assert facts.max_epochs is not None
            epoch = round(self.warmup * facts.max_epochs)
            self.estimate_epoch = min(max(epoch, 1), facts.max_epochs - 1)
        return {}

    def start_epoch(self, epoch: int) -> None:
        """Store the epoch; in the first one use the given T, or none.

        Weights of another run, loaded by ``load_from``, contain the T of that run.
        """
        super().start_epoch(epoch)
        if epoch == 0:
            self._set(self._first)

    def refresh_due(self, epoch: int) -> bool:
        """Return whether T is estimated before an epoch (0-based)."""
        return epoch == self.estimate_epoch

    def refresh(self, ids: Tensor, scores: Tensor, labels: Tensor) -> None:
        """Estimate T, see :func:`anchor_transition`.

        Args:
            ids (Tensor): Not used.
            scores (Tensor): Probabilities, float32 (n, C).
            labels (Tensor): Not used.
        """
        transition = anchor_transition(scores.double(), self.percentile)
        self._set(transition)
        logger = MMLogger.get_current_instance()
        kept = ', '.join(f'{value:.2f}' for value in transition.diagonal().tolist())
        logger.info(
            f'TransitionHead: estimated shares of right labels, by class: {kept}.'
        )
        if (
            self.correction == 'backward'
            and torch.linalg.cond(transition) > MAX_CONDITION
        ):
            logger.warning(
                'TransitionHead: backward correction inverts the estimated matrix, '
                'which is nearly singular. Use model.head.correction=forward, or a '
                'longer model.head.warmup.'
            )

    # -- loss and scores ---------------------------------------------------
    def loss(self, feats: Any, data_samples: Samples, **kwargs: Any) -> dict:
        """Return the corrected loss of a batch; before the estimate T is the identity.

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss``.

        Raises:
            RuntimeError: The run has no ``SampleStateHook``, so nothing would ever
                estimate T.
        """
        if not self.given and self.estimate_epoch is None:
            raise self._not_started()
        labels = stack_labels(data_samples)
        features = at_least_float32(self.pre_logits(feats))
        with full_precision(labels):
            log_prob = self.fc(features).log_softmax(dim=1)
            if self.correction != 'backward':
                equation = (
                    forward_loss if self.correction == 'forward' else reweighted_loss
                )
                losses = equation(log_prob, labels, self.transition)
            else:
                losses = backward_loss(log_prob, labels, self.inverse, self.clip)
        return dict(loss=losses.mean())

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return ``noise_score``, one minus :func:`clean_posterior`.

        Args:
            predictions (Mapping[str, Tensor]): ``pred_score``, (N, C).
            labels (Tensor): Given labels, int64 (N, ).
        """
        scores = predictions['pred_score'].double()
        posterior = clean_posterior(scores, labels, self.transition.cpu().double())
        return dict(noise_score=(1 - posterior).float())
