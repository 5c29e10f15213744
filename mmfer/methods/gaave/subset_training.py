"""Train the classifiers of GAAVE's subsets, in stages that are stored."""

import os
from datetime import timedelta
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import (
    broadcast_object_list,
    get_world_size,
    is_distributed,
    is_main_process,
)

from mmfer.datasets import FERDataset, LabelView, unaugmented, with_pipeline
from mmfer.datasets.images import hash_files
from mmfer.engine.classifier_config import (
    backbone_config,
    check_classifier,
    classifier_config,
)
from mmfer.engine.provenance import deciding
from mmfer.engine.stages import Stages
from mmfer.engine.training import Trained, train_classifier
from mmfer.registry import TASK_UTILS

from .messages import CleaningLog
from .options import GAAVEOptions
from .pixels import to_unit_range
from .splitting import Subset, draw_of_each_class
from .suspects import rows_to_learn

# Raise it with every change of the code that gives another result for the same
# settings. Stages of earlier versions are then computed again.
VERSION = 1
# Time for which a process waits for the first one, such as for a scan of all images.
LONGEST = timedelta(days=7)


class SubsetTraining:
    """Train classifiers on subsets of one training set, and store results.

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
        self.source = None
        if options.evidence is not None and options.wants_posterior:
            self.source, self.evidence_settings = build_evidence(options.evidence)
        check_classifier(cfg)
        to_unit_range(self.unaugmented[0]['inputs'][None])
        self.images = self.from_first_process(dataset.images_hash)
        self.pretrained = self.from_first_process(lambda: initial_weights_hash(cfg))

    @staticmethod
    def from_first_process(function: Callable[[], Any]) -> Any:
        """Call a function in the first process; all processes get its result.

        The others wait in a group of their own: those of NCCL give up after minutes.
        """
        if not is_distributed():
            return function()
        group = dist.new_group(backend='gloo', timeout=LONGEST)
        found = [function() if is_main_process() else None]
        broadcast_object_list(found, group=group)
        dist.destroy_process_group(group)
        return found[0]

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
        self,
        what: str,
        subset: Subset,
        folder: str,
        rows: np.ndarray,
        drawn: Optional[np.ndarray] = None,
    ) -> Tuple[Trained, Optional[LabelView]]:
        """Train a classifier on some rows of a subset, including its extra class.

        Args:
            what (str): Name of the classifier, for the log.
            subset (Subset): The subset.
            folder (str): Folder of its stage.
            rows (np.ndarray): Rows of the subset.
            drawn (np.ndarray, optional): Positions in ``rows`` that are held out.
                Defaults to a random share of each class.

        Returns:
            tuple[Trained, LabelView | None]: The classifier, and the samples that
            were held out.
        """
        self.log.training(what, len(rows), subset.num_classes)
        held_out = None
        if self.options.fit == 'peak':
            if drawn is None:
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


def build_evidence(cfg: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
    """Build what gives further class probabilities, such as ``ScanEvidence``.

    Args:
        cfg (dict): Its config.

    Returns:
        tuple[Callable, dict]: The object, and all settings that decide its results.

    Raises:
        ValueError: It cannot be built, or lacks what it needs.
    """
    try:
        source = TASK_UTILS.build(cfg)
        return source, source.settings
    except (AttributeError, ImportError, KeyError, TypeError, ValueError) as error:
        # The text of a KeyError is that of its argument.
        reason = str(error.args[0]) if error.args else type(error).__name__
        raise ValueError(
            f'GAAVE: evidence={dict(cfg)} cannot be used: {reason.rstrip(".")}. '
            'Correct it, or set evidence=None: base models alone.'
        ) from error


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
