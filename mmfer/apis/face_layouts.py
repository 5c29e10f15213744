"""Published layouts of face-recognition weights, and their names in mmfer.

A layout is recognised by the names of its tensors. Each function ``_read_*`` returns
None for other files, else the config of the backbone and a function that maps a name
to that in the backbone. The mapped name is empty for layers that compute the embedding
of the identity, which the backbone does not have.
"""

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from torch import Tensor

from mmfer.models.face_networks import SCALES, IResNet

Shapes = Mapping[str, Tuple[int, ...]]
Rename = Callable[[str], str]

IMAGE_SIZE = 112
"""Height and width of the aligned faces of all layouts, in pixels."""

# All layouts map 0..255 to -1..1: (x / 255 - 0.5) / 0.5.
CONSTANT = 127.5


class Layout(NamedTuple):
    """Network of a file, and what its images must look like.

    Attributes:
        name (str): Whose design it is.
        backbone (dict): Config of the backbone.
        rename (Callable): Maps a name of the file, without wrappers, to the name in
            the backbone; to '' if it belongs to the embedding.
        to_rgb (bool): Whether the network was trained on R, G, B.
        note (str): What the names do not tell, such as another channel order.
    """

    name: str
    backbone: Dict[str, Any]
    rename: Rename
    to_rgb: bool
    note: str = ''


def find_layout(shapes: Shapes) -> Optional[Layout]:
    """Recognise the layout of a file.

    Args:
        shapes (Mapping): Shapes of its tensors, by names without wrappers.

    Returns:
        Layout, optional: None if the layout is not one of this module, such as that
        of torchvision's ResNet.

    Raises:
        ValueError: The names are those of a layout, but not the number of blocks.
    """
    readers = (
        _read_insightface,
        _read_face_evolve,
        _read_mobilefacenet,
        _read_insightface_mobilefacenet,
    )
    return next(filter(None, (read(shapes) for read in readers)), None)


def translate(
    state_dict: Mapping[str, Tensor], layout: Layout, prefix_of: Callable[[str], str]
) -> Tuple[Dict[str, Tensor], List[str]]:
    """Give tensors the names of mmfer's backbone.

    Args:
        state_dict (Mapping[str, Tensor]): Published weights.
        layout (Layout): Their layout.
        prefix_of (Callable): Returns the wrapper prefix of a name.

    Returns:
        tuple[dict[str, Tensor], list[str]]: Tensors by their new names, with their
        wrapper prefixes; names of the tensors of the embedding.
    """
    renamed: Dict[str, Tensor] = {}
    embedding: List[str] = []
    for name, value in state_dict.items():
        prefix = prefix_of(name)
        new = layout.rename(name[len(prefix) :])
        if new:
            renamed[prefix + new] = value
        else:
            embedding.append(name)
    return renamed, embedding


def preparation(layout: Layout, to_rgb: Optional[bool] = None) -> Dict[str, Any]:
    """Return the settings of ``data_preprocessor`` that suit a layout.

    Args:
        layout (Layout): Layout of the weights.
        to_rgb (bool, optional): Channel order; None: that of the layout.
    """
    constants = [CONSTANT] * 3
    rgb = layout.to_rgb if to_rgb is None else to_rgb
    return dict(mean=constants, std=list(constants), to_rgb=rgb)


# -- IResNet -----------------------------------------------------------------------
def _read_insightface(shapes: Shapes) -> Optional[Layout]:
    """IResNet of InsightFace's arcface_torch: the names of mmfer's own IResNet."""
    if not {'prelu.weight', 'layer1.0.prelu.weight', 'layer1.0.bn3.weight'} <= set(
        shapes
    ):
        return None
    stages = tuple(_count(shapes, rf'layer{i}\.(\d+)\.') for i in range(1, 5))
    depth = next((d for d, s in IResNet.arch_settings.items() if s == stages), None)
    if depth is None:
        raise ValueError(f'it is an IResNet with {stages} blocks; {_known_blocks()}')
    embedding = re.compile(r'(fc|features|dropout)\.')
    return Layout(
        'IResNet of InsightFace (arcface_torch)',
        dict(type='IResNet', depth=depth, style='insightface'),
        lambda name: '' if embedding.match(name) else name,
        to_rgb=True,
    )


_EVOLVE_STEM = {'0': 'conv1', '1': 'bn1', '2': 'prelu'}
_EVOLVE_BRANCH = {'0': 'bn1', '1': 'conv1', '2': 'prelu', '3': 'conv2', '4': 'bn3'}


def _read_face_evolve(shapes: Shapes) -> Optional[Layout]:
    """IR and IR-SE networks of face.evoLVe, InsightFace_Pytorch and TFace."""
    if not {'input_layer.0.weight', 'body.0.res_layer.0.weight'} <= set(shapes):
        return None
    blocks = _count(shapes, r'body\.(\d+)\.')
    # The numbers of blocks are those of IResNet; 152 layers are face.evoLVe's.
    depths = {sum(IResNet.arch_settings[d]): d for d in (18, 34, 50, 100, 152)}
    if blocks not in depths:
        raise ValueError(f'it is an IR network with {blocks} blocks; {_known_blocks()}')
    stages = IResNet.arch_settings[depths[blocks]]
    places = [f'layer{i + 1}.{j}' for i, n in enumerate(stages) for j in range(n)]
    se = any('.res_layer.5.fc1.' in name for name in shapes)

    def rename(name: str) -> str:
        found = re.fullmatch(r'input_layer\.([012])\.(.+)', name)
        if found:
            return f'{_EVOLVE_STEM[found[1]]}.{found[2]}'
        found = re.fullmatch(r'body\.(\d+)\.res_layer\.([0-4])\.(.+)', name)
        if found:
            return f'{places[int(found[1])]}.{_EVOLVE_BRANCH[found[2]]}.{found[3]}'
        found = re.fullmatch(r'body\.(\d+)\.res_layer\.5\.(fc[12]\..+)', name)
        if found:
            return f'{places[int(found[1])]}.se.{found[2]}'
        found = re.fullmatch(r'body\.(\d+)\.shortcut_layer\.([01]\..+)', name)
        if found:
            return f'{places[int(found[1])]}.downsample.{found[2]}'
        if name.startswith('output_layer.0.'):
            return f'bn2.{name.removeprefix("output_layer.0.")}'
        return '' if name.startswith('output_layer.') else name

    return Layout(
        'IR network of face.evoLVe' + (' with squeeze and excitation' if se else ''),
        dict(type='IResNet', depth=depths[blocks], style='face_evolve', se=se),
        rename,
        to_rgb=True,
        note='Files of InsightFace_Pytorch (TreB1eN) have the same names, but were '
        'trained on B, G, R: for them add --channel-order bgr.',
    )


def _known_blocks() -> str:
    known = ', '.join(f'{d} {s}' for d, s in IResNet.arch_settings.items())
    return f'mmfer has the depths {known}.'


# -- MobileFaceNet -----------------------------------------------------------------
_UNITS = {'conv': 'expand', 'conv_dw': 'depthwise', 'project': 'project'}
_PARTS = {
    'conv1': 'stem',
    'conv2_dw': 'first',
    'conv_23': 'down1',
    'conv_3': 'stage1',
    'conv_34': 'down2',
    'conv_4': 'stage2',
    'conv_45': 'down3',
    'conv_5': 'stage3',
    'conv_6_sep': 'last',
}


def _read_mobilefacenet(shapes: Shapes) -> Optional[Layout]:
    """MobileFaceNet of InsightFace_Pytorch, with the widths of the paper."""
    if not {'conv2_dw.conv.weight', 'conv_23.conv_dw.conv.weight'} <= set(shapes):
        return None
    blocks = [1] + [_count(shapes, rf'conv_{i}\.model\.(\d+)\.') for i in (3, 4, 5)]

    def rename(name: str) -> str:
        part, _, rest = name.partition('.')
        if part not in _PARTS:
            return (
                '' if re.match(r'(conv_6_dw|linear|bn|output_layer)\.', name) else name
            )
        rest = rest.removeprefix('model.')
        # Either an index of a block and a unit, a unit, or a layer.
        found = re.fullmatch(
            r'(\d+\.)?(conv_dw|project|conv)\.((?:conv|bn|prelu)\..+)', rest
        )
        if found:
            return f'{_PARTS[part]}.{found[1] or ""}{_UNITS[found[2]]}.{found[3]}'
        return f'{_PARTS[part]}.{rest}'

    return Layout(
        'MobileFaceNet of InsightFace_Pytorch',
        dict(type='MobileFaceNet', scale=1, blocks=blocks),
        rename,
        to_rgb=False,
        note='InsightFace_Pytorch was trained on B, G, R. For a file of another '
        'program with these names, trained on R, G, B, add --channel-order rgb.',
    )


_LAYERS = ('conv', 'bn', 'prelu')
_INSIGHTFACE_PARTS = (
    'stem',
    'first',
    'down1',
    'stage1',
    'down2',
    'stage2',
    'down3',
    'stage3',
)


def _read_insightface_mobilefacenet(shapes: Shapes) -> Optional[Layout]:
    """MobileFaceNet of InsightFace's arcface_torch, ``get_mbf``."""
    if not {'layers.0.layers.0.weight', 'conv_sep.layers.0.weight'} <= set(shapes):
        return None
    width = tuple(shapes['layers.0.layers.0.weight'])[:1]
    scales = {(64 * scale,): scale for scale in SCALES}
    if width not in scales:
        raise ValueError(
            f'it is a MobileFaceNet whose first layer has the width {width}; mmfer has '
            f'the widths {", ".join(str(64 * scale) for scale in SCALES)}.'
        )
    first = 'layers.1.layers.0.weight' in shapes
    blocks = [1 if first else _count(shapes, r'layers\.1\.layers\.(\d+)\.')]
    blocks += [_count(shapes, rf'layers\.{i}\.layers\.(\d+)\.') for i in (3, 5, 7)]
    units = ('expand', 'depthwise', 'project')

    def rename(name: str) -> str:
        if name.startswith('features.'):
            return ''
        found = re.fullmatch(r'(layers|conv_sep)\.([\d.layers]*\d)\.([a-z_]+)', name)
        if found is None:
            return name
        numbers = [int(n) for n in re.findall(r'\d+', found[2])]
        part = 'last'
        if found[1] == 'layers':
            part = _INSIGHTFACE_PARTS[numbers.pop(0)]
        # What is left are the numbers of block, unit and layer, or the last of these.
        words = [part, *(str(block) for block in numbers[:-2])]
        words += [units[unit] for unit in numbers[-2:-1]]
        return '.'.join([*words, _LAYERS[numbers[-1]], found[3]])

    return Layout(
        'MobileFaceNet of InsightFace (arcface_torch)',
        dict(type='MobileFaceNet', scale=scales[width], blocks=blocks),
        rename,
        to_rgb=True,
    )


def _count(shapes: Shapes, pattern: str) -> int:
    """Return how many different numbers a pattern finds in the names."""
    found = (re.match(pattern, name) for name in shapes)
    return len({match[1] for match in found if match})
