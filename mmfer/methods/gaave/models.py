"""Train and use GAAVE's base models and annotators, classifiers of a subset."""

import os
from dataclasses import astuple
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, get_world_size, is_main_process

from mmfer.datasets import FERDataset, LabelView, unaugmented, with_pipeline
from mmfer.datasets.batches import PlannedImages, stack_field
from mmfer.datasets.images import hash_files
from mmfer.engine.classifier_config import (
    backbone_config,
    check_classifier,
    classifier_config,
    with_constant_lr,
)
from mmfer.engine.provenance import deciding
from mmfer.engine.scoring import batches_in_order, merge_by_id, predict_view
from mmfer.engine.stages import Stages
from mmfer.engine.training import Trained, train_classifier
from mmfer.evaluation import measure_strength

from .attack import Batch, attack_steps
from .division import attacked_rows
from .messages import CleaningLog
from .options import UPDATE_RATE, GAAVEOptions
from .pixels import exact_float32, pixel_classifier, to_unit_range
from .splitting import Subset, draw_of_each_class
from .suspects import rows_to_learn
from .vulnerability import Vulnerability, read_vulnerability

# Raise it with every change of the code that gives another result for the same
# settings. Stages of earlier versions are then computed again.
VERSION = 1


class SubsetModels:
    """Base models and annotators of one training set.

    Results are stored as stages. If an earlier run has computed a stage with
    the same settings, its result is read from files.

    Args:
        options (GAAVEOptions): Options of the run.
        cfg, dataset, pipeline: See :meth:`GAAVE.__call__`.
        stages (Stages): Stored results of earlier runs and of this run.
        log (CleaningLog): Log that reports the progress.
        suspects (np.ndarray, optional): Samples on which base models are not trained,
            see :func:`~.suspects.read_suspects`. Defaults to None: there are none.

    Attributes:
        sample_ids (np.ndarray): All samples, int64 (N, ), ascending.
        labels (np.ndarray): Given labels of these samples, int64 (N, ).
        num_classes (int): Number of classes of the data set.
        class_names (Sequence[str]): Names of the classes.
        seed (int): Seed of models and draws.
    """

    def __init__(
        self,
        options: GAAVEOptions,
        cfg: Config,
        dataset: FERDataset,
        pipeline: Callable,
        stages: Stages,
        log: CleaningLog,
        suspects: Optional[np.ndarray] = None,
    ):
        self.options = options
        self.suspects = suspects
        self.cfg = cfg
        self.unaugmented = unaugmented(dataset, pipeline)
        self.augmented = dataset
        if 'train_dataloader' in (options.base or {}):
            self.augmented = with_pipeline(
                dataset, cfg.train_dataloader.dataset.pipeline
            )
        self.stages = stages
        self.log = log
        self.seed: int = (
            cfg.get('randomness', {}).get('seed') or 0
            if options.seed is None
            else options.seed
        )
        order = np.argsort(dataset.sample_ids, kind='stable')
        self.sample_ids = dataset.sample_ids[order]
        self.labels = dataset.get_gt_labels()[order]
        self.num_classes = dataset.num_classes
        self.class_names = dataset.CLASSES
        # Raise errors now, not after hours of training.
        check_classifier(cfg)
        to_unit_range(self.unaugmented[0]['inputs'][None])
        self.images = self._from_first_process(dataset.images_hash)
        self.pretrained = self._from_first_process(lambda: initial_weights_hash(cfg))

    @staticmethod
    def _from_first_process(function: Callable[[], Any]) -> Any:
        """Call a function in the first process; all processes get its result."""
        found = [function() if is_main_process() else None]
        broadcast_object_list(found)
        return found[0]

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

    def _run_stage(
        self,
        name: str,
        count: int,
        settings: Dict[str, Any],
        compute: Callable[[str], Dict[str, np.ndarray]],
    ) -> Dict[str, np.ndarray]:
        """Compute a result, or read it; the log counts ``count`` stages."""
        last = self.log.expected_stage(count)
        result = self.stages.run(
            name.replace(' of the', '').replace(' ', '-'), settings, compute
        )
        self.log.catch_up(last, name)
        return result

    def _training_settings(self, subset: Subset) -> Dict[str, Any]:
        """Return all settings on which a model of a subset depends.

        The folder of a stage is named after their hash. If an entry is added,
        removed or renamed here, stages of earlier runs are no longer found.
        """
        cfg = self.cfg
        # Stages of version 0.1 have no such number.
        version = {} if VERSION == 1 else dict(version=VERSION)
        return dict(
            **version,
            model=deciding(classifier_config(cfg, subset.num_classes)),
            data=deciding(cfg.train_dataloader.to_dict()),
            evaluation=deciding(cfg.val_dataloader.dataset.to_dict()),
            optim_wrapper=deciding(cfg.optim_wrapper.to_dict()),
            param_scheduler=deciding(cfg.get('param_scheduler')),
            auto_scale_lr=deciding(cfg.get('auto_scale_lr')),
            train_cfg=deciding(cfg.train_cfg.to_dict()),
            randomness=dict(cfg.get('randomness', {}), seed=self.seed),
            processes=get_world_size(),
            pretrained=self.pretrained,
            images=self.images,
            fit=self.options.fit,
            held_out=self.options.held_out,
            patience=self.options.patience,
            sample_ids=subset.sample_ids,
            labels=subset.labels,
        )

    # -- training ----------------------------------------------------------
    def _view(self, dataset: FERDataset, subset: Subset, rows: Any) -> LabelView:
        """Return a view of some samples of a subset, with their local labels."""
        return LabelView(
            dataset, subset.sample_ids[rows], subset.labels[rows], subset.num_classes
        )

    def _rows_to_learn(self, subset: Subset) -> np.ndarray:
        """Return the rows of a subset on which its base model is trained."""
        return rows_to_learn(subset.sample_ids, subset.labels, self.suspects)

    def _train(
        self, what: str, subset: Subset, folder: str, rows: np.ndarray
    ) -> Tuple[Trained, Optional[LabelView]]:
        """Train a classifier on some rows of a subset, including its extra class.

        Returns:
            tuple[Trained, LabelView | None]: The classifier, and the samples that
            were held out.
        """
        self.log.training(what, len(rows), subset.num_classes)
        held_out = None
        if self.options.fit == 'peak':
            drawn = draw_of_each_class(
                subset.labels[rows], self.options.held_out, self.seed
            )
            if len(drawn):
                held_out = self._view(self.unaugmented, subset, rows[drawn])
                rows = np.delete(rows, drawn)
            else:
                self.log.nothing_held_out()
        trained = train_classifier(
            self.cfg,
            self._view(self.augmented, subset, rows),
            subset.num_classes,
            f'{folder}/model',
            self.seed,
            what[0].upper() + what[1:],
            self.log.logger,
            held_out,
            self.options.patience,
        )
        return trained, held_out

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
        base, held_out = self._train(
            f'base model of the {subset.name}', subset, folder, learned
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
            ids, steps, given = self.attack_view(model, view)
            total = total + steps
            probability = probability + given / passes
            accuracy += self._share_predicted(model, view, steps) / passes
            image_passes += self._count_image_passes(steps)
        return dict(
            sample_id=ids,
            attack_steps=total,
            probability=probability,
            accuracy=np.float64(accuracy),
            strength=self._strength(base.model, held_out),
            epoch=np.int64(base.epoch),
            epochs=np.int64(base.epochs),
            image_passes=np.int64(image_passes),
        )

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


def initial_weights_hash(cfg: Config) -> List[str]:
    """Return hashes of the files with the initial weights of the backbone.

    A copied or touched file has the same hash. Weights that mmengine downloads are
    known by their address, which is part of the config.

    Args:
        cfg (Config): Training config of any method.
    """
    init_cfg = backbone_config(cfg).get('init_cfg')
    entries = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
    paths = [os.path.expanduser(entry.get('checkpoint') or '') for entry in entries]
    return [hash_files([path])[0] for path in paths if os.path.isfile(path)]
