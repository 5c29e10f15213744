"""DivideMix (ICLR'20): two networks divide the training set for each other."""

from typing import Any, Dict, List, Optional

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmfer.models.data_preprocessor import second_view
from mmfer.models.dual_network import DualNetwork
from mmfer.models.gathering import gather_batch, own_images
from mmfer.models.heads import stack_labels
from mmfer.models.mixup import mix_rows, mixing_share
from mmfer.models.sample_state import SampleTables, TrainingFacts, require_sample_ids
from mmfer.models.utils import full_precision, probe
from mmfer.registry import MODELS
from mmfer.utils.checks import choices, in_range, positive_int
from mmfer.utils.config import merge_options
from mmfer.utils.presets import with_preset
from mmfer.utils.random import step_permutation

from . import equations

ROWS = ('all', 'labelled')

# The published code has one file for CIFAR and one for Clothing1M, whose labels people
# gave. Faces are nearer to the second, so it is the default. The paper sums the squared
# error over the classes; both published files take the mean.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(
        mix_alpha=0.5,
        unlabelled_classes='mean',
        penalty_weight=1.0,
        train_rows='labelled',
    ),
    official=dict(
        mix_alpha=4.0, unlabelled_classes='mean', penalty_weight=0.0, train_rows='all'
    ),
    paper=dict(
        mix_alpha=4.0, unlabelled_classes='sum', penalty_weight=0.0, train_rows='all'
    ),
)
# Mixture of Gaussians over losses that are scaled to [0, 1], without a table.
NOISE_MODEL: Dict[str, Any] = dict(
    agreement='loss',
    quantiles=(0.0, 1.0),
    mixture=dict(type='ClusteredGaussianMixture'),
    table_size=None,
    monotone='none',
    edge=0.0,
    margin=0.0,
    min_separation=None,
)


@MODELS.register_module()
class DivideMix(DualNetwork, SampleTables):
    """Learning with noisy labels as semi-supervised learning (Li et al.).

    After a warm-up of plain cross-entropy, a Gaussian mixture over the losses of each
    network gives each sample the probability w that its label is clean. For the
    *other* network, samples with w above a threshold are labelled, and the rest is
    unlabelled. Labels are refined, those of unlabelled samples guessed, and all images
    mixed (MixMatch)::

        L = L_X + lambda_u ramp L_U + L_reg

    A batch of B images is divided by masks. The images of the global batch are mixed,
    each in two augmented views.

    Args:
        preset (str): ``'default'`` (published code for Clothing1M), ``'official'``
            (published code for CIFAR) or ``'paper'``. It sets the next four options
            where these are not given, see ``PRESETS``. Defaults to ``'default'``.
        mix_alpha (float, optional): l ~ Beta(alpha, alpha) of MixUp, above 0.
        unlabelled_classes (str, optional): ``'mean'`` or ``'sum'`` of the squared
            error over the classes.
        penalty_weight (float, optional): Weight of the confidence penalty in the
            warm-up, at least 0. The paper uses 1 where wrong labels follow classes.
        train_rows (str, optional): Mixed rows on which a network is trained:
            ``'all'``, or ``'labelled'``, where unlabelled images are partners only.
        unlabelled_weight (float, optional): lambda_u, at least 0. It depends on the
            noise, not on the preset. Defaults to None: 25, or 0 with
            ``train_rows='labelled'``.
        threshold (float): w of labelled samples is larger, in [0, 1). Defaults to 0.5.
        temperature (float): T of the sharpening, above 0. Defaults to 0.5.
        ramp_epochs (int): Epochs after the warm-up over which lambda_u rises from 0.
            Defaults to 16.
        average_epochs (int): Fits use the mean loss of the last fits, up to so many.
            The published code takes 5 at 90 % noise. Defaults to 1.
        noise_model (dict, optional): Options of
            :class:`~mmfer.models.LabelNoiseModel`, merged into ``NOISE_MODEL``.
        predict_with (str): See :class:`~mmfer.models.DualNetwork`. Defaults to
            ``'sum'``.
        **kwargs: Further options of :class:`~mmfer.models.DualNetwork`: ``network1``,
            ``network2``, ``warmup_epochs``, ... ``score_source`` is always ``'pass'``.

    Raises:
        ValueError: An option is out of range, or the warm-up takes the whole run.
    """

    def __init__(
        self,
        preset: str = 'default',
        mix_alpha: Optional[float] = None,
        unlabelled_classes: Optional[str] = None,
        penalty_weight: Optional[float] = None,
        train_rows: Optional[str] = None,
        unlabelled_weight: Optional[float] = None,
        threshold: float = 0.5,
        temperature: float = 0.5,
        ramp_epochs: int = 16,
        average_epochs: int = 1,
        noise_model: Optional[dict] = None,
        predict_with: str = 'sum',
        **kwargs: Any,
    ):
        given = dict(
            mix_alpha=mix_alpha,
            unlabelled_classes=unlabelled_classes,
            penalty_weight=penalty_weight,
            train_rows=train_rows,
        )
        chosen = with_preset(type(self), PRESETS, preset, given)
        choices(self, 'score_source', kwargs.pop('score_source', 'pass'), ('pass',))
        super().__init__(
            noise_model=merge_options(NOISE_MODEL, noise_model),
            predict_with=predict_with,
            score_source='pass',
            **kwargs,
        )
        number = chosen['mix_alpha']
        self.mix_alpha = in_range(self, 'mix_alpha', number, 0, open_low=True)
        number = chosen['penalty_weight']
        self.penalty_weight = in_range(self, 'penalty_weight', number, 0)
        self.unlabelled_classes = choices(
            self,
            'unlabelled_classes',
            chosen['unlabelled_classes'],
            equations.UNLABELLED,
        )
        self.train_rows = choices(self, 'train_rows', chosen['train_rows'], ROWS)
        if unlabelled_weight is None:
            unlabelled_weight = 25.0 if self.train_rows == 'all' else 0.0
        self.unlabelled_weight = in_range(
            self, 'unlabelled_weight', unlabelled_weight, 0
        )
        self.threshold = in_range(self, 'threshold', threshold, 0, 1, open_high=True)
        self.temperature = in_range(self, 'temperature', temperature, 0, open_low=True)
        self.ramp_epochs = positive_int(self, 'ramp_epochs', ramp_epochs)
        self.average_epochs = positive_int(self, 'average_epochs', average_epochs)
        if self.unlabelled_weight and self.train_rows == 'labelled':
            raise ValueError(
                f'{type(self).__name__}: unlabelled_weight={self.unlabelled_weight} '
                "has no effect with train_rows='labelled', where no network is trained "
                "on unlabelled images. Set train_rows='all', or unlabelled_weight=0."
            )
        self.data_preprocessor.second_view = True
        # Epoch after which the training set was last divided.
        self._divided_after: Optional[int] = None

    # -- division ----------------------------------------------------------
    def new_tables(self, facts: TrainingFacts) -> Dict[str, Tensor]:
        """Return w by each network, (N, 2), and the losses of the last fits."""
        tables = dict(clean_probability=torch.ones(facts.num_samples, 2))
        if self.average_epochs > 1:
            shape = facts.num_samples, 2, self.average_epochs
            tables['losses'] = torch.full(shape, torch.nan)
        return tables

    def check_schedule(self, max_epochs: Optional[int]) -> None:
        """Raise if the run ends before the training set is ever divided."""
        if max_epochs is not None:
            super().check_schedule(max_epochs)

    def start_training(self, facts: TrainingFacts) -> None:
        """Make the tables; a warning says if L_U never gets its full weight."""
        super().start_training(facts)
        self._epoch, self._divided_after = None, None
        last, epochs = self.warmup_epochs + self.ramp_epochs, facts.max_epochs
        if self.unlabelled_weight and epochs is not None and last > epochs:
            MMLogger.get_current_instance().warning(
                f'DivideMix: unlabelled_weight rises until epoch {last} '
                f'(warmup_epochs + ramp_epochs), but the run has {epochs} epochs. '
                'Lower model.ramp_epochs, or train longer (train_cfg.max_epochs).'
            )

    def start_epoch(self, epoch: int) -> None:
        """Begin an epoch.

        Raises:
            RuntimeError: The training set was not divided after the last epoch.
        """
        last = self._epoch
        super().start_epoch(epoch)
        # The warm-up needs one view.
        self.data_preprocessor.second_view = not self.warming_up
        if last is None or epoch != last + 1 or not self.refit_due(last):
            return
        if self._divided_after != last:
            raise RuntimeError(
                f'DivideMix: epoch {epoch} has ended, and nobody has divided the '
                "training set: add dict(type='NoiseModelHook') to custom_hooks (a "
                'config that sets custom_hooks replaces the whole list of its base).'
            )

    def fit_noise_models(
        self, agreements: Tensor, ids: Optional[Tensor] = None
    ) -> List[bool]:
        """Fit the mixtures, and store w of each sample; see the base class."""
        if ids is None:
            return super().fit_noise_models(agreements)
        if self.average_epochs > 1:
            agreements = -self._mean_losses(-agreements, ids)
        taken = super().fit_noise_models(agreements)
        self._divided_after = self._epoch
        table = self.table('clean_probability')
        clean = self.clean_probability(agreements).t()
        table[ids.to(table.device)] = clean.to(table)
        return taken

    def _mean_losses(self, losses: Tensor, ids: Tensor) -> Tensor:
        """Return the mean of the last losses, each scaled to [0, 1], (2, N).

        Args:
            losses (Tensor): Those of this fit, (2, N).
            ids (Tensor): Sample ids, int64 (N, ).
        """
        table = self.table('losses')
        low, high = losses.aminmax(dim=1, keepdim=True)
        scaled = (losses - low) / (high - low).clamp_min(1e-6)
        rows = ids.to(table.device)
        newest = scaled.t()[:, :, None].to(table)
        table[rows] = torch.cat([table[rows][:, :, 1:], newest], dim=2)
        # Entries before the first fit are NaN.
        return table[rows].nanmean(dim=2).t().to(losses)

    # -- losses ------------------------------------------------------------
    def loss(self, inputs: Tensor, data_samples: List[DataSample]) -> dict:
        """Compute the losses of both networks.

        Args:
            inputs (Tensor): Prepared images, (B, channels, H, W).
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``
                and ``sample_id``. Their ``second_view`` is another augmentation of
                the images; without it the mirrored images are used.
        """
        labels = stack_labels(data_samples)
        if self.warming_up:
            return self.warmup_loss(inputs, labels)
        ids = require_sample_ids(self, data_samples)
        # Each network is given the division by the other one.
        clean = self.rows('clean_probability', ids, inputs).flip(1)
        views = torch.stack([inputs, other_view(inputs, data_samples)], dim=1)
        targets = gather_batch(self.targets(views, labels, clean))
        labelled = gather_batch((clean > self.threshold).to(targets))
        everyone = gather_batch(views)
        losses: Dict[str, Tensor] = dict(labelled_share=labelled.mean())
        for k, network in enumerate(self.networks):
            terms = self.mixed_loss(
                network, views, everyone, targets[:, k], labelled[:, k]
            )
            losses.update({f'loss_{name}{k + 1}': x for name, x in terms.items()})
        return losses

    def warmup_loss(self, inputs: Tensor, labels: Tensor) -> Dict[str, Tensor]:
        """Return cross-entropy and confidence penalty of both networks.

        Args:
            inputs (Tensor): Prepared images, (B, channels, H, W).
            labels (Tensor): Given labels, int64 (B, ).
        """
        losses = {}
        for k, logits in enumerate(self(inputs, mode='tensor')):
            with full_precision(inputs):
                logits = logits.float()
                losses[f'loss_network{k + 1}'] = F.cross_entropy(logits, labels)
                if self.penalty_weight:
                    penalty = equations.confidence_penalty(logits)
                    losses[f'loss_penalty{k + 1}'] = self.penalty_weight * penalty
        return losses

    @torch.no_grad()
    def targets(self, views: Tensor, labels: Tensor, clean: Tensor) -> Tensor:
        """Return the target of each image for each network, (B, 2, C).

        A network predicts in train mode for itself, and in eval mode for the other.

        Args:
            views (Tensor): Two views of each image, (B, 2, channels, H, W).
            labels (Tensor): Given labels, int64 (B, ).
            clean (Tensor): Clean probability that each network is given, (B, 2).
        """
        images = views.flatten(0, 1)
        own = [mean_prediction(network(images)) for network in self.networks]
        other = [mean_prediction(probe(network, images)) for network in self.networks]
        # Autocast would reuse weights that it has converted without gradients.
        torch.clear_autocast_cache()
        targets = []
        with full_precision(images):
            for k in range(2):
                refined = equations.refine_labels(
                    labels, clean[:, k], own[k], self.temperature
                )
                guessed = equations.guess_labels(own[k], other[1 - k], self.temperature)
                labelled = (clean[:, k] > self.threshold)[:, None]
                targets.append(torch.where(labelled, refined, guessed))
        return torch.stack(targets, dim=1)

    def mixed_loss(
        self,
        network: nn.Module,
        views: Tensor,
        everyone: Tensor,
        targets: Tensor,
        labelled: Tensor,
    ) -> Dict[str, Tensor]:
        """Return the terms of the loss of one network, after MixUp.

        Args:
            network (nn.Module): The network.
            views (Tensor): Two views of each own image, (B, 2, channels, H, W).
            everyone (Tensor): Those of the global batch of G images, (G, 2, ...).
            targets (Tensor): Targets of the global batch, (G, C).
            labelled (Tensor): 1 for labelled images and 0 for the others, (G, ).
        """
        share = mixing_share(self.mix_alpha, 'dividemix_share')
        partners = step_permutation(
            2 * len(everyone), 'dividemix_partners', views.device
        )
        own_partners = own_images(partners.view(-1, 2)).flatten()
        mixed = mix_rows(
            views.flatten(0, 1), everyone.flatten(0, 1)[own_partners], share
        )
        logits = network(mixed).unflatten(0, (-1, 2))
        with full_precision(views):
            logits = gather_batch(logits.float()).flatten(0, 1)
            targets = targets.repeat_interleave(2, dim=0)
            rows = labelled.repeat_interleave(2)
            mixed_targets = mix_rows(targets, targets[partners], share)
            trained = rows if self.train_rows == 'labelled' else torch.ones_like(rows)
            losses = dict(
                labelled=equations.labelled_loss(logits, mixed_targets, rows),
                prior=equations.prior_penalty(logits, trained),
            )
            if self.unlabelled_weight and self.train_rows == 'all':
                weight = self.unlabelled_weight * equations.ramp(
                    self.progress, self.warmup_epochs, self.ramp_epochs
                )
                losses['unlabelled'] = weight * equations.unlabelled_loss(
                    logits, mixed_targets, rows, self.unlabelled_classes
                )
        return losses

    # -- label noise -------------------------------------------------------
    def score_labels(self, predictions: Any, labels: Tensor) -> Dict[str, Tensor]:
        """Return columns of the sample-score table, each (N, ).

        ``noise_score`` is 0.999 (1 - w) + 0.001 (1 - p). Here w is the mean clean
        probability of the last division by both networks, and p the mean predicted
        probability of the given label. The second term ranks samples of equal w.

        Args:
            predictions (Mapping[str, Tensor]): With ``network_scores``, (N, 2, C), and
                ``sample_id``, (N, ).
            labels (Tensor): Given labels, int64 (N, ).

        Returns:
            dict[str, Tensor]: ``clean_probability``, which is w, and ``noise_score``.
        """
        table = self.table('clean_probability').cpu().float()
        clean = table[predictions['sample_id']].mean(dim=1)
        scores = predictions['network_scores']
        given = scores[torch.arange(len(labels)), :, labels].mean(dim=1)
        noise_score = 0.999 * (1 - clean) + 0.001 * (1 - given)
        return dict(clean_probability=clean, noise_score=noise_score)


def other_view(inputs: Tensor, data_samples: Any) -> Tensor:
    """Return another augmentation of each image, or the mirrored image, (B, ...).

    Args:
        inputs (Tensor): Prepared images, (B, channels, H, W).
        data_samples (SampleBatch | list[DataSample]): Their samples.
    """
    views = second_view('DivideMix', inputs, data_samples)
    return inputs.flip(-1) if views is None else views


def mean_prediction(logits: Tensor) -> Tensor:
    """Return the mean probabilities of two views.

    Args:
        logits (Tensor): Both views of an image follow each other, (2 B, C).

    Returns:
        Tensor: Shape (B, C).
    """
    with full_precision(logits):
        return logits.float().softmax(dim=1).unflatten(0, (-1, 2)).mean(dim=1)
