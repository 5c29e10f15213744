"""Head that predicts several label sets: classes, valence and arousal."""

from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch.nn as nn
from mmpretrain.models.heads import ClsHead
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.gathering import gather_batch
from mmfer.models.heads import least_confidence
from mmfer.models.predictions import BatchPrediction
from mmfer.models.utils import as_map, full_precision, last_feature
from mmfer.registry import MODELS
from mmfer.utils.checks import choices

from .label_sets import VA, LabelSets
from .latent import Encoding
from .losses import classification_loss, concordance_loss


@MODELS.register_module()
class MultiTaskHead(BatchPrediction, ClsHead):
    """Head of two hidden layers and one linear layer for all label sets.

    The joint GAN's encoder and the VGG baselines have this head. Without
    ``latent_dim`` it is the head of a plain multi-task classifier.

    A prediction has ``pred_score``, ``pred_label`` and ``uncertainty`` of the
    first discrete set, and ``pred_va``. ``uncertainty`` is one minus the
    largest probability.

    Args:
        num_classes (int): Number of classes of the data set.
        in_channels (int): Channels of the backbone's last feature map.
        map_size (tuple[int, int]): Height and width of that map.
        label_sets (Sequence[int | str], optional): One entry per label set:
            the number of classes, or ``'va'``, see :class:`LabelSets`.
            Defaults to one set of ``num_classes``.
        latent_dim (int): Length L of the latent vector. 0: no latent vector.
            Defaults to 0.
        hidden_dim (int): Width of the hidden layers. Defaults to 512.
        dropout (float): Dropout rate after both hidden layers. Defaults to
            0.5.
        pool (bool): Average the feature map over its positions. False: flatten
            it. Defaults to False.
        va_weight (float): gamma of Eq. 10. Defaults to 1.
        ccc (str): ``'default'`` or ``'official'``, see
            :func:`concordance`. Defaults to ``'default'``.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.

    Raises:
        ValueError: ``label_sets`` does not fit the data set, or an option is
            unknown.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        map_size: Tuple[int, int],
        label_sets: Optional[Sequence[Union[int, str]]] = None,
        latent_dim: int = 0,
        hidden_dim: int = 512,
        dropout: float = 0.5,
        pool: bool = False,
        va_weight: float = 1.0,
        ccc: str = 'default',
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(init_cfg=init_cfg)
        choices(self, 'ccc', ccc, ('default', 'official'))
        self.label_sets = LabelSets.of(
            [num_classes] if label_sets is None else label_sets
        )
        for i in self.label_sets.discrete[:1]:
            if self.label_sets.entries[i] != num_classes:
                raise ValueError(
                    f'MultiTaskHead: label_sets={list(self.label_sets.entries)!r}, '
                    f'but the data set has {num_classes} classes '
                    '(data_preprocessor.num_classes). The first discrete set has '
                    'the labels of the data set: give it as many classes.'
                )
        self.latent_dim = latent_dim
        self.pool = pool
        self.va_weight = va_weight
        self.official_ccc = ccc == 'official'
        size = 1 if pool else map_size[0] * map_size[1]
        self.hidden = nn.Sequential(
            nn.Linear(in_channels * size, hidden_dim),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, hidden_dim),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
        )
        self.labels = nn.Linear(hidden_dim, sum(self.label_sets.dims))
        if latent_dim:
            self.mean = nn.Linear(hidden_dim, latent_dim)
            self.log_variance = nn.Linear(hidden_dim, latent_dim)

    @property
    def predicts_classes(self) -> bool:
        """Whether predictions have ``pred_score`` and ``pred_label``."""
        return bool(self.label_sets.discrete)

    def forward(self, feats: Any) -> Any:
        """Return the result of :meth:`encode`."""
        return self.encode(feats)

    def encode(self, feats: Any) -> Encoding:
        """Predict label sets and the latent vector from the deepest feature."""
        feats = as_map(last_feature(feats))
        if self.pool:
            feats = feats.mean(dim=(2, 3))
        hidden = self.hidden(feats.flatten(1))
        labels = self.labels(hidden).split(self.label_sets.dims, dim=1)
        if not self.latent_dim:
            return Encoding(labels)
        return Encoding(labels, self.mean(hidden), self.log_variance(hidden))

    def loss(
        self, feats: Any, data_samples: List[DataSample], **kwargs: Any
    ) -> Dict[str, Tensor]:
        """Compute the losses of :meth:`task_losses`."""
        encoding = self.encode(feats)
        labels = self.label_sets.read(data_samples, encoding.labels[0].device)
        return self.task_losses(encoding, labels)

    def task_losses(
        self, encoding: Encoding, labels: Sequence[Tensor]
    ) -> Dict[str, Tensor]:
        """Compute the losses of the label sets, f of Eq. 10.

        Args:
            encoding (Encoding): Predictions for a batch.
            labels (Sequence[Tensor]): See :meth:`LabelSets.read`.

        Returns:
            dict[str, Tensor]: Scalars ``loss_va``, and ``loss_ce`` or, for
            several discrete sets, ``loss_ce1``, ``loss_ce2``, ...
        """
        losses: Dict[str, Tensor] = {}
        many = len(self.label_sets.discrete) > 1
        with full_precision(encoding.labels[0]):
            for entry, output, label in zip(
                self.label_sets.entries, encoding.labels, labels, strict=True
            ):
                if entry == VA:
                    # Correlation is not a mean over images: it needs all of them.
                    losses['loss_va'] = self.va_weight * concordance_loss(
                        gather_batch(output.float()),
                        gather_batch(label),
                        self.official_ccc,
                    )
                else:
                    number = sum('loss_ce' in name for name in losses) + 1
                    losses[f'loss_ce{number if many else ""}'] = classification_loss(
                        output.float(), label
                    )
        return losses

    def predict_batch(self, feats: Any) -> Dict[str, Tensor]:
        """Return the predictions for a batch, see :class:`MultiTaskHead`."""
        encoding = self.encode(feats)
        predictions: Dict[str, Tensor] = {}
        if self.label_sets.discrete:
            logits = encoding.labels[self.label_sets.discrete[0]].float()
            scores = logits.softmax(dim=1)
            predictions.update(pred_score=scores, uncertainty=least_confidence(scores))
        if VA in self.label_sets.entries:
            values = encoding.labels[self.label_sets.entries.index(VA)]
            predictions['pred_va'] = values.float()
        return predictions


@MODELS.register_module()
class SingleTaskHead(MultiTaskHead):
    """Head with the layers of :class:`MultiTaskHead` that returns logits.

    It is for methods whose networks must return logits, such as Co-teaching. It
    predicts one set of classes.

    Args:
        num_classes (int): Number of classes of the data set.
        in_channels (int): See :class:`MultiTaskHead`.
        map_size (tuple[int, int]): See :class:`MultiTaskHead`.
        hidden_dim (int): See :class:`MultiTaskHead`. Defaults to 512.
        dropout (float): See :class:`MultiTaskHead`. Defaults to 0.5.
        init_cfg (dict, optional): See mmengine's ``BaseModule``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        map_size: Tuple[int, int],
        hidden_dim: int = 512,
        dropout: float = 0.5,
        init_cfg: Optional[dict] = None,
    ):
        super().__init__(
            num_classes,
            in_channels,
            map_size,
            hidden_dim=hidden_dim,
            dropout=dropout,
            init_cfg=init_cfg,
        )

    def forward(self, feats: Any) -> Tensor:
        """Return logits (B, C)."""
        return self.encode(feats).labels[0]
