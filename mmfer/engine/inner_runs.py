"""Files from which a run inside another job continues, and whether they are whole."""

import json
import logging
import os.path as osp
import re
import shutil
import zipfile
from typing import Any, Dict, Optional

import torch
from mmengine.dist import barrier, is_main_process

from mmfer.utils.files import write_atomic

from .hooks.best_epoch import BEST_WEIGHTS, best_epoch

HISTORY, LAST = 'history.json', 'last_checkpoint'


class DamagedRunError(ValueError):
    """Error for files from which a run cannot continue."""


def prepare_folder(
    work_dir: str, keeps_best: bool, what: str, logger: logging.Logger
) -> None:
    """Check the files of an earlier start, and remove them if one is damaged.

    A run that continued from damaged files would stop, or give another result. A
    copied folder continues from its own checkpoint, not from that of the original.
    With several processes, the first one does the work.

    Args:
        work_dir (str): Folder of the run; it may not exist.
        keeps_best (bool): Whether the run keeps the weights of its best epoch.
        what (str): Name of the run in the log.
        logger (logging.Logger): Gets a warning that names the damaged file.
    """
    if is_main_process() and osp.isfile(osp.join(work_dir, LAST)):
        try:
            checkpoint = _own_checkpoint(work_dir)
            _check_zip(checkpoint)
            history = _read_history(work_dir, checkpoint)
            if keeps_best:
                _check_best(work_dir, history)
        except DamagedRunError as error:
            logger.warning(
                f'{what}: {error} This model is trained again from its beginning.'
            )
            shutil.rmtree(work_dir)
        else:
            write_atomic(osp.join(work_dir, LAST), checkpoint.encode())
    barrier()


def _own_checkpoint(work_dir: str) -> str:
    """Return the path of the latest checkpoint in this folder."""
    note = osp.join(work_dir, LAST)
    try:
        with open(note, encoding='utf-8') as file:
            # The folder may have been moved or copied, so only the name counts.
            name = osp.basename(file.read().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedRunError(f'{note} cannot be read ({error}).') from error
    path = osp.join(work_dir, name)
    if not name or not osp.isfile(path):
        raise DamagedRunError(
            f'{note} names the checkpoint {name!r}, and there is no such file.'
        )
    return path


def _check_zip(path: str) -> None:
    """Raise if a checkpoint is incomplete or one of its bytes has changed."""
    try:
        with zipfile.ZipFile(path) as archive:
            # torch does not compare the checksums.
            wrong = archive.testzip()
    except PermissionError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DamagedRunError(f'{path} is damaged ({reason}).') from error
    if wrong is not None:
        raise DamagedRunError(f'{path} is damaged (the checksum of {wrong} is wrong).')


def _read_history(work_dir: str, checkpoint: str) -> Dict[int, Dict[str, Any]]:
    """Return the entries of the epochs up to a checkpoint, by epoch."""
    path = osp.join(work_dir, HISTORY)
    saved = re.fullmatch(r'epoch_(\d+)\.pth', osp.basename(checkpoint))
    epochs = int(saved[1]) if saved else None
    if epochs is None and not osp.isfile(path):
        # A checkpoint inside the first epoch; its end will write the first entry.
        return {}
    try:
        with open(path, encoding='utf-8') as file:
            history = {entry['epoch']: entry for entry in json.load(file)}
        missing = set(range(1, (epochs or 0) + 1)) - set(history)
    except FileNotFoundError:
        raise DamagedRunError(f'{path} is missing.') from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedRunError(f'{path} is damaged ({error}).') from error
    if missing:
        raise DamagedRunError(f'{path} is damaged (it lacks epoch {min(missing)}).')
    return {k: v for k, v in history.items() if epochs is None or k <= epochs}


def _check_best(work_dir: str, history: Dict[int, Dict[str, Any]]) -> None:
    """Raise if the best weights are not those of the best epoch of the history."""
    path = osp.join(work_dir, BEST_WEIGHTS)
    try:
        best = best_epoch(history)
    except (TypeError, KeyError) as error:
        raise DamagedRunError(
            f'{osp.join(work_dir, HISTORY)} is damaged ({error}).'
        ) from error
    # A kill between both writes leaves the last epoch without its weights. The run
    # then writes them when it continues.
    expected: Optional[int] = None if best == max(history, default=None) else best
    if not osp.isfile(path):
        if expected is None:
            return
        raise DamagedRunError(f'{path} is missing.')
    _check_zip(path)
    try:
        meta = torch.load(path, map_location='cpu', weights_only=True, mmap=True)
        found = meta['meta']['epoch']
    except Exception as error:
        raise DamagedRunError(f'{path} is damaged ({error}).') from error
    if expected is not None and found != expected:
        raise DamagedRunError(
            f'{path} has the weights of epoch {found}, but by {HISTORY} the best '
            f'epoch is {expected}, so one of the two is damaged.'
        )
