"""GAAVE (AAAI'23): from a training set to what becomes of its labels."""
import os
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dist import (all_gather_object, get_world_size,
                           is_main_process)
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.utils import ProgressBar
from torch import Tensor

from mmfer.datasets import FERDataset, LabelView, unaugmented
from mmfer.engine.hooks.summary import deciding
from mmfer.engine.stages import Stages, fingerprint
from mmfer.engine.training import classifier_config, train_classifier
from mmfer.registry import TASK_UTILS

from .annotation import DROP, combine, decide
from .attack import attack_steps
from .splitting import (CUTS, HeadTail, Subset, draw_of_each_class,
                        plain_subset, refactor, split_head_tail)
from .thresholds import find_threshold

SIDES = ('head-set', 'tail-set')
WHOLE = ('whole set', )


class Judgement(NamedTuple):
    """What GAAVE says of each sample, arrays (N, ) in one order.

    Attributes:
        sample_id (np.ndarray): int64, ascending.
        given_label (np.ndarray): int64.
        subset (np.ndarray): 0 for the head-set, 1 for the tail-set.
        attack_steps (np.ndarray): k of Eq. 3, int64.
        candidate (np.ndarray): Whether k is at most its subset's threshold.
        suggested_label (np.ndarray): int64; the given one of samples that
            are kept, -1 where there is none.
        decision (np.ndarray): ``'keep'``, ``'relabel'`` or ``'drop'``.
        noise_score (np.ndarray): How far k lies below the threshold of its
            subset, float64 in (0, 1); above one half for candidates.
    """
    sample_id: np.ndarray
    given_label: np.ndarray
    subset: np.ndarray
    attack_steps: np.ndarray
    candidate: np.ndarray
    suggested_label: np.ndarray
    decision: np.ndarray
    noise_score: np.ndarray


@TASK_UTILS.register_module()
class GAAVE:
    """Geometry aware adversarial vulnerability estimation.

    The classes are split into head and tail, each subset gets the other one
    as one more class, and a base model is trained on each. Samples of which
    a small attack changes the prediction early are candidates; annotators
    trained on the others relabel them, or have them dropped where they do
    not agree. No noise rate and no clean label is needed.

    Args:
        split (bool): Dataset Splitting and Subset Refactoring. False: one
            subset with all classes (Table 3). Defaults to True.
        cut, head, min_imbalance: See :func:`split_head_tail`.
        attack (dict): Defaults to ``PGD``: epsilon 1/255 in eight steps.
        recross (bool): See :func:`attack_steps`. Defaults to False.
        tau (int | dict, optional): Fixed threshold, of both subsets or
            ``dict(head=..., tail=...)``; that of the head is that of a set
            that is not split. None: found, see :func:`find_threshold`.
        min_separation (float): See :func:`find_threshold`.
        fit (str): ``'peak'``: base models and annotators have the weights of
            the epoch with the best accuracy on a held-out part of the given
            labels. ``'full'``: those of the last epoch of the whole schedule
            ("as closely as possible"). Defaults to ``'peak'``.
        held_out (float): That part's share of each class. Defaults to 0.1.
        patience (int): Epochs after the best one. Defaults to 5.
        annotate (bool): Relabel candidates. False: drop them (Table 3
            without SA). Defaults to True.
        seed (int, optional): Of models and draws; that of the training by
            default.
    """

    def __init__(self,
                 split: bool = True,
                 cut: str = 'balanced',
                 head: Optional[List[int]] = None,
                 min_imbalance: float = 1.5,
                 attack: Optional[dict] = None,
                 recross: bool = False,
                 tau=None,
                 min_separation: float = 0.75,
                 fit: str = 'peak',
                 held_out: float = 0.1,
                 patience: int = 5,
                 annotate: bool = True,
                 seed: Optional[int] = None):
        if fit not in ('peak', 'full'):
            raise ValueError(f"fit must be 'peak' or 'full', got {fit!r}")
        for name, value in (('held_out', held_out), ('min_separation',
                                                     min_separation)):
            if not 0 < value < 1:
                raise ValueError(f'{name} is a share and must lie in (0, 1), '
                                 f'got {value}')
        if cut not in CUTS:
            raise ValueError(f'cut must be one of {", ".join(CUTS)}, got '
                             f'{cut!r}')
        if patience < 1:
            raise ValueError(f'patience must be at least 1, got {patience}')
        self.split = split
        self.cut = cut
        self.head = head
        self.min_imbalance = min_imbalance
        self.attack_cfg = dict(dict(type='PGD'), **(attack or {}))
        self.attack = TASK_UTILS.build(self.attack_cfg)
        self.recross = recross
        self.tau = dict(head=None, tail=None)
        given = tau if isinstance(tau, dict) else dict(head=tau, tail=tau)
        for name, value in given.items():
            if name not in self.tau or not (
                    value is None or -1 <= value <= self.attack.steps):
                raise ValueError(
                    f'tau={tau}: give a number in [-1, {self.attack.steps}], '
                    'or one for each of head and tail, or None.')
            self.tau[name] = value
        self.min_separation = min_separation
        self.fit = fit
        self.held_out = held_out
        self.patience = patience
        self.annotate = annotate
        self.seed = seed

    def __call__(self, cfg: Config, dataset: FERDataset, pipeline: Callable,
                 root: str, logger: MMLogger) -> Judgement:
        """Judge the labels of a training set; it is left as it is.

        Args:
            cfg (Config): Training config: backbone, schedule, batch sizes.
            dataset (FERDataset): The training set.
            pipeline (Callable): Of the validation set: unaugmented images.
            root (str): Folder of the stages, see :class:`Stages`.
            logger (MMLogger): Told what happens.
        """
        if dataset.judgement is not None:
            raise ValueError(
                'GAAVE: this data set has been cleaned already (decisions= '
                'or a GAAVEHook); clean it once, from the labels as given.')
        if not cfg.train_cfg.get('by_epoch', True):
            raise ValueError('GAAVE: base models are trained by epoch: set '
                             'train_cfg.by_epoch=True.')
        job = _Job(self, cfg, dataset, pipeline, Stages(root), logger)
        return job.run()


class _Job:
    """One data set on its way through the stages."""

    def __init__(self, options: GAAVE, cfg: Config, dataset: FERDataset,
                 pipeline: Callable, stages: Stages, logger: MMLogger):
        self.options = options
        self.cfg = cfg
        self.dataset = dataset
        self.still = unaugmented(dataset, pipeline)
        self.stages = stages
        self.logger = logger
        self.seed = options.seed
        if self.seed is None:
            self.seed = cfg.get('randomness', {}).get('seed') or 0
        order = np.argsort(dataset.sample_ids, kind='stable')
        self.ids = dataset.sample_ids[order]
        self.labels = dataset.get_gt_labels()[order]
        self.max_steps = options.attack.steps + 1
        # Now, not after hours.
        pixels(self.still[0]['inputs'][None])
        self.images = fingerprint([
            dataset.get_data_info(i)['img_path'] for i in range(len(dataset))
        ])

    # -- the pipeline ------------------------------------------------------
    def run(self) -> Judgement:
        split = self.split()
        subsets = self.subsets(self.ids, self.labels, split)
        steps = np.full(len(self.ids), -1)
        taus = np.full(len(self.ids), -1)
        for side, subset in zip(self.sides(split), subsets):
            chosen, found = self.vulnerability(side, subset)
            steps[chosen] = found
            taus[chosen] = self.threshold(side, subset, found)
        candidate = steps <= taus
        pseudo = np.full(len(self.ids), DROP)
        if candidate.all():
            raise ValueError(
                'GAAVE: all samples are candidates, so that nothing is left '
                'to learn from; choose a smaller tau.')
        if candidate.any() and self.options.annotate:
            pseudo[candidate] = self.pseudo_labels(split, candidate)
        decision = decide(self.labels, candidate, pseudo)
        suggested = np.where(decision == 'keep', self.labels, pseudo)
        judgement = Judgement(
            sample_id=self.ids,
            given_label=self.labels,
            subset=np.isin(self.labels, split.tail).astype(np.int64),
            attack_steps=steps,
            candidate=candidate,
            suggested_label=suggested,
            decision=decision,
            noise_score=.5 + (taus + .5 - steps) / (2 * self.max_steps + 2))
        self.logger.info(report(judgement, self.dataset.CLASSES))
        return judgement

    def split(self) -> HeadTail:
        counts = np.bincount(self.labels, minlength=self.dataset.num_classes)
        if self.options.split:
            split = split_head_tail(counts, self.options.cut,
                                    self.options.head,
                                    self.options.min_imbalance)
        else:
            split = HeadTail(np.flatnonzero(counts), np.zeros(0, np.int64))
        if len(split.head) + len(split.tail) < 2:
            raise ValueError(
                'GAAVE: all samples have the same label; there is nothing '
                'that they could be mistaken for.')
        parts = [
            f'{side}: ' + ', '.join(f'{self.dataset.CLASSES[c]} ({counts[c]})'
                                    for c in classes)
            for side, classes in zip(SIDES, split) if len(classes)
        ]
        if len(parts) == 1:
            parts = ['one subset with all classes'
                     if not self.options.split else
                     'classes are about equally large: one subset']
        self.logger.info('GAAVE, ' + '; '.join(parts))
        return split

    @staticmethod
    def sides(split: HeadTail) -> Sequence[str]:
        """What the subsets are called."""
        return SIDES if len(split.tail) else WHOLE

    def subsets(self, ids: np.ndarray, labels: np.ndarray,
                split: HeadTail) -> List[Subset]:
        if not len(split.tail):
            return [plain_subset(ids, labels, split.head)]
        return list(refactor(ids, labels, split, self.seed))

    def vulnerability(self, side: str, subset: Subset):
        """Positions of a subset's own samples, and their k."""
        native = subset.native

        def compute(folder):
            if len(np.unique(subset.labels)) < 2:
                # Nothing that they could be mistaken for.
                return dict(
                    sample_id=subset.sample_ids[native],
                    attack_steps=np.full(native.sum(), self.max_steps))
            model = self.train(f'base model of the {side}', subset, folder)
            self.logger.info(f'Attacking {native.sum()} samples of the '
                             f'{side} ...')
            view = LabelView(self.still, subset.sample_ids[native],
                             subset.labels[native], subset.num_classes)
            ids, counts = self.attack_all(model, view)
            return dict(sample_id=ids, attack_steps=counts)

        settings = dict(
            self.training_settings(subset),
            attack=self.options.attack_cfg,
            recross=self.options.recross)
        result = self.stages.run(f'vulnerability_{side.replace(" ", "-")}',
                                 settings, compute)
        steps = result['attack_steps']
        self.logger.info(
            f'The base model of the {side} predicts {(steps > 0).mean():.1%} '
            f'of its labels; k from 0 to {self.max_steps}: '
            f'{np.bincount(steps, minlength=self.max_steps + 1).tolist()}')
        return np.searchsorted(self.ids, result['sample_id']), steps

    def threshold(self, side: str, subset: Subset, steps: np.ndarray) -> int:
        """Largest k of a candidate; -1 where there is none."""
        fixed = self.options.tau['tail' if side == SIDES[1] else 'head']
        accuracy = (steps > 0).mean()
        sizes = np.bincount(subset.labels[subset.native])
        guess = sizes.max() / sizes.sum()
        if len(subset.classes) > 1 and accuracy <= guess and fixed is None:
            self.logger.warning(
                f'the base model of the {side} predicts {accuracy:.1%} of '
                'its labels, no more than by naming the largest class '
                f'({guess:.1%}): it has learned nothing, and the labels of '
                f'the {side} stay as they are. Train longer, or with another '
                'learning rate.')
            return -1
        if accuracy < .9 and self.options.fit == 'full':
            self.logger.warning(
                f'the base model of the {side} predicts {accuracy:.1%} of '
                "its labels only; fit='full' is for models that fit nearly "
                "all of them. Train longer, or take fit='peak'.")
        found = find_threshold(steps, self.max_steps + 1, fixed,
                               self.options.min_separation)
        if fixed == -1:
            self.logger.info(f'The {side} has no candidates: its tau is -1.')
            return -1
        self.logger.info(
            f'Threshold of the {side}: k <= {found.tau}, separation '
            f'{found.separation:.2f}, {(steps <= found.tau).sum()} '
            'candidates.' if found.tau >= 0 else
            f'The {side} has no candidates: its k do not fall into two '
            f'groups (separation {found.separation:.2f}, least '
            f'{self.options.min_separation}).')
        return found.tau

    def pseudo_labels(self, split: HeadTail,
                      candidate: np.ndarray) -> np.ndarray:
        """Eq. 4 for all candidates, and Eq. 5."""
        ids, labels = self.ids[~candidate], self.labels[~candidate]
        lost = set(self.labels.tolist()) - set(labels.tolist())
        if lost:
            names = ', '.join(self.dataset.CLASSES[c] for c in sorted(lost))
            self.logger.warning(
                f'all samples of {names} are candidates: no annotator '
                'knows that class, and it may be lost.')
        asked = self.ids[candidate]
        predictions = []
        for side, subset in zip(
                self.sides(split), self.subsets(ids, labels, split)):
            if len(np.unique(subset.labels)) < 2:
                # The only answer that it could give.
                answer = subset.labels[0] if len(
                    subset.labels) else subset.num_classes - 1
                predictions.append(np.full(len(asked), answer))
                continue

            def compute(folder, side=side, subset=subset):
                model = self.train(f'annotator of the {side}', subset, folder)
                view = LabelView(self.still, asked, np.zeros_like(asked),
                                 subset.num_classes)
                found, labels = self.predict_all(model, view)
                return dict(sample_id=found, prediction=labels)

            settings = dict(self.training_settings(subset), asked=asked)
            result = self.stages.run(f'annotator_{side.replace(" ", "-")}',
                                     settings, compute)
            predictions.append(result['prediction'])
        if not len(split.tail):
            return split.head[predictions[0]]
        return combine(*predictions, split)

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
            train_cfg=deciding(cfg.train_cfg.to_dict()),
            seed=self.seed,
            deterministic=bool(
                cfg.get('randomness', {}).get('deterministic')),
            processes=get_world_size(),
            pretrained=[
                (path, os.path.getsize(path), os.path.getmtime(path))
                for path in [find_checkpoint(cfg)] if path
            ],
            images=self.images,
            fit=self.options.fit,
            held_out=self.options.held_out,
            patience=self.options.patience,
            sample_ids=subset.sample_ids,
            labels=subset.labels)

    def train(self, what: str, subset: Subset, folder: str) -> nn.Module:
        self.logger.info(
            f'{what[0].upper() + what[1:]}: {len(subset.labels)} samples, '
            f'{subset.num_classes} classes')
        kept = np.ones(len(subset.labels), dtype=bool)
        held_out = None
        if self.options.fit == 'peak':
            kept[draw_of_each_class(subset.labels, self.options.held_out,
                                    self.seed)] = False
            if kept.all():
                self.logger.info('No class is large enough to hold a part of '
                                 'it out: training goes on to the last epoch.')
            else:
                held_out = LabelView(
                    self.still, subset.sample_ids[~kept],
                    subset.labels[~kept], subset.num_classes)
        view = LabelView(self.dataset, subset.sample_ids[kept],
                         subset.labels[kept], subset.num_classes)
        return train_classifier(
            self.cfg, view, subset.num_classes, f'{folder}/model', self.seed,
            what[0].upper() + what[1:], self.logger, held_out,
            self.options.patience)

    def batches(self, view: LabelView) -> Iterator[tuple]:
        """Sample ids, pixels in [0, 1] and labels, of this process's part."""
        loader = self.cfg.val_dataloader
        loader = Runner.build_dataloader(
            dict(
                dataset=view,
                sampler=dict(type='DefaultSampler', shuffle=False),
                batch_size=loader.batch_size,
                num_workers=loader.num_workers,
                collate_fn=loader.get('collate_fn',
                                      dict(type='default_collate'))))
        bar = ProgressBar(len(loader)) if is_main_process() else None
        for batch in loader:
            samples = batch['data_samples']
            ids = torch.tensor([int(s.sample_id) for s in samples])
            labels = torch.cat([s.gt_label for s in samples])
            yield ids, pixels(batch['inputs']), labels
            if bar is not None:
                bar.update()
        if bar is not None:
            bar.file.write('\n')

    def attack_all(self, model: nn.Module, view: LabelView):
        device = next(model.parameters()).device
        on_device = ([part.to(device) for part in batch]
                     for batch in self.batches(view))
        with exact():
            return gather(*attack_steps(
                pixel_classifier(model), on_device, self.options.attack,
                self.cfg.val_dataloader.batch_size, self.options.recross))

    @torch.inference_mode()
    def predict_all(self, model: nn.Module, view: LabelView):
        device = next(model.parameters()).device
        classify = pixel_classifier(model)
        ids, labels = [], []
        for batch, images, _ in self.batches(view):
            ids.append(batch)
            labels.append(classify(images.to(device)).argmax(dim=1).cpu())
        return gather(torch.cat(ids), torch.cat(labels))


def exact():
    """Full float32, and the same in each run, on GPUs too (E15)."""
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def find_checkpoint(cfg: Config) -> Optional[str]:
    """The local file that the backbone starts from, if there is one."""
    init_cfg = classifier_config(cfg, 2)['backbone'].get('init_cfg')
    path = init_cfg.get('checkpoint') if isinstance(init_cfg, dict) else None
    return path if path and os.path.isfile(path) else None


def pixels(inputs) -> Tensor:
    """Images of a batch, in [0, 1].

    Raises:
        ValueError: They are not 8-bit, so that their scale is not known.
    """
    if not isinstance(inputs, Tensor) or inputs.dtype != torch.uint8:
        kind = inputs.dtype if isinstance(inputs, Tensor) else 'a list'
        raise ValueError(
            f'GAAVE attacks pixels in [0, 1], but the validation pipeline '
            f'gives {kind}: let it end with 8-bit images of one size, and '
            'have data_preprocessor normalise them.')
    return inputs.float() / 255


def pixel_classifier(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Logits of images in [0, 1], normalised as the model does it."""

    def classify(images: Tensor) -> Tensor:
        data = model.data_preprocessor(dict(inputs=images * 255))
        return model(data['inputs'], mode='tensor')

    return classify


def gather(ids: Tensor, values: Tensor):
    """What all processes found, every sample once, by ascending id."""
    parts = all_gather_object((ids.numpy(), values.numpy()))
    ids = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    ids, first = np.unique(ids, return_index=True)
    return ids, values[first]


def report(judgement: Judgement, classes: List[str]) -> str:
    """What was done, in words."""
    count = {
        what: int((judgement.decision == what).sum())
        for what in ('keep', 'relabel', 'drop')
    }
    total = len(judgement.sample_id)
    lines = [
        f'GAAVE: of {total} labels {int(judgement.candidate.sum())} were in '
        f'doubt; {count["keep"]} are kept, {count["relabel"]} changed, and '
        f'{count["drop"]} samples dropped.'
    ]
    for label, name in enumerate(classes):
        mine = judgement.given_label == label
        if not mine.any():
            continue
        changed = judgement.suggested_label[mine
                                            & (judgement.decision ==
                                               'relabel')]
        numbers = np.bincount(changed, minlength=len(classes))
        targets = ', '.join(f'{numbers[i]} to {classes[i]}'
                            for i in np.argsort(-numbers, kind='stable')
                            if numbers[i])
        dropped = int((judgement.decision[mine] == 'drop').sum())
        kept = int((judgement.decision[mine] == 'keep').sum())
        lines.append(f'  {name}: {kept} of {int(mine.sum())} kept, '
                     f'{targets or "none changed"}, {dropped} dropped')
    return '\n'.join(lines)
