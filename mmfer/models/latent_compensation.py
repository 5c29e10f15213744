"""Latent model uncertainty compensation: ALUM Eqs. 2 to 8, DSU (ICLR'22).

During training the feature statistics of each channel are treated as
Gaussian; their spread over the batch is the uncertainty of the layer, and
features are re-drawn from it. Nothing is learned, nothing is stored: the
module has no state, so attaching it leaves a model's checkpoint as it was.
"""

import random
from collections import Counter
from functools import partial
from typing import (
    Any,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import torch
import torch.nn as nn
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmfer.models.utils import as_map, probe
from mmfer.registry import MODELS


class Moments(NamedTuple):
    """Mean and standard deviation over one axis or more."""

    mean: Tensor
    std: Tensor


def channel_moments(
    x: Tensor, eps: float, unbiased: bool, scratch: Optional[Tensor] = None
) -> Moments:
    """Mean and std of each channel of each sample, ALUM Eqs. 2 and 3.

    Args:
        x (Tensor): Feature map (B, C, H, W) with H * W >= 2.
        eps (float): Added to the variance; dead channels have none.
        unbiased (bool): Divide by HW - 1 (DSU) or by HW (ALUM).
        scratch (Tensor, optional): Like ``x``; overwritten.

    Returns:
        Moments: Both of shape (B, C).
    """
    mean = x.mean(dim=(2, 3), keepdim=True)
    # torch.var is 20 times as slow as a sum on CPUs.
    total = torch.sub(x, mean, out=scratch).square_().sum(dim=(2, 3))
    var = total / (x[0, 0].numel() - unbiased)
    return Moments(mean.flatten(1), (var + eps).sqrt())


def batch_std(statistic: Tensor, eps: float, unbiased: bool) -> Tensor:
    """Std of a statistic over the batch: Sigma of ALUM Eqs. 5 and 6.

    Args:
        statistic (Tensor): Shape (B, C) with B >= 2.
        eps (float): Added to the variance.
        unbiased (bool): Divide by B - 1 (DSU) or by B (ALUM).

    Returns:
        Tensor: Shape (1, C).
    """
    return (statistic.var(dim=0, correction=int(unbiased), keepdim=True) + eps).sqrt()


def redraw_statistics(
    moments: Moments, noise: Tuple[Tensor, Tensor], eps: float, unbiased: bool
) -> Moments:
    """Perturbed mean and std: the two brackets of ALUM Eq. 7.

    Args:
        moments (Moments): Statistics to perturb, each (B, C).
        noise (tuple[Tensor, Tensor]): Standard normal draws (B, C) for the
            mean and for the std.
        eps (float): Added to variances.
        unbiased (bool): See :func:`batch_std`.

    Returns:
        Moments: mean + e1 * Sigma_mean and std + e2 * Sigma_std.
    """
    return Moments(
        *(
            value + draw * batch_std(value, eps, unbiased)
            for value, draw in zip(moments, noise, strict=True)
        )
    )


def channel_map(
    own: Moments, noise: Tuple[Tensor, Tensor], stats: str, eps: float, unbiased: bool
) -> Tuple[Tensor, Tensor]:
    """ALUM Eq. 7 as one affine map per channel of each sample.

    Args:
        own (Moments): See :func:`channel_moments`, each (B, C).
        noise, stats, eps, unbiased: See :func:`compensate`.

    Returns:
        tuple[Tensor, Tensor]: Scale and shift, each (B, C).
    """
    new = redraw_statistics(own, noise, eps, unbiased)
    if stats == 'batch':
        centre = Moments(*(s.mean(dim=0, keepdim=True) for s in own))
        new = Moments(*(c + n - s for c, n, s in zip(centre, new, own, strict=True)))
        own = centre
    # new.std * (x - own.mean) / own.std + new.mean
    scale = new.std / own.std
    return scale, new.mean - own.mean * scale


class Compensate(torch.autograd.Function):
    """:func:`compensate` in few passes over memory, keeping only ``x``.

    Maps are large and the equations are about (B, C) numbers, so autograd
    differentiates :func:`channel_map` alone. Both passes over ``x`` around
    it are affine: mean, std and output forward, the gradient backward.
    """

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        noise: Tuple[Tensor, Tensor],
        stats: str,
        eps: float,
        unbiased: bool,
    ) -> Tensor:
        """See :func:`compensate`."""
        ctx.options = (noise, stats, eps, unbiased)
        wide = widen(x)
        out = torch.empty_like(wide)
        own = channel_moments(wide, eps, unbiased, scratch=out)
        scale, shift = channel_map(own, *ctx.options)
        ctx.save_for_backward(x, *own)
        return torch.addcmul(as_map(shift), wide, as_map(scale), out=out).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        """Gradient with respect to ``x``, affine in ``x`` and ``grad``."""
        x, *own = ctx.saved_tensors
        unbiased = ctx.options[-1]
        dtype, x, grad = x.dtype, widen(x), widen(grad)
        out = x * grad
        grad_scale, grad_shift = out.sum(dim=(2, 3)), grad.sum(dim=(2, 3))
        with torch.enable_grad():
            own = Moments(*(s.detach().requires_grad_() for s in own))
            scale, shift = channel_map(own, *ctx.options)
            to_mean, to_std = torch.autograd.grad(
                (scale, shift), own, (grad_scale, grad_shift)
            )
        # d mean / dx = 1 / HW, d std / dx = (x - mean) / (HW or HW - 1) / std
        count = x[0, 0].numel()
        slope = to_std / ((count - unbiased) * own.std)
        constant = to_mean / count - slope * own.mean
        out = torch.addcmul(as_map(constant), x, as_map(slope), out=out)
        return out.addcmul_(grad, as_map(scale)).to(dtype), *4 * (None,)


def widen(x: Tensor) -> Tensor:
    """Statistics of half-precision features need float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def compensate(
    x: Tensor,
    noise: Tuple[Tensor, Tensor],
    stats: str = 'instance',
    eps: float = 1e-6,
    unbiased: bool = True,
) -> Tensor:
    """Compensate a feature map, ALUM Eq. 7.

    Args:
        x (Tensor): Feature map (B, C, H, W), B >= 2 and H * W >= 2.
        noise (tuple[Tensor, Tensor]): Standard normal draws for the mean and
            the std, each (B, C).
        stats (str): What centres and scales a feature: ``'instance'``, its
            own statistics (DSU as published), or ``'batch'``, their means
            over the batch (ALUM's Eqs. 5 to 7 read literally).
        eps (float): Added to every variance. Defaults to 1e-6 (DSU).
        unbiased (bool): Variances divide by n - 1 (DSU, default) or by n
            (ALUM).

    Returns:
        Tensor: Same shape and type as ``x``.
    """
    return Compensate.apply(x, noise, stats, eps, unbiased)


@MODELS.register_module()
class LatentCompensation(nn.Module):
    """Attach :func:`compensate` to the outputs of layers of a backbone.

    It has no parameters or buffers. In eval mode and with a closed gate the
    features pass untouched, bit for bit.

    Args:
        layers (Sequence[str], optional): Names of backbone modules (as in
            ``backbone.named_modules()``) whose outputs are compensated.
            ``None`` finds them: for ResNets the six positions of DSU's code,
            otherwise the last layer at each resolution, see
            :func:`default_layers`.
        prob (float): Probability that the gate of a layer is open in a
            forward pass, for the whole batch together. Defaults to 0.5, as
            in DSU's scripts; 1 is the literal Algorithm 1 of ALUM.
        stats (str): ``'instance'`` or ``'batch'``, see :func:`compensate`.
        shared_noise (bool): Use one draw for mean and std, as Eq. 7's single
            epsilon may mean, instead of two. Defaults to False (DSU).
        eps (float): Added to variances. Defaults to 1e-6.
        unbiased (bool): See :func:`compensate`. Defaults to True.

    A layer may return several maps, as HRNet's stages do: each is
    compensated, behind a gate of its own.

    Raises:
        ValueError: Options of no meaning; for what :meth:`attach` refuses,
            see there.
    """

    def __init__(
        self,
        layers: Optional[Sequence[str]] = None,
        prob: float = 0.5,
        stats: str = 'instance',
        shared_noise: bool = False,
        eps: float = 1e-6,
        unbiased: bool = True,
    ):
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], got {prob}')
        if stats not in ('instance', 'batch'):
            raise ValueError(f"stats must be 'instance' or 'batch', got {stats!r}")
        self.layers = None if layers is None else list(layers)
        self.prob = prob
        self.stats = stats
        self.shared_noise = shared_noise
        self.eps = eps
        self.unbiased = unbiased
        # Of each map of each layer, in the latest forward pass.
        self._gates: Dict[tuple, bool] = {}

    def attach(self, backbone: nn.Module, example: Tensor) -> List[str]:
        """Hook onto ``backbone``.

        Args:
            backbone (nn.Module): Its state-dict keys stay as they are.
            example (Tensor): An input batch, for finding layers and the
                layout of their outputs.

        Returns:
            list[str]: Names of the layers attached to.

        Raises:
            ValueError: A layer that the backbone does not have, or that does
                not run once in a forward pass; or a backbone whose features
                may not be changed.
        """
        network = type(backbone).__name__
        if getattr(backbone, 'no_custom_backward', True) is False:
            raise ValueError(
                f'LatentCompensation: {network} computes its features anew '
                'in the backward pass, from later ones that compensation '
                'has changed, so gradients would be wrong. Set '
                'backbone.no_custom_backward=True, or '
                'latent_compensation=None.'
            )
        # A module that stands in several places has several names.
        modules = dict(backbone.named_modules(remove_duplicate=False))
        if self.layers is None:
            chosen = choose_layers(backbone, example)
            self.layers = [layer.name for layer in chosen]
        else:
            chosen = self.find_named(backbone, example, modules)
        for layer in chosen:
            modules[layer.name].register_forward_hook(
                partial(self._hook, name=layer.name, maps=layer.maps)
            )
        keys = [(layer.name, i) for layer in chosen for i in layer.maps]
        backbone.register_forward_pre_hook(partial(self._draw_gates, keys))
        return self.layers

    def find_named(
        self, backbone: nn.Module, example: Tensor, modules: Dict[str, nn.Module]
    ) -> List['LayerRun']:
        """Find the layers of the config, each of which has to run once.

        Args:
            backbone, example: See :meth:`attach`.
            modules (dict[str, nn.Module]): All of the backbone, each under
                all its names.
        """
        network = type(backbone).__name__
        unknown = [name for name in self.layers if name not in modules]
        if unknown:
            raise ValueError(
                f'LatentCompensation: {network} has no layer '
                f'{", ".join(map(repr, unknown))}. Its layers are: '
                f'{", ".join(name for name in modules if name)}.'
            )
        trace = trace_layers(
            backbone, example, [(name, modules[name]) for name in self.layers]
        )
        chosen = []
        for name in self.layers:
            runs = [layer for layer in trace if layer.name == name]
            if len(runs) != 1:
                raise ValueError(
                    f'LatentCompensation: layer {name!r} of {network} runs '
                    f'{len(runs)} times in a forward pass'
                    + explain_runs(name, modules)
                    + '; a layer to compensate runs once.'
                )
            chosen += runs
        return chosen

    def draw_gate(self) -> bool:
        """Draw whether a gate is open.

        Of Python's own generator, which ReproducibilityHook seeds from (seed,
        iteration); the value of a tensor would be read from the device.
        """
        return random.random() < self.prob

    def _draw_gates(self, keys: List[tuple], backbone: nn.Module, args: tuple) -> None:
        # At the start of a pass: a layer that is run again for its gradient
        # (with_cp=True) must find the same gate.
        if backbone.training and self.training:
            self._gates = {key: self.draw_gate() for key in keys}

    def _hook(
        self,
        module: nn.Module,
        args: tuple,
        output,
        name: str,
        maps: Dict[Optional[int], bool],
    ):
        if not (module.training and self.training):
            return None

        def compensate_one(x: Tensor, place: Optional[int]) -> Tensor:
            gate = self._gates.get((name, place))
            if not maps[place]:
                return self(x, gate)
            # Channels are the last axis.
            return self(x.permute(0, 3, 1, 2), gate).permute(0, 2, 3, 1)

        return map_elements(compensate_one, output, {i: i for i in maps})

    def forward(self, x: Tensor, gate: Optional[bool] = None) -> Tensor:
        """Compensate one layer's output.

        Args:
            x (Tensor): (B, C, H, W) or tokens (B, L, C).
            gate (bool, optional): Whether it is open. Defaults to None: it
                is drawn.
        """
        if not self.training or not (self.draw_gate() if gate is None else gate):
            return x
        tokens = x.ndim == 3
        feature = x.transpose(1, 2).unsqueeze(-1) if tokens else x
        # A statistic over one value has no spread: nothing to compensate.
        if feature.shape[0] < 2 or feature[0, 0].numel() < 2:
            return x
        out = compensate(
            feature, self.draw_noise(feature), self.stats, self.eps, self.unbiased
        )
        return out.squeeze(-1).transpose(1, 2) if tokens else out

    def draw_noise(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        """Standard normal draws (B, C) for mean and std, in this order."""
        shape = x.shape[:2]
        dtype = torch.promote_types(x.dtype, torch.float32)
        first = torch.randn(shape, device=x.device, dtype=dtype)
        if self.shared_noise:
            return first, first
        return first, torch.randn(shape, device=x.device, dtype=dtype)

    def extra_repr(self) -> str:
        return (
            f'layers={self.layers}, prob={self.prob}, '
            f'stats={self.stats!r}, shared_noise={self.shared_noise}'
        )


def explain_runs(name: str, modules: Dict[str, nn.Module]) -> str:
    """Why a layer may run never, or more often than once.

    Args:
        name (str): Of the layer.
        modules (dict[str, nn.Module]): All layers, each under all its names.
    """
    if isinstance(modules[name], (nn.ModuleList, nn.ModuleDict)):
        member = next(
            (other for other in modules if other.startswith(f'{name}.')), f'{name}.0'
        )
        return f', being a list of layers (name its members, as {member!r})'
    others = [
        repr(other)
        for other, module in modules.items()
        if module is modules[name] and other != name
    ]
    if others:
        return f', being the same module as {", ".join(others[:3])}'
    return ''


def map_elements(
    function, output: Union[Tensor, tuple, list], elements: Dict[Optional[int], Any]
):
    """Apply ``function`` to a tensor or to some elements of a sequence.

    Swin's stages, for one, return (tokens, (height, width)).

    Args:
        function (Callable): Takes a tensor and what ``elements`` says of it.
        output (Tensor | tuple | list): What a layer returns.
        elements (dict): By index; None stands for the output itself. Others
            stay as they are.
    """
    if isinstance(output, Tensor):
        return function(output, elements[None]) if None in elements else output
    changed = [
        function(item, elements[index]) if index in elements else item
        for index, item in enumerate(output)
    ]
    # Named tuples take their fields one by one.
    return (
        type(output)(*changed) if hasattr(output, '_fields') else type(output)(changed)
    )


# They hand on what another layer has made.
NO_LAYERS = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)


def default_layers(backbone: nn.Module, example: Tensor) -> List[str]:
    """Names of the layers to compensate when the config names none.

    See :func:`choose_layers`.
    """
    return [layer.name for layer in choose_layers(backbone, example)]


def choose_layers(backbone: nn.Module, example: Tensor) -> List['LayerRun']:
    """Choose the layers to compensate when the config names none.

    ResNets get DSU's positions: the first convolution, the max-pool where it
    is used, and the four stages. Any other backbone gets the last layer at
    each resolution; one that keeps a single resolution (a ViT) gets four
    blocks at equal distances. See :func:`layers_of` for what a layer is. A
    module that runs several times in a forward pass (an activation that all
    blocks of a DenseNet share) is none of them.

    Args:
        backbone (nn.Module): Any backbone.
        example (Tensor): An input it can process.

    Returns:
        list[LayerRun]: In forward order.

    Raises:
        ValueError: There is no such layer.
    """
    layers = dict(layers_of(backbone))
    trace = trace_layers(backbone, example, layers.items())
    runs = Counter(layer.name for layer in trace)
    trace = {
        layer.name: layer
        for layer in trace
        if runs[layer.name] == 1
        and layer.positions
        and not isinstance(layers[layer.name], NO_LAYERS)
    }
    if not trace:
        raise ValueError(
            f'LatentCompensation finds no layer of {type(backbone).__name__} '
            'whose output has a height and width, or tokens. Name some in '
            'latent_compensation.layers, or set latent_compensation=None.'
        )
    return [trace[name] for name in pick_names(trace)]


def pick_names(trace: Dict[str, 'LayerRun']) -> List[str]:
    """Choose among layers that run once, see :func:`choose_layers`."""
    names = list(trace)
    # Last parts of the names: a wrapped ResNet (timm) is one all the same.
    local = {name.rpartition('.')[2]: name for name in reversed(names)}
    resnet = ('conv1', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4')
    # MobileNetV2 has a conv1 and layers 1 to 7.
    if {'conv1', 'layer1', 'layer2'} <= set(local) and 'layer5' not in local:
        return [local[name] for name in resnet if name in local]
    last_at = {layer.positions: layer.name for layer in trace.values()}
    if len(last_at) > 2:
        return sorted(last_at.values(), key=names.index)
    siblings = {}
    for name in names:
        siblings.setdefault(name.rpartition('.')[0], []).append(name)
    blocks = max(siblings.values(), key=len)
    picks = min(4, len(blocks))
    return [blocks[(i + 1) * len(blocks) // picks - 1] for i in range(picks)]


def layers_of(
    module: nn.Module, prefix: str = '', depth: int = 2
) -> Iterator[Tuple[str, nn.Module]]:
    """Children, and the members of those that are mere containers.

    What lies inside a block (the patch embedding of a transformer, the
    expansion of an inverted residual) is no layer of the network.

    Args:
        module (nn.Module): A backbone. One that only wraps another module
            stands for that module.
        prefix (str): Put before the names.
        depth (int): Levels to go down.
    """
    children = list(module.named_children())
    if not prefix and len(children) == 1:
        name, child = children[0]
        yield from layers_of(child, f'{name}.', depth)
        return
    for name, child in children:
        yield prefix + name, child
        # Lists never run themselves, however deep they lie in one another.
        if (
            isinstance(child, nn.ModuleList)
            or depth > 1
            and isinstance(child, nn.Sequential)
        ):
            yield from layers_of(child, f'{prefix}{name}.', depth - 1)


class LayerRun(NamedTuple):
    """One run of a layer in a forward pass.

    Attributes:
        name (str): Of the layer.
        maps (dict[int | None, bool]): Which elements of its output are
            feature maps or tokens of the images, None being the output
            itself; and whether their channels come last, (B, H, W, C).
        positions (int): Height times width, or the number of tokens; of
            several maps those of the smallest. 0 if there are none.
    """

    name: str
    maps: Dict[Optional[int], bool]
    positions: int


def trace_layers(
    backbone: nn.Module, example: Tensor, layers: Iterable[Tuple[str, nn.Module]]
) -> List[LayerRun]:
    """Runs of layers in a forward pass, in the order in which they finish.

    Args:
        backbone (nn.Module): Run in eval mode, without gradient.
        example (Tensor): Its input.
        layers (Iterable[tuple[str, nn.Module]]): Names and modules.
    """
    trace, handles = [], []

    def record(name):

        def hook(module, args, output):
            several = isinstance(output, (tuple, list))
            maps, sizes = {}, {}
            for index, item in enumerate(output if several else [output]):
                # Small patches of all images (TNT) have a batch of their
                # own.
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
            # Where a layer has maps and tokens (Conformer), maps tell the
            # resolution.
            trace.append(LayerRun(name, maps, min(sizes.get(4) or sizes.get(3) or [0])))

        return hook

    for name, module in layers:
        handles.append(module.register_forward_hook(record(name)))
    try:
        probe(backbone, example)
    finally:
        for handle in handles:
            handle.remove()
    return trace


def has_channels_last(feature: Tensor, images: Tensor) -> bool:
    """Return whether a feature is (B, H, W, C), by the images' shape.

    Args:
        feature (Tensor): Of any shape.
        images (Tensor): What it was computed from, (B, C, H, W).
    """
    if feature.ndim != 4:
        return False
    height, width = images.shape[2:]

    def is_size(rows: int, columns: int) -> bool:
        # Strides round each side by less than one.
        return abs(rows * width - columns * height) < max(height, width)

    return not is_size(*feature.shape[2:]) and is_size(*feature.shape[1:3])
