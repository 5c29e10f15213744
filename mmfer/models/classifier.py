"""The image classifier that finds its feature sizes by itself."""

import inspect
from typing import Callable, List, NamedTuple, Optional, Set, Tuple, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.models import ImageClassifier
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import Tensor

from mmfer.models.utils import as_map, last_feature, probe
from mmfer.registry import MODELS

from .latent_compensation import has_channels_last
from .pretrained import CheckedPretrained


@MODELS.register_module()
class FERDataPreprocessor(ClsDataPreprocessor):
    """``ClsDataPreprocessor`` that also knows the shape of its images.

    A data-set base config says here all a model must know about its input,
    so that any model base combines with any data-set base. A config of
    mmpretrain, whose ``data_preprocessor`` has no ``type``, gets this one in
    an :class:`FERClassifier`; only ``input_shape`` is to be added where the
    images are not of 224 px.

    Args:
        input_shape (tuple[int, int, int]): (C, H, W) of a prepared image.
        num_classes (int): Number of classes.
        **kwargs: See mmpretrain's ``ClsDataPreprocessor``.
    """

    def __init__(
        self, input_shape=(3, 224, 224), num_classes: Optional[int] = None, **kwargs
    ):
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

    def __init__(
        self,
        backbone: Union[dict, nn.Module],
        neck: Union[dict, nn.Module, None] = None,
        head: Union[dict, nn.Module, None] = None,
        pretrained: Optional[str] = None,
        train_cfg: Optional[dict] = None,
        data_preprocessor: Union[dict, nn.Module, None] = None,
        latent_compensation: Optional[dict] = None,
        channels_last: bool = False,
        partial_weights: bool = False,
        init_cfg: Optional[dict] = None,
    ):
        data_preprocessor = build_data_preprocessor(data_preprocessor, train_cfg)
        example = blank_images(data_preprocessor)
        image_shape = tuple(example.shape[1:])
        channels = image_shape[0]

        backbone_cfg, grey_to_colour = None, False
        if isinstance(backbone, dict):
            backbone_cfg = backbone
            grey_to_colour = channels == 1 and not takes_channels(backbone)
            backbone = build_backbone(backbone, channels)
        fitting, feats = fit_images(backbone, example, grey_to_colour, backbone_cfg)
        example = fitting(example)
        if isinstance(neck, dict):
            neck = MODELS.build(
                fill_sizes(neck, feats, feature_channels(backbone, feats, example))
            )
        if neck is not None:
            feats = probe(neck, feats)
        if isinstance(head, dict):
            head = dict(head)
            if accepts(head, 'num_classes') and 'num_classes' not in head:
                if getattr(data_preprocessor, 'num_classes', None) is None:
                    raise ValueError(
                        f'{head["type"]} needs num_classes: set it in '
                        'data_preprocessor (the data set base does) or in '
                        'the head.'
                    )
                head['num_classes'] = data_preprocessor.num_classes
            head = MODELS.build(fill_sizes(head, feats))

        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            pretrained=pretrained,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )

        if latent_compensation is not None:
            self.latent_compensation = MODELS.build(
                dict(dict(type='LatentCompensation'), **latent_compensation)
            )
            self.latent_compensation.attach(self.backbone, example)
        self.fitting = fitting
        self.image_shape = image_shape
        self.channels_last = channels_last
        self.partial_weights = partial_weights
        if channels_last:
            self.to(memory_format=torch.channels_last)

    def extract_feat(self, inputs: Tensor, stage: str = 'neck'):
        """See mmpretrain's ``ImageClassifier.extract_feat``."""
        if stage == 'neck' and hasattr(self.neck, 'map_size'):
            check_shape(inputs, self.image_shape)
        inputs = self.fitting(inputs)
        if self.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return super().extract_feat(inputs, stage)

    def init_weights(self) -> None:
        """Initialise; raise if pretrained weights are absent or do not fit.

        A training begins with this, so it says where latent compensation
        sits, and what is done to images that the backbone cannot take.
        """
        if any(self.fitting.padding):
            print_log(
                f'{type(self.backbone).__name__} cannot process the images '
                'in their size: zeros are added at the edges, (left, right, '
                f'top, bottom) = {self.fitting.padding} px.',
                logger='current',
            )
        if hasattr(self, 'latent_compensation'):
            print_log(
                'Latent compensation after: '
                + ', '.join(self.latent_compensation.layers),
                logger='current',
            )
        super().init_weights()


def build_data_preprocessor(
    data_preprocessor: Union[dict, nn.Module, None], train_cfg: Optional[dict] = None
) -> nn.Module:
    """Build it unless it is built, ``FERDataPreprocessor`` by default."""
    if isinstance(data_preprocessor, nn.Module):
        return data_preprocessor
    return MODELS.build(
        dict(
            dict(type='FERDataPreprocessor', batch_augments=train_cfg),
            **(data_preprocessor or {}),
        )
    )


def blank_images(data_preprocessor: nn.Module) -> torch.Tensor:
    """Zeros of the prepared images' shape, (2, C, H, W).

    Two images: batch statistics of one are undefined.
    """
    shape = getattr(data_preprocessor, 'input_shape', (3, 224, 224))
    return torch.zeros(2, *shape)


def check_shape(images: Tensor, expected: Tuple[int, int, int]) -> None:
    """Check that images are those for which the sizes were found.

    Raises:
        ValueError: They have another shape; says what to write.
    """
    shape = tuple(images.shape[1:])
    if shape != expected:
        raise ValueError(
            f'the prepared images have the shape (C, H, W) = {shape}, but the '
            f'model was built for data_preprocessor.input_shape = {expected}. '
            'Write data_preprocessor='
            "dict(type='mmfer.FERDataPreprocessor', "
            f'input_shape={shape}, ...), or bring the images to another size '
            'in the pipelines.'
        )


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
    return 'in_channels' in constructor_parameters(get_class(cfg))


def constructor_parameters(cls: type) -> Set[str]:
    """Names of the arguments that a module or its base classes take.

    ResNet's subclasses hand keyword arguments on.
    """
    return {
        name
        for base in inspect.getmro(cls)
        if issubclass(base, nn.Module) and base is not nn.Module
        for name in inspect.signature(base).parameters
    }


class ImageFitting(NamedTuple):
    """Changes to prepared images so that the backbone can take them.

    Attributes:
        colour (bool): Repeat a grey channel three times.
        padding (tuple[int, int, int, int]): Zeros added left, right, top and
            bottom, in pixels.
    """

    colour: bool = False
    padding: Tuple[int, int, int, int] = (0, 0, 0, 0)

    def __call__(self, images: Tensor) -> Tensor:
        """Fit images (B, C, H, W)."""
        if self.colour:
            images = images.expand(-1, 3, -1, -1)
        return F.pad(images, self.padding) if any(self.padding) else images


# Backbones whose branches meet again, as HRNet's, need a side that all their
# strides divide.
DIVISORS = (8, 16, 32)


def fit_images(
    backbone: nn.Module, example: Tensor, colour: bool, cfg: Optional[dict] = None
) -> tuple:
    """Find the least that makes images fit a backbone, and its features.

    Images are taken as they are wherever the backbone can process them.
    Otherwise sides are padded to the next multiple of 8, 16 or 32.

    Args:
        backbone (nn.Module): Any backbone.
        example (Tensor): Blank images, (2, C, H, W).
        colour (bool): Whether grey images are repeated three times.
        cfg (dict, optional): Config of the backbone, of which an error says
            what to change.

    Returns:
        tuple: An :class:`ImageFitting`, and what the backbone returns for
        images that it was applied to.

    Raises:
        ValueError: The backbone can process none of these; names the reason
            and what it could process.
    """
    height, width = example.shape[2:]
    paddings = {(0, 0, 0, 0): None}
    for divisor in DIVISORS:
        rows, columns = -height % divisor, -width % divisor
        paddings[columns // 2, columns - columns // 2, rows // 2, rows - rows // 2] = (
            None
        )
    first = None
    # LeNet-5 is for grey images only.
    for repeat in [True, False] if colour else [False]:
        for padding in paddings:
            fitting = ImageFitting(repeat, padding)
            try:
                return fitting, run_backbone(backbone, fitting(example))
            # Backbones raise errors of every kind where sizes do not fit.
            except Exception as error:
                first = first or error
    reason = ' '.join(str(first).split()).rstrip('.')
    ways = [] if cfg is None else find_ways(backbone, cfg, example, colour)
    raise ValueError(
        f'{type(backbone).__name__} cannot process images of shape '
        f'{tuple(example.shape[1:])} (data_preprocessor.input_shape): '
        f'{reason}. '
        + (
            f'It can with {", or with ".join(ways)}.'
            if ways
            else ('' if cfg is None else 'Images of 224 or 32 px do not help. ')
            + 'Give it other options, or take another backbone.'
        )
    ) from first


def find_ways(
    backbone: nn.Module, cfg: dict, example: Tensor, colour: bool
) -> List[str]:
    """Options and images with which a backbone can be used.

    Args:
        backbone, example, colour: See :func:`fit_images`.
        cfg (dict): Config of the backbone.

    Returns:
        list[str]: Each is one way; empty if none was found.
    """
    _, channels, height, width = example.shape
    accepted = constructor_parameters(get_class(cfg))
    ways = []
    sizes = {(height, width): None, (-(-height // 32) * 32, -(-width // 32) * 32): None}
    small = dict(pad_small_map=True)
    tried = [dict(img_size=size[0] if size[0] == size[1] else size) for size in sizes]
    # TinyViT takes no single number.
    tried += (
        [dict(img_size=size) for size in sizes]
        + [small]
        + [dict(small, **options) for options in tried]
    )
    for options in tried:
        if accepted.issuperset(options) and is_processed(
            lambda options=options: build_backbone(dict(cfg, **options), channels),
            example,
            colour,
        ):
            ways.append(
                ' and '.join(
                    f'backbone.{name}={value}' for name, value in options.items()
                )
            )
            break
    for shape in ((channels, 224, 224), (1, 32, 32)):
        if is_processed(
            lambda: backbone, torch.zeros(2, *shape), colour and shape[0] == 1
        ):
            ways.append(
                f'images of shape {shape} (set '
                'data_preprocessor.input_shape, and the sizes in '
                'the pipelines)'
            )
            break
    return ways


def is_processed(build: Callable[[], nn.Module], example: Tensor, colour: bool) -> bool:
    """Return whether a backbone can be built and process such images."""
    # Classes raise errors of any kind about what they cannot use.
    try:
        fit_images(build(), example, colour)
    except Exception:
        return False
    return True


def run_backbone(backbone: nn.Module, example: Tensor):
    """Features of blank images, without a trace in the backbone.

    Raises:
        ValueError: It returns no features.
    """
    feats = probe(backbone, example)
    as_map(last_feature(feats))
    return feats


def feature_channels(backbone: nn.Module, feats, example: Tensor) -> Optional[int]:
    """Channels of the deepest feature where its layout is an unusual one.

    An MLP-Mixer returns (B, C, L), timm's Swin (B, H, W, C).

    Args:
        backbone (nn.Module): Where it says how many channels it has, this
            decides.
        feats: Its output.
        example (Tensor): Its input.

    Returns:
        int | None: None if the layout is that of :func:`as_map`.
    """
    feature = last_feature(feats)
    if not isinstance(feature, Tensor) or feature.ndim < 3:
        return None
    usual = feature.shape[1 if feature.ndim == 4 else 2]
    unusual = feature.shape[-1 if feature.ndim == 4 else 1]
    if feature.ndim == 4:
        return unusual if has_channels_last(feature, example) else None
    widths = getattr(backbone, 'embed_dims', None)
    width = widths[-1] if isinstance(widths, (list, tuple)) else widths
    return unusual if width == unusual != usual else None


def fill_sizes(cfg: dict, feats, channels: Optional[int] = None) -> dict:
    """Add ``in_channels`` and ``map_size`` where the class takes them.

    Args:
        cfg (dict): Of a neck or a head.
        feats: Its input.
        channels (int, optional): See :func:`as_map`.
    """
    # A neck's NamedTuple or a backbone's scales; all necks here hand on
    # tensors of one width.
    feature = as_map(last_feature(feats), channels)
    sizes = dict(in_channels=feature.shape[1], map_size=tuple(feature.shape[2:]))
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
        raise KeyError(
            f'{cfg["type"]!r} is no model of mmfer, mmpretrain or '
            'mmengine; check the spelling.'
        )
    return cls
