"""Build the three networks of the joint GAN for the shape of its images."""

from typing import Optional, Sequence, Tuple

import torch
import torch.nn as nn
from mmpretrain.models.classifiers import BaseClassifier

from mmfer.models.data_preprocessor import blank_images
from mmfer.registry import MODELS


def square_image_shape(data_preprocessor: nn.Module) -> Tuple[int, int]:
    """Return the channels and the side of the prepared images.

    Args:
        data_preprocessor (nn.Module): Data preprocessor of the model.

    Raises:
        ValueError: The images are not square.
    """
    channels, height, width = blank_images(data_preprocessor).shape[1:]
    if height != width:
        raise ValueError(
            f'JointGAN: images of {height} x {width} pixels are not '
            'square, but the decoder generates square ones. Resize or crop them in all '
            'pipelines, and set data_preprocessor.input_shape.'
        )
    return channels, height


def check_image_range(data_preprocessor: nn.Module) -> None:
    """Check that the data preprocessor scales pixels 0 and 255 to -1 and 1.

    Args:
        data_preprocessor (nn.Module): Data preprocessor of the model.

    Raises:
        ValueError: It scales them to other values.
    """
    mean, std = torch.tensor(0.0), torch.tensor(1.0)
    if data_preprocessor._enable_normalize:
        mean = torch.as_tensor(data_preprocessor.mean)
        std = torch.as_tensor(data_preprocessor.std)
    ends = [(torch.as_tensor(end) - mean) / std for end in (0.0, 255.0)]
    if not all(
        torch.allclose(end, torch.full_like(end, sign))
        for end, sign in zip(ends, (-1.0, 1.0), strict=True)
    ):
        raise ValueError(
            'JointGAN: the decoder generates images in [-1, 1], but '
            'data_preprocessor scales real images to '
            f'[{ends[0].min():.3g}, {ends[1].max():.3g}]. Set its mean and '
            'std to 127.5 for each channel.'
        )


def build_encoder(
    encoder: dict, latent_dim: int, data_preprocessor: nn.Module
) -> BaseClassifier:
    """Build G_Y, a classifier whose head also predicts the latent vector.

    Args:
        encoder (dict): Config of the classifier.
        latent_dim (int): Length L of the latent vector, an option of the head;
            0 for no latent vector.
        data_preprocessor (nn.Module): Data preprocessor of the whole model.
    """
    network = MODELS.build(
        dict(
            encoder,
            head=dict(encoder['head'], latent_dim=latent_dim),
            data_preprocessor=data_preprocessor,
        )
    )
    network.config_path = 'model.encoder'
    return network


def build_decoder(
    decoder: Optional[dict],
    latent_dim: int,
    label_dims: Sequence[int],
    image_shape: Tuple[int, int],
) -> nn.Module:
    """Build G_X, see :class:`JointGANDecoder`.

    Args:
        decoder (dict, optional): Options that differ from the defaults.
        latent_dim (int): Length L of the latent vector.
        label_dims (Sequence[int]): Classes or dimensions of each label set.
        image_shape (tuple[int, int]): Channels and side of the images.
    """
    channels, side = image_shape
    defaults = dict(
        type='JointGANDecoder',
        in_features=latent_dim + sum(label_dims),
        image_size=side,
        out_channels=channels,
    )
    return MODELS.build(dict(defaults, **(decoder or {})))


def build_discriminator(
    discriminator: Optional[dict],
    latent_dim: int,
    label_dims: Sequence[int],
    image_shape: Tuple[int, int],
    image_score: bool,
) -> nn.Module:
    """Build D, see :class:`JointGANDiscriminator`.

    Args:
        discriminator (dict, optional): Options that differ from the defaults.
        latent_dim (int): Length L of the latent vector; 0 for no latent vector.
        label_dims (Sequence[int]): Classes or dimensions of each label set.
        image_shape (tuple[int, int]): Channels and side of the images.
        image_score (bool): Whether the image alone has a score.
    """
    channels, side = image_shape
    defaults = dict(
        type='JointGANDiscriminator',
        label_dims=label_dims,
        latent_dim=latent_dim,
        image_score=image_score,
        image_size=side,
        in_channels=channels,
    )
    return MODELS.build(dict(defaults, **(discriminator or {})))
