"""Head of LTNet (Zeng et al., ECCV 2018)."""

from typing import Any, Dict, Mapping, Optional, Sequence

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmfer.datasets.batches import Samples, has_field
from mmfer.models.heads import LinearHead, stack_labels
from mmfer.models.label_sets import stack_label_sets
from mmfer.models.predictions import suggest_by_margin
from mmfer.models.sample_state import SampleTables, TrainingFacts, require_sample_ids
from mmfer.models.utils import at_least_float32, full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range, invalid, positive_int
from mmfer.utils.presets import with_preset

from .losses import (
    MISSING,
    TINY,
    initial_matrices,
    label_losses,
    plain_losses,
    project_rows,
    true_posterior,
)

# The published code applies a softmax to probabilities, and the paper does not.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(double_softmax=False, projection='in_place'),
    official=dict(double_softmax=True, projection='in_place'),
    paper=dict(double_softmax=False, projection='in_place'),
)


@MODELS.register_module()
class LTNetHead(SampleTables, LinearHead):
    """Linear classifier of a latent true label, with a matrix for each annotator.

    The head predicts the true label. Each annotator has a matrix P_a with the
    probabilities of the labels that this annotator gives to each class. The matrices
    are learned with the network::

        L = sum over a of weight_a * mean of -log(h P_a)[y_a]

    The labels are the columns of ``gt_label_sets``; with one annotator, ``gt_label``.
    A label of -1 is missing. In the first epochs, the warm-up, the head learns from all
    labels by cross-entropy, without the matrices.

    The matrices are a buffer. The parameter is ``matrix_step``, what the optimizer adds
    in one step: it is 0 before each step, so weight decay does not move the matrices.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        annotators (int): Number of annotators A. Defaults to 1.
        annotator_weights (Sequence[float], optional): omega, the weight of each
            annotator, at least 0. Defaults to None: 1 for each.
        warmup (float): Share of the epochs in the first stage, in [0, 1]. If it is not
            0 or 1, each stage has at least one epoch, in a run of two or more. With 0
            the matrices learn from the start, and with 1 the run is the first stage
            only, which leaves the matrices at their start. Defaults to 0.5, as in the
            paper.
        min_entry (float): m; replaces negative entries of the matrices, in (0, 1).
            Defaults to 0.01.
        preset (str): ``'default'``, ``'paper'`` or ``'official'`` (the published
            code). It sets the next two options where they are not given, see
            ``PRESETS``. Defaults to ``'default'``.
        double_softmax (bool, optional): See :func:`label_losses`.
        projection (str, optional): How the rows of the matrices stay distributions.
            ``'in_place'``: before each step negative entries become m, and rows are
            divided by their sums, without a gradient. Then the matrices move towards
            square roots of the probabilities, and the predictions become surer.
            ``'differentiated'``: the same, and the gradient passes through the
            division, so that the loss is minimised. ``'softmax'``: logits are learned.
        init_cfg (dict, optional): See mmengine. Defaults to that of
            ``LinearClsHead``.

    Raises:
        ValueError: An option is out of range, or the number of weights is not that of
            the annotators.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        annotators: int = 1,
        annotator_weights: Optional[Sequence[float]] = None,
        warmup: float = 0.5,
        min_entry: float = 0.01,
        preset: str = 'default',
        double_softmax: Optional[bool] = None,
        projection: Optional[str] = None,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg)
        self.annotators = positive_int(self, 'annotators', annotators)
        self.annotator_weights = self._checked(annotator_weights)
        self.warmup = in_range(self, 'warmup', warmup, 0, 1)
        self.min_entry = in_range(
            self, 'min_entry', min_entry, 0, 1, open_low=True, open_high=True
        )
        chosen = with_preset(
            type(self),
            PRESETS,
            preset,
            dict(double_softmax=double_softmax, projection=projection),
        )
        self.double_softmax = choices(
            self, 'double_softmax', chosen['double_softmax'], (True, False)
        )
        self.projection = choices(
            self,
            'projection',
            chosen['projection'],
            ('in_place', 'differentiated', 'softmax'),
        )
        draw = torch.empty(annotators, num_classes, num_classes)
        for matrix in draw:
            nn.init.xavier_uniform_(matrix)
        start = initial_matrices(draw, min_entry)
        # Probabilities and logits have names of their own: a checkpoint of one is no
        # start for the other.
        self.learned = 'matrices'
        if self.projection == 'softmax':
            self.learned, start = 'matrix_logits', start.log()
        self.register_buffer(self.learned, start)
        self.matrix_step = nn.Parameter(torch.zeros_like(start))
        self._warmup_epochs: Optional[int] = None

    def _checked(self, weights: Optional[Sequence[float]]) -> Sequence[float]:
        """Return the weight of each annotator.

        Raises:
            ValueError: Their number is wrong, one is negative, or all are 0.
        """
        if weights is None:
            return [1.0] * self.annotators
        values = list(weights) if isinstance(weights, (list, tuple)) else []
        if len(values) != self.annotators:
            raise invalid(
                self,
                'annotator_weights',
                weights,
                f'{self.annotators} numbers, one for each annotator',
                f'The option annotators is {self.annotators}.',
            )
        for i, value in enumerate(values):
            in_range(self, f'annotator_weights[{i}]', value, 0)
        if not any(values):
            raise invalid(
                self,
                'annotator_weights',
                weights,
                'numbers of which one is above 0',
                'Otherwise no label would be learned.',
            )
        return values

    # -- the run -----------------------------------------------------------
    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """Raise if the run has no epochs, which the warm-up is counted in.

        Raises:
            ValueError: The warm-up is a share of the epochs, and there are none.
        """
        if max_epochs is None and 0 < self.warmup < 1:
            raise ValueError(
                f'LTNetHead: warmup={self.warmup} is a share of the epochs, and this '
                'run is counted in iterations. Count it in epochs '
                '(train_cfg.by_epoch=True), or train each stage in a run of its own: '
                'model.head.warmup=1, then warmup=0 with load_from.'
            )

    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return ``labels`` (N, A), those that were trained on; at first missing."""
        if facts.max_epochs is not None:
            # A half is rounded up.
            epochs = int(self.warmup * facts.max_epochs + 0.5)
            if 0 < self.warmup < 1:
                epochs = min(max(epochs, 1), facts.max_epochs - 1)
            self._warmup_epochs = epochs
        self._log_schedule()
        shape = facts.num_samples, self.annotators
        return dict(labels=torch.full(shape, MISSING, dtype=torch.int64))

    def sample_state(self) -> Dict[str, Tensor]:
        """Return the table, and the number of epochs of the warm-up."""
        epochs = -1 if self._warmup_epochs is None else self._warmup_epochs
        return dict(super().sample_state(), warmup_epochs=torch.tensor(epochs))

    def load_sample_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint; its warm-up counts, also in a longer run."""
        super().load_sample_state(state)
        epochs = int(state['warmup_epochs'])
        if epochs >= 0 and epochs != self._warmup_epochs:
            MMLogger.get_current_instance().info(
                f'LTNetHead: the warm-up has {epochs} epochs, as in the checkpoint.'
            )
            self._warmup_epochs = epochs

    def _log_schedule(self) -> None:
        """Say what a user may not expect of this run."""
        logger = MMLogger.get_current_instance()
        if not self._learns_matrices:
            logger.info(
                'LTNetHead: warmup=1, so this run is the first stage: cross-entropy '
                'with all labels. Train the second stage from its last checkpoint, '
                'with warmup=0 and load_from.'
            )
        elif self.warmup and self._warmup_epochs == 0:
            logger.warning(
                'LTNetHead: this run has one epoch, so there is no warm-up, and the '
                'matrices learn with a network that knows nothing. Train for more '
                'epochs.'
            )

    @property
    def _learns_matrices(self) -> bool:
        """Return whether the run has a second stage."""
        return self.warmup < 1

    def _warming_up(self) -> bool:
        """Return whether this step belongs to the first stage."""
        if self.warmup in (0, 1):
            return self.warmup == 1
        if self._warmup_epochs is None:
            raise self._not_started()
        return self.epoch < self._warmup_epochs

    # -- loss and scores ---------------------------------------------------
    @property
    def values(self) -> Tensor:
        """Matrices or their logits before the last step, (A, C, C)."""
        return getattr(self, self.learned)

    def transition(self) -> Tensor:
        """Return the row-stochastic matrices of all annotators, (A, C, C)."""
        values = self.values + self.matrix_step
        if self.projection == 'softmax':
            return values.softmax(dim=2)
        return project_rows(values, self.min_entry)

    def _training_matrices(self) -> Tensor:
        """Return the matrices for a training step, with the gradient of the option."""
        with torch.no_grad():
            values = self.values + self.matrix_step
            if self.projection != 'softmax':
                values = project_rows(values, self.min_entry)
            self.values.copy_(values)
            self.matrix_step.zero_()
        # The value is that of the buffer, the gradient that of the step.
        found = self.values + self.matrix_step
        if self.projection == 'softmax':
            return found.softmax(dim=2)
        if self.projection == 'in_place':
            return found
        return found / found.sum(dim=2, keepdim=True)

    def read_labels(self, data_samples: Samples) -> Tensor:
        """Return the labels of all annotators, int64 (B, A); -1 where missing.

        Args:
            data_samples (SampleBatch | list[DataSample]): The batch.

        Raises:
            ValueError: The samples do not have labels of so many annotators.
        """
        labels = stack_labels(data_samples)
        if self.annotators == 1 and not has_field(data_samples, 'gt_label_sets'):
            return labels[:, None]
        given = stack_label_sets(
            data_samples,
            [self.num_classes] * self.annotators,
            'LTNetHead',
            'Set model.head.annotators to the number of generators in '
            "label_noise=dict(type='Annotators') of the data set.",
            f'The data set has {self.num_classes} classes; -1 is a missing label.',
            lowest=MISSING,
        )
        return torch.from_numpy(given).to(labels.device)

    def loss(self, feats: Any, data_samples: Samples, **kwargs: Any) -> dict:
        """Return the loss of a batch, and note the labels of its images.

        In several processes the means are those of the global batch.

        Args:
            feats (tuple[Tensor]): Pooled features; the last one is classified.
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label`` or
                ``gt_label_sets``, and ``sample_id``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss``.
        """
        labels = self.read_labels(data_samples)
        ids = require_sample_ids(self, data_samples)
        feature = at_least_float32(self.pre_logits(feats))
        self.rows('labels', ids, feature)  # It moves the table.
        self.write('labels', ids, labels)
        with full_precision(feature):
            log_prob = self((feature,)).log_softmax(dim=1)
            counts = (labels != MISSING).sum(dim=0).to(log_prob.dtype)
            # DDP averages over the processes; together they have to divide by the
            # number of labels of all of them.
            all_reduce(counts)
            size = get_world_size()
            if self._warming_up():
                total = plain_losses(log_prob, labels).sum()
                loss = size * total / counts.sum().clamp_min(1)
                # DDP wants a gradient for each parameter.
                return dict(loss=loss + 0 * self.matrix_step.sum())
            losses = label_losses(
                log_prob, labels, self._training_matrices(), self.double_softmax
            )
            means = size * losses.sum(dim=0) / counts.clamp_min(1)
            weighted = zip(self.annotator_weights, means.unbind(), strict=True)
            return dict(loss=sum(weight * mean for weight, mean in weighted))

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return 1 - pi of the given label, by :func:`true_posterior`.

        The labels that were trained on are the evidence: a hook may have changed that
        of the first annotator. After a run of the first stage alone pi is the
        prediction. An image that was never trained on has its given label only.

        Args:
            predictions (Mapping[str, Tensor]): With ``pred_score`` (N, C) and
                ``sample_id`` (N, ).
            labels (Tensor): Given labels, those of the first annotator, int64 (N, ).

        Returns:
            dict[str, Tensor]: ``noise_score_2``, ... of the labels of the other
            annotators (NaN where missing), ``noise_score`` and ``suggested_label``.
        """
        posterior = predictions['pred_score'].double()
        noted = self.table('labels').cpu()[predictions['sample_id']]
        sets = torch.cat([labels[:, None], noted[:, 1:]], dim=1)
        if self._learns_matrices:
            matrices = self.transition().detach().cpu().double()
            self._log_matrices(matrices)
            first = torch.where(noted[:, :1] == MISSING, labels[:, None], noted[:, :1])
            evidence = torch.cat([first, noted[:, 1:]], dim=1)
            log_prob = posterior.clamp_min(TINY).log()
            posterior = true_posterior(log_prob, evidence, matrices)
        scores = 1 - posterior.gather(1, sets.clamp_min(0))
        scores = scores.masked_fill(sets == MISSING, torch.nan).float()
        columns = {
            f'noise_score_{a + 1}': scores[:, a] for a in range(1, self.annotators)
        }
        return dict(
            columns,
            noise_score=scores[:, 0],
            suggested_label=suggest_by_margin(posterior, labels),
        )

    def _log_matrices(self, matrices: Tensor) -> None:
        """Say how many labels of each annotator are right, as learned."""
        shares = matrices.diagonal(dim1=1, dim2=2).mean(dim=1).tolist()
        MMLogger.get_current_instance().info(
            'LTNetHead: learned shares of right labels, by annotator: '
            f'{", ".join(f"{share:.2f}" for share in shares)}.'
        )
