"""Head of SOP, sparse over-parameterisation (Liu et al., ICML 2022)."""

from typing import Any, Dict, Mapping, Optional

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models.gathering import gather_batch, interleave, own_images
from mmfer.models.heads import LinearHead, stack_labels
from mmfer.models.sample_state import SampleTables, TrainingFacts, require_sample_ids
from mmfer.models.utils import at_least_float32, full_precision
from mmfer.registry import MODELS
from mmfer.utils.checks import in_range

from .losses import sample_gradients, sop_loss


@MODELS.register_module()
class SOPHead(SampleTables, LinearHead):
    """Linear classifier that models the label noise of each sample.

    Each training sample has a number u and a vector v. Their squares are added to the
    prediction, and learn by steps of their own, without momentum or weight decay.
    They absorb wrong labels, which the network then need not memorise.

    With ``ratio_consistency`` above 0 the features of a batch are those of two views:
    first all images, then the same images with strong augmentation.

    In several processes the loss is that of the global batch, see
    :mod:`mmfer.models.gathering`.

    Args:
        num_classes (int): Number of classes C.
        in_channels (int): Feature dimension D. ``FERClassifier`` fills it in.
        lr_u (float): Learning rate of u, at least 0. Defaults to 10 (CIFAR-10; 1 for
            CIFAR-100).
        lr_v (float): Learning rate of v, at least 0. Defaults to 10 (CIFAR; 100 for
            CIFAR-100 with asymmetric noise).
        std (float): Standard deviation of u and v at the start, above 0. Both learn
            nothing from a start at 0. Defaults to 1e-8.
        ratio_balance (float): Weight of the term that wants equal shares of the
            classes; 0.1 in SOP+. Defaults to 0.
        ratio_consistency (float): Weight of the term that wants equal predictions for
            two views; 0.9 in SOP+. Defaults to 0.
        init_cfg (dict, optional): See mmengine. Defaults to that of
            ``LinearClsHead``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        lr_u: float = 10.0,
        lr_v: float = 10.0,
        std: float = 1e-8,
        ratio_balance: float = 0.0,
        ratio_consistency: float = 0.0,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(num_classes, in_channels, init_cfg)
        self.lr_u = in_range(self, 'lr_u', lr_u, 0)
        self.lr_v = in_range(self, 'lr_v', lr_v, 0)
        self.std = in_range(
            self,
            'std',
            std,
            0,
            1,
            open_low=True,
            hint='At 0 the gradients of u and v are 0, so they would never change.',
        )
        self.ratio_balance = in_range(self, 'ratio_balance', ratio_balance, 0)
        self.ratio_consistency = in_range(
            self, 'ratio_consistency', ratio_consistency, 0
        )

    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return ``u`` (N, ) and ``v`` (N, C), drawn with the seed of the run."""
        generator = torch.Generator().manual_seed(facts.seed)
        shape = facts.num_samples, self.num_classes
        return dict(
            u=torch.randn(shape[0], generator=generator) * self.std,
            v=torch.randn(shape, generator=generator) * self.std,
        )

    def loss(self, feats: Any, data_samples: Samples, **kwargs: Any) -> dict:
        """Return the loss of a batch, and take a step with its u and v.

        Args:
            feats (tuple[Tensor]): Pooled features of B images, or of 2 B images if
                ``ratio_consistency`` is above 0; the last one is classified.
            data_samples (SampleBatch | list[DataSample]): B samples with ``gt_label``
                and ``sample_id``.
            **kwargs (Any): Not used.

        Returns:
            dict[str, Tensor]: ``loss``.

        Raises:
            ValueError: The number of features is neither.
        """
        labels = stack_labels(data_samples)
        ids = require_sample_ids(self, data_samples)
        feature = at_least_float32(self.pre_logits(feats))
        views = self._check_views(len(feature), len(labels))
        with full_precision(feature):
            chunks = self((feature,)).chunk(views)
            logits = gather_batch(chunks[0])
            other = gather_batch(chunks[1]) if views == 2 else None
            u, v = (self._global_rows(name, ids, logits) for name in ('u', 'v'))
            labels = gather_batch(labels)
            loss = sop_loss(
                logits, labels, u, v, self.ratio_balance, self.ratio_consistency, other
            )
            by_u, by_v = sample_gradients(logits, labels, u, v, self.ratio_balance)
            all_ids = interleave(ids.to(logits.device, non_blocking=True))
            by_u, by_v = sum_by_sample(by_u, all_ids), sum_by_sample(by_v, all_ids)
            self.write('u', ids, own_images(u - self.lr_u * by_u))
            self.write('v', ids, own_images(v - self.lr_v * by_v))
        return dict(loss=loss)

    def _global_rows(self, name: str, ids: Tensor, like: Tensor) -> Tensor:
        """Return the rows of a table for the global batch, without gradient."""
        rows = self.rows(name, ids, like)
        return rows if get_world_size() == 1 else interleave(rows)

    def _check_views(self, features: int, labels: int) -> int:
        """Return the number of views in the features of a batch.

        Raises:
            ValueError: It is not the number that the options need.
        """
        views = 2 if self.ratio_consistency else 1
        if features != views * labels:
            raise ValueError(
                f'SOPHead: with ratio_consistency={self.ratio_consistency} the batch '
                f'of {labels} labels needs {views * labels} features, got {features}. '
                'For two views of each image set '
                "model.type='SOPClassifier'; for one, model.type='FERClassifier' and "
                'ratio_consistency=0.'
            )
        return views

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return ``noise_score``, U of the given label, and ``suggested_label``.

        U is near 0 for a right label, and grows towards 1 for a wrong one. Where it
        exceeds one half, the suggested label is the class of the largest v^2 among the
        others. Elsewhere it is the given label.

        Args:
            predictions (Mapping[str, Tensor]): With ``sample_id`` (N, ).
            labels (Tensor): Given labels, int64 (N, ).
        """
        ids = predictions['sample_id']
        u, v = (self.table(name).cpu()[ids] for name in ('u', 'v'))
        score = u.square().clamp(max=1)
        # Unlike V, the squares differ also where several exceed 1.
        true_label = v.square().scatter(1, labels[:, None], -1).argmax(dim=1)
        return dict(
            noise_score=score,
            suggested_label=torch.where(score > 0.5, true_label, labels),
        )


def sum_by_sample(values: Tensor, ids: Tensor) -> Tensor:
    """Return for each row the sum over all rows of the same sample.

    A sample that a batch has several times takes all of its steps.

    Args:
        values (Tensor): Gradients, (B, ...).
        ids (Tensor): Sample ids, int64 (B, ).
    """
    places = torch.arange(len(ids), device=ids.device)
    # A product with a matrix of 0 and 1 would carry a NaN to all rows.
    first = torch.where(ids[:, None] == ids, places, len(ids)).amin(dim=1)
    return torch.zeros_like(values).index_add_(0, first, values)[first]
