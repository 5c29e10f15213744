"""Read published face-recognition weights safely, and match them with a backbone."""

import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

import numpy as np
import torch
from mmpretrain.models.backbones.resnet import Bottleneck, ResNet
from torch import Tensor

from mmfer.registry import MODELS
from mmfer.utils import safe_pickle
from mmfer.utils.safe_pickle import ForeignObject, PickleError

from .face_layouts import Layout, find_layout, translate

# Entries of a checkpoint that may contain the state dict.
CONTAINERS = ('state_dict', 'model_state_dict', 'model')
# Prefixes that wrappers of a backbone add to its names.
WRAPPERS = re.compile(r'(?:(?:module|backbone|model)\.)*')
# First parts of the names of classification layers.
CLASSIFIERS = ('fc', 'classifier', 'head', 'linear')
# Old versions of torch have no such buffer, and no result depends on it.
OPTIONAL = 'num_batches_tracked'

# Shapes of tensors by name.
Shapes = Mapping[str, Tuple[int, ...]]


@dataclass
class Report:
    """Result of matching a state dict with a backbone.

    Attributes:
        prefix (str): Prefix of a wrapper that was removed from the names.
        total (int): Number of entries in the state dict of the backbone.
        state_dict (dict[str, Tensor]): Matched entries by backbone key.
        missing (list[str]): Backbone keys that the source lacks.
        optional (list[str]): Backbone keys that the source lacks but that have no
            effect on results.
        mismatched (list[str]): Keys whose shapes differ, with the shapes.
        foreign (list[str]): Source keys in layers of the backbone that the
            backbone does not have, for example because the source is deeper.
        classifier (list[str]): Source keys of a classification layer, omitted.
        unexpected (list[str]): All other source keys, omitted.
    """

    prefix: str
    total: int
    state_dict: Dict[str, Tensor] = field(default_factory=dict)
    missing: List[str] = field(default_factory=list)
    optional: List[str] = field(default_factory=list)
    mismatched: List[str] = field(default_factory=list)
    foreign: List[str] = field(default_factory=list)
    classifier: List[str] = field(default_factory=list)
    unexpected: List[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all keys of the backbone match, and there are no foreign keys."""
        return not (self.missing or self.mismatched or self.foreign)

    def __str__(self) -> str:
        lines = [f'matched:        {len(self.state_dict)} of {self.total}']
        if self.prefix:
            lines[0] += f', without {self.prefix!r}'
        for title, names in (
            ('missing', self.missing),
            ('wrong shape', self.mismatched),
            ('not in network', self.foreign),
            ('classifier', self.classifier),
            ('unexpected', self.unexpected),
        ):
            lines.append(f'{title + ":":<15} {len(names)}{shorten(names)}')
        if self.optional:
            lines.append(
                f'{len(self.optional)} counters {OPTIONAL} are '
                'missing, which has no effect on results.'
            )
        return '\n'.join(lines)


def shorten(names: List[str], limit: int = 6) -> str:
    """Return names as ``' (a, b, ... and 7 more)'``, or '' for no names."""
    if not names:
        return ''
    text = ', '.join(names[:limit])
    if len(names) > limit:
        text += f', ... and {len(names) - limit} more'
    return f' ({text})'


def convert(
    state_dict: Mapping[str, Tensor], reference: Shapes, prefix: Optional[str] = None
) -> Report:
    """Match a state dict that has torchvision's names with a backbone.

    The ResNets of torchvision and mmpretrain with depths 18 to 152 have the same
    keys and shapes, except for the classifier. So only the prefix of a wrapper is
    removed from the names. Other kinds of residual blocks cannot be matched.

    Args:
        state_dict (Mapping[str, Tensor]): Published weights.
        reference (Mapping[str, tuple]): Shapes of the backbone by key.
        prefix (str, optional): Prefix of the backbone's names, with its dot.
            None: find it. Defaults to None.

    Returns:
        Report: See :attr:`Report.ok`.

    Raises:
        ValueError: Backbones are found under several prefixes.
    """
    if prefix is None:
        prefix = find_prefix(state_dict, reference)
    report = Report(prefix, len(reference))
    layers = {key.partition('.')[0] for key in reference}
    for name, value in state_dict.items():
        key = name[len(prefix) :] if name.startswith(prefix) else None
        bare = name[len(wrapper_of(name)) :]
        if key is not None and key in reference:
            if tuple(value.shape) == tuple(reference[key]):
                report.state_dict[key] = value
            else:
                report.mismatched.append(
                    f'{key}: {tuple(value.shape)} instead of {tuple(reference[key])}'
                )
        elif key is not None and key.partition('.')[0] in layers:
            report.foreign.append(name)
        elif bare.partition('.')[0] in CLASSIFIERS:
            report.classifier.append(name)
        else:
            report.unexpected.append(name)
    for key in reference:
        if prefix + key not in state_dict:
            (report.optional if key.endswith(OPTIONAL) else report.missing).append(key)
    return report


def wrapper_of(name: str) -> str:
    """Return the wrapper prefix of a name, such as ``'module.backbone.'``."""
    match = WRAPPERS.match(name)
    return match.group() if match else ''


def find_prefix(names: Iterable[str], reference: Shapes) -> str:
    """Find the wrapper prefix of the backbone's names, such as ``'module.'``."""
    found: Counter = Counter()
    for name in names:
        prefix = wrapper_of(name)
        if name[len(prefix) :] in reference:
            found[prefix] += 1
    if len(found) > 1:
        counts = ', '.join(f'{p!r} ({n} keys)' for p, n in found.items())
        raise ValueError(
            f'the file has more than one backbone, under {counts}. Choose '
            'one with --prefix.'
        )
    return next(iter(found), '')


def guess_depth(names: Iterable[str]) -> Optional[int]:
    """Return the depth of the ResNet that has blocks of these names, or None."""
    names = list(names)
    found = [re.search(r'layer(\d)\.(\d+)\.', name) for name in names]
    blocks = {match.groups() for match in found if match}
    counts = Counter(layer for layer, _ in blocks)
    stages = tuple(counts[str(i)] for i in range(1, 5))
    bottleneck = any('.conv3.' in name for name in names)
    for depth, (block, stage_blocks) in ResNet.arch_settings.items():
        # ResNet-34 and ResNet-50 differ only in the kind of block.
        if stages == stage_blocks and bottleneck == (block is Bottleneck):
            return depth
    return None


def load_torch(data: bytes, trust: bool) -> Any:
    """Load a torch file; allow arbitrary Python objects only with ``trust``."""
    try:
        return safe_pickle.load_torch(data)
    except ForeignObject as error:
        if not trust:
            raise ValueError(
                f'it has Python objects and cannot be loaded safely: {error}. If '
                'you trust its author, pass --trust-checkpoint.'
            ) from None
    except PickleError as error:
        raise ValueError(
            'it is no complete torch file, so the download may be incomplete: get '
            f'it again. {error}'
        ) from None
    warnings.warn(
        '--trust-checkpoint: loading a checkpoint that may run code', stacklevel=2
    )
    return torch.load(io.BytesIO(data), map_location='cpu', weights_only=False)


def load_arrays(data: bytes) -> Any:
    """Load a pickle of numpy arrays, written by Python 2 or 3."""
    try:
        return safe_pickle.load_arrays(data)
    except PickleError as error:
        raise ValueError(
            'it is neither a torch checkpoint nor a pickle of numpy arrays '
            f'({error}). Check that the download is complete and is not a '
            'web page, and convert other formats to a torch state dict '
            'first.'
        ) from None


def extract_state_dict(content: Any) -> Dict[str, Tensor]:
    """Return the tensors of a checkpoint by name."""
    if isinstance(content, Mapping):
        for name in CONTAINERS:
            if isinstance(content.get(name), (Mapping, torch.nn.Module)):
                content = content[name]
                break
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    tensors = {}
    if isinstance(content, Mapping):
        for name, value in content.items():
            if isinstance(value, np.generic):
                value = np.asarray(value)
            if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
                # Copy the array in the byte order of this machine.
                value = torch.from_numpy(value.astype(value.dtype.newbyteorder('=')))
            if isinstance(value, Tensor):
                tensors[str(name)] = value.detach()
    if not tensors:
        raise ValueError(
            f'it has a {type(content).__name__} without tensors instead of a '
            'state dict. Save the state_dict() of the network in a separate '
            'file.'
        )
    return tensors


def match_layout(
    state_dict: Mapping[str, Tensor], prefix: Optional[str] = None
) -> Optional[Tuple[Layout, Report]]:
    """Match a state dict with the face network whose layout it has.

    Args:
        state_dict (Mapping[str, Tensor]): Published weights.
        prefix (str, optional): See :func:`convert`.

    Returns:
        tuple[Layout, Report], optional: None if the layout is not one of
        :mod:`mmfer.apis.face_layouts`.

    Raises:
        ValueError: See :func:`convert` and
            :func:`~mmfer.apis.face_layouts.find_layout`.
    """

    def prefix_of(name: str) -> str:
        if prefix is None:
            return wrapper_of(name)
        return prefix if name.startswith(prefix) else ''

    layout = find_layout(
        {name[len(prefix_of(name)) :]: tuple(v.shape) for name, v in state_dict.items()}
    )
    if layout is None:
        return None
    renamed, embedding = translate(state_dict, layout, prefix_of)
    report = convert(renamed, shapes_of_backbone(layout.backbone), prefix)
    report.classifier += embedding
    return layout, report


def shapes_of_backbone(cfg: dict) -> Shapes:
    """Return the shapes of the parameters and buffers of a backbone, by key."""
    backbone = MODELS.build(dict(cfg))
    return {key: tuple(value.shape) for key, value in backbone.state_dict().items()}


def describe_config(dst: str, backbone: dict, prepared: Dict[str, Any]) -> str:
    """Return the lines of a config that start from converted weights.

    Args:
        dst (str): The converted file.
        backbone (dict): Config of the backbone.
        prepared (dict): Settings of ``data_preprocessor``; empty if unknown.
    """

    def call(settings: dict) -> str:
        return f'dict({", ".join(f"{k}={v!r}" for k, v in settings.items())})'

    init_cfg = dict(type='Pretrained', checkpoint=dst, prefix='backbone')
    options = ',\n        '.join(f'{k}={v!r}' for k, v in backbone.items())
    lines = [f'data_preprocessor = {call(prepared)}'] if prepared else []
    lines += [
        'model = dict(',
        '    backbone=dict(',
        '        _delete_=True,',
        f'        {options},',
        f'        init_cfg={call(init_cfg)},',
        '    )',
        ')',
    ]
    return '\n'.join(lines)


def reference_shapes(backbone_type: str, depth: int) -> Shapes:
    """Return the shapes of the parameters and buffers of a backbone, by key."""
    if MODELS.get(backbone_type) is None:
        raise ValueError(
            f'--backbone-type: there is no backbone {backbone_type!r} in '
            "mmfer or mmpretrain; 'ResNet' fits torchvision's names."
        )
    try:
        backbone = MODELS.build(dict(type=backbone_type, depth=depth))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f'--depth: {backbone_type} of depth {depth} cannot be built ({error}).'
        ) from None
    return {key: tuple(value.shape) for key, value in backbone.state_dict().items()}


def weights_file(report: Report, **meta: Any) -> bytes:
    """Return the bytes of a weights file that ``init_cfg`` can load.

    Args:
        report (Report): Matched weights.
        **meta: Origin of the weights, as plain Python types.
    """
    state_dict = {
        # Copy each tensor: torch would save a view with the whole tensor behind it.
        f'backbone.{key}': value.clone(memory_format=torch.contiguous_format)
        for key, value in report.state_dict.items()
    }
    meta['matched'] = len(state_dict)
    buffer = io.BytesIO()
    torch.save(dict(state_dict=state_dict, meta=meta), buffer)
    return buffer.getvalue()


def explain_mismatch(report: Report, names: Iterable[str], depth: int) -> str:
    """Return a message: why no file is written, and what to do."""
    guess = guess_depth(names)
    if guess not in (None, depth):
        advice = f'Its blocks are those of a ResNet-{guess}: --depth {guess}.'
    elif not report.state_dict:
        advice = (
            "No name matches torchvision's, InsightFace's, face.evoLVe's or "
            "MobileFaceNet's. If the names have only another "
            'prefix, give it with --prefix.'
        )
    else:
        advice = (
            "Only whole ResNets of torchvision's design, IResNets and "
            'MobileFaceNets can be imported: compare the names above with '
            '--backbone-type and --depth.'
        )
    return (
        'its weights do not match the backbone: '
        f'{len(report.missing)} entries are missing, '
        f'{len(report.mismatched)} have another shape, '
        f'{len(report.foreign)} are not in the backbone. {advice}'
    )
