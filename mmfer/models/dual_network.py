"""Base class of methods that train two classifiers together."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, cast

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmpretrain.models.classifiers import BaseClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.datasets.batches import has_field, stack_field
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, positive_int
from mmfer.utils.config import merge_options

from .data_preprocessor import blank_images, build_data_preprocessor
from .gathering import gather_batch
from .heads import least_confidence, stack_labels
from .label_noise_model import LabelNoiseModel
from .predictions import BatchPrediction
from .pretrained import CheckedPretrained
from .utils import full_precision, probe

PREDICT_WITH = ('network1', 'network2', 'mean', 'sum')
SCORE_SOURCES = ('epoch', 'pass', 'augmented_pass')


@MODELS.register_module()
class DualNetwork(CheckedPretrained, BatchPrediction, BaseClassifier):
    """Two classifiers trained together, with a label noise model for each.

    This is the base of ReSup, Co-teaching, JoCoR and DivideMix. Used directly, it
    trains both networks with plain cross-entropy. A subclass implements
    :meth:`joint_loss`. ``NoiseModelHook`` tells the model the epoch, and fits
    its noise models.

    In several processes, :meth:`joint_loss` gets the global batch, so that
    samples are selected and weighted as in one process, see
    :mod:`mmfer.models.gathering`.

    Each network is a complete classifier of mmfer or mmpretrain whose forward
    in mode ``'tensor'`` returns logits.
    ``tools/model_converters/export_network.py`` writes a checkpoint of one
    network.

    Args:
        network1 (dict): Config of the first classifier.
        network2 (dict, optional): Options in which the second classifier
            differs from the first; even its architecture may differ.
            ``_delete_=True`` in a part replaces that part, as in configs. An
            ``init_cfg`` with another ``type`` or ``checkpoint`` always
            replaces that of the first, including its ``prefix``. Defaults to
            None: the same config, but other random initial weights.
        data_preprocessor (dict, optional): Config; both networks share it.
        predict_with (str): ``'network1'`` (ReSup's paper), ``'network2'``,
            ``'mean'`` of the probabilities, or ``'sum'`` of the logits
            (DivideMix). Defaults to ``'network1'``.
        noise_model (dict, optional): Options of :class:`LabelNoiseModel`.
        warmup_epochs (int): Epochs of plain cross-entropy before the noise
            models are first fitted. Defaults to 1.
        refit_interval (int): Epochs between fits. Defaults to 1.
        score_source (str): Scores to which the noise models are fitted:
            ``'epoch'``, from the logits that training computes anyway;
            ``'pass'``, from a pass in eval mode over unaugmented images; or
            ``'augmented_pass'``, from such a pass with training augmentation
            (ReSup's code). Defaults to ``'epoch'``.

    Raises:
        ValueError: The networks have different numbers of classes, or an
            option is out of range.
    """

    network1: BaseClassifier
    network2: BaseClassifier
    noise_models: Sequence[LabelNoiseModel]

    def __init__(
        self,
        network1: dict,
        network2: Optional[dict] = None,
        data_preprocessor: Optional[dict] = None,
        predict_with: str = 'network1',
        noise_model: Optional[dict] = None,
        warmup_epochs: int = 1,
        refit_interval: int = 1,
        score_source: str = 'epoch',
        init_cfg: Optional[dict] = None,
    ):
        choices(self, 'predict_with', predict_with, PREDICT_WITH)
        choices(self, 'score_source', score_source, SCORE_SOURCES)
        reason = 'The noise models need the scores of at least one epoch.'
        positive_int(self, 'warmup_epochs', warmup_epochs, hint=reason)
        positive_int(self, 'refit_interval', refit_interval, hint=reason)
        super().__init__(
            init_cfg=init_cfg,
            data_preprocessor=build_data_preprocessor(data_preprocessor),
        )
        self.network1 = self._build_network(network1, 'network1')
        self.network2 = self._build_network(
            merge_options(network1, network2), 'network2'
        )
        self.num_classes = self._check_classes()
        self.predict_with = predict_with
        self.warmup_epochs = warmup_epochs
        self.refit_interval = refit_interval
        self.score_source = score_source
        self.noise_models = cast(
            Sequence[LabelNoiseModel],
            nn.ModuleList(
                MODELS.build(dict(dict(type='LabelNoiseModel'), **(noise_model or {})))
                for _ in range(2)
            ),
        )
        self._epoch: Optional[int] = None
        # Epochs of this run so far, with a fraction; NoiseModelHook sets it.
        self.progress = 0.0
        self._collected: Optional[List[Tuple[Tensor, Tensor]]] = None

    def _build_network(self, cfg: dict, name: str) -> nn.Module:
        network = MODELS.build(dict(cfg, data_preprocessor=self.data_preprocessor))
        network.config_path = f'model.{name}'
        return network

    def _check_classes(self) -> int:
        """Return the number of classes, which both networks must share."""
        example = blank_images(self.data_preprocessor)
        counts = [probe(network, example).shape[1] for network in self.networks]
        if counts[0] != counts[1]:
            raise ValueError(
                f'{type(self).__name__}: network1 has {counts[0]} classes '
                f'and network2 has {counts[1]}. Both learn the same labels: '
                'remove num_classes from both heads, and it is taken from '
                'data_preprocessor.num_classes.'
            )
        return counts[0]

    @property
    def networks(self) -> Tuple[nn.Module, nn.Module]:
        """Both classifiers."""
        return self.network1, self.network2

    # -- forward -----------------------------------------------------------
    def forward(
        self,
        inputs: Tensor,
        data_samples: Optional[List[DataSample]] = None,
        mode: str = 'tensor',
    ) -> Any:
        """Compute logits of both networks, losses, or predictions.

        Args:
            inputs (Tensor): Prepared images, (B, channels, H, W).
            data_samples (list[DataSample], optional): Needed for losses.
            mode (str): ``'tensor'``: two tensors of logits (B, C);
                ``'loss'``: a dict; ``'predict'``: a list of data samples.
                Defaults to ``'tensor'``.
        """
        if mode == 'tensor':
            return tuple(network(inputs) for network in self.networks)
        if mode == 'loss':
            assert data_samples is not None, 'losses need data samples'
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise RuntimeError(f'Invalid mode "{mode}".')

    def extract_feat(self, inputs: Tensor, **kwargs: Any) -> Any:
        """Extract features with network 1; see mmpretrain's classifiers."""
        return self.network1.extract_feat(inputs, **kwargs)

    def loss(self, inputs: Tensor, data_samples: List[DataSample]) -> dict:
        """Compute the losses of both networks, and store their agreements.

        Args:
            inputs (Tensor): Prepared images, (B, channels, H, W).
            data_samples (list[DataSample]): Samples with ``gt_label``.
        """
        labels = stack_labels(data_samples)
        logits = self(inputs, mode='tensor')
        with full_precision(inputs):
            log_prob = [F.log_softmax(x.float(), dim=1) for x in logits]
            agreements = self.measure(log_prob, labels)
            self._collect(data_samples, agreements)
            return self.joint_loss(
                [gather_batch(x) for x in log_prob],
                gather_batch(labels),
                gather_batch(agreements.t()).t(),
            )

    @torch.no_grad()
    def measure(self, log_prob: List[Tensor], labels: Tensor) -> Tensor:
        """Return the agreement of each network with the labels, (2, B).

        Args:
            log_prob (list[Tensor]): Log-probabilities of both networks, each
                (B, C).
            labels (Tensor): Given labels, int64 (B, ).
        """
        return torch.stack(
            [
                model.measure(x, labels)
                for model, x in zip(self.noise_models, log_prob, strict=True)
            ]
        )

    def joint_loss(
        self, log_prob: List[Tensor], labels: Tensor, agreements: Tensor
    ) -> Dict[str, Tensor]:
        """Compute the losses that are minimised.

        Args:
            log_prob (list[Tensor]): Log-probabilities of both networks, each
                float32 (B, C). B images are the global batch.
            labels (Tensor): Given labels, int64 (B, ).
            agreements (Tensor): Agreement of each network's predictions with
                the labels, without gradient, (2, B).

        Returns:
            dict[str, Tensor]: Scalars. mmengine minimises the sum of those
            that have ``loss`` in their name.
        """
        return dict(
            loss_network1=F.nll_loss(log_prob[0], labels),
            loss_network2=F.nll_loss(log_prob[1], labels),
        )

    def predict_batch(self, inputs: Tensor) -> Dict[str, Tensor]:
        """Predict a batch of prepared images, (B, channels, H, W).

        Returns:
            dict[str, Tensor]: ``pred_score`` (B, C); ``uncertainty`` (B, ),
            one minus the largest probability; and ``network_scores``
            (B, 2, C), the probabilities of each network.
        """
        logits = torch.stack([x.float() for x in self(inputs, mode='tensor')])
        scores = logits.softmax(dim=2)
        if self.predict_with == 'mean':
            chosen = scores.mean(dim=0)
        elif self.predict_with == 'sum':
            chosen = logits.sum(dim=0).softmax(dim=1)
        else:
            chosen = scores[PREDICT_WITH.index(self.predict_with)]
        return dict(
            pred_score=chosen,
            uncertainty=least_confidence(chosen),
            network_scores=scores.transpose(0, 1),
        )

    # -- label noise -------------------------------------------------------
    def check_schedule(self, max_epochs: int) -> None:
        """Raise if the run ends before the noise models are used.

        Args:
            max_epochs (int): Epochs of the run.
        """
        if self.warmup_epochs >= max_epochs:
            raise ValueError(
                f'{type(self).__name__}: warmup_epochs={self.warmup_epochs} '
                f'covers all {max_epochs} epochs of the run, so its noise '
                'models are never used; lower it or train longer '
                '(train_cfg.max_epochs).'
            )

    def start_epoch(self, epoch: int) -> None:
        """Store the number of the epoch that begins.

        Args:
            epoch (int): Epoch, 0-based.
        """
        self._epoch, self.progress = epoch, float(epoch)
        collects = self.score_source == 'epoch' and self.refit_due(epoch)
        self._collected = [] if collects else None

    @property
    def epoch(self) -> int:
        """Current epoch, 0-based, on which the loss depends.

        Raises:
            RuntimeError: ``start_epoch`` was never called.
        """
        if self._epoch is None:
            raise RuntimeError(
                f'{type(self).__name__} does not know the epoch, and its '
                "noise models are never fitted: add dict(type='"
                "NoiseModelHook') to custom_hooks (a config that sets "
                'custom_hooks replaces the whole list of its base).'
            )
        return self._epoch

    def refit_due(self, epoch: int) -> bool:
        """Return whether the noise models are fitted at the end of an epoch.

        Args:
            epoch (int): Epoch, 0-based.
        """
        since = epoch + 1 - self.warmup_epochs
        return since >= 0 and since % self.refit_interval == 0

    @property
    def warming_up(self) -> bool:
        """Whether this is a warm-up epoch, of plain cross-entropy."""
        return self.epoch < self.warmup_epochs

    def _collect(self, data_samples: List[DataSample], agreements: Tensor) -> None:
        """Keep the agreements of a batch if this epoch ends with a fit."""
        if self._collected is None or not self.training:
            return
        if not has_field(data_samples, 'sample_id'):
            raise ValueError(
                f'{type(self).__name__} needs the sample_id of each image: '
                "end the training pipeline with dict(type='PackFERInputs'), "
                'and use a data set of mmfer.'
            )
        self._collected.append((stack_field(data_samples, 'sample_id'), agreements))

    def take_collected(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return the agreements collected in this epoch, and forget them.

        Returns:
            tuple[np.ndarray, np.ndarray]: Sample ids (N, ), and agreements
            (2, N).
        """
        assert self._collected is not None, 'this epoch collects nothing'
        ids = torch.cat([ids for ids, _ in self._collected])
        values = torch.cat([values for _, values in self._collected], dim=1)
        self._collected = None
        return ids.numpy(), values.cpu().numpy()

    def epoch_state(self) -> Dict[str, Any]:
        """Return the agreements collected so far, see ``KeepsEpochState``.

        Returns:
            dict: ``sample_id`` int64 (n, ) and ``agreements`` (2, n); empty if
            this epoch collects nothing.
        """
        if not self._collected:
            return {}
        return dict(
            sample_id=torch.cat([ids.cpu() for ids, _ in self._collected]),
            agreements=torch.cat([values for _, values in self._collected], 1).cpu(),
        )

    def load_epoch_state(self, states: List[Dict[str, Any]]) -> None:
        """Add the agreements that were collected before an interruption."""
        if self._collected is None:
            return
        device = self.noise_models[0].table.device
        self._collected += [
            (state['sample_id'], state['agreements'].to(device))
            for state in states
            if state
        ]

    @torch.no_grad()
    def measure_scores(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Compute agreements from predictions.

        Args:
            scores (Tensor): ``network_scores`` of N samples, (N, 2, C).
            labels (Tensor): Given labels, int64 (N, ).

        Returns:
            Tensor: (2, N).
        """
        tiny = torch.finfo(scores.dtype).tiny
        log_prob = scores.clamp_min(tiny).log()
        return self.measure([log_prob[:, 0], log_prob[:, 1]], labels)

    def fit_noise_models(
        self, agreements: Tensor, ids: Optional[Tensor] = None
    ) -> List[bool]:
        """Fit each network's noise model to its agreements.

        Args:
            agreements (Tensor): Shape (2, N).
            ids (Tensor, optional): Sample ids, int64 (N, ), for methods that keep
                the result for each sample.

        Returns:
            list[bool]: Whether each network's new fit is in use.
        """
        device = self.noise_models[0].table.device
        return [
            model.fit(values.to(device))
            for model, values in zip(self.noise_models, agreements, strict=True)
        ]

    def reset_noise_models(self) -> None:
        """Forget all fits, for example before training on another data set."""
        for model in self.noise_models:
            model.reset()

    @torch.no_grad()
    def clean_probability(self, agreements: Tensor) -> Tensor:
        """Return the clean probability by each network's noise model, (2, N).

        Args:
            agreements (Tensor): Shape (2, N).
        """
        device = self.noise_models[0].table.device
        return torch.stack(
            [
                model.weigh(values.to(device))
                for model, values in zip(self.noise_models, agreements, strict=True)
            ]
        )

    def score_labels(
        self, predictions: Mapping[str, Tensor], labels: Tensor
    ) -> Dict[str, Tensor]:
        """Return columns of the sample-score table, each (N, ).

        ``noise_score`` is 0.999 (1 - w) + 0.001 (1 - p). Here w is the mean
        clean probability by the noise models that are fitted, and p is the
        mean predicted probability of the given label. The second term ranks
        samples for which the table of the noise model has the same entry. If
        no noise model is fitted, ``noise_score`` is 1 - p.

        Args:
            predictions (Mapping[str, Tensor]): With ``network_scores``,
                (N, 2, C).
            labels (Tensor): Given labels, int64 (N, ).

        Returns:
            dict[str, Tensor]: ``clean_probability_1``,
            ``clean_probability_2`` and ``noise_score``.
        """
        scores = predictions['network_scores']
        clean = self.clean_probability(self.measure_scores(scores, labels)).cpu()
        given = scores[torch.arange(len(labels)), :, labels].mean(dim=1)
        noise_score = 1 - given
        fitted = [model.fitted for model in self.noise_models]
        if any(fitted):
            mean = clean[torch.tensor(fitted)].mean(dim=0)
            noise_score = 0.999 * (1 - mean) + 0.001 * noise_score
        return dict(
            clean_probability_1=clean[0],
            clean_probability_2=clean[1],
            noise_score=noise_score,
        )
