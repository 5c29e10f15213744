"""The image classifier that finds its feature sizes by itself."""
import inspect
from typing import Optional, Union

import torch
import torch.nn as nn
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import Tensor

from mmfer.registry import MODELS

from .latent_compensation import probe
from .pretrained import CheckedPretrained
from .uncertainty_neck import as_map, last_feature


@MODELS.register_module()
class FERDataPreprocessor(ClsDataPreprocessor):
    """``ClsDataPreprocessor`` that also knows the shape of its images.

    A data-set base config says here all a model must know about its input,
    so that any model base combines with any data-set base.

    Args:
        input_shape (tuple[int, int, int]): (C, H, W) of a prepared image.
        num_classes (int): Number of classes.
        **kwargs: See mmpretrain's ``ClsDataPreprocessor``.
    """

    def __init__(self,
                 input_shape=(3, 224, 224),
                 num_classes: Optional[int] = None,
                 **kwargs):
        super().__init__(num_classes=num_classes, **kwargs)
        self.input_shape = tuple(input_shape)


@MODELS.register_module()
class FERClassifier(CheckedPretrained, ImageClassifier):
    """``ImageClassifier`` whose neck and head fit any backbone.

    ``in_channels`` and ``map_size`` of neck and head, and the head's
    ``num_classes``, are found where the config leaves them out: the backbone
    is run once on a blank image of ``data_preprocessor.input_shape``. So
    ``model.backbone=dict(_delete_=True, type=...)`` is all that changes a
    backbone.

    Args:
        backbone, neck, head, pretrained, train_cfg, data_preprocessor,
            init_cfg: See mmpretrain's ``ImageClassifier``.
        latent_compensation (dict, optional): Config of
            :class:`LatentCompensation`. Defaults to None.
        channels_last (bool): Keep images and convolution weights in
            channels-last order, which is faster on CPUs and with mixed
            precision. Numbers change in the last digits. Defaults to False.
        partial_weights (bool): Whether pretrained weights may leave tensors
            of the backbone at their random values, as those of layers that
            it has beside the published ones; see
            :func:`~mmfer.models.pretrained.check_pretrained`. Defaults to
            False.
    """

    def __init__(self,
                 backbone: Union[dict, nn.Module],
                 neck: Union[dict, nn.Module, None] = None,
                 head: Union[dict, nn.Module, None] = None,
                 pretrained: Optional[str] = None,
                 train_cfg: Optional[dict] = None,
                 data_preprocessor: Union[dict, nn.Module, None] = None,
                 latent_compensation: Optional[dict] = None,
                 channels_last: bool = False,
                 partial_weights: bool = False,
                 init_cfg: Optional[dict] = None):
        data_preprocessor = build_data_preprocessor(data_preprocessor,
                                                    train_cfg)
        example = blank_images(data_preprocessor)
        shape = example.shape[1:]

        grey_to_colour = False
        if isinstance(backbone, dict):
            grey_to_colour = shape[0] == 1 and not takes_channels(backbone)
            backbone = build_backbone(backbone, shape[0])
        if grey_to_colour:
            example = example.expand(-1, 3, -1, -1)
        feats = run_backbone(backbone, example)
        if isinstance(neck, dict):
            neck = MODELS.build(fill_sizes(neck, feats))
        if neck is not None:
            feats = probe(neck, feats)
        if isinstance(head, dict):
            head = dict(head)
            if accepts(head, 'num_classes') and 'num_classes' not in head:
                if getattr(data_preprocessor, 'num_classes', None) is None:
                    raise ValueError(
                        f'{head["type"]} needs num_classes: set it in '
                        'data_preprocessor (the data set base does) or in '
                        'the head.')
                head['num_classes'] = data_preprocessor.num_classes
            head = MODELS.build(fill_sizes(head, feats))

        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            pretrained=pretrained,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg)

        if latent_compensation is not None:
            self.latent_compensation = MODELS.build(
                dict(dict(type='LatentCompensation'), **latent_compensation))
            self.latent_compensation.attach(self.backbone, example)
        self.grey_to_colour = grey_to_colour
        self.channels_last = channels_last
        self.partial_weights = partial_weights
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def extract_feat(self, inputs: Tensor, stage: str = 'neck'):
        """See mmpretrain's ``ImageClassifier.extract_feat``."""
        if self.grey_to_colour:
            inputs = inputs.expand(-1, 3, -1, -1)
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return super().extract_feat(inputs, stage)

    def init_weights(self) -> None:
        """Initialise; raise if pretrained weights are absent or do not fit.

        A training begins with this, so it says where latent compensation
        sits.
        """
        if hasattr(self, 'latent_compensation'):
            print_log(
                'Latent compensation after: ' +
                ', '.join(self.latent_compensation.layers),
                logger='current')
        super().init_weights()


def build_data_preprocessor(
        data_preprocessor: Union[dict, nn.Module, None],
        train_cfg: Optional[dict] = None) -> nn.Module:
    """Build it unless it is built, ``FERDataPreprocessor`` by default."""
    if isinstance(data_preprocessor, nn.Module):
        return data_preprocessor
    return MODELS.build(
        dict(
            dict(type='FERDataPreprocessor', batch_augments=train_cfg),
            **(data_preprocessor or {})))


def blank_images(data_preprocessor: nn.Module) -> torch.Tensor:
    """Zeros of the prepared images' shape, (2, C, H, W).

    Two images: batch statistics of one are undefined.
    """
    shape = getattr(data_preprocessor, 'input_shape', (3, 224, 224))
    return torch.zeros(2, *shape)


def build_backbone(cfg: dict, channels: int) -> nn.Module:
    """Build a backbone for images of ``channels`` channels.

    Args:
        cfg (dict): ``in_channels`` is filled in when the images are not
            three-channel and the backbone takes it.
        channels (int): Channels of an image.
    """
    cfg = dict(cfg)
    if channels != 3 and takes_channels(cfg):
        cfg.setdefault('in_channels', channels)
    return MODELS.build(cfg)


def takes_channels(cfg: dict) -> bool:
    """Whether the backbone can be built for other than colour images.

    VGG and the mobile networks of mmpretrain cannot; they see a grey image
    three times.
    """
    # ResNet's subclasses hand keyword arguments on.
    return any('in_channels' in inspect.signature(cls).parameters
               for cls in inspect.getmro(get_class(cfg))
               if issubclass(cls, nn.Module) and cls is not nn.Module)


def run_backbone(backbone: nn.Module, example: Tensor):
    """Features of a blank image, or a clear error if shapes do not fit."""
    try:
        return probe(backbone, example)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(
            f'{type(backbone).__name__} cannot process images of shape '
            f'{tuple(example.shape[1:])} (data_preprocessor.input_shape): '
            f'{error}. Choose a data set base with larger or three-channel '
            'images, or options of the backbone that allow these (Swin at '
            'small sizes needs pad_small_map=True, for example).') from error


def fill_sizes(cfg: dict, feats) -> dict:
    """Add ``in_channels`` and ``map_size`` where the class takes them."""
    # A neck's NamedTuple or a backbone's scales; all necks here hand on
    # tensors of one width.
    feature = as_map(last_feature(feats))
    sizes = dict(
        in_channels=feature.shape[1], map_size=tuple(feature.shape[2:]))
    missing = {
        name: size
        for name, size in sizes.items()
        if name not in cfg and accepts(cfg, name)
    }
    return dict(cfg, **missing)


def accepts(cfg: dict, argument: str) -> bool:
    """Whether the class that ``cfg`` names takes ``argument`` by name."""
    return argument in inspect.signature(get_class(cfg)).parameters


def get_class(cfg: dict) -> type:
    """The class that ``cfg`` names."""
    if inspect.isclass(cfg['type']):
        return cfg['type']
    cls = MODELS.get(cfg['type'])
    if cls is None:
        raise KeyError(f'{cfg["type"]!r} is no model of mmfer, mmpretrain or '
                       'mmengine; check the spelling.')
    return cls
