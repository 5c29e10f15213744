"""Results of a run: history.json, summary.json and a short table."""

import hashlib
import json
import os
import os.path as osp
import re
import time
from typing import Any, Dict, List, Optional

import numpy as np
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmfer.datasets import fer_datasets
from mmfer.registry import HOOKS
from mmfer.utils.checks import positive_int
from mmfer.utils.files import write_atomic
from mmfer.utils.json_files import read_history

from ..epoch_figures import FIGURES_KEY
from ..loops import inside_epoch, resumable_loop
from ..provenance import config_hash, package_versions
from ..run_record import labels_hash
from ..work_dir import RESULTS, keep_earlier_results, resumed_folder
from .provenance import ProvenanceHook, agreed

# Names of metrics that are errors.
LOWER_IS_BETTER = re.compile('/mse|_aurc$|_augrc$')


def summarize(history: List[dict], last_k: int) -> Dict[str, dict]:
    """Reduce per-epoch metrics to ``last``, ``best`` and a tail mean.

    Args:
        history (list[dict]): Metrics of each validated epoch, in order.
        last_k (int): Number of epochs in the tail mean.

    Returns:
        dict[str, dict]: For each metric:

        - ``last``: Value after the last epoch.
        - ``best``: Maximum, or minimum of an error. On test data this is an
          upper bound, not a result.
        - ``last{k}_mean``: Mean over the last ``last_k`` epochs.
    """
    metrics = {}
    for name in history[-1] if history else ():
        values = [epoch[name] for epoch in history if name in epoch]
        best = min if LOWER_IS_BETTER.search(name) else max
        metrics[name] = {
            'last': values[-1],
            'best': best(values),
            f'last{last_k}_mean': float(np.mean(values[-last_k:])),
        }
    return metrics


def stored_history(path: str, runner: Runner) -> Dict[int, dict]:
    """Return the entries of a ``history.json`` by epoch.

    A damaged file is renamed, and the run goes on without its entries.

    Args:
        path (str): The file.
        runner (Runner): Runner that resumes, for its log.
    """
    try:
        return {entry['epoch']: entry for entry in read_history(path)}
    except ValueError as error:
        runner.logger.warning(
            f'{error} The metrics of the earlier epochs are missing. The file was '
            f'renamed to {path}.damaged.'
        )
    if is_main_process():
        os.replace(path, f'{path}.damaged')
    return {}


def cleaning_record(dataset: Any) -> Optional[dict]:
    """Return the record of a cleaning before the run.

    Args:
        dataset: Training set, with any wrappers.

    Returns:
        dict, optional: Number of samples for each decision, and a hash of the
        samples and labels in use; None if there was no cleaning.
    """
    for inner in fer_datasets(dataset):
        if inner.label_decisions is not None:
            names, counts = np.unique(
                inner.label_decisions['decision'], return_counts=True
            )
            used = hashlib.sha256(inner.sample_ids.astype('<i8').tobytes())
            used.update(inner.get_gt_labels().astype('<i8').tobytes())
            return dict(
                zip(names.tolist(), counts.tolist()), used_sha256=used.hexdigest()
            )
    return None


def validation_due(runner: Runner) -> bool:
    """Return whether a validation follows the epoch that was trained last."""
    loop = runner.train_loop
    if runner._val_loop is None:
        return False
    loop._decide_current_val_interval()
    return runner.epoch >= loop.val_begin and (
        runner.epoch % loop.val_interval == 0 or runner.epoch == loop.max_epochs
    )


class ValidateLast(Hook):
    """Run the validation that a killed run has missed, as the last hook.

    Args:
        summary (SummaryHook): Hook that knows which epochs were validated.
    """

    def __init__(self, summary: 'SummaryHook'):
        self.summary = summary

    def before_train(self, runner: Runner) -> None:
        """Validate before the first epoch; the run may end with it."""
        self.summary.validate_last(runner)


@HOOKS.register_module()
class SummaryHook(Hook):
    """Write ``history.json`` during and ``summary.json`` after training.

    The history is a file beside the checkpoints, so a resumed run can read it.
    mmengine saves a checkpoint before it validates. If a run is killed in
    between, the metrics of that epoch are missing in the history, and the
    resumed run first validates that epoch.

    Args:
        last_k (int): Number of epochs in ``last{k}_mean``, at least 1.
            Defaults to 5.
    """

    # Earlier than the checkpoint (VERY_LOW): the history needs an entry for
    # every epoch from which a run can resume.
    priority = 85
    # PreflightHook then refuses runs that are counted in iterations.
    needs_epochs = True

    def __init__(self, last_k: int = 5):
        self.last_k = positive_int(self, 'last_k', last_k)
        self.history: Dict[int, dict] = {}

    # -- recording ---------------------------------------------------------
    def before_run(self, runner: Runner) -> None:
        """Validate a resumed run later than all other hooks begin it."""
        if not any(isinstance(hook, ValidateLast) for hook in runner.hooks):
            runner.register_hook(ValidateLast(self), priority='LOWEST')

    def before_train(self, runner: Runner) -> None:
        """Read the history of a resumed run."""
        self.path = osp.join(runner.work_dir, 'history.json')
        self.history = {}
        self.resumed = runner.iter > 0
        self.noise_written = False
        path = self.path
        elsewhere = resumed_folder(runner)
        if not osp.isfile(path) and elsewhere is not None:
            # The run goes on from a checkpoint of another work dir.
            path = osp.join(elsewhere, 'history.json')
        if runner.epoch and osp.isfile(path):
            stored = stored_history(path, runner)
            self.history = {k: v for k, v in stored.items() if k <= runner.epoch}

    def validate_last(self, runner: Runner) -> None:
        """Validate the last epoch if the run was killed before it was validated.

        Called when all hooks have begun the run, since a validation calls them.
        """
        if (
            runner.epoch
            # Inside an epoch, the last one was validated, and its weights are gone.
            and not inside_epoch(runner)
            and validation_due(runner)
            and 'metrics' not in self.history.get(runner.epoch, {})
        ):
            runner.logger.info(
                f'Epoch {runner.epoch} was saved but not validated; validating it now.'
            )
            runner.val_loop.run()

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the clock, and remove the figures of the last epoch."""
        self._start = time.time()
        runner.message_hub.update_info(FIGURES_KEY, None)
        runner.message_hub.update_info('training_accuracy', None)

    def after_train_epoch(self, runner: Runner) -> None:
        """Record time, number of images, losses and the method's figures."""
        loader = runner.train_dataloader
        entry = self.history.setdefault(runner.epoch + 1, dict(epoch=runner.epoch + 1))
        entry['seconds'] = time.time() - self._start
        loop = resumable_loop(runner)
        if loop is not None:
            entry['seconds'] += loop.earlier_seconds
        images = (
            len(loader) * loader.batch_size if loader.drop_last else len(loader.sampler)
        )
        entry['images'] = images * get_world_size()
        scalars = runner.message_hub.log_scalars
        entry['train_loss'] = float(scalars['train/loss'].mean(len(loader)))
        parts = {
            name.removeprefix('train/'): float(buffer.mean(len(loader)))
            for name, buffer in scalars.items()
            if name.startswith('train/loss_')
        }
        if parts:
            entry['losses'] = parts
        accuracy = runner.message_hub.get_info('training_accuracy')
        if accuracy:
            entry['training'] = {k: float(v) for k, v in accuracy.items()}
        # Methods report their figures of the epoch here.
        figures = runner.message_hub.get_info(FIGURES_KEY)
        if figures:
            entry['figures'] = figures
        self._save(runner)
        self._write_noise_manifest(runner)

    def after_val_epoch(self, runner: Runner, metrics: Optional[dict] = None) -> None:
        """Record the metrics."""
        if not hasattr(self, 'path') or not metrics:
            return
        entry = self.history.setdefault(runner.epoch, dict(epoch=runner.epoch))
        entry['metrics'] = {k: float(v) for k, v in metrics.items()}
        self._save(runner)

    def _save(self, runner: Runner) -> None:
        if is_main_process():
            # Results of another run may still be in the folder.
            keep_earlier_results(runner)
            entries = [self.history[k] for k in sorted(self.history)]
            write_atomic(self.path, json.dumps(entries, indent=1).encode())

    def _write_noise_manifest(self, runner: Runner) -> None:
        """Write ``label_noise.json`` when the first epoch has ended."""
        if self.noise_written:
            return
        self.noise_written = True
        for dataset in fer_datasets(runner.train_dataloader.dataset):
            manifest = dataset.noise_manifest()
            if manifest is not None and is_main_process():
                write_atomic(
                    osp.join(runner.work_dir, 'label_noise.json'),
                    json.dumps(manifest, indent=1).encode(),
                )

    # -- reporting ---------------------------------------------------------
    def after_train(self, runner: Runner) -> None:
        """Write ``summary.json`` and print the table."""
        if not is_main_process():
            return
        summary = self.summary(runner)
        path = osp.join(runner.work_dir, 'summary.json')
        write_atomic(path, json.dumps(summary, indent=1).encode())
        runner.logger.info('\n' + self.table(summary, runner.work_dir))
        for dataset in self._datasets(runner):
            if dataset.skipped:
                runner.logger.warning(dataset.skipped_report())

    def summary(self, runner: Runner) -> dict:
        """Return the content of ``summary.json``."""
        entries = [self.history[k] for k in sorted(self.history)]
        seconds = sum(e.get('seconds', 0) for e in entries)
        images = sum(e.get('images', 0) for e in entries)
        segments = self._segments(runner)
        validated = [e['metrics'] for e in entries if 'metrics' in e]
        if len(validated) < min(self.last_k, len(entries)):
            runner.logger.warning(
                f'only {len(validated)} epochs were validated in this work '
                f'dir, so last{self.last_k}_mean is the mean of these epochs.'
            )
        return dict(
            config=osp.splitext(osp.basename(runner.cfg.filename or ''))[0]
            or runner.experiment_name,
            config_sha256=agreed(segments, 'config_sha256'),
            seed=runner.seed,
            labels_sha256=agreed(segments, 'labels_sha256'),
            cleaning=cleaning_record(runner.train_dataloader.dataset),
            noise_auroc=runner.message_hub.get_info('noise_auroc'),
            probability_auroc=runner.message_hub.get_info('probability_auroc'),
            versions=package_versions(),
            epochs=runner.epoch,
            seconds=seconds,
            images_per_second=images / seconds if seconds else None,
            skipped_images=[name for d in self._datasets(runner) for name in d.skipped],
            averaged_epochs=min(self.last_k, len(validated)),
            figures=next(
                (e['figures'] for e in reversed(entries) if 'figures' in e), None
            ),
            metrics=summarize(validated, self.last_k),
            segments=segments,
        )

    def _segments(self, runner: Runner) -> List[dict]:
        """Return which epochs were trained with which labels and settings."""
        hook = next((h for h in runner.hooks if isinstance(h, ProvenanceHook)), None)
        if hook is not None and hook.segment is not None:
            return hook.segments(dict(epoch=runner.epoch, iter=runner.iter))
        end = dict(last_epoch=runner.epoch, last_iter=runner.iter)
        if self.resumed:
            # Nobody has compared this run with the one that it goes on with.
            return [dict(first_epoch=1, first_iter=1, **end)]
        return [
            dict(
                first_epoch=1,
                first_iter=1,
                **end,
                labels_sha256=labels_hash(runner.train_dataloader.dataset),
                config_sha256=config_hash(runner.cfg),
            )
        ]

    def _datasets(self, runner: Runner) -> list:
        loaders = [runner.train_dataloader]
        if runner._val_loop is not None:
            loaders.append(runner.val_dataloader)
        return [d for loader in loaders for d in fer_datasets(loader.dataset)]

    def table(self, summary: dict, work_dir: str) -> str:
        """Return the table that is printed at the end of a run."""
        tail = f'last{self.last_k}_mean'
        # A shorter run has fewer epochs to average.
        mean = f'last-{summary["averaged_epochs"]} mean'
        minutes, seconds = divmod(round(summary['seconds']), 60)
        speed = summary['images_per_second'] or 0
        epochs = 'epoch' if summary['epochs'] == 1 else 'epochs'
        lines = [
            f'{summary["config"]}: {summary["epochs"]} {epochs} in {minutes} '
            f'min {seconds} s, {speed:.0f} images/s'
        ]
        metrics = summary['metrics']

        def line(label, name, factor=1):
            if name in metrics:
                last, mean_value, best = (
                    factor * metrics[name][key] for key in ('last', tail, 'best')
                )
                lines.append(f'{label:<36}{last:>6.2f}{mean_value:>13.2f}{best:>9.2f}')

        def block(title):
            names = [
                n
                for n in metrics
                if n.startswith('rejection/uncertainty_') and n[-1].isdigit()
            ]
            if names:
                lines.append(f'{title}')
                for name in names:
                    line(f'{name.rsplit("_", 1)[1]:>5} %', name)

        def rows(title, named):
            named = {label: name for label, name in named.items() if name in metrics}
            if named:
                lines.append(f'{title:<34}{"last":>8}{mean:>13}{"best":>9}')
            for label, name in named.items():
                m = metrics[name]
                lines.append(
                    f'    {label:<30}{m["last"]:>8.4f}{m[tail]:>13.4f}{m["best"]:>9.4f}'
                )

        def measures(title, prefix):
            found = [n for n in metrics if n.startswith(prefix)]
            rows(title, {n[len(prefix) :].replace('_', ', '): n for n in found})

        if metrics:
            lines.append(f'{"validation, %":<34}{"last":>8}{mean:>13}{"best":>9}')
            line('accuracy', 'accuracy/top1')
            line('mean-class accuracy', 'accuracy/mean_class')
            block('accuracy after rejecting the most uncertain,')
            line('   20 % by the largest probability', 'rejection/confidence_20')
            augrc = 'rejection/uncertainty_augrc'
            line('AUGRC of the uncertainty (0 is best)', augrc, 100)
            measures('valence and arousal', 'va/')
        found, plain = summary['noise_auroc'], summary['probability_auroc']
        if found is not None:
            lines.append(f'AUROC of noise_score against the planted noise: {found:.3f}')
            if plain is not None and f'{plain:.3f}' != f'{found:.3f}':
                lines[-1] += f' (one minus the probability of the label: {plain:.3f})'
        files = [f for f in RESULTS if osp.isfile(osp.join(work_dir, f))]
        lines.append(f'files in {work_dir}: {", ".join(files)}, checkpoints')
        return '\n'.join(lines)
