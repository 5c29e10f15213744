"""Write an ONNX file of a model, after it was compared with torch."""

import os
import os.path as osp
from typing import Callable, Iterator, NamedTuple, Optional, Tuple

import cv2
import numpy as np
import torch

from mmfer.utils.files import write_atomic

from ..predictors import TorchPredictor
from .conversion import OPSET, to_onnx
from .metadata import ORDERS, Metadata
from .network import INPUT, OUTPUTS, ExportedNetwork, ExportError
from .predictor import inspect_file, start_session

# Number of images on which a file is compared with torch.
CHECK_IMAGES = 1000
# Largest difference of a probability; of other numbers, relative to those above 1.
TOLERANCE = 1e-5
# Sizes of the batches, in turn: a graph may depend on the size of its example.
BATCH_SIZES = (1, 2, 3, 32)
# Largest file of protobuf.
LARGEST = 2**31 - 1


class Exported(NamedTuple):
    """Result of an export.

    Attributes:
        path (str): The file.
        bytes (int): Its size.
        opset (int): Version of the operators.
        input_shape (tuple[int, int, int]): (C, H, W) of an image.
        outputs (tuple[str, ...]): Names of the outputs.
        images (int): Number of images on which it was compared with torch.
        difference (float): Largest difference.
    """

    path: str
    bytes: int
    opset: int
    input_shape: Tuple[int, int, int]
    outputs: Tuple[str, ...]
    images: int
    difference: float


def export_onnx(
    predictor: TorchPredictor,
    path: str,
    images: int = CHECK_IMAGES,
    progress: Optional[Callable[[int, int], None]] = None,
) -> Exported:
    """Write an ONNX file of a model.

    The file takes uint8 images (B, C, H, W) before the centre crop, and returns
    probabilities, uncertainty, and valence and arousal, as :class:`FERInferencer`
    does: crop, normalisation and temperature are inside. It is written only if it
    agrees with torch.

    Args:
        predictor (TorchPredictor): The model, on the CPU.
        path (str): File to write.
        images (int): Number of images on which the file is compared with torch.
            Defaults to 1000.
        progress (Callable, optional): Called with the number of images that were
            compared, and the number of all.

    Raises:
        ExportError: The model cannot be exported, or the file disagrees with torch.
            Nothing is written.
        ImportError: A package of the extra ``[onnx]`` is not installed.
        OSError: The file cannot be written.
    """
    check_target(path)
    network = ExportedNetwork(predictor).eval()
    if network.input_shape[0] not in ORDERS:
        raise ExportError(
            f'its images have {network.input_shape[0]} channels; files of mmfer have '
            '1 or 3.'
        )
    metadata = Metadata(
        network.input_shape,
        network.steps,
        None if predictor.classes is None else [str(c) for c in predictor.classes],
        OPSET,
        getattr(predictor.model, 'calibration', None),
        predictor.rejection,
        predictor.name,
    )
    model = to_onnx(network)
    for key, text in metadata.entries().items():
        model.metadata_props.add(key=key, value=text)
    if model.ByteSize() > LARGEST:
        raise ExportError(
            f'the file would have {model.ByteSize() / 2**30:.1f} GiB, and ONNX files '
            'have less than 2. Use the checkpoint.'
        )
    data = model.SerializeToString()
    inspect_file(data, path)
    difference = compare(predictor, network, data, path, images, progress)
    write_atomic(path, data)
    return Exported(
        path,
        len(data),
        OPSET,
        network.input_shape,
        tuple(OUTPUTS[name] for name in network.outputs),
        images,
        difference,
    )


def check_target(path: str) -> None:
    """Raise unless a file of this name can be written.

    Args:
        path (str): File that a user names.

    Raises:
        ValueError: Its name does not end in .onnx, by which ``FERInferencer`` knows
            it; or it is a folder.
        OSError: The folder cannot be made, or must not be written to.
    """
    if not path.lower().endswith('.onnx') or osp.isdir(path):
        raise ValueError(
            f'--onnx {path}: the name of the file must end in .onnx, and must not be '
            'that of a folder.'
        )
    folder = osp.dirname(osp.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OSError(
            f'--onnx {path}: the folder {folder} cannot be made '
            f'({error.strerror or error}). Name another file.'
        ) from None
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f'--onnx {path}: no permission to write to {folder}. Name another file.'
        )


def compare(
    predictor: TorchPredictor,
    network: ExportedNetwork,
    data: bytes,
    path: str,
    images: int,
    progress: Optional[Callable[[int, int], None]] = None,
) -> float:
    """Compare a file with the model of torch, as :class:`FERInferencer` runs both.

    Args:
        predictor (TorchPredictor): The model.
        network (ExportedNetwork): Its network, for shape and names.
        data (bytes): Content of the file.
        path (str): Its path, for messages.
        images (int): Number of images.
        progress (Callable, optional): See :func:`export_onnx`.

    Returns:
        float: Largest difference; see :data:`TOLERANCE`.

    Raises:
        ExportError: It is too large.
    """
    session = start_session(data, path, ['CPUExecutionProvider'])
    rows, columns = network.window
    largest, done = 0.0, 0
    if progress is not None:
        progress(0, images)
    for batch in made_batches(images, network.input_shape):
        cropped = np.ascontiguousarray(batch[:, :, rows, columns])
        expected = predictor.predict(dict(inputs=torch.from_numpy(cropped)))
        found = session.run(None, {INPUT: batch})
        for name, values in zip(network.outputs, found, strict=True):
            if name == 'uncertainty' and name not in expected:
                wanted = 1 - expected['pred_score'].double().numpy().max(axis=1)
            else:
                wanted = expected[name].double().numpy()
            scale = np.maximum(np.abs(wanted), 1)
            difference = float((np.abs(values - wanted) / scale).max())
            if not difference <= TOLERANCE:
                raise ExportError(
                    f'the ONNX graph and torch disagree: {OUTPUTS[name]} differ by '
                    f'{difference:.2g}, more than {TOLERANCE:g}. Nothing was written.'
                )
            largest = max(largest, difference)
        done += len(batch)
        if progress is not None:
            progress(done, images)
    return largest


def made_batches(
    images: int, shape: Tuple[int, int, int], seed: int = 0
) -> Iterator[np.ndarray]:
    """Yield made images of many contrasts: blobs like faces, noise, black and white.

    Args:
        images (int): Number of all images.
        shape (tuple[int, int, int]): (C, H, W).
        seed (int): Seed. Defaults to 0.

    Yields:
        np.ndarray: uint8 (B, C, H, W), with B of :data:`BATCH_SIZES`.
    """
    generator = np.random.default_rng(seed)
    channels, height, width = shape
    number = turn = 0
    while number < images:
        size = min(BATCH_SIZES[turn % len(BATCH_SIZES)], images - number)
        batch = np.empty((size, *shape), np.uint8)
        for image in batch:
            cells = int(generator.integers(2, 13))
            coarse = generator.normal(size=(cells, cells, channels))
            smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
            smooth = smooth.reshape(height, width, channels).transpose(2, 0, 1)
            level, contrast = generator.uniform(0, 255), generator.uniform(0, 90)
            noise = generator.normal(size=shape) * generator.choice([0, 5, 60])
            image[:] = (level + contrast * smooth + noise).clip(0, 255)
        if number == 0:
            batch[0] = 0
        elif turn == 1:
            batch[0] = 255
        yield batch
        number += size
        turn += 1
