"""Tell the parts of a model about the training, and keep their state per sample."""

import hashlib
from typing import Any, Dict, Optional

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmfer.datasets import fer_datasets
from mmfer.models.protocols import KeepsSampleState, RefreshesSamples
from mmfer.models.sample_state import SampleTables, TrainingFacts, followers
from mmfer.models.utils import unwrap_model
from mmfer.registry import HOOKS

from ..epoch_figures import report_figures
from ..loops import inside_epoch
from ..scoring import predict_training_set, training_set
from ..used_labels import own_labels, used_labels
from .relabel import relabel_figures

KEY = 'sample_state'
"""Entry of a checkpoint."""


def labels_hash(runner: Runner) -> str:
    """Return a hash of the given labels of the training set, 16 hex digits."""
    given = training_set(runner).given_labels
    return hashlib.sha256(given.astype('<i8').tobytes()).hexdigest()[:16]


def epochs_of(runner: Runner) -> Optional[int]:
    """Return the epochs of a run; None if it is counted in iterations."""
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    return runner.max_epochs if by_epoch else None


def check_schedules(runner: Runner) -> None:
    """Raise if the run is too short for a part of the model.

    ``SampleStateHook`` finds this out by itself. Hooks that work for long before it
    ask first.

    Args:
        runner (Runner): Runner whose train loop is built.
    """
    for _, part in followers(unwrap_model(runner.model)):
        if isinstance(part, SampleTables):
            part.check_schedule(epochs_of(runner))


@HOOKS.register_module()
class SampleStateHook(Hook):
    """Keep what methods know of each training sample, also when a run resumes.

    It does nothing for models without such a part, see
    :class:`~mmfer.models.protocols.FollowsTraining`. If a part keeps labels of its own,
    ``history.json`` says for each epoch how many were changed, see
    :func:`~mmfer.engine.hooks.relabel.relabel_figures`.

    Args:
        refresh (bool): Predict all samples for the parts that want it, see
            :class:`~mmfer.models.protocols.RefreshesSamples`. Measurements of the
            training step set it to False, because they have no validation set.
            Defaults to True.

    Raises:
        ValueError: The checkpoint of a resumed run has no state, or that of another
            training set, or the schedule of a method is longer than the training.
    """

    # Before hooks that use the state or the epoch.
    priority = 'ABOVE_NORMAL'

    def __init__(self, refresh: bool = True) -> None:
        self.refresh = refresh
        self._resumed: Optional[Dict[str, Any]] = None
        # Labels at the beginning of the epoch, if a method changes them.
        self._before: Optional[np.ndarray] = None

    def before_run(self, runner: Runner) -> None:
        """Tell the parts about the training set, before a checkpoint is loaded."""
        parts = dict(followers(unwrap_model(runner.model)))
        if not parts or runner._train_loop is None:
            return
        if isinstance(runner._train_loop, dict) or not list(
            fer_datasets(runner.train_dataloader.dataset)
        ):
            # A test builds no train loop. Other data sets have no sample_id, which
            # the part will ask for.
            return
        facts = TrainingFacts(
            len(training_set(runner).all_labels),
            epochs_of(runner),
            int(runner.seed or 0),
            runner.max_iters,
        )
        for part in parts.values():
            part.start_training(facts)

    def before_train(self, runner: Runner) -> None:
        """Load the state of a resumed run; tell the epoch of a run by iterations."""
        parts = dict(followers(unwrap_model(runner.model)))
        if not parts:
            return
        if self._resumed is not None and runner._resume:
            self._load(runner, parts, self._resumed)
        self._resumed = None
        if self.refresh and runner._val_loop is None:
            self._check_refreshes(runner, parts)

    @staticmethod
    def _check_refreshes(runner: Runner, parts: Dict[str, nn.Module]) -> None:
        """Raise at the start if samples have to be predicted without a pipeline."""
        epochs = range(runner.epoch, epochs_of(runner) or 1)
        for path, part in parts.items():
            if not isinstance(part, RefreshesSamples):
                continue
            due = next((epoch for epoch in epochs if part.refresh_due(epoch)), None)
            if due is not None:
                raise ValueError(
                    f'{type(part).__name__} (model.{path}) looks at all training '
                    f'samples before epoch {due + 1}, with the validation pipeline, '
                    'and validation is switched off. Switch it on (omit '
                    '--no-validate).'
                )

    def _load(
        self, runner: Runner, parts: Dict[str, nn.Module], state: Dict[str, Any]
    ) -> None:
        """Load the state of a checkpoint into the parts of the model."""
        if not state:
            self._check_stateless(parts)
            return
        own = labels_hash(runner)
        if state.get('labels') != own:
            raise ValueError(
                'SampleStateHook: the checkpoint has what the run learned of each '
                f'training sample, for other given labels (hash {state.get("labels")}, '
                f'here {own}). Resume with the training set and the label noise of '
                'that run, or start anew with load_from.'
            )
        for path, part in parts.items():
            if isinstance(part, KeepsSampleState):
                part.load_sample_state(state['parts'].get(path, {}))
        before = state.get('labels_before')
        self._before = None if before is None else before.numpy()

    @staticmethod
    def _check_stateless(parts: Dict[str, nn.Module]) -> None:
        """Raise if a part needs a state that the checkpoint does not have."""
        for path, part in parts.items():
            if isinstance(part, KeepsSampleState) and part.sample_state():
                raise ValueError(
                    'SampleStateHook: the checkpoint does not have what '
                    f'{type(part).__name__} (model.{path}) keeps of each training '
                    'sample. The run that wrote it had other options, or no '
                    'SampleStateHook. Resume with its options, or start anew with '
                    'load_from.'
                )

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the epoch, and predict all samples for parts that want it."""
        parts = [part for _, part in followers(unwrap_model(runner.model))]
        for part in parts:
            part.start_epoch(runner.epoch)
        waiting = [
            part
            for part in parts
            if isinstance(part, RefreshesSamples) and part.refresh_due(runner.epoch)
        ]
        if inside_epoch(runner):
            return
        changing = any(True for _ in own_labels(runner))
        self._before = used_labels(runner) if changing else None
        if not waiting or not self.refresh:
            return
        found = predict_training_set(runner)
        ids = torch.from_numpy(found['sample_id'])
        labels = training_set(runner).all_labels[ids]
        for part in waiting:
            part.refresh(ids, torch.from_numpy(found['pred_score']), labels)

    def after_train_epoch(self, runner: Runner) -> None:
        """Report how many labels a method has changed in this epoch."""
        if self._before is None:
            return
        dataset = training_set(runner)
        # A subset may have a sample several times, or not at all.
        ids = np.unique(dataset.sample_ids)
        clean = dataset.clean_labels
        report_figures(
            runner,
            relabel_figures(
                dataset.given_labels[ids],
                self._before[ids],
                used_labels(runner)[ids],
                None if clean is None else clean[ids],
            ),
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the state of all parts."""
        parts = {
            path: part.sample_state()
            for path, part in followers(unwrap_model(runner.model))
            if isinstance(part, KeepsSampleState)
        }
        if any(parts.values()):
            state: Dict[str, Any] = dict(labels=labels_hash(runner), parts=parts)
            if self._before is not None:
                state['labels_before'] = torch.from_numpy(self._before)
            checkpoint[KEY] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the state until the run begins."""
        state = checkpoint.get(KEY)
        self._resumed = state if isinstance(state, dict) else {}
