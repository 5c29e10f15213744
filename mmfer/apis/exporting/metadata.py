"""Metadata of an exported file: written, read and checked."""

import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from mmengine.config import Config

from mmfer.utils.checks import is_whole
from mmfer.version import __version__

from ..calibrated import Calibration, read_calibration
from ..preparation import FacePreparation

# Version of the layout of the metadata.
FORMAT = 1
ORDERS = {1: 'grey', 3: 'BGR'}
INTERPOLATIONS = ('nearest', 'bilinear', 'bicubic', 'area', 'lanczos')
BACKENDS = ('cv2', 'pillow')
# Largest side of an image. Numbers of a hostile file must not fill the memory.
LARGEST_SIDE = 4096


class Metadata(NamedTuple):
    """Metadata of an exported file, which describe its model.

    Attributes:
        input_shape (tuple[int, int, int]): (C, H, W) of an image.
        steps (list[dict]): Steps before, see
            :func:`~.network.steps_before`; without any, images of another size are
            resized to (H, W), by area if they shrink, else bilinearly.
        classes (list[str], optional): Names of the classes.
        opset (int): Version of the operators.
        calibration (dict, optional): Its temperature is applied inside.
        rejection (dict, optional): Thresholds of the uncertainty.
        name (str): Class of the network.
    """

    input_shape: Tuple[int, int, int]
    steps: List[dict]
    classes: Optional[List[str]]
    opset: int
    calibration: Optional[dict] = None
    rejection: Optional[dict] = None
    name: str = 'model'

    def entries(self) -> Dict[str, str]:
        """Return the metadata as texts, by name; those but the version are JSON."""
        channels, height, width = self.input_shape
        found: Dict[str, Any] = dict(
            mmfer_format=FORMAT,
            channel_order=ORDERS[channels],
            image_size=[height, width],
            steps_before=self.steps,
            classes=self.classes,
            opset=self.opset,
            name=self.name,
            calibration=self.calibration,
            rejection=self.rejection,
        )
        texts = {key: json.dumps(value) for key, value in found.items()}
        return dict(mmfer_version=__version__, **texts)

    def preparation(self) -> FacePreparation:
        """Return what makes inputs of the file from images of any size."""
        channels, height, width = self.input_shape
        color_type = 'grayscale' if channels == 1 else 'color'
        # JSON has no tuples, which the steps of mmcv ask for.
        steps = [
            {key: tuple(v) if isinstance(v, list) else v for key, v in step.items()}
            for step in self.steps
        ]
        pipeline = [
            dict(type='LoadFERImage', color_type=color_type),
            *steps,
            dict(type='PackFERInputs'),
        ]
        return FacePreparation(
            Config(
                dict(
                    image_size=(height, width),
                    test_dataloader=dict(dataset=dict(pipeline=pipeline)),
                )
            )
        )

    def stored_calibration(self, owner: str) -> Calibration:
        """Return the calibration for prediction sets; the temperature is inside.

        Args:
            owner (str): Name of the file.
        """
        return read_calibration(self.calibration, owner)


class ForeignFileError(ValueError):
    """Error: an ONNX file is not one of mmfer, or was changed."""


def read_metadata(entries: Dict[str, str], path: str) -> Metadata:
    """Read and check the metadata of a file.

    Args:
        entries (dict[str, str]): Metadata properties of the file.
        path (str): The file, for messages.

    Raises:
        ForeignFileError: They are missing, or not what mmfer writes.
    """
    if 'mmfer_format' not in entries:
        raise ForeignFileError(
            f'{path}: this ONNX file was not written by mmfer: it does not say how '
            'images are prepared. Write one with mmfer export MODEL --onnx FILE.'
        )
    try:
        found = {
            key: json.loads(text)
            for key, text in entries.items()
            if key != 'mmfer_version'
        }
        if found['mmfer_format'] != FORMAT:
            raise ForeignFileError(
                f'{path}: it has the format {str(found["mmfer_format"])[:20]} of mmfer '
                f'{entries.get("mmfer_version", "?")[:20]}; this mmfer reads {FORMAT}. '
                'Export the model again.'
            )
        size, classes = found['image_size'], found.get('classes')
        _require(isinstance(size, list) and len(size) == 2, 'image_size')
        _require(all(_is_side(side) for side in size), 'image_size')
        channels = {order: c for c, order in ORDERS.items()}[found['channel_order']]
        _require(
            classes is None
            or (isinstance(classes, list) and all(isinstance(c, str) for c in classes)),
            'classes',
        )
        for key in ('calibration', 'rejection'):
            _require(isinstance(found.get(key), (dict, type(None))), key)
        steps = found['steps_before']
        _require(isinstance(steps, list) and len(steps) <= 8, 'steps_before')
        for step in steps:
            _check_step(step)
        return Metadata(
            (channels, int(size[0]), int(size[1])),
            steps,
            classes,
            int(found['opset']),
            found.get('calibration'),
            found.get('rejection'),
            str(found.get('name', 'model')),
        )
    except ForeignFileError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ForeignFileError(
            f'{path}: its metadata is not what mmfer writes '
            f'({type(error).__name__}: {str(error)[:80]}). Export the model again.'
        ) from None


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _is_side(value: Any) -> bool:
    return is_whole(value) and 0 < value <= LARGEST_SIDE


def _check_step(step: Any) -> None:
    """Raise ValueError unless a step has a known type, and options in range."""
    options = dict(step)
    kind = options.pop('type')
    if kind == 'CenterCrop':
        sizes = options.pop('crop_size')
    elif kind in ('Resize', 'ResizeEdge'):
        _require(options.pop('interpolation') in INTERPOLATIONS, 'interpolation')
        _require(options.pop('backend') in BACKENDS, 'backend')
        sizes = options.pop('scale')
        if kind == 'ResizeEdge':
            _require(options.pop('edge') in ('short', 'long', 'width', 'height'), kind)
            sizes = [sizes, sizes]
    else:
        raise ValueError(f'unknown step {str(kind)[:40]}')
    _require(isinstance(sizes, list) and len(sizes) == 2, kind)
    _require(all(_is_side(side) for side in sizes) and not options, kind)
