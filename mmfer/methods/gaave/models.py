"""Train and use GAAVE's base models and annotators, classifiers of a subset."""

from dataclasses import astuple
from functools import partial
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor

from mmfer.datasets import LabelView
from mmfer.datasets.batches import PlannedImages, stack_field
from mmfer.engine.classifier_config import with_constant_lr
from mmfer.engine.scoring import (
    batches_in_order,
    five_shifts,
    five_views,
    merge_by_id,
    predict_view,
)
from mmfer.engine.stages import Stages, fingerprint
from mmfer.engine.training import Trained, train_classifier
from mmfer.evaluation import measure_strength

from .attack import Batch, attack_steps
from .division import attacked_rows
from .options import UPDATE_RATE
from .pixels import exact_float32, pixel_classifier, to_unit_range
from .splitting import Subset, draw_of_each_class
from .subset_training import SubsetTraining
from .vulnerability import Vulnerability, read_vulnerability


class SubsetModels(SubsetTraining):
    """Base models and annotators of one training set, see :class:`SubsetTraining`."""

    @property
    def _views(self) -> Callable[[Tensor], Iterator[Tensor]]:
        """Callable: Views of images whose probabilities are averaged."""
        mirrors = _mirrors(self.cfg.train_dataloader.dataset.to_dict())
        return five_views if mirrors else five_shifts

    # -- the two kinds of stages -------------------------------------------
    def measure_vulnerability(self, subset: Subset) -> Vulnerability:
        """Train the base model of a subset and attack its samples.

        These are #1 and #2 of Algorithm 1. Samples of the extra class are only
        attacked with ``divide='all'``.

        Args:
            subset (Subset): A refactored subset, or the whole set.
        """
        options = self.options

        def compute(folder: str) -> Dict[str, np.ndarray]:
            if len(np.unique(subset.labels)) < 2:
                return self._invulnerable(subset)
            return self._attack_subset(subset, folder)

        settings = dict(
            self._training_settings(subset),
            attack=options.attack_cfg,
            recross=options.recross,
            updates=options.updates,
        )
        if options.divide == 'all':
            settings['divide'] = 'all'
        if options.criterion == 'posterior':
            # Stages without them are not enough.
            settings['scores'] = (
                self._views.__name__ if options.wants_posterior else True
            )
        if self.suspects is not None:
            settings['learned'] = subset.sample_ids[self._rows_to_learn(subset)]
        result = self._run_stage(
            f'vulnerability of the {subset.name}', 2, settings, compute
        )
        found = read_vulnerability(result, options)
        self.log.vulnerability(
            subset.name, found.accuracy, options.max_steps, found.histogram
        )
        return found

    def predict_labels(self, subset: Subset, asked: np.ndarray) -> np.ndarray:
        """Train the annotator of a clean subset and predict candidates, Eq. 4.

        Args:
            subset (Subset): Clean subset: samples that are not candidates,
                refactored.
            asked (np.ndarray): Sample ids of the candidates, int64 (N, ).

        Returns:
            np.ndarray: Predicted local labels of the subset, int64 (N, ).
        """
        if len(np.unique(subset.labels)) < 2:
            # An annotator with one class can only predict this class.
            answer = subset.labels[0] if len(subset.labels) else subset.num_classes - 1
            self.log.one_class_annotator(subset.name)
            return np.full(len(asked), answer)

        def compute(folder: str) -> Dict[str, np.ndarray]:
            annotator, _ = self._train(
                f'annotator of the {subset.name}',
                subset,
                folder,
                np.arange(len(subset.labels)),
            )
            view = LabelView(
                self.unaugmented, asked, np.zeros_like(asked), subset.num_classes
            )
            found, scores = predict_view(annotator.model, view, self.cfg.val_dataloader)
            return dict(sample_id=found, prediction=scores.argmax(axis=1))

        settings = dict(self._training_settings(subset), asked=asked)
        result = self._run_stage(
            f'annotator of the {subset.name}', 1, settings, compute
        )
        return result['prediction']

    def predict_scores(
        self, subset: Subset, asked: np.ndarray, held_out: np.ndarray
    ) -> np.ndarray:
        """Train the annotator of a clean subset, and return class probabilities.

        Args:
            subset (Subset): Clean subset: samples that are not candidates.
            asked (np.ndarray): Sample ids to predict, int64 (N, ), ascending.
            held_out (np.ndarray): Sample ids that the annotator must not learn, int64.
                Those in the subset choose its best epoch.

        Returns:
            np.ndarray: Float (N, number of classes of the subset).
        """

        def compute(folder: str) -> Dict[str, np.ndarray]:
            annotator, _ = self._train(
                f'annotator of the {subset.name}',
                subset,
                folder,
                np.arange(len(subset.labels)),
                np.flatnonzero(np.isin(subset.sample_ids, held_out)),
            )
            view = LabelView(
                self.unaugmented, asked, np.zeros_like(asked), subset.num_classes
            )
            found, scores = predict_view(
                annotator.model, view, self.cfg.val_dataloader, self._views
            )
            return dict(sample_id=found, scores=scores)

        settings = dict(
            self._training_settings(subset),
            asked=asked,
            not_learned=held_out,
            views=self._views.__name__,
        )
        result = self._run_stage(
            f'annotator of the {subset.name}', 1, settings, compute
        )
        return result['scores']

    def evidence(self) -> Optional[np.ndarray]:
        """Return class probabilities of all samples by a further classifier.

        Returns:
            np.ndarray, optional: Float64 (N, C), in the order of ``sample_ids``; None
            without ``evidence`` in the options.
        """
        source = self.source
        if source is None:
            return None

        def compute(folder: str) -> Dict[str, np.ndarray]:
            self.log.stage('class probabilities of the scan')
            order = np.argsort(self.augmented.sample_ids, kind='stable')
            # One process reads the images.
            found = self.from_first_process(lambda: source(self.augmented))
            shape = len(order), self.num_classes
            if found.shape != shape or not (np.isfinite(found) & (found >= 0)).all():
                raise ValueError(
                    f'GAAVE: evidence={self.options.evidence} must give probabilities '
                    f'of shape {shape}, but has given {found.shape}, or numbers that '
                    'are no probabilities. Correct it, or set evidence=None.'
                )
            return dict(scores=found[order])

        settings = dict(
            evidence=self.evidence_settings,
            images=self.images,
            sample_ids=self.sample_ids,
            labels=self.labels,
        )
        return self._run_stage('evidence of the whole set', 1, settings, compute)[
            'scores'
        ]

    def _strength(self, model: nn.Module, held_out: Optional[LabelView]) -> np.ndarray:
        """Return the strength of a base model as an array; empty without samples."""
        if held_out is None:
            return np.zeros(0)
        _, scores = predict_view(model, held_out, self.cfg.val_dataloader)
        return np.array(astuple(measure_strength(scores.argmax(1), held_out.labels)))

    def _update(self, subset: Subset, folder: str, weights: str, index: int) -> Trained:
        """Train one of the T' update epochs, starting from ``weights``."""
        return train_classifier(
            with_constant_lr(self.cfg, UPDATE_RATE, 1),
            self._view(self.augmented, subset, self._rows_to_learn(subset)),
            subset.num_classes,
            f'{folder}/update{index + 1}',
            self.seed + index + 1,
            f'Update {index + 1} of {self.options.passes} of the {subset.name}',
            self.log.logger,
            weights=weights,
        )

    # -- attack ------------------------------------------------------------
    def _invulnerable(self, subset: Subset) -> Dict[str, np.ndarray]:
        """Return the result for a subset with one class.

        No attack can change a prediction, because there is no other class.
        """
        attacked = attacked_rows(subset, self.options.divide)
        count = int(attacked.sum())
        return dict(
            sample_id=subset.sample_ids[attacked],
            attack_steps=np.full(count, self.options.max_steps * self.options.passes),
            probability=np.ones(count),
            accuracy=np.float64(1),
            epoch=np.int64(0),
            epochs=np.int64(0),
            image_passes=np.int64(0),
        )

    def _attack_subset(self, subset: Subset, folder: str) -> Dict[str, np.ndarray]:
        """Train the base model of a subset, and attack it in every scoring pass."""
        passes = self.options.passes
        learned = self._rows_to_learn(subset)
        rows, drawn = learned, None
        if self.suspects is not None and self.options.wants_posterior:
            # Held-out samples must be a random part of all samples, suspects included.
            held = draw_of_each_class(subset.labels, self.options.held_out, self.seed)
            rows = np.union1d(learned, held)
            drawn = np.searchsorted(rows, held)
        base, held_out = self._train(
            f'base model of the {subset.name}', subset, folder, rows, drawn
        )
        attacked = attacked_rows(subset, self.options.divide)
        view = self._view(self.unaugmented, subset, attacked)
        self.log.attack(subset.name, len(view))
        weights = base.weights
        total: Any = 0
        probability: Any = 0.0
        accuracy = 0.0
        image_passes = base.epochs * len(learned)
        for i in range(passes):
            model = base.model
            if self.options.updates:
                updated = self._update(subset, folder, weights, i)
                model, weights = updated.model, updated.weights
                image_passes += len(learned)
            # An attack is long, so a killed run repeats none that has finished.
            found = Stages(folder).run(
                f'attack{i + 1}',
                dict(weights=self.from_first_process(partial(_weights_hash, model))),
                partial(self._attack, model, view),
            )
            total = total + found['attack_steps']
            probability = probability + found['probability'] / passes
            accuracy += float(found['accuracy']) / passes
            image_passes += self._count_image_passes(found['attack_steps'])
        return dict(
            sample_id=found['sample_id'],
            attack_steps=total,
            probability=probability,
            accuracy=np.float64(accuracy),
            strength=self._strength(base.model, held_out),
            **self._scores_of(base.model, view, held_out),
            epoch=np.int64(base.epoch),
            epochs=np.int64(base.epochs),
            image_passes=np.int64(image_passes),
        )

    def _attack(
        self, model: nn.Module, view: LabelView, folder: str
    ) -> Dict[str, np.ndarray]:
        """Attack all samples of a view once; the folder of this stage is not used."""
        ids, steps, probability = self.attack_view(model, view)
        return dict(
            sample_id=ids,
            attack_steps=steps,
            probability=probability,
            accuracy=np.asarray(self._share_predicted(model, view, steps)),
        )

    def _scores_of(
        self, model: nn.Module, view: LabelView, held_out: Optional[LabelView]
    ) -> Dict[str, np.ndarray]:
        """Return class probabilities, and which samples were held out."""
        if not self.options.wants_posterior or held_out is None:
            return {}
        ids, scores = predict_view(model, view, self.cfg.val_dataloader, self._views)
        return dict(scores=scores, held_out=np.isin(ids, held_out.sample_ids))

    def _share_predicted(
        self, model: nn.Module, view: LabelView, steps: np.ndarray
    ) -> float:
        """Return the share of labels that a model predicts before the attack."""
        if not self.options.recross:
            return (steps > 0).mean()
        # With recross, k > 0 can also come from later steps only.
        _, scores = predict_view(model, view, self.cfg.val_dataloader)
        return (scores.argmax(axis=1) == view.labels).mean()

    def _count_image_passes(self, steps: np.ndarray) -> int:
        """Return how many times an image went through the model in one attack."""
        if self.options.recross:
            return int(np.full_like(steps, self.options.max_steps).sum())
        # An image leaves the attack once its prediction has changed.
        return int(np.minimum(steps + 1, self.options.max_steps).sum())

    def attack_view(
        self, model: nn.Module, view: LabelView
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Attack all samples of a view.

        Args:
            model (nn.Module): Classifier of the view's labels, in eval mode.
            view (LabelView): Unaugmented samples.

        Returns:
            tuple[np.ndarray, np.ndarray, np.ndarray]: Sample ids, int64 (N, ),
            ascending; k, int64 (N, ); probability of the label for the
            unchanged image, float64 (N, ). All processes get the same.
        """
        device = next(model.parameters()).device
        with exact_float32():
            found = attack_steps(
                pixel_classifier(model),
                self._batches(view, device),
                self.options.pgd,
                self.cfg.val_dataloader.batch_size,
                self.options.recross,
            )
        ids, values = merge_by_id(
            found.sample_ids.numpy(),
            np.stack([found.steps.numpy(), found.probability.numpy()], axis=1),
        )
        return ids, values[:, 0].astype(np.int64), values[:, 1]

    def _batches(self, view: LabelView, device: torch.device) -> Iterator[Batch]:
        """Yield sample ids, images in [0, 1] and labels of this process."""
        loader_cfg = self.cfg.val_dataloader
        for batch in batches_in_order(
            view,
            loader_cfg.batch_size,
            loader_cfg.num_workers,
            loader_cfg.get('collate_fn', dict(type='fer_collate')),
        ):
            samples, inputs = batch['data_samples'], batch['inputs']
            if isinstance(inputs, PlannedImages):
                inputs = inputs.apply()
            ids = stack_field(samples, 'sample_id').to(device)
            labels = stack_field(samples, 'gt_label').to(device)
            yield ids, to_unit_range(inputs, device), labels


def _weights_hash(model: nn.Module) -> str:
    """Return a hash of all parameters and buffers."""
    return fingerprint({k: v.cpu().numpy() for k, v in model.state_dict().items()})


def _mirrors(value: Any) -> bool:
    """Return whether a config has a step that mirrors images, at any depth."""
    if isinstance(value, dict):
        own = 'flip' in str(value.get('type', '')).lower()
        return own or any(_mirrors(part) for part in value.values())
    return isinstance(value, (list, tuple)) and any(_mirrors(part) for part in value)
