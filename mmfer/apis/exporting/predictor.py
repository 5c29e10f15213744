"""Predict with an exported file, without the model of torch."""

import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from mmfer.utils.devices import choose_device

from ..options import read_classes
from ..preparation import check_image_size
from .metadata import ForeignFileError, Metadata, read_metadata
from .network import INPUT, OUTPUTS
from .packages import require

# Operators with graphs inside, which exported networks never have. A loop in a hostile
# file might never end.
CONTROL_FLOW = ('Loop', 'Scan', 'If', 'SequenceMap')


class OnnxPredictor:
    """Predict with an ONNX file that ``mmfer export`` has written.

    It implements :class:`~mmfer.apis.predictors.Predictor`. A file computes, but reads
    and writes no other files.

    Args:
        path (str): The file.
        pretrained (bool | str): Must be True: the weights are in the file.
        device (str | torch.device, optional): A GPU needs onnxruntime-gpu. Defaults
            to a GPU if onnxruntime can use one, else to the CPU.
        classes (str | Sequence[str], optional): Names of the classes, which replace
            those of the file.
        image_size (int | tuple[int, int], optional): Must be that of the file.
        **kwargs: Options of a model, which a file cannot have.

    Raises:
        ForeignFileError: The file was not written by mmfer, or was changed.
        ImportError: onnx or onnxruntime is not installed.
        ValueError: The file does not exist, or an argument does not fit it.
    """

    def __init__(
        self,
        path: str,
        pretrained: Union[bool, str] = True,
        device: Union[str, torch.device, None] = None,
        classes: Union[str, Sequence[str], None] = None,
        image_size: Union[int, Tuple[int, int], None] = None,
        **kwargs: Any,
    ):
        if pretrained is not True or kwargs:
            named = ['pretrained (on the command line: --checkpoint)']
            given = ', '.join(named * (pretrained is not True) + list(kwargs))
            raise ValueError(
                f'{path}: weights and options are fixed in an ONNX file, so leave out '
                f'{given}.'
            )
        names, size = read_classes(classes), check_image_size(image_size)
        data = read_file(path)
        self.metadata = inspect_file(data, path)
        if size is not None and size != self.metadata.input_shape[1:]:
            raise ValueError(
                f'{path}: image_size={size} differs from that of the ONNX file, '
                f'{self.metadata.input_shape[1:]}. Leave image_size out, or export the '
                'model again.'
            )
        self.device, providers = choose_providers(device)
        self.session = start_session(data, path, providers)
        self.name = f'{osp.basename(path)} ({self.metadata.name})'
        self.classes: Optional[Sequence[str]] = names or self.metadata.classes
        self.calibration = self.metadata.stored_calibration(path)
        self.preparation = self.metadata.preparation()
        self.outputs = [output.name for output in self.session.get_outputs()]

    @property
    def rejection(self) -> Optional[dict]:
        """Thresholds that were exported with the model."""
        return self.metadata.rejection

    @property
    def model(self) -> Any:
        """There is no model of torch."""
        raise AttributeError('an ONNX file has no model of torch')

    @property
    def config(self) -> Any:
        """There is no config."""
        raise AttributeError('an ONNX file has no config')

    def predict(self, batch: dict) -> Dict[str, Tensor]:
        """See :class:`~mmfer.apis.predictors.Predictor`."""
        images = batch['inputs']
        if not isinstance(images, Tensor):
            images = torch.stack(list(images))
        # onnxruntime raises errors of several types for a graph that it cannot run.
        try:
            values = self.session.run(None, {INPUT: images.cpu().numpy()})
        except Exception as error:
            reason = (str(error).splitlines() or [''])[0][:160]
            raise ForeignFileError(
                f'{self.name}: onnxruntime cannot run the file ({reason}). Export the '
                'model again.'
            ) from None
        found = dict(zip(self.outputs, map(torch.from_numpy, values), strict=True))
        return {key: found[name] for key, name in OUTPUTS.items() if name in found}

    def predict_samples(self, batch: dict) -> list:
        """Refuse: data samples are made by a model of torch."""
        raise ValueError(
            f'{self.name}: an ONNX file predicts dicts only; leave out '
            'return_datasamples=True.'
        )


def read_file(path: str) -> bytes:
    """Return the content of a file that a user names.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(
            f'{path}: the ONNX file cannot be read ({error.strerror or error}).'
        ) from None


def inspect_file(data: bytes, path: str) -> Metadata:
    """Check that a file is one of mmfer, before any of it is run.

    Args:
        data (bytes): Its content.
        path (str): Its path, for messages.

    Raises:
        ForeignFileError: It is not.
    """
    onnx = require('onnx')
    # Decoder and messages raise errors of any type for damaged bytes.
    try:
        return _inspect(onnx.load_from_string(data), path)
    except ForeignFileError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [''])[0][:80]
        raise ForeignFileError(
            f'{path}: this is no ONNX file, or it is damaged '
            f'({type(error).__name__}: {reason}). Export the model again.'
        ) from None


def _inspect(model: Any, path: str) -> Metadata:
    """Check a decoded file; see :func:`inspect_file`."""
    entries = {entry.key: entry.value for entry in model.metadata_props}
    metadata = read_metadata(entries, path)
    foreign = foreign_parts(model)
    if foreign:
        raise ForeignFileError(
            f'{path}: the file has {foreign}, which mmfer never writes, so it was '
            'changed. Export the model again.'
        )
    check_signature(model.graph, metadata, path)
    return metadata


def foreign_parts(model: Any) -> Optional[str]:
    """Return what an exported network never has; None if there is nothing.

    Args:
        model (onnx.ModelProto): The file.
    """
    if len(model.functions):
        return 'functions of its own'
    tensors = list(model.graph.initializer)
    if len(model.graph.sparse_initializer):
        return 'sparse weights'
    for node in model.graph.node:
        if node.domain not in ('', 'ai.onnx') or node.op_type in CONTROL_FLOW:
            return f'the operator {node.domain}{"." * bool(node.domain)}{node.op_type}'
        for attribute in node.attribute:
            if attribute.HasField('g') or len(attribute.graphs):
                return f'a graph inside of the operator {node.op_type}'
            tensors += [attribute.t, *attribute.tensors]
    # External data would be read from a path that the file chooses.
    if any(t.data_location == t.EXTERNAL or len(t.external_data) for t in tensors):
        return 'weights in another file'
    return None


def check_signature(graph: Any, metadata: Metadata, path: str) -> None:
    """Compare input and outputs of a graph with the metadata.

    Args:
        graph (onnx.GraphProto): The graph.
        metadata (Metadata): What the file says.
        path (str): The file, for messages.

    Raises:
        ForeignFileError: They differ.
    """
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    names = [value.name for value in graph.output]
    found = [
        (value.name, value.type.tensor_type.elem_type, _sides(value))
        for value in inputs
    ]
    # 2 is the code of uint8.
    if found != [(INPUT, 2, list(metadata.input_shape))]:
        raise ForeignFileError(
            f'{path}: its input is not the one that its metadata states, uint8 images '
            f'(B, {", ".join(map(str, metadata.input_shape))}). Export the model again.'
        )
    known = list(OUTPUTS.values())
    if names not in (known[:2], known, known[2:]):
        raise ForeignFileError(
            f'{path}: its outputs are {", ".join(names)[:80]}, not those of mmfer '
            f'({", ".join(known)}). Export the model again.'
        )


def _sides(value: Any) -> List[int]:
    """Return all sides of an input but the first; 0 for one that is open."""
    return [side.dim_value for side in value.type.tensor_type.shape.dim][1:]


def choose_providers(
    device: Union[str, torch.device, None],
) -> Tuple[torch.device, List[str]]:
    """Return the device, and the providers of onnxruntime that use it.

    Args:
        device (str | torch.device, optional): See :class:`OnnxPredictor`.

    Raises:
        ValueError: onnxruntime cannot use this device.
    """
    runtime = require('onnxruntime')
    chosen = choose_device(device)
    if chosen.type == 'cuda' and 'CUDAExecutionProvider' in (
        runtime.get_available_providers()
    ):
        return chosen, ['CUDAExecutionProvider', 'CPUExecutionProvider']
    if device is not None and chosen.type != 'cpu':
        raise ValueError(
            f'device={str(device)!r}: this onnxruntime computes on the CPU only. '
            'Install onnxruntime-gpu, or give device="cpu".'
        )
    return torch.device('cpu'), ['CPUExecutionProvider']


def start_session(data: bytes, path: str, providers: Sequence[str]) -> Any:
    """Start onnxruntime with a file.

    Args:
        data (bytes): Content of the file. Its path is not given to onnxruntime, which
            then reads nothing beside it.
        path (str): Its path, for messages.
        providers (Sequence[str]): See :func:`choose_providers`.

    Raises:
        ForeignFileError: onnxruntime refuses it.
    """
    runtime = require('onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Its warnings are about graphs, not about users.
    options.log_severity_level = 3
    try:
        # The fallback of onnxruntime prints errors, and tries the same again.
        return runtime.InferenceSession(
            data, options, providers=list(providers), enable_fallback=0
        )
    except Exception as error:
        reason = (str(error).splitlines() or [''])[0][:160]
        raise ForeignFileError(
            f'{path}: onnxruntime {runtime.__version__} refuses this file ({reason}). '
            'Export the model again, or update onnxruntime.'
        ) from None
