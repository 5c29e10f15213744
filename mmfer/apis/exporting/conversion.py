"""Convert a network of torch into an ONNX graph, with the exporter that torch has."""

import contextlib
import copy
import io
import logging
import warnings
from typing import Any, Callable, Iterator, List

import torch
from mmpretrain.models.utils import ShiftWindowMSA
from torch import Tensor, nn

from mmfer.version import __version__

from .network import INPUT, OUTPUTS, ExportedNetwork, ExportError
from .packages import require

OPSET = 18
# Images of the example with which the network is traced.
EXAMPLES = 2


class FixedBatchNorm(nn.Module):
    """BatchNorm in evaluation, as one multiplication and one addition.

    The exporter of torch before 2.9 needs the number of channels of BatchNorm's input,
    and cannot find it behind the tokens of a transformer.

    Args:
        layer (nn.Module): The layer that is replaced.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, layer: Any):
        super().__init__()
        scale = (layer.running_var.double() + layer.eps).rsqrt()
        if layer.weight is not None:
            scale = scale * layer.weight.detach().double()
        shift = -layer.running_mean.double() * scale
        if layer.bias is not None:
            shift = shift + layer.bias.detach().double()
        self.register_buffer('scale', scale.float())
        self.register_buffer('shift', shift.float())

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map (B, C, ...) with the running statistics."""
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return x * self.scale.view(shape) + self.shift.view(shape)


def with_fixed_norms(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose BatchNorm layers are :class:`FixedBatchNorm`."""
    network = copy.deepcopy(network)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) in kinds and child.running_mean is not None:
                setattr(module, name, FixedBatchNorm(child).eval())
    return network


def to_onnx(network: ExportedNetwork) -> Any:
    """Return the graph of a network, with a dynamic batch.

    Args:
        network (ExportedNetwork): In evaluation mode, on the CPU.

    Returns:
        onnx.ModelProto: Without names of files of this machine.

    Raises:
        ExportError: torch cannot export it.
        ImportError: A package of the extra ``[onnx]`` is not installed.
    """
    require('onnx')
    new = tuple(map(int, torch.__version__.split('.')[:2])) >= (2, 9)
    # The exporter of torch.export knows more networks, but is of use from 2.9 on.
    exporters: List[Callable] = [_by_torch_export, _by_tracing]
    if new:
        require('onnxscript')
    else:
        exporters = [_by_tracing]
    reasons = []
    for exporter in exporters:
        # Exporters print whole graphs, and raise errors of any type.
        try:
            with (
                _silence(),
                _open_batch(),
                torch.inference_mode(False),
                torch.no_grad(),
            ):
                model = exporter(network)
            return _without_traces(model)
        except Exception as error:
            text = str(error).strip() or type(error).__name__
            reasons.append(f'{type(error).__name__}: {text.splitlines()[0][:120]}')
    raise ExportError(
        f'torch {torch.__version__} cannot export this network ({reasons[0]}). '
        + ('' if new else 'torch 2.9 and later know more networks. ')
        + 'Choose another backbone, or use the checkpoint.'
    )


def _names(network: ExportedNetwork) -> dict:
    return dict(
        input_names=[INPUT],
        output_names=[OUTPUTS[name] for name in network.outputs],
        opset_version=OPSET,
    )


def _example(network: ExportedNetwork) -> Tensor:
    return torch.zeros(EXAMPLES, *network.input_shape, dtype=torch.uint8)


def _by_torch_export(network: ExportedNetwork) -> Any:
    program: Any = torch.onnx.export(
        network,
        (_example(network),),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim('batch', min=1)},),
        **_names(network),
    )
    return program.model_proto


def _by_tracing(network: ExportedNetwork) -> Any:
    onnx = require('onnx')
    names = _names(network)
    buffer = io.BytesIO()
    torch.onnx.export(
        with_fixed_norms(network),
        (_example(network),),
        buffer,  # type: ignore[arg-type]
        dynamo=False,
        dynamic_axes={name: {0: 'batch'} for name in [INPUT, *names['output_names']]},
        **names,
    )
    return onnx.load_from_string(buffer.getvalue())


def _without_traces(model: Any) -> Any:
    """Remove what exporters note about the files and functions of this machine."""
    model.producer_name, model.producer_version = 'mmfer', __version__
    model.doc_string = model.graph.doc_string = ''
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    parts = [
        *model.graph.node,
        *model.graph.initializer,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ]
    for part in parts:
        part.doc_string = ''
        del part.metadata_props[:]
    return model


def reverse_windows(
    windows: Tensor, height: int, width: int, window_size: int
) -> Tensor:
    """Join the windows of an image, as ``ShiftWindowMSA.window_reverse`` does.

    Args:
        windows (Tensor): (B * number of windows, size, size, C).
        height (int): Height of the map.
        width (int): Width of the map.
        window_size (int): Side of a window.

    Returns:
        Tensor: (B, height, width, C).
    """
    rows, columns = height // window_size, width // window_size
    x = windows.view(-1, rows, columns, window_size, window_size, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])


@contextlib.contextmanager
def _open_batch() -> Iterator[None]:
    """Keep the batch of a Swin Transformer open, which mmpretrain turns into an int.

    Such a graph would fit batches of the size of its example only. To be removed when
    mmpretrain's ``window_reverse`` has no ``int()`` any more.
    """
    before = ShiftWindowMSA.__dict__['window_reverse']
    ShiftWindowMSA.window_reverse = staticmethod(reverse_windows)
    try:
        yield
    finally:
        ShiftWindowMSA.window_reverse = before


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hide what exporters print and log; errors say enough."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)
