"""Layers of any backbone: when they run, and which ones to perturb."""

from collections import Counter
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

import torch.nn as nn
from torch import Tensor

from .utils import has_channels_last, probe

# Modules that only pass on the output of another layer.
PASS_THROUGH = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)


class LayerRun(NamedTuple):
    """One run of a layer in a forward pass.

    Attributes:
        name (str): Name of the layer in the backbone.
        maps (dict[int | None, bool]): The feature maps and tokens in the
            output. A key is the index in the output, or None for the output
            itself. The value says whether channels come last, (B, H, W, C).
        positions (int): Height times width, or the number of tokens. If there
            are several maps, the smallest one counts; if there are none, 0.
    """

    name: str
    maps: Dict[Optional[int], bool]
    positions: int


def default_layers(backbone: nn.Module, example: Tensor) -> List[str]:
    """Return the names of layers to perturb if the config names none.

    See :func:`choose_layers`.
    """
    return [layer.name for layer in choose_layers(backbone, example)]


def choose_layers(
    backbone: nn.Module, example: Tensor, owner: str = 'LatentCompensation'
) -> List[LayerRun]:
    """Choose the layers to perturb if the config names none.

    - A ResNet gets the positions of DSU: the first convolution, the max-pool
      where it has one, and the four stages.
    - Any other backbone gets the last layer at each resolution.
    - A backbone that keeps a single resolution (a ViT) gets four blocks at
      equal distances.

    See :func:`layers_of` for what a layer is. A module that runs several
    times in a forward pass is not chosen. An example is an activation that
    all blocks of a DenseNet share.

    Args:
        backbone (nn.Module): Any backbone.
        example (Tensor): An input that it can process.
        owner (str): Who perturbs, for messages. Defaults to
            ``'LatentCompensation'``.

    Returns:
        list[LayerRun]: In forward order.

    Raises:
        ValueError: No layer has maps or tokens and runs exactly once.
    """
    layers = dict(layers_of(backbone))
    trace = trace_layers(backbone, example, layers.items())
    runs = Counter(layer.name for layer in trace)
    found = {
        layer.name: layer
        for layer in trace
        if runs[layer.name] == 1
        and layer.positions
        and not isinstance(layers[layer.name], PASS_THROUGH)
    }
    if not found:
        raise ValueError(
            f'{owner} finds no layer of {type(backbone).__name__} '
            'whose output has a height and width, or tokens. Name some in '
            'latent_compensation.layers, or set latent_compensation=None.'
        )
    return [found[name] for name in pick_names(found)]


def pick_names(found: Dict[str, LayerRun]) -> List[str]:
    """Choose names among layers that run once, see :func:`choose_layers`.

    Args:
        found (dict[str, LayerRun]): Layers by name, in forward order.
    """
    names = list(found)
    # Compare the last part of each name, because timm wraps its ResNets.
    local = {name.rpartition('.')[2]: name for name in reversed(names)}
    resnet = ('conv1', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4')
    # MobileNetV2 has these names too, but also layer5 to layer7.
    if {'conv1', 'layer1', 'layer2'} <= set(local) and 'layer5' not in local:
        return [local[name] for name in resnet if name in local]
    last_at = {layer.positions: layer.name for layer in found.values()}
    if len(last_at) > 2:
        return sorted(last_at.values(), key=names.index)
    siblings: Dict[str, List[str]] = {}
    for name in names:
        siblings.setdefault(name.rpartition('.')[0], []).append(name)
    blocks = max(siblings.values(), key=len)
    picks = min(4, len(blocks))
    return [blocks[(i + 1) * len(blocks) // picks - 1] for i in range(picks)]


def find_layers(
    backbone: nn.Module,
    example: Tensor,
    names: List[str],
    modules: Dict[str, nn.Module],
    owner: str = 'LatentCompensation',
) -> List[LayerRun]:
    """Find layers by name; each of them must run once in a forward pass.

    Args:
        backbone (nn.Module): Any backbone.
        example (Tensor): An input that it can process.
        names (list[str]): Names that the config gives.
        modules (dict[str, nn.Module]): All modules of the backbone, each
            under all its names.
        owner (str): Who perturbs, for messages. Defaults to
            ``'LatentCompensation'``.

    Returns:
        list[LayerRun]: In the order of ``names``.

    Raises:
        ValueError: The backbone has no layer of that name, or a layer does
            not run exactly once.
    """
    network = type(backbone).__name__
    unknown = [name for name in names if name not in modules]
    if unknown:
        raise ValueError(
            f'{owner}: {network} has no layer '
            f'{", ".join(map(repr, unknown))}. Its layers are: '
            f'{", ".join(name for name in modules if name)}.'
        )
    trace = trace_layers(backbone, example, [(name, modules[name]) for name in names])
    chosen = []
    for name in names:
        runs = [layer for layer in trace if layer.name == name]
        if len(runs) != 1:
            raise ValueError(
                f'{owner}: layer {name!r} of {network} runs '
                f'{len(runs)} times in a forward pass'
                + explain_runs(name, modules)
                + '. A layer to perturb must run exactly once.'
            )
        chosen += runs
    return chosen


def explain_runs(name: str, modules: Dict[str, nn.Module]) -> str:
    """Explain why a layer does not run exactly once.

    Args:
        name (str): Name of the layer.
        modules (dict[str, nn.Module]): All modules, each under all its names.

    Returns:
        str: End of a sentence; empty if the reason is not known.
    """
    if isinstance(modules[name], (nn.ModuleList, nn.ModuleDict)):
        member = next(
            (other for other in modules if other.startswith(f'{name}.')), f'{name}.0'
        )
        return (
            f', because it is a list of layers (name its members, such as {member!r})'
        )
    others = [
        repr(other)
        for other, module in modules.items()
        if module is modules[name] and other != name
    ]
    if others:
        return f', because it is the same module as {", ".join(others[:3])}'
    return ''


def layers_of(
    module: nn.Module, prefix: str = '', depth: int = 2
) -> Iterator[Tuple[str, nn.Module]]:
    """Yield the layers of a network: its children and members of containers.

    Containers are ``ModuleList`` and ``Sequential``. Modules inside a block
    are not layers of the network, for example the projections in an
    attention block or the expansion in an inverted residual.

    Args:
        module (nn.Module): A backbone. If it only wraps another module, that
            module takes its place.
        prefix (str): Text put before each name. Defaults to ''.
        depth (int): Levels to go down. Defaults to 2.

    Yields:
        tuple[str, nn.Module]: Name and layer.
    """
    children = list(module.named_children())
    if not prefix and len(children) == 1:
        name, child = children[0]
        yield from layers_of(child, f'{name}.', depth)
        return
    for name, child in children:
        yield prefix + name, child
        # A ModuleList itself never runs, so its members are layers at any depth.
        if (
            isinstance(child, nn.ModuleList)
            or depth > 1
            and isinstance(child, nn.Sequential)
        ):
            yield from layers_of(child, f'{prefix}{name}.', depth - 1)


def trace_layers(
    backbone: nn.Module, example: Tensor, layers: Iterable[Tuple[str, nn.Module]]
) -> List[LayerRun]:
    """Record the runs of layers in a forward pass.

    Args:
        backbone (nn.Module): Any backbone; it runs in eval mode, without
            gradient.
        example (Tensor): Its input, (B, C, H, W).
        layers (Iterable[tuple[str, nn.Module]]): Names and modules.

    Returns:
        list[LayerRun]: In the order in which the layers finish.
    """
    trace: List[LayerRun] = []

    def record(name: str):

        def hook(module: nn.Module, args: tuple, output: Any) -> None:
            trace.append(describe_run(name, output, example))

        return hook

    handles = [module.register_forward_hook(record(name)) for name, module in layers]
    try:
        probe(backbone, example)
    finally:
        for handle in handles:
            handle.remove()
    return trace


def describe_run(name: str, output: Any, example: Tensor) -> LayerRun:
    """Find the feature maps and tokens in the output of a layer.

    Args:
        name (str): Name of the layer.
        output (Any): Output of the layer, often a tensor.
        example (Tensor): Images that the backbone got, (B, C, H, W).
    """
    several = isinstance(output, (tuple, list))
    maps: Dict[Optional[int], bool] = {}
    sizes: Dict[int, List[int]] = {}
    for index, item in enumerate(output if several else [output]):
        # Skip outputs whose batch size is not that of the images: TNT puts
        # small patches of all images into one batch.
        if (
            not isinstance(item, Tensor)
            or item.ndim not in (3, 4)
            or len(item) != len(example)
        ):
            continue
        last = has_channels_last(item, example)
        size = (
            item.shape[1:3]
            if last
            else item.shape[2:]
            if item.ndim == 4
            else item.shape[1:2]
        )
        if size.numel() > 1:
            maps[index if several else None] = last
            sizes.setdefault(item.ndim, []).append(size.numel())
    # If a layer returns both maps and tokens (Conformer), the maps give the
    # resolution.
    return LayerRun(name, maps, min(sizes.get(4) or sizes.get(3) or [0]))


def map_elements(function: Any, output: Any, elements: Dict[Optional[int], Any]) -> Any:
    """Apply a function to a tensor, or to some elements of a sequence.

    The stages of Swin, for example, return (tokens, (height, width)).

    Args:
        function (Callable): Function of a tensor and of its value in
            ``elements``.
        output (Tensor | tuple | list): Output of a layer.
        elements (dict[int | None, Any]): Values by index; the key None stands
            for the output itself. Other elements stay as they are.
    """
    if isinstance(output, Tensor):
        return function(output, elements[None]) if None in elements else output
    changed = [
        function(item, elements[index]) if index in elements else item
        for index, item in enumerate(output)
    ]
    # The constructor of a named tuple takes one argument per field.
    return (
        type(output)(*changed) if hasattr(output, '_fields') else type(output)(changed)
    )
