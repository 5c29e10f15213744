"""Make a checkpoint that can be published: calibration, file, name."""

import hashlib
import io
import os
import os.path as osp
import pickle
from pathlib import Path
from typing import Dict

import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from mmfer.datasets import FERDataset, unaugmented
from mmfer.engine.scoring import predict_samples
from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic

from .calibrated import measure_held_out


def held_out_part(cfg: Config, number: int) -> FERDataset:
    """Return held-out images, the last of the training set, unaugmented.

    Args:
        cfg (Config): Config of the run.
        number (int): Number of images.

    Raises:
        ValueError: The run was trained on some of these images.
    """
    settings = dict(cfg.train_dataloader.dataset)
    used = settings.pop('indices', None)
    whole = DATASETS.build(settings)
    whole.full_init()
    left_out = len(whole) - used if isinstance(used, int) and used > 0 else 0
    if not 0 < number <= left_out:
        raise ValueError(
            f'--held-out {number}: the config holds out only the last '
            f'{left_out} of {len(whole)} training images. Thresholds found on '
            'images that the model was trained on would promise too much. Set '
            f'train_dataloader.dataset.indices={len(whole) - number} and '
            'train again.'
        )
    settings['indices'] = -number
    return unaugmented(
        DATASETS.build(settings), DATASETS.build(cfg.val_dataloader.dataset).pipeline
    )


def calibrate(cfg: Config, model: BaseModel, number: int) -> Dict[str, dict]:
    """Calibrate a model on held-out training images.

    Args:
        cfg (Config): Config of the run.
        model (BaseModel): Model with the weights as they are stored.
        number (int): Number of images, see :func:`held_out_part`.

    Returns:
        dict[str, dict]: ``rejection`` and ``calibration``, see
        :func:`mmfer.apis.calibrated.measure_held_out`.
    """
    part = held_out_part(cfg, number)
    found = predict_samples(model, part, cfg.val_dataloader)
    labels = part.given_labels[found['sample_id']]
    return measure_held_out(found['pred_score'], labels, found['uncertainty'])


def stored_weights(model: BaseModel, half: bool) -> Dict[str, torch.Tensor]:
    """Return the weights as they are stored, and load them into the model.

    Everything measured afterwards belongs to the weights in the stored precision.

    Args:
        model (BaseModel): Model with the trained weights.
        half (bool): Store numbers with a fraction in half precision.
    """
    state = {
        name: (value.half() if half and value.is_floating_point() else value).cpu()
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    return state


def serialized(meta: dict, state: Dict[str, torch.Tensor]) -> bytes:
    """Return the content of a checkpoint file, which torch's safe loader reads.

    Raises:
        ValueError: The safe loader refuses it, because ``meta`` has other objects
            than numbers, text, lists and dicts.
    """
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state), buffer)
    data = buffer.getvalue()
    try:
        torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            'the checkpoint would not load with torch.load(weights_only=True): its '
            'class names or thresholds are objects of a program. Use plain text and '
            'numbers.'
        ) from error
    return data


def file_facts(data: bytes, name: str) -> dict:
    """Return what a record states about a file of weights.

    Args:
        data (bytes): Content of the file.
        name (str): Name of the file.

    Returns:
        dict: ``name``, ``sha256``, ``bytes`` and ``precision``.
    """
    content = torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    types = {
        str(value.dtype).removeprefix('torch.')
        for value in content['state_dict'].values()
        if value.is_floating_point()
    }
    return dict(
        name=name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        precision=', '.join(sorted(types)),
    )


def write_all(files: Dict[str, bytes], replace: bool = False) -> None:
    """Write several files, or none of them.

    Args:
        files (dict[str, bytes]): Contents by path. They are written in this order, so
            the record comes last.
        replace (bool): Whether files with another content are replaced. Defaults to
            False.

    Raises:
        FileExistsError: One of them exists with another content. Nothing is written.
    """
    for path, data in files.items():
        if not replace and osp.exists(path) and Path(path).read_bytes() != data:
            raise FileExistsError(
                f'{path} exists and has another content. Nothing was written: remove '
                'it, or publish under another name.'
            )
    new = [path for path in files if not osp.exists(path)]
    try:
        for path, data in files.items():
            if path in new or replace:
                write_atomic(path, data)
    except BaseException:
        for path in new:
            if osp.exists(path):
                os.remove(path)
        raise
