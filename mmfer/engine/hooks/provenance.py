"""Write into every checkpoint what made it, and compare it when a run resumes."""

import copy
from typing import Any, Dict, List, Optional, TypeGuard

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmfer.registry import HOOKS
from mmfer.utils.checkpoint_content import inspect_checkpoint

from ..checkpoint_files import prepare_loading
from ..loops import resumable_loop
from ..run_changes import (
    Change,
    changed_circumstances,
    changed_data,
    changed_settings,
    refusal,
    settings_of_data,
    warning,
)
from ..run_record import (
    VERSION,
    describe_data,
    describe_labels,
    describe_run,
    flat_settings,
)

KEY = 'provenance'
"""Entry of a checkpoint."""

# What tells two segments apart.
_SAME = (
    'labels_sha256',
    'targets_sha256',
    'data_sha256',
    'decisions_sha256',
    'config_sha256',
    'circumstances',
)


class ProvenanceError(ValueError):
    """Error for a run that would resume with other labels or images."""


@HOOKS.register_module()
class ProvenanceHook(Hook):
    """Let a result say what made it, also if its run was resumed.

    Every checkpoint has a record of the labels, the images, the settings and the
    circumstances of its run, and a list of *segments*: which epochs were trained with
    which. ``summary.json`` has this list.

    A resumed run is compared with the record of its checkpoint:

    - Other labels, images or decisions of a cleaning are refused.
    - Other settings and circumstances are named in a warning, with both values. It
      says which of them have no effect, because the state of the optimizer and of the
      schedules comes from the checkpoint.
    - A checkpoint without a record, as mmfer 0.1 wrote it, resumes with a warning.

    Args:
        strict (bool): Refuse other labels and images. False only warns of them.
            Defaults to True.

    Raises:
        ProvenanceError: The labels or the images differ.
    """

    # Earlier than hooks that clean labels for hours.
    priority = 'HIGHEST'

    def __init__(self, strict: bool = True):
        self.strict = strict
        self.record: Optional[Dict[str, Any]] = None
        self.finished: List[Dict[str, Any]] = []
        self.segment: Optional[Dict[str, Any]] = None
        # Differences in labels and images that were already reported.
        self.reported: List[Change] = []

    # -- comparing ---------------------------------------------------------
    def before_run(self, runner: Runner) -> None:
        """Compare labels and images before anything is cleaned or loaded."""
        prepare_loading(runner)
        path = runner._load_from
        if not self._is_resuming(runner) or path is None or '://' in path:
            return
        content = inspect_checkpoint(path, checksums=False).content
        before = content.get(KEY) if isinstance(content, dict) else None
        if is_record(before):
            dataset = runner.train_dataloader.dataset
            now = dict(labels=describe_labels(dataset), data=describe_data(dataset))
            known = {name: before.get(name) for name in now}
            settings = changed_settings(before['settings'], flat_settings(runner.cfg))
            self._refuse(runner, path, changed_data(known, now), settings)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the run with the record of its checkpoint."""
        if not self._is_resuming(runner):
            return
        path = str(runner._load_from)
        before = checkpoint.get(KEY)
        self.record = now = describe_run(runner)
        self.segment = self._new_segment(checkpoint['meta'])
        if not is_record(before):
            runner.logger.warning(
                f'{path} has no record of what made it, as before mmfer 0.2. So it '
                'cannot be checked whether the run goes on with the labels, the '
                'images and the settings of that time.'
            )
            end = _position(checkpoint['meta'])
            self.finished = [dict(first_epoch=1, first_iter=1, **end)]
            return
        changes = changed_settings(before['settings'], now['settings'])
        self._refuse(runner, path, changed_data(before, now), changes)
        changes += changed_circumstances(
            before['circumstances'], now['circumstances'], changes
        )
        if changes:
            runner.logger.warning(warning(path, changes))
        self.finished = copy.deepcopy(before['segments'])
        last = self.finished[-1]
        if all(last.get(key) == self.segment[key] for key in _SAME):
            # The run goes on as if it had not been stopped.
            self.segment = self.finished.pop()
        else:
            self.segment['changed'] = {
                change.name: [change.before, change.now]
                for change in [*changed_data(before, now), *changes]
            }

    @staticmethod
    def _is_resuming(runner: Runner) -> bool:
        return bool(runner._resume) and isinstance(runner._train_loop, BaseLoop)

    def _refuse(
        self, runner: Runner, path: str, changes: List[Change], settings: List[Change]
    ) -> None:
        """Refuse other labels or images, or warn of them once.

        Args:
            runner (Runner): Runner that resumes.
            path (str): Its checkpoint.
            changes (list[Change]): Differences in labels and images.
            settings (list[Change]): Settings that differ; the message has those that
                may be the reason.
        """
        changes = [change for change in changes if change not in self.reported]
        if not changes:
            return
        self.reported += changes
        text = refusal(path, [*settings_of_data(settings), *changes])
        if self.strict:
            raise ProvenanceError(text)
        runner.logger.warning(text)

    # -- recording ---------------------------------------------------------
    def before_train(self, runner: Runner) -> None:
        """Record a run that starts from the beginning."""
        if self.segment is None:
            self.record = describe_run(runner)
            self.segment = self._new_segment(dict(epoch=runner.epoch, iter=runner.iter))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the record and the segments."""
        if self.record is not None:
            meta = dict(checkpoint['meta'])
            loop = resumable_loop(runner)
            if loop and 0 < loop.batches_done < len(runner.train_dataloader):
                # The checkpoint is inside an epoch, which this segment has begun.
                meta['epoch'] += 1
            checkpoint[KEY] = dict(self.record, segments=self.segments(meta))

    def segments(self, meta: Dict[str, Any]) -> List[Dict[str, Any]]:
        """Return which epochs were trained with which labels, data and settings.

        Args:
            meta (dict): Epochs (``epoch``) and iterations (``iter``) so far.

        Returns:
            list[dict]: In order, each with its first and last epoch and iteration,
            counted from 1, the hashes, the circumstances, and ``changed``: what
            differs from the segment before, by name, with both values. A segment
            from before mmfer 0.2 has its epochs only. A segment without any finished
            iteration is left out.
        """
        assert self.segment is not None
        segments = copy.deepcopy(self.finished)
        if meta['iter'] >= self.segment['first_iter'] or not segments:
            segments.append(dict(copy.deepcopy(self.segment), **_position(meta)))
        return segments

    def _new_segment(self, meta: Dict[str, Any]) -> Dict[str, Any]:
        """Return the segment that begins after some epochs and iterations."""
        record = self.record
        assert record is not None
        return dict(
            first_epoch=meta['epoch'] + 1,
            first_iter=meta['iter'] + 1,
            **_position(meta),
            labels_sha256=record['labels']['sha256'],
            targets_sha256=record['labels']['targets_sha256'],
            data_sha256=record['data']['sha256'],
            decisions_sha256=(record['decisions'] or {}).get('sha256'),
            config_sha256=record['config_sha256'],
            circumstances=record['circumstances'],
            changed={},
        )


def is_record(value: Any) -> TypeGuard[Dict[str, Any]]:
    """Return whether an entry of a checkpoint is a record of this version."""
    return (
        isinstance(value, dict)
        and value.get('version') == VERSION
        and isinstance(value.get('settings'), dict)
        and isinstance(value.get('circumstances'), dict)
        and isinstance(value.get('segments'), list)
        and bool(value['segments'])
    )


def _position(meta: Dict[str, Any]) -> Dict[str, int]:
    """Return the end of a segment as it is now."""
    return dict(last_epoch=meta['epoch'], last_iter=meta['iter'])


def agreed(segments: List[Dict[str, Any]], key: str) -> Optional[str]:
    """Return a hash if it holds for all epochs; else None.

    Args:
        segments (list[dict]): See :meth:`ProvenanceHook.segments`.
        key (str): Name of the hash.
    """
    values = {segment.get(key) for segment in segments}
    return values.pop() if len(values) == 1 else None
