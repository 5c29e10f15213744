"""Image classifier whose neck and head fit any backbone."""

from typing import Any, Dict, Optional, Union

import torch
import torch.nn as nn
from mmengine.logging import MMLogger, print_log
from mmpretrain.models import ImageClassifier
from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.registry import MODELS
from mmfer.utils.console import FILE_ONLY

from .backbone_fitting import build_backbone, fit_images, takes_channels
from .data_preprocessor import blank_images, build_data_preprocessor, check_shape
from .feature_sizes import feature_channels, fill_num_classes, fill_sizes
from .predictions import predict_batch
from .pretrained import CheckedPretrained
from .protocols import MixesLabels
from .utils import probe, to_channels_last


@MODELS.register_module()
class FERClassifier(CheckedPretrained, ImageClassifier):
    """``ImageClassifier`` whose neck and head fit any backbone.

    The config may omit ``in_channels`` and ``map_size`` of neck and head, and
    ``num_classes`` of the head. The classifier then fills them in. For this
    it runs the backbone once on blank images of
    ``data_preprocessor.input_shape``. So another backbone needs only
    ``model.backbone=dict(_delete_=True, type=...)``.

    Grey images are repeated three times if the backbone takes colour images only, or
    if its config says ``in_channels=3``. With one mean and standard deviation for all
    channels, this is the same as the sum of the first convolution over its input
    channels. So weights for colour images can be used for grey ones.

    Args:
        backbone, neck, head, pretrained, train_cfg, data_preprocessor,
            init_cfg: See mmpretrain's ``ImageClassifier``.
        latent_compensation (dict, optional): Config of a perturbation of
            features, by default of :class:`LatentCompensation`. With ``type``,
            another :class:`~mmfer.models.feature_perturbation.FeaturePerturbation`,
            such as ``dict(type='MixStyle')``. Defaults to None.
        channels_last (bool): Keep images and convolution weights in
            channels-last order, which is faster on CPUs and with mixed
            precision. Results change in the last digits. Ignored, with a
            warning, by networks that are too narrow for it. Defaults to False.
        partial_weights (bool): Whether pretrained weights may leave tensors
            of the backbone at their random values. This is needed for layers
            that the published network does not have, see
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
            # A backbone for colour images, by its class or by its own option.
            grey_to_colour = channels == 1 and (
                not takes_channels(backbone) or backbone.get('in_channels') == 3
            )
            backbone = build_backbone(backbone, channels)
        fitting, feats = fit_images(backbone, example, grey_to_colour, backbone_cfg)
        example = fitting(example)
        if isinstance(neck, dict):
            unusual = feature_channels(backbone, feats, example)
            neck = MODELS.build(fill_sizes(neck, feats, unusual))
        if isinstance(neck, nn.Module):
            feats = probe(neck, feats)
        if isinstance(head, dict):
            head = fill_num_classes(head, data_preprocessor)
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
            self._check_mixing()
            self.latent_compensation.attach(self.backbone, example)
        self.fitting = fitting
        self.image_shape = image_shape
        self.partial_weights = partial_weights
        self.channels_last = channels_last and to_channels_last(self, 'FERClassifier')

    def _check_mixing(self) -> None:
        """Raise if images would be mixed, and the loss would not mix their labels."""
        mixes = isinstance(self.latent_compensation, MixesLabels)
        if mixes and type(self).loss is not FERClassifier.loss:
            name = type(self.latent_compensation).__name__
            raise ValueError(
                f'{type(self).__name__} computes its loss from one label for each '
                f'image, so it cannot be combined with {name}, which mixes labels. '
                "Remove model.latent_compensation, or set model.type='FERClassifier'."
            )

    def extract_feat(self, inputs: Tensor, stage: str = 'neck') -> Any:
        """Extract features, see mmpretrain's ``ImageClassifier``.

        Args:
            inputs (Tensor): Prepared images, (B, C, H, W).
            stage (str): ``'backbone'``, ``'neck'`` or ``'pre_logits'``.
                Defaults to ``'neck'``.

        Raises:
            ValueError: The neck needs maps of one size, and the images do not
                have the shape for which the model was built.
        """
        if stage == 'neck' and hasattr(self.neck, 'map_size'):
            check_shape(inputs, self.image_shape)
        inputs = self.fitting(inputs)
        # Stored images lie in channels-last order, too. Without this conversion the
        # layers would follow the order of the images.
        inputs = inputs.contiguous(
            memory_format=torch.channels_last
            if self.channels_last
            else torch.contiguous_format
        )
        return super().extract_feat(inputs, stage)

    def loss(self, inputs: Tensor, data_samples: Samples) -> Dict[str, Tensor]:
        """Compute the losses of a batch, see mmpretrain's ``ImageClassifier``.

        Args:
            inputs (Tensor): Prepared images, (B, C, H, W).
            data_samples (SampleBatch | list[DataSample]): B samples with labels.
        """
        feats = self.extract_feat(inputs)
        perturbation = getattr(self, 'latent_compensation', None)
        if isinstance(perturbation, MixesLabels):
            data_samples = perturbation.mix_labels(data_samples, self.head.num_classes)
        return self.head.loss(feats, data_samples)

    def predict_batch(self, inputs: Tensor) -> Dict[str, Tensor]:
        """Return the predictions of the head for prepared images.

        See :class:`~mmfer.models.protocols.PredictsBatch`.
        """
        return predict_batch(self, inputs)

    def init_weights(self) -> None:
        """Initialise the weights, and check that pretrained ones fit.

        Every run calls this once before its first step. So the log states
        here which layers are perturbed, and how images are padded for the
        backbone.
        """
        if any(self.fitting.padding):
            print_log(
                f'{type(self.backbone).__name__} cannot process images '
                'of this size: zeros are added at the edges, (left, right, '
                f'top, bottom) = {self.fitting.padding} px.',
                logger='current',
            )
        if hasattr(self, 'latent_compensation'):
            MMLogger.get_current_instance().info(
                f'{self.latent_compensation.title} acts after: '
                + ', '.join(self.latent_compensation.layers),
                extra=FILE_ONLY,
            )
        super().init_weights()
