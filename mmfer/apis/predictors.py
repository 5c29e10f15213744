"""Predictors: the models behind ``FERInferencer``, of torch or of another runtime."""

import os
import os.path as osp
from typing import (
    Any,
    Dict,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from mmfer.models.predictions import predict_batch
from mmfer.utils.devices import choose_device

from .calibrated import Calibration, read_calibration
from .checkpoints import load_weights, read_work_dir
from .hub import get_model
from .options import read_classes
from .preparation import FacePreparation, check_image_size
from .results import to_numpy

OWNER = 'FERInferencer'


class Predictor(Protocol):
    """What :class:`FERInferencer` needs of a model: prepared faces in, numbers out.

    Attributes:
        name (str): Name for messages, such as the class of the network.
        preparation (FacePreparation): Makes batches of faces.
        device (torch.device): Where :meth:`predict` computes.
        classes (list[str], optional): Names of the classes, in the order of the
            labels.
        rejection (dict, optional): Thresholds, see
            :func:`~mmfer.apis.thresholds.find_threshold`.
        calibration (Calibration): What :meth:`predict` has applied, and what
            prediction sets are made with.
    """

    name: str
    preparation: FacePreparation
    device: torch.device
    classes: Optional[Sequence[str]]
    calibration: Calibration

    @property
    def rejection(self) -> Optional[dict]:
        """Thresholds of the uncertainty."""

    def predict(self, batch: dict) -> Dict[str, Tensor]:
        """Predict a batch.

        Args:
            batch (dict): What :meth:`FacePreparation.collate` returns: ``inputs``,
                uint8 (B, C, H, W).

        Returns:
            dict[str, Tensor]: ``pred_score`` (B, C), ``uncertainty`` (B,) and
            ``pred_va`` (B, 2), if the model predicts them. They may still be
            computed on a GPU.
        """

    def predict_samples(self, batch: dict) -> list:
        """Predict a batch, and return the data samples of mmpretrain.

        Raises:
            ValueError: This predictor has none.
        """


class TorchPredictor:
    """Predict with a model of torch, as the test run of its config does.

    Args:
        model (str | Config | BaseModel): See :class:`FERInferencer`.
        pretrained (bool | str): See :class:`FERInferencer`.
        device (str | torch.device, optional): See :class:`FERInferencer`.
        classes (str | Sequence[str], optional): See :class:`FERInferencer`.
        image_size (int | tuple[int, int], optional): See :class:`FERInferencer`.
        **kwargs: Options of the model.
    """

    def __init__(
        self,
        model: Union[str, Config, BaseModel],
        pretrained: Union[bool, str] = True,
        device: Union[str, torch.device, None] = None,
        classes: Union[str, Sequence[str], None] = None,
        image_size: Union[int, Tuple[int, int], None] = None,
        **kwargs: Any,
    ):
        if not isinstance(model, (str, Config, BaseModel)):
            raise TypeError(
                'model must be a name, a work dir, a config or a model, got '
                f'{type(model).__name__}'
            )
        if not isinstance(pretrained, (bool, str)):
            raise TypeError(
                f'pretrained must be True, False or a checkpoint, got {pretrained!r}'
            )
        if pretrained == '':
            raise ValueError(
                "pretrained='' names no checkpoint; give pretrained=False for "
                'a model without weights.'
            )
        self.device = choose_device(device)
        names = read_classes(classes)
        size = check_image_size(image_size)
        if isinstance(model, str) and osp.isdir(model):
            model, pretrained = read_work_dir(model, pretrained)
        if not isinstance(model, BaseModel):
            model = get_model(model, pretrained, **kwargs)
        elif isinstance(pretrained, str):
            load_weights(model, pretrained)
        config: Optional[Config] = getattr(model, '_config', None)
        if config is None:
            raise ValueError(
                f'this {type(model).__name__} does not know its config, but the '
                'test pipeline of the config is needed: build the model with '
                'mmfer.get_model(config, checkpoint), or give config and '
                'checkpoint to FERInferencer.'
            )
        self.name = type(model).__name__
        self.config: Config = config
        self.model = model.to(self.device).eval()
        self.calibration = read_calibration(
            getattr(model, 'calibration', None), self.name
        )
        self.preparation = FacePreparation(config, size)
        self.classes: Optional[Sequence[str]] = names
        if names is None:
            self.classes = getattr(model, '_dataset_meta', {}).get('classes')

    @property
    def rejection(self) -> Optional[dict]:
        """Thresholds that were published with the checkpoint."""
        return getattr(self.model, 'rejection', None)

    @torch.inference_mode()
    def predict(self, batch: dict) -> Dict[str, Tensor]:
        """See :class:`Predictor`."""
        # Predictions are read from the model as tensors. A data sample for each image
        # would take more time than all other steps but the model itself.
        if isinstance(batch['inputs'], Tensor) and batch['inputs'].is_pinned():
            batch = dict(
                batch, inputs=batch['inputs'].to(self.device, non_blocking=True)
            )
        inputs = self.model.data_preprocessor(batch)['inputs']
        return self.calibration.apply(predict_batch(self.model, inputs))

    @torch.no_grad()
    def predict_samples(self, batch: dict) -> list:
        """See :class:`Predictor`."""
        return self.model.test_step(batch)


def open_predictor(
    model: Any, pretrained: Any = True, *args: Any, **kwargs: Any
) -> Any:
    """Return the predictor for what a user gives as a model.

    Args:
        model (Any): See :class:`FERInferencer`.
        pretrained (Any): See :class:`FERInferencer`.
        *args: Further arguments of :class:`TorchPredictor`.
        **kwargs: Further arguments of :class:`TorchPredictor`.

    Returns:
        Predictor: For a file that ends in ``.onnx``, one that runs without torch's
        model; else a :class:`TorchPredictor`.
    """
    model, pretrained = (
        os.fspath(given) if isinstance(given, os.PathLike) else given
        for given in (model, pretrained)
    )
    if isinstance(model, str) and model.lower().endswith('.onnx'):
        # It imports this module.
        from .exporting import OnnxPredictor

        return OnnxPredictor(model, pretrained, *args, **kwargs)
    return TorchPredictor(model, pretrained, *args, **kwargs)


class Outputs(NamedTuple):
    """What a predictor returns.

    Attributes:
        classes (int): Number of classes; 0 if it predicts valence and arousal only.
        bounded (bool): Whether uncertainties are one minus the largest probability,
            and so below 1.
    """

    classes: int
    bounded: bool


def check_outputs(predictor: Predictor) -> Outputs:
    """Predict a blank image, so that errors come before the first call.

    Raises:
        ValueError: The model predicts neither classes nor valence and arousal, or
            the number of classes differs from that of the names.
    """
    preparation, network = predictor.preparation, predictor.name
    blank = preparation.blank()
    # Models of other tasks raise errors of any type.
    try:
        batch = preparation.collate([preparation.fit(blank)])
        found = to_numpy(predictor.predict(batch))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f'{OWNER}: {network} of this config predicts nothing '
            f'for a blank image of {blank.shape[0]}x{blank.shape[1]} px '
            f'({type(error).__name__}: {reason}). The model must be an '
            'image classifier; give image_size if it needs images of '
            'another size.'
        ) from error
    if not {'pred_score', 'pred_va'} & set(found):
        raise ValueError(
            f'{OWNER}: {network} of this config predicts neither '
            'classes nor valence and arousal. Give a classifier.'
        )
    if 'pred_score' not in found:
        return Outputs(0, False)
    bounded = 'uncertainty' not in found or bool(
        np.allclose(
            found['uncertainty'], 1 - found['pred_score'].max(axis=1), atol=1e-6
        )
    )
    outputs = found['pred_score'].shape[1]
    classes = predictor.classes
    if classes is not None and len(classes) != outputs:
        some = ', '.join(map(str, classes[:3]))
        some += ', ...' if len(classes) > 3 else ''
        raise ValueError(
            f'{len(classes)} names of classes ({some}) for a model '
            f'of {outputs} classes: give classes=[...] with {outputs} '
            'names, in the order of the labels that it was trained on.'
        )
    return Outputs(outputs, bounded)


def score_names(predictor: Predictor, outputs: Outputs) -> List[str]:
    """Return the keys of ``pred_scores``: the names of the classes, or their numbers.

    Args:
        predictor (Predictor): See above.
        outputs (Outputs): What :func:`check_outputs` has found.
    """
    names = [str(name) for name in predictor.classes or ()]
    # No mapping can have two classes of the same name.
    if outputs.classes and len(set(names)) == outputs.classes:
        return names
    return [str(label) for label in range(outputs.classes)]
