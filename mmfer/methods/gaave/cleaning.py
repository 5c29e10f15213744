"""The stages of GAAVE (AAAI'23), Algorithm 1, on one data set."""

import os
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import MMLogger

from mmfer.datasets import FERDataset, LabelView, unaugmented, with_pipeline
from mmfer.engine.classifier_config import (
    backbone_config,
    check_classifier,
    classifier_config,
    with_constant_lr,
)
from mmfer.engine.provenance import deciding
from mmfer.engine.scoring import batches_in_order, merge_by_id, predict_view
from mmfer.engine.stages import Stages, fingerprint
from mmfer.engine.training import Trained, train_classifier

from .annotation import DROP, combine, decide
from .attack import attack_steps
from .label_decisions import LabelDecisions
from .pixels import exact, pixel_classifier, pixels
from .report import describe
from .splitting import (
    HeadTail,
    Subset,
    draw_of_each_class,
    plain_subset,
    refactor,
    split_head_tail,
    subset_names,
)
from .thresholds import Threshold, find_threshold

# Learning rate of updates while scoring, as a share of the initial one. The
# paper gives none, and a schedule that has come to its end has none left.
UPDATE_RATE = 0.01


class Vulnerability(NamedTuple):
    """What the attack found in a subset.

    Attributes:
        place (np.ndarray): Of its own samples among all, int64 (N, ).
        steps (np.ndarray): Their k, summed over the scoring passes, int64.
        probability (np.ndarray): Of the label by the base model, a mean over
            the scoring passes, float64.
        accuracy (float): Share of labels that the base model predicts.
        epoch (int): Of the base model's training, whose weights it has.
        epochs (int): Of that training, in all.
        image_passes (int): Images that went through a model, forward and
            backward, in training and attack.
    """

    place: np.ndarray
    steps: np.ndarray
    probability: np.ndarray
    accuracy: float
    epoch: int
    epochs: int
    image_passes: int


class Cleaning:
    """One data set on its way through the stages.

    Args:
        options (GAAVE): What to do.
        cfg, dataset, pipeline, stages, logger: See :meth:`GAAVE.__call__`.
    """

    def __init__(
        self,
        options,
        cfg: Config,
        dataset: FERDataset,
        pipeline: Callable,
        stages: Stages,
        logger: MMLogger,
    ):
        self.options = options
        self.cfg = cfg
        self.dataset = dataset
        self.unaugmented = unaugmented(dataset, pipeline)
        self.augmented = dataset
        if 'train_dataloader' in (options.base or {}):
            self.augmented = with_pipeline(
                dataset, cfg.train_dataloader.dataset.pipeline
            )
        self.stages = stages
        self.logger = logger
        self.seed = options.seed
        if self.seed is None:
            self.seed = cfg.get('randomness', {}).get('seed') or 0
        order = np.argsort(dataset.sample_ids, kind='stable')
        self.ids = dataset.sample_ids[order]
        self.labels = dataset.get_gt_labels()[order]
        # Values of k, and of its sum over the scoring passes.
        self.max_steps = options.attack.steps + 1
        self.passes = max(1, options.updates)
        self.stage = self.num_stages = 0
        # Now, not after hours.
        check_classifier(cfg)
        pixels(self.unaugmented[0]['inputs'][None])
        self.images = fingerprint(
            [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
        )

    # -- the pipeline ------------------------------------------------------
    def run(self) -> Tuple[LabelDecisions, dict]:
        split = self.split()
        subsets = self.subsets(self.ids, self.labels, split)
        # For each subset a base model, its attack, and an annotator.
        self.num_stages = len(subsets) * (2 + self.options.annotate)
        steps = np.full(len(self.ids), np.nan)
        probability = np.full(len(self.ids), np.nan)
        taus = np.full(len(self.ids), np.nan)
        record = dict(samples=len(self.ids), subsets=[])
        for side, subset in zip(subset_names(len(subsets)), subsets):
            found = self.vulnerability(side, subset)
            threshold = self.threshold(side, subset, found)
            steps[found.place] = found.steps / self.passes
            probability[found.place] = found.probability
            taus[found.place] = self.mean_tau(threshold)
            record['subsets'].append(self.entry(side, subset, found, threshold))
        candidate = steps <= taus
        pseudo = np.full(len(self.ids), DROP)
        if candidate.all():
            raise ValueError(
                'GAAVE: all samples are candidates, so that nothing is left '
                'to learn from; choose a smaller tau.'
            )
        if candidate.any() and self.options.annotate:
            pseudo[candidate] = self.pseudo_labels(split, candidate)
        decision = decide(self.labels, candidate, pseudo, self.options.relabel)
        record['decisions'] = {
            name: int((decision == name).sum()) for name in ('keep', 'relabel', 'drop')
        }
        label_decisions = LabelDecisions(
            sample_id=self.ids,
            given_label=self.labels,
            subset=np.isin(self.labels, split.tail).astype(np.int64),
            attack_steps=steps,
            given_probability=probability,
            candidate=candidate,
            suggested_label=np.where(decision == 'keep', self.labels, pseudo),
            decision=decision,
            noise_score=self.noise_score(steps, probability, taus),
        )
        self.logger.info(describe(label_decisions, self.dataset.CLASSES))
        return label_decisions, record

    def noise_score(
        self, steps: np.ndarray, probability: np.ndarray, taus: np.ndarray
    ) -> np.ndarray:
        """See :class:`LabelDecisions`; all arguments and the result (N, )."""
        # k is a whole number, or one of a few fractions. Of samples with
        # equal k the probability decides, by less than one of these steps.
        place = steps + 0.99 * (probability - 0.5) / self.passes
        return 0.5 + (taus + 0.5 / self.passes - place) / (2 * self.max_steps + 3)

    def split(self) -> HeadTail:
        counts = np.bincount(self.labels, minlength=self.dataset.num_classes)
        if self.options.split:
            split = split_head_tail(
                counts, self.options.cut, self.options.head, self.options.min_imbalance
            )
        else:
            split = HeadTail(np.flatnonzero(counts), np.zeros(0, np.int64))
        if len(split.head) + len(split.tail) < 2:
            raise ValueError(
                'GAAVE: all samples have the same label; there is nothing '
                'that they could be mistaken for.'
            )
        parts = [
            f'{side}: '
            + ', '.join(f'{self.dataset.CLASSES[c]} ({counts[c]})' for c in classes)
            for side, classes in zip(subset_names(2), split)
            if len(classes)
        ]
        if len(parts) == 1:
            parts = [
                'one subset with all classes'
                if not self.options.split
                else 'classes are about equally large: one subset'
            ]
        self.logger.info('GAAVE, ' + '; '.join(parts))
        return split

    def subsets(
        self, ids: np.ndarray, labels: np.ndarray, split: HeadTail
    ) -> List[Subset]:
        if not len(split.tail):
            return [plain_subset(ids, labels, split.head)]
        return list(refactor(ids, labels, split, self.seed))

    def vulnerability(self, side: str, subset: Subset) -> Vulnerability:
        """Train the base model of a subset, and attack its own samples."""
        native = subset.native

        def compute(folder):
            if len(np.unique(subset.labels)) < 2:
                # Nothing that they could be mistaken for.
                steps = np.full(native.sum(), self.max_steps * self.passes)
                return dict(
                    sample_id=subset.sample_ids[native],
                    attack_steps=steps,
                    probability=np.ones(len(steps)),
                    accuracy=np.float64(1),
                    epoch=np.int64(0),
                    epochs=np.int64(0),
                    image_passes=np.int64(0),
                )
            base = self.train(f'base model of the {side}', subset, folder)
            self.announce(f'attack on {native.sum()} samples of the {side}')
            view = LabelView(
                self.unaugmented,
                subset.sample_ids[native],
                subset.labels[native],
                subset.num_classes,
            )
            weights, total, accuracy = base.weights, 0, 0.0
            probability = 0.0
            image_passes = base.epochs * len(subset.labels)
            for i in range(self.passes):
                model = base.model
                if self.options.updates:
                    updated = self.update(side, subset, folder, weights, i)
                    model, weights = updated.model, updated.weights
                    image_passes += len(subset.labels)
                ids, steps, given = self.attack_all(model, view)
                total = total + steps
                probability = probability + given / self.passes
                right = steps > 0
                if self.options.recross:
                    # Some of these are right after a step only.
                    _, scores = predict_view(model, view, self.cfg.val_dataloader)
                    right = scores.argmax(axis=1) == view.labels
                accuracy += right.mean() / self.passes
                # Who has crossed goes no further.
                passes = (
                    np.full_like(steps, self.max_steps)
                    if self.options.recross
                    else np.minimum(steps + 1, self.max_steps)
                )
                image_passes += int(passes.sum())
            return dict(
                sample_id=ids,
                attack_steps=total,
                probability=probability,
                accuracy=np.float64(accuracy),
                epoch=np.int64(base.epoch),
                epochs=np.int64(base.epochs),
                image_passes=np.int64(image_passes),
            )

        settings = dict(
            self.training_settings(subset),
            attack=self.options.attack_cfg,
            recross=self.options.recross,
            updates=self.options.updates,
        )
        result = self.run_stage(f'vulnerability of the {side}', 2, settings, compute)
        found = Vulnerability(
            np.searchsorted(self.ids, result['sample_id']),
            result['attack_steps'],
            result['probability'],
            float(result['accuracy']),
            *(int(result[n]) for n in ('epoch', 'epochs', 'image_passes')),
        )
        self.logger.info(
            f'The base model of the {side} predicts {found.accuracy:.1%} of '
            f'its labels; k from 0 to {self.max_steps}: '
            f'{self.histogram(found)}'
        )
        return found

    def histogram(self, found: Vulnerability) -> List[int]:
        """Samples by k, of a mean by what it is rounded down to."""
        return np.bincount(
            found.steps // self.passes, minlength=self.max_steps + 1
        ).tolist()

    def mean_tau(self, threshold: Threshold) -> float:
        """A threshold of the sum as one of the mean; -1 stays -1."""
        return threshold.tau / self.passes if threshold.tau >= 0 else -1.0

    def entry(
        self, side: str, subset: Subset, found: Vulnerability, threshold: Threshold
    ) -> dict:
        """Of the record."""
        sizes = np.bincount(subset.labels, minlength=subset.num_classes)
        return dict(
            name=side,
            classes={
                self.dataset.CLASSES[c]: int(sizes[i])
                for i, c in enumerate(subset.classes)
            },
            extra_class=int(sizes[-1]) if subset.has_extra else None,
            label_accuracy=found.accuracy,
            epoch=found.epoch,
            epochs=found.epochs,
            histogram=self.histogram(found),
            tau=self.mean_tau(threshold),
            separation=threshold.separation,
            candidates=int((found.steps <= threshold.tau).sum()),
            image_passes=found.image_passes,
        )

    def threshold(self, side: str, subset: Subset, found: Vulnerability) -> Threshold:
        """Largest sum of k of a candidate; -1 where there is none."""
        fixed = self.options.tau['tail' if side == subset_names(2)[1] else 'head']
        steps = found.steps
        # Many labels may be wrong, so that accuracy alone tells nothing.
        known = np.unique(subset.labels[subset.native][steps > 0])
        if len(known) < min(2, len(subset.classes)) and fixed is None:
            self.logger.warning(
                f'the base model of the {side} predicts one class '
                f'throughout: it has learned nothing, and the labels of the '
                f'{side} stay as they are. Train longer, or with another '
                'learning rate.'
            )
            return Threshold(-1, 0.0)
        least = 0.9 if self.options.fit == 'full' else 0.5
        if found.accuracy < least:
            self.logger.warning(
                f'the base model of the {side} predicts {found.accuracy:.1%} '
                'of its labels only'
                + (
                    "; fit='full' is for models that fit nearly all of them. "
                    "Train longer, or take fit='peak'."
                    if least == 0.9
                    else ': either most of them are wrong, or it has learned too '
                    'little, and finds what is hard. Look at the suggestions '
                    'before using them; another schedule may fit better '
                    '(base=).'
                )
            )
        threshold = find_threshold(
            steps,
            self.max_steps * self.passes + 1,
            fixed
            if fixed in (None, -1)
            # All whose mean is at most tau.
            else int(fixed * self.passes),
            self.options.min_separation,
        )
        if fixed == -1:
            self.logger.info(f'The {side} has no candidates: its tau is -1.')
        elif threshold.tau >= 0:
            self.logger.info(
                f'Threshold of the {side}: k <= '
                f'{self.mean_tau(threshold):g}, separation '
                f'{threshold.separation:.2f}, '
                f'{(steps <= threshold.tau).sum()} candidates.'
            )
        else:
            self.logger.info(
                f'The {side} has no candidates: its k do not fall into two '
                f'groups (separation {threshold.separation:.2f}, least '
                f'{self.options.min_separation}).'
            )
        return threshold

    def pseudo_labels(self, split: HeadTail, candidate: np.ndarray) -> np.ndarray:
        """Eq. 4 for all candidates, and Eq. 5."""
        ids, labels = self.ids[~candidate], self.labels[~candidate]
        lost = set(self.labels.tolist()) - set(labels.tolist())
        if lost:
            names = ', '.join(self.dataset.CLASSES[c] for c in sorted(lost))
            self.logger.warning(
                f'all samples of {names} are candidates: no annotator '
                'knows that class, and it may be lost.'
            )
        asked = self.ids[candidate]
        predictions = []
        subsets = self.subsets(ids, labels, split)
        for side, subset in zip(subset_names(len(subsets)), subsets):
            if len(np.unique(subset.labels)) < 2:
                # The only answer that it could give.
                answer = (
                    subset.labels[0] if len(subset.labels) else subset.num_classes - 1
                )
                predictions.append(np.full(len(asked), answer))
                self.announce(f'the annotator of the {side} knows one class')
                continue

            def compute(folder, side=side, subset=subset):
                annotator = self.train(f'annotator of the {side}', subset, folder)
                view = LabelView(
                    self.unaugmented, asked, np.zeros_like(asked), subset.num_classes
                )
                found, scores = predict_view(
                    annotator.model, view, self.cfg.val_dataloader
                )
                return dict(sample_id=found, prediction=scores.argmax(axis=1))

            settings = dict(self.training_settings(subset), asked=asked)
            result = self.run_stage(f'annotator of the {side}', 1, settings, compute)
            predictions.append(result['prediction'])
        if not len(split.tail):
            return split.head[predictions[0]]
        return combine(*predictions, split)

    # -- stages ------------------------------------------------------------
    def announce(self, what: str) -> None:
        self.stage += 1
        self.logger.info(f'GAAVE, stage {self.stage} of {self.num_stages}: {what}')

    def run_stage(
        self, name: str, count: int, settings: dict, compute: Callable
    ) -> dict:
        """A stage of which people see ``count``, now or earlier."""
        done = self.stage + count
        result = self.stages.run(
            name.replace(' of the', '').replace(' ', '-'), settings, compute
        )
        if self.stage < done:
            self.stage = done - 1
            self.announce(f'{name}, nothing left to do')
        return result

    # -- models ------------------------------------------------------------
    def training_settings(self, subset: Subset) -> dict:
        """All that decides what a model on a subset becomes."""
        cfg = self.cfg
        return dict(
            model=deciding(classifier_config(cfg, subset.num_classes)),
            data=deciding(cfg.train_dataloader.to_dict()),
            evaluation=deciding(cfg.val_dataloader.dataset.to_dict()),
            optim_wrapper=deciding(cfg.optim_wrapper.to_dict()),
            param_scheduler=deciding(cfg.get('param_scheduler')),
            auto_scale_lr=deciding(cfg.get('auto_scale_lr')),
            train_cfg=deciding(cfg.train_cfg.to_dict()),
            randomness=dict(cfg.get('randomness', {}), seed=self.seed),
            processes=get_world_size(),
            pretrained=[
                (path, os.path.getsize(path), os.path.getmtime(path))
                for path in [find_checkpoint(cfg)]
                if path
            ],
            images=self.images,
            fit=self.options.fit,
            held_out=self.options.held_out,
            patience=self.options.patience,
            sample_ids=subset.sample_ids,
            labels=subset.labels,
        )

    def train(self, what: str, subset: Subset, folder: str) -> Trained:
        self.announce(
            f'{what}, {len(subset.labels)} samples of {subset.num_classes} classes'
        )
        kept = np.ones(len(subset.labels), dtype=bool)
        held_out = None
        if self.options.fit == 'peak':
            kept[
                draw_of_each_class(subset.labels, self.options.held_out, self.seed)
            ] = False
            if kept.all():
                self.logger.info(
                    'No class is large enough to hold a part of '
                    'it out: training goes on to the last epoch.'
                )
            else:
                held_out = LabelView(
                    self.unaugmented,
                    subset.sample_ids[~kept],
                    subset.labels[~kept],
                    subset.num_classes,
                )
        view = LabelView(
            self.augmented,
            subset.sample_ids[kept],
            subset.labels[kept],
            subset.num_classes,
        )
        return train_classifier(
            self.cfg,
            view,
            subset.num_classes,
            f'{folder}/model',
            self.seed,
            what[0].upper() + what[1:],
            self.logger,
            held_out,
            self.options.patience,
        )

    def update(
        self, side: str, subset: Subset, folder: str, weights: str, index: int
    ) -> Trained:
        """One epoch of T', which begins with the weights of the last."""
        view = LabelView(
            self.augmented, subset.sample_ids, subset.labels, subset.num_classes
        )
        return train_classifier(
            with_constant_lr(self.cfg, UPDATE_RATE, 1),
            view,
            subset.num_classes,
            f'{folder}/update{index + 1}',
            self.seed + index + 1,
            f'Update {index + 1} of {self.passes} of the {side}',
            self.logger,
            weights=weights,
        )

    def batches(self, view: LabelView) -> Iterator[tuple]:
        """Sample ids, pixels in [0, 1] and labels, of this process's part."""
        like = self.cfg.val_dataloader
        for batch in batches_in_order(
            view,
            like.batch_size,
            like.num_workers,
            like.get('collate_fn', dict(type='default_collate')),
        ):
            samples = batch['data_samples']
            yield (
                torch.tensor([int(s.sample_id) for s in samples]),
                pixels(batch['inputs']),
                torch.cat([s.gt_label for s in samples]),
            )

    def attack_all(self, model: nn.Module, view: LabelView):
        device = next(model.parameters()).device
        on_device = (
            [part.to(device) for part in batch] for batch in self.batches(view)
        )
        with exact():
            found = attack_steps(
                pixel_classifier(model),
                on_device,
                self.options.attack,
                self.cfg.val_dataloader.batch_size,
                self.options.recross,
            )
        ids, values = merge_by_id(
            found.sample_ids.numpy(),
            np.stack([found.steps.numpy(), found.probability.numpy()], axis=1),
        )
        return ids, values[:, 0].astype(np.int64), values[:, 1]


def find_checkpoint(cfg: Config) -> Optional[str]:
    """The local file that the backbone starts from, if there is one."""
    init_cfg = backbone_config(cfg).get('init_cfg')
    for entry in [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []:
        path = os.path.expanduser(entry.get('checkpoint') or '')
        if os.path.isfile(path):
            return path
    return None
