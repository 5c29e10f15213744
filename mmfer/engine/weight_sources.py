"""Find the weights that a user names with ``--init``."""

import hashlib
import math
import os.path as osp
import pickle
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mmfer.models.efficientnet_lite import MEAN, SHA256, STD
from mmfer.models.face_networks import MAX_BLOCKS, SCALES, STYLES, IResNet
from mmfer.models.named_weights import (
    LITE0,
    SCHEME,
    load_from_mmfer,
    named_file,
    shipped_names,
)
from mmfer.models.pretrained import quiet
from mmfer.models.weight_matching import Shape, shapes_of
from mmfer.utils.checkpoint_content import inspect_checkpoint
from mmfer.utils.checkpoint_names import read_last
from mmfer.utils.json_files import read_json

from .classifier_config import main_network

PRETRAINED = 'pretrained'
"""Name of the network of the extra ``[pretrained]``."""


FACE_NETWORKS: Dict[str, Dict[str, Sequence[Any]]] = dict(
    IResNet=dict(depth=tuple(IResNet.arch_settings), style=STYLES, se=(False, True)),
    MobileFaceNet=dict(scale=SCALES, blocks=()),
)
"""Values of the options that ``import_face_weights.py`` writes into its files."""


class Preparation(NamedTuple):
    """Images for which weights were made.

    Attributes:
        mean (list[float]): Mean of each channel; empty if unknown.
        std (list[float]): Standard deviation of each channel; empty if unknown.
        to_rgb (bool, optional): Whether the channels are R, G, B, not B, G, R.
        size (int, optional): Height and width in pixels.
    """

    mean: List[float] = []
    std: List[float] = []
    to_rgb: Optional[bool] = None
    size: Optional[int] = None


class Source(NamedTuple):
    """Weights from which a run can start.

    Attributes:
        given (str): What the user wrote.
        checkpoint (str): Path or address for ``init_cfg``.
        shapes (dict[str, Shape]): Shapes of the tensors by name.
        sha256 (str, optional): Hash of the file; None for an address.
        preparation (Preparation): Images for which the weights were made.
        backbone (dict, optional): Config of the backbone, if the source states it.
        is_network (bool): Whether this is a backbone alone. It then replaces a
            backbone that it does not fit.
    """

    given: str
    checkpoint: str
    shapes: Dict[str, Shape]
    sha256: Optional[str]
    preparation: Preparation = Preparation()
    backbone: Optional[dict] = None
    is_network: bool = False
    classes: Optional[List[str]] = None


def find_source(text: str) -> Source:
    """Return the weights that a name, a path or an address stands for.

    Args:
        text (str): ``pretrained``, the name of a shipped model, a checkpoint, a work
            dir (its last checkpoint), or an address such as ``torchvision://resnet18``.
            A file of the user comes before a name.

    Raises:
        FileNotFoundError: There is nothing of this name.
        ValueError: The file cannot be read, or has no tensors.
        pickle.UnpicklingError: torch refuses to load the file safely.
    """
    path = osp.expanduser(text)
    if osp.isdir(path):
        last = read_last(path)
        if last is None or not osp.isfile(last):
            raise FileNotFoundError(
                f'--init {text}: this folder has no checkpoint that its '
                'last_checkpoint names. Name a checkpoint (*.pth).'
            )
        return _with_config_of(path, _from_file(text, last))
    if osp.isfile(path):
        return _from_file(text, path)
    name = text.removeprefix(SCHEME)
    if name in (PRETRAINED, LITE0):
        return _pretrained(text)
    if name in shipped_names():
        return _shipped(text, name)
    if '://' in text:
        return Source(text, text, _shapes(text, _load(text)), None)
    raise FileNotFoundError(
        f'--init {text}: there is no such file, and mmfer has no weights of this '
        f'name. Its names are {", ".join([PRETRAINED, *shipped_names()])}; else give '
        'the path of a checkpoint (*.pth) or of a work dir.'
    )


def _from_file(text: str, path: str) -> Source:
    """Read a checkpoint, and what its meta or its record say."""
    content, problem = inspect_checkpoint(path)
    if problem is not None:
        if problem.kind != 'objects':
            raise ValueError(
                f'--init {path} {problem.reason}. Copy it again, or name another file.'
            )
        content = _load(path)
    meta: Any = content.get('meta') if isinstance(content, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    network = _network_of(meta)
    backbone = network
    if isinstance(meta.get('depth'), int) and meta.get('backbone') == 'ResNet':
        # Its names do not tell the style of a ResNet-50, so it replaces nothing.
        backbone = dict(type='ResNet', depth=meta['depth'])
    return Source(
        given=text,
        checkpoint=path,
        shapes=_shapes(path, content),
        sha256=hash_file(path),
        preparation=_preparation_of(meta) or _preparation_beside(path),
        backbone=backbone,
        is_network=network is not None,
        classes=_classes_of(meta),
    )


def _with_config_of(work_dir: str, source: Source) -> Source:
    """Add the backbone and the preparation in the config of a work dir."""
    configs = list(Path(work_dir).glob('*.py'))
    if len(configs) != 1:
        return source
    cfg = Config.fromfile(str(configs[0]))
    backbone = main_network(cfg).get('backbone')
    if isinstance(backbone, dict):
        found = {k: v for k, v in backbone.items() if k != 'init_cfg'}
        source = source._replace(backbone=found)
    prepared = cfg.get('data_preprocessor') or cfg.model.get('data_preprocessor') or {}
    mean, std = _numbers(prepared.get('mean')), _numbers(prepared.get('std'))
    if mean and len(mean) == len(std):
        rgb = bool(prepared.get('to_rgb', False))
        shape = prepared.get('input_shape') or [None]
        found_preparation = Preparation(mean, std, rgb, shape[-1])
        source = source._replace(preparation=found_preparation)
    return source


def _pretrained(text: str) -> Source:
    """Return EfficientNet-Lite0 with ImageNet weights, which brings its backbone.

    Raises:
        MissingExtraError: The extra ``[pretrained]`` is not installed.
    """
    address = f'{SCHEME}{LITE0}'
    return Source(
        given=text,
        checkpoint=address,
        shapes=_shapes(address, load_from_mmfer(address, 'cpu')),
        sha256=SHA256,
        preparation=Preparation(list(MEAN), list(STD), to_rgb=True),
        backbone=dict(type='EfficientNetLite0'),
        is_network=True,
    )


def _shipped(text: str, name: str) -> Source:
    """Return the weights of a model in the package, with the backbone of its config."""
    from mmfer_command.shipped import shipped_path

    path = named_file(name)
    backbone = Config.fromfile(str(shipped_path(name))).model.backbone.to_dict()
    content = _load(f'{SCHEME}{name}')
    return Source(
        given=text,
        checkpoint=f'{SCHEME}{name}',
        shapes=_shapes(str(path), content),
        sha256=hash_file(str(path)),
        preparation=_preparation_beside(str(path)),
        backbone=backbone,
        classes=_classes_of(content.get('meta') or {}),
    )


def _load(address: str) -> Any:
    """Load a file or an address with mmengine, which obeys ``--trust-checkpoint``."""
    try:
        with quiet():
            return CheckpointLoader.load_checkpoint(address, 'cpu')
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(f'--init {address}: {error}') from None
    except Exception as error:
        reason = (str(error).splitlines() or ['no data'])[0]
        raise ValueError(
            f'--init {address}: these weights cannot be read '
            f'({type(error).__name__}: {reason}).'
        ) from error


def _shapes(path: str, content: Any) -> Dict[str, Shape]:
    """Return the shapes of the tensors of a checkpoint."""
    state = content.get('state_dict', content) if isinstance(content, dict) else {}
    shapes = shapes_of(state) if isinstance(state, dict) else {}
    if not shapes:
        raise ValueError(
            f'--init {path}: this file has no tensors by name. Give a checkpoint of '
            'a run, of publish_model.py or of import_face_weights.py.'
        )
    return shapes


def hash_file(path: str) -> str:
    """Return the SHA-256 of the contents of a file."""
    found = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _network_of(meta: dict) -> Optional[dict]:
    """Return the backbone that ``import_face_weights.py`` wrote into a file.

    Only these classes with these options count: a file from elsewhere must not choose
    what is built, or how large it is.
    """
    found = meta.get('backbone_cfg')
    if not isinstance(found, dict):
        return None
    options = FACE_NETWORKS.get(str(found.get('type')))
    if options is None or set(found) - {'type', *options}:
        return None
    for name, value in found.items():
        if name == 'blocks':
            items = value if isinstance(value, (list, tuple)) else []
            if len(items) != 4 or not all(n in range(1, MAX_BLOCKS + 1) for n in items):
                return None
        elif name != 'type' and value not in options[name]:
            return None
    return dict(found)


def _classes_of(meta: dict) -> Optional[List[str]]:
    """Return the names of the classes in the meta of a checkpoint."""
    found = meta.get('dataset_meta')
    classes = found.get('classes') if isinstance(found, dict) else None
    if not isinstance(classes, (list, tuple)):
        return None
    return [str(name) for name in classes]


def _preparation_of(meta: dict) -> Optional[Preparation]:
    """Return what ``import_face_weights.py`` wrote into a file; None if nothing."""
    mean, std = _numbers(meta.get('mean')), _numbers(meta.get('std'))
    if not mean or len(mean) != len(std):
        return None
    size, to_rgb = meta.get('image_size'), meta.get('to_rgb')
    return Preparation(
        mean,
        std,
        to_rgb if isinstance(to_rgb, bool) else None,
        size if isinstance(size, int) else None,
    )


def _preparation_beside(path: str) -> Preparation:
    """Return the preparation in the record that ``publish_model.py`` writes."""
    record = Path(path).with_suffix('.json')
    if not record.is_file():
        return Preparation()
    try:
        found = read_json(str(record), dict, 'record of a model').get('input') or {}
        shape = found.get('shape') or [None]
    except (ValueError, AttributeError):
        # This file is something else.
        return Preparation()
    mean, std = _numbers(found.get('mean')), _numbers(found.get('std'))
    if not mean or len(mean) != len(std):
        return Preparation()
    return Preparation(mean, std, size=shape[-1])


def _numbers(value: Any) -> List[float]:
    """Return a list of finite numbers; empty if ``value`` is anything else."""
    if not isinstance(value, (list, tuple)) or not all(
        isinstance(v, (int, float)) and math.isfinite(v) for v in value
    ):
        return []
    return [float(v) for v in value]
