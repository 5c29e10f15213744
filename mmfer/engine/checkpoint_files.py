"""Checkpoints of a work dir: which one a resumed run takes."""

import os
import os.path as osp
import re
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple
from weakref import WeakKeyDictionary

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner

from mmfer.utils.checkpoint_content import (
    DamagedCheckpointError,
    inspect_checkpoint,
    require_whole,
)
from mmfer.utils.checkpoint_names import CHECKPOINT_NAME, read_last
from mmfer.utils.full_disk import DiskFullError

# Runners whose checkpoint was chosen already.
_CHOSEN: 'WeakKeyDictionary[Runner, bool]' = WeakKeyDictionary()


# Begins the sentence about the checkpoint that a full disk has left.
LEFT = 'The checkpoint before'


class Choice(NamedTuple):
    """Checkpoint that a resumed run takes.

    Attributes:
        path (str, optional): The file; None if there is no checkpoint at all.
        warnings (list[str]): A line for each newer file that cannot be used.
    """

    path: Optional[str]
    warnings: List[str]


def checkpoint_folder(runner: Runner) -> str:
    """Return the folder into which a runner writes its checkpoints."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.out_dir is not None:
            # mmengine extends out_dir when the training begins.
            if hasattr(hook, 'file_backend'):
                return str(hook.out_dir)
            if osp.abspath(hook.out_dir) != osp.abspath(runner.work_dir):
                name = osp.basename(runner.work_dir.rstrip(osp.sep))
                return osp.join(hook.out_dir, name)
    return str(runner.work_dir)


# -- choice --------------------------------------------------------------------
def choose_checkpoint(work_dir: str, folder: Optional[str] = None) -> Choice:
    """Find the latest checkpoint that can be used.

    The one that ``last_checkpoint`` names is tried first, then all others, the one
    with the most finished epochs and iterations first.

    Args:
        work_dir (str): The work dir.
        folder (str, optional): Folder of the checkpoints, if it is another one.

    Returns:
        Choice: The file, and what was wrong with newer ones.

    Raises:
        DamagedCheckpointError: There are checkpoints, but none can be used.
    """
    folder = folder or work_dir
    named = read_last(work_dir, folder)
    reasons: List[str] = []
    for path in _in_order(folder, named):
        content, problem = inspect_checkpoint(path)
        if problem is None and progress_of(content) is None:
            reasons.append(f'{path} has no state of a run, only weights')
        elif problem is None or problem.kind == 'objects':
            # Whoever loads Python objects decides whether to trust them.
            return Choice(path, _fallback_lines(reasons, path, content))
        else:
            reasons.append(f'{path} {problem.reason}')
    if reasons:
        raise DamagedCheckpointError(
            f'{work_dir}: no checkpoint can be resumed from:\n  '
            + '\n  '.join(reasons)
            + '\nRestore one of these files from a copy, or start again without '
            '--resume; other results in the folder are then moved aside, not deleted.'
        )
    return Choice(None, [])


def _in_order(folder: str, named: Optional[str]) -> List[str]:
    """Return the checkpoints of a run in the order in which to try them."""
    found: List[Tuple[Tuple[int, int], str]] = []
    if named is None or inspect_checkpoint(named).problem is not None:
        for name in sorted(os.listdir(folder) if osp.isdir(folder) else []):
            path = osp.join(folder, name)
            if not CHECKPOINT_NAME.fullmatch(name) or path == named:
                continue
            content = inspect_checkpoint(path, checksums=False).content
            found.append((progress_of(content) or (-1, -1), path))
    others = [path for _, path in sorted(found, reverse=True)]
    return others if named is None else [named, *others]


def progress_of(content: Any) -> Optional[Tuple[int, int]]:
    """Return the finished epochs and iterations of a checkpoint's content.

    Returns:
        tuple[int, int], optional: None if no run can resume from it.
    """
    meta = content.get('meta') if isinstance(content, dict) else None
    if not isinstance(meta, dict):
        return None
    epoch, iteration = meta.get('epoch'), meta.get('iter')
    if not isinstance(epoch, int) or not isinstance(iteration, int):
        return None
    return epoch, iteration


def _fallback_lines(reasons: List[str], path: str, content: Any) -> List[str]:
    """Return the warning that an older checkpoint is taken."""
    if not reasons:
        return []
    epoch, iteration = progress_of(content) or ('?', '?')
    return [
        '\n'.join(reasons) + f'\nThe run goes on from {path}: {epoch} epochs and '
        f'{iteration} iterations are finished. What followed is computed again.'
    ]


# -- runners -------------------------------------------------------------------
def prepare_loading(runner: Runner) -> None:
    """Let a runner load whole files only, and resume from its own work dir.

    mmengine calls ``before_run`` before it loads anything. With several processes,
    the first one decides for all.

    Args:
        runner (Runner): Runner before it loads. ``_load_from`` is set if the run
            resumes from its work dir.

    Raises:
        DamagedCheckpointError: The file that the user has named, or every file of
            the work dir, is no whole checkpoint.
    """
    if runner._has_loaded or _CHOSEN.get(runner):
        return
    _CHOSEN[runner] = True
    resuming = runner._resume and isinstance(runner._train_loop, BaseLoop)
    given = runner._load_from
    if given is None and not resuming:
        return
    found: List[Any] = [None, None]
    if is_main_process():
        try:
            if given is None:
                found[0] = choose_checkpoint(runner.work_dir, checkpoint_folder(runner))
            elif '://' not in given:
                require_whole(given, _advice(given, bool(resuming)))
        except DamagedCheckpointError as error:
            found[1] = str(error)
    broadcast_object_list(found)
    choice, text = found
    if text is not None:
        raise DamagedCheckpointError(text)
    if choice is None:
        return
    for line in choice.warnings:
        runner.logger.warning(line)
    runner._load_from = choice.path
    if choice.path is None:
        runner.logger.info(
            f'There is no checkpoint in {runner.work_dir} to resume from, so the run '
            'starts from the beginning.'
        )


def _advice(path: str, resuming: bool) -> str:
    """Return what to do about a checkpoint that cannot be used."""
    if not resuming:
        return 'Name another file, or copy this one again.'
    return (
        'Name another file, or pass --resume without a path: then the latest whole '
        'checkpoint of the work dir is taken.'
    )


@contextmanager
def intact_named(runner: Runner) -> Iterator[None]:
    """Name the checkpoint that is left where a full disk stops the block."""
    try:
        yield
    except DiskFullError as error:
        name_intact(error, runner.work_dir, checkpoint_folder(runner))
        raise


def name_intact(
    error: DiskFullError, work_dir: str, folder: Optional[str] = None
) -> None:
    """Write into an error which checkpoint a full disk has left.

    Args:
        error (DiskFullError): The error; changed in place.
        work_dir (str): The work dir.
        folder (str, optional): Folder of the checkpoints, if it is another one.
    """
    last = read_last(work_dir, folder)
    if last is not None and osp.isfile(last) and LEFT not in error.intact:
        error.intact += f' {LEFT}, {last}, is intact.'
        error.advice = (
            'Free some space, then start again; a training goes on with --resume.'
        )


def rebase_paths(checkpoint: Dict[str, Any], folder: str) -> None:
    """Let the paths in a checkpoint's message hub name files of this folder.

    mmengine removes the former best checkpoint by its absolute path. In a copied work
    dir, that would be the file of the original.

    Args:
        checkpoint (dict): Content of a checkpoint; changed in place.
        folder (str): Folder of the checkpoints of this run.
    """
    hub = checkpoint.get('message_hub')
    info = hub.get('runtime_info') if isinstance(hub, dict) else None
    if not isinstance(info, dict):
        return
    for key in [k for k in info if k == 'last_ckpt' or k.startswith('best_ckpt')]:
        path = osp.join(folder, re.split(r'[/\\]', str(info[key]))[-1])
        if osp.isfile(path):
            info[key] = path
        else:
            del info[key]
