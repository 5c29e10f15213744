"""Files from which a run inside another job continues, and whether they are whole."""

import logging
import os.path as osp
import shutil
from typing import Any, Dict, Optional

from mmengine.dist import barrier, is_main_process

from mmfer.utils.checkpoint_content import DamagedCheckpointError, inspect_checkpoint
from mmfer.utils.checkpoint_names import note_last
from mmfer.utils.json_files import read_history

from .checkpoint_files import choose_checkpoint, progress_of
from .hooks.best_epoch import BEST_WEIGHTS, best_epoch

HISTORY = 'history.json'


class DamagedRunError(ValueError):
    """Error for files from which a run cannot continue."""


def prepare_folder(
    work_dir: str, keeps_best: bool, what: str, logger: logging.Logger
) -> None:
    """Check the files of an earlier start, and remove them if a run cannot use them.

    Of two checkpoints, the older one is taken if the newer one is damaged. A run that
    continued with other damaged files would stop, or give another result. With several
    processes, the first one does the work.

    Args:
        work_dir (str): Folder of the run; it may not exist.
        keeps_best (bool): Whether the run keeps the weights of its best epoch.
        what (str): Name of the run in the log.
        logger (logging.Logger): Gets a warning that names each damaged file.
    """
    if is_main_process():
        try:
            choice = choose_checkpoint(work_dir)
            for line in choice.warnings:
                logger.warning(f'{what}: {line}')
            if choice.path is not None:
                _check_progress(work_dir, choice.path, keeps_best)
                # The note may be damaged, and a finished run writes no new one.
                note_last(work_dir, choice.path)
        except (DamagedCheckpointError, DamagedRunError) as error:
            logger.warning(
                f'{what}: {error} This model is trained again from its beginning.'
            )
            shutil.rmtree(work_dir)
    barrier()


def _check_progress(work_dir: str, checkpoint: str, keeps_best: bool) -> None:
    """Raise if the history or the best weights do not fit a checkpoint."""
    content = inspect_checkpoint(checkpoint, checksums=False).content
    progress = progress_of(content)
    if progress is None:
        raise DamagedRunError(f'{checkpoint} has no state of a run.')
    history = _read_history(work_dir, progress[0])
    if keeps_best:
        inside = osp.basename(checkpoint).startswith('iter_')
        _check_best(work_dir, history, inside)


def _read_history(work_dir: str, epochs: int) -> Dict[int, Dict[str, Any]]:
    """Return the entries of the finished epochs, by epoch."""
    path = osp.join(work_dir, HISTORY)
    if not epochs:
        # The end of the first epoch writes the first entry.
        return {}
    try:
        history = {entry['epoch']: entry for entry in read_history(path)}
        missing = set(range(1, epochs + 1)) - set(history)
    except FileNotFoundError:
        raise DamagedRunError(f'{path} is missing.') from None
    except (OSError, ValueError) as error:
        raise DamagedRunError(f'{path} is damaged ({error}).') from error
    if missing:
        raise DamagedRunError(f'{path} is damaged (it lacks epoch {min(missing)}).')
    return {epoch: history[epoch] for epoch in range(1, epochs + 1)}


def _check_best(
    work_dir: str, history: Dict[int, Dict[str, Any]], inside: bool
) -> None:
    """Raise if the best weights are not those of the best epoch of the history.

    Args:
        work_dir (str): Folder of the run.
        history (dict[int, dict]): Entries of the finished epochs.
        inside (bool): Whether the run continues inside an epoch.
    """
    path = osp.join(work_dir, BEST_WEIGHTS)
    last = max(history, default=0)
    try:
        expected: Optional[int] = best_epoch(history)
    except (TypeError, KeyError) as error:
        raise DamagedRunError(
            f'{osp.join(work_dir, HISTORY)} is damaged ({error}).'
        ) from error
    if expected == last and not inside:
        # A kill between both writes leaves the last epoch without its weights. The
        # run then writes them when it continues.
        expected = None
    content, problem = inspect_checkpoint(path)
    if problem is not None and problem.kind == 'missing' and expected is None:
        return
    if problem is not None:
        raise DamagedRunError(f'{path} {problem.reason}.')
    found = (content.get('meta') or {}).get('epoch')
    # After an older checkpoint was taken, the best epoch may be one that comes again.
    later = isinstance(found, int) and found > last
    if expected is not None and found != expected and not later:
        raise DamagedRunError(
            f'{path} has the weights of epoch {found}, but by {HISTORY} the best '
            f'epoch is {expected}, so one of the two is damaged.'
        )
