"""Read work dirs and checkpoints that users name."""

import os.path as osp
import pickle
from pathlib import Path
from typing import Any, Tuple, Union

import torch
from mmengine.model import BaseModel

from mmfer.compat import load_url
from mmfer.utils.checkpoint_content import inspect_checkpoint
from mmfer.utils.checkpoint_names import read_last
from mmfer.utils.safe_pickle import load_checkpoint_file

from .calibrated import read_calibration


def find_config(folder: str) -> str:
    """Return the path of the config in a work dir.

    Raises:
        ValueError: There is no config, or more than one.
    """
    configs = sorted(Path(folder).glob('*.py'))
    if len(configs) != 1:
        found = ', '.join(c.name for c in configs) or 'none'
        raise ValueError(
            f'{folder}: a work dir has one config (*.py), found {found}. '
            'Name the work dir of a run or of `mmfer clean`.'
        )
    return str(configs[0])


def read_work_dir(
    folder: str, pretrained: Union[bool, str]
) -> Tuple[str, Union[bool, str]]:
    """Find the config and the checkpoint of a run.

    Args:
        folder (str): Work dir of the run.
        pretrained (bool | str): True for the last checkpoint. Any other value
            is returned unchanged.

    Returns:
        tuple[str, bool | str]: Path of the config, and path of the checkpoint.

    Raises:
        ValueError: There is not exactly one config, or no checkpoint.
    """
    config = find_config(folder)
    if pretrained is True:
        last = read_last(folder)
        if last is None:
            found = sorted(path.name for path in Path(folder).glob('*.pth'))
            raise ValueError(
                f'{folder}: there is no last_checkpoint; '
                + ('' if found else 'wait for the first epoch to end, or ')
                + 'name a checkpoint as pretrained=... (on the command line: '
                '--checkpoint)'
                + (f', such as {osp.join(folder, found[-1])}' if found else '')
            )
        pretrained = last
    return config, pretrained


def read_checkpoint(path: str) -> dict:
    """Load a checkpoint without running code in it.

    Args:
        path (str): Path of a file, or an address that begins with http.

    Raises:
        ValueError: The file does not exist, or cannot be loaded safely.
    """
    if osp.isdir(path):
        raise ValueError(
            f'{path} is a folder; name a checkpoint (*.pth). '
            'To use a work dir, give it as the model.'
        )
    try:
        if '://' in path:
            if not path.startswith(('http://', 'https://')):
                raise ValueError('only http and https are downloaded')
            return load_url(path, map_location='cpu')
        content, problem = inspect_checkpoint(path)
        if problem is None:
            return content
        if problem.kind == 'objects':
            # This names the first of the objects.
            return load_checkpoint_file(path)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} contains Python objects, which could run code. Not loaded '
            f'({str(error).partition(": ")[2] or error}). Train with '
            "default_hooks=dict(checkpoint=dict(type='mmfer.SafeCheckpointHook')), or, "
            'if you trust its author, save its state_dict alone with torch.'
        ) from error
    except Exception as error:
        reason = (str(error).splitlines() or ['empty file'])[0]
        raise ValueError(
            f'{path} cannot be loaded as a checkpoint '
            f'({type(error).__name__}: {reason}). If another '
            'program wrote it and torch refuses to load it safely, '
            'the programs in tools/model_converters can make a safe file.'
        ) from error
    if problem.kind == 'missing':
        raise ValueError(f'{path}: there is no such checkpoint.')
    raise ValueError(
        f'{path} {problem.reason}. Copy it again, or name another checkpoint.'
    )


def explain_tensor(name: str, own: torch.Tensor, given: Any) -> str:
    """Describe how an entry of a checkpoint differs from a model's tensor.

    Args:
        name (str): Name of the tensor.
        own (Tensor): Tensor of the model.
        given (Any): Entry of the checkpoint; None if there is none.
    """
    if not isinstance(given, torch.Tensor):
        return f'{name} (not in the checkpoint)'
    return f'{name} {tuple(given.shape)} instead of {tuple(own.shape)}'


def load_weights(model: BaseModel, path: str) -> None:
    """Load all tensors of a checkpoint; raise if any does not fit.

    Args:
        model (BaseModel): Model that gets the weights. It also gets
            ``_dataset_meta``, which has the names of the classes, and
            ``rejection``, the table of thresholds of the checkpoint or None, and
            ``calibration``, what :func:`~.calibrated.read_calibration` reads or None.
        path (str): See :func:`read_checkpoint`.

    Raises:
        ValueError: The file is not a checkpoint, or is one of another model, or
            has values that are not finite.
    """
    checkpoint = read_checkpoint(path)
    state = (
        checkpoint.get('state_dict', checkpoint)
        if isinstance(checkpoint, dict)
        else None
    )
    if not isinstance(state, dict) or not state:
        raise ValueError(
            f'{path} has no weights (state_dict), but '
            f'{type(checkpoint).__name__}. Give a checkpoint (*.pth).'
        )
    own = model.state_dict()
    wrong = [
        explain_tensor(name, value, state.get(name))
        for name, value in own.items()
        if getattr(state.get(name), 'shape', None) != value.shape
    ] + [f'{name} (not in this model)' for name in state if name not in own]
    if wrong:
        more = f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''
        raise ValueError(
            f'{path} is a checkpoint of another model: of the {len(own)} '
            f'tensors of this model, these do not fit: '
            f'{", ".join(wrong[:3])}{more}. '
            'Give the config with which it was trained.'
        )
    broken = [
        name
        for name, value in state.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise ValueError(
            f'{path}: {broken[0]} has values that are not finite (NaN); the '
            'run diverged. Use an earlier checkpoint.'
        )
    model.load_state_dict(state)
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, dict) else {}
    if meta.get('dataset_meta'):
        model._dataset_meta = meta['dataset_meta']
    model.rejection = meta.get('rejection')
    model.calibration = meta.get('calibration')
    read_calibration(model.calibration, path)
