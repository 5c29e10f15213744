"""Network with preparation and calibration inside, which is what is exported."""

from typing import Any, Dict, List, Tuple

import torch
from mmcv.transforms import CenterCrop, Resize
from mmpretrain.datasets.transforms import ResizeEdge
from mmpretrain.models import ImageClassifier
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn

from mmfer.models.heads import least_confidence
from mmfer.models.predictions import BatchPrediction

from ..predictors import TorchPredictor
from ..preparation import FacePreparation

# Names of the outputs of an exported model, and of the predictions of mmfer.
OUTPUTS = dict(
    pred_score='probabilities', uncertainty='uncertainty', pred_va='valence_arousal'
)
INPUT = 'images'


class ExportError(ValueError):
    """Error: a model cannot be exported."""


class ExportedNetwork(nn.Module):
    """Crop, normalise, predict and calibrate images of one size.

    Args:
        predictor (TorchPredictor): The model, on the CPU.

    Attributes:
        input_shape (tuple[int, int, int]): (C, H, W) of an image, before the crop.
        outputs (list[str]): Keys of :data:`OUTPUTS` that the model predicts.
        steps (list[dict]): What remains to be done to an image before: steps with
            ``type`` and options, in order.

    Raises:
        ExportError: The model or its preparation cannot be exported.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, predictor: TorchPredictor):
        super().__init__()
        self.model = predictor.model
        self.calibration = predictor.calibration
        preparation = predictor.preparation
        self.steps = steps_before(preparation)
        self.window: Tuple[slice, ...] = (slice(None), slice(None))
        blank: Any = preparation.fit(preparation.blank())
        if preparation.window is not None:
            self.window = preparation.window
            height, width = blank.shape[:2]
            channels = 1 if blank.ndim == 2 else blank.shape[2]
        else:
            images = preparation.collate([blank])['inputs']
            images = images[0] if isinstance(images, (list, tuple)) else images
            channels, height, width = images.shape[-3:]
        self.input_shape: Tuple[int, int, int] = (channels, height, width)
        self._read_normalisation(self.model.data_preprocessor)
        with torch.inference_mode():
            found = self.predictions(torch.zeros(2, *self.input_shape).byte())
        self.outputs: List[str] = [name for name in OUTPUTS if name in found]

    def _read_normalisation(self, preprocessor: Any) -> None:
        """Take over what a data preprocessor of mmpretrain does to images."""
        if getattr(preprocessor, 'pad_size_divisor', 1) > 1:
            raise ExportError(
                'its data_preprocessor pads images (pad_size_divisor). Resize the '
                'images in the pipeline, and set pad_size_divisor=1.'
            )
        if not hasattr(preprocessor, '_enable_normalize'):
            raise ExportError(
                f'its data_preprocessor is a {type(preprocessor).__name__}. Use '
                'FERDataPreprocessor, or ClsDataPreprocessor of mmpretrain.'
            )
        self.to_rgb = bool(preprocessor.to_rgb) and self.input_shape[0] == 3
        normalises = preprocessor._enable_normalize
        one = torch.ones(1, 1, 1)
        mean = preprocessor.mean.detach().clone() if normalises else 0 * one
        self.register_buffer('mean', mean.cpu())
        std = preprocessor.std.detach().clone() if normalises else one
        self.register_buffer('std', std.cpu())

    def predictions(self, images: Tensor) -> Dict[str, Tensor]:
        """Return the predictions for images.

        Args:
            images (Tensor): uint8 (B, C, H, W), in the order B-G-R.
        """
        rows, columns = self.window
        images = images[:, :, rows, columns].float()
        if self.to_rgb:
            images = images.flip(1)
        found = dict(predict_tensors(self.model, (images - self.mean) / self.std))
        if 'pred_score' in found and 'uncertainty' not in found:
            found['uncertainty'] = least_confidence(found['pred_score'])
        return self.calibration.apply(found)

    def forward(self, images: Tensor) -> Tuple[Tensor, ...]:
        """Return the outputs, in the order of ``outputs``."""
        found = self.predictions(images)
        return tuple(found[name].float() for name in self.outputs)


def predict_tensors(model: Any, inputs: Any) -> Dict[str, Tensor]:
    """Do what ``mmfer.models.predictions.predict_batch`` does, without data samples.

    Args:
        model (nn.Module): A classifier, or a head.
        inputs (Any): Prepared images, or the features that the head takes.

    Raises:
        ExportError: The model or head has a ``predict`` of its own, which makes data
            samples. No graph has these.
    """
    method = getattr(type(model), 'predict', None)
    if method is BatchPrediction.predict:
        return model.predict_batch(inputs)
    if method is ImageClassifier.predict:
        return predict_tensors(model.head, model.extract_feat(inputs))
    if (
        method is ClsHead.predict
        and type(model)._get_predictions is ClsHead._get_predictions
    ):
        logits = model(inputs)
        if isinstance(logits, Tensor):
            return dict(pred_score=logits.float().softmax(dim=1))
    raise ExportError(
        f'{type(model).__name__} makes its predictions in a way of its own. Write a '
        'predict_batch that returns pred_score and uncertainty (see '
        'mmfer.models.predictions.BatchPrediction).'
    )


def steps_before(preparation: FacePreparation) -> List[dict]:
    """Return the steps of a preparation that stay outside of the exported network.

    A centre crop and the normalisation are inside. Resizing is not: no operator of
    ONNX computes what OpenCV computes.

    Args:
        preparation (FacePreparation): That of the model.

    Raises:
        ExportError: There is a step that cannot be described.
    """
    if preparation.window is not None:
        return [describe_step(preparation.resize)] if preparation.resize else []
    steps = list(preparation.pipeline.transforms)
    if steps and type(steps[-1]).__name__ in ('PackFERInputs', 'PackInputs'):
        steps.pop()
    return [describe_step(step) for step in steps]


def describe_step(step: Any) -> dict:
    """Return type and options of a step.

    Args:
        step (BaseTransform): Step of a pipeline.

    Raises:
        ExportError: It is none of those that a reader of the file knows.
    """
    kind = type(step)
    if kind is Resize and step.scale is not None and not step.keep_ratio:
        return dict(
            type='Resize',
            scale=list(step.scale),
            interpolation=step.interpolation,
            backend=step.backend,
        )
    if kind is ResizeEdge:
        return dict(
            type='ResizeEdge',
            scale=int(step.scale),
            edge=step.edge,
            interpolation=step.interpolation,
            backend=step.backend,
        )
    if kind is CenterCrop and not step.auto_pad:
        return dict(type='CenterCrop', crop_size=list(step.crop_size))
    raise ExportError(
        f'the step {kind.__name__} of its test pipeline has no place in an ONNX file. '
        'Steps that have are Resize without keep_ratio, ResizeEdge and CenterCrop '
        'without padding.'
    )
