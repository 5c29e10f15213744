"""The joint-distribution GAN: a classifier, and a game that regularises it."""

from contextlib import contextmanager
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
import torch.nn as nn
from mmengine.dist import all_reduce, get_world_size
from mmengine.optim import OptimWrapperDict
from mmpretrain.models.classifiers import BaseClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.data_preprocessor import blank_images, build_data_preprocessor
from mmfer.models.predictions import BatchPrediction, predict_batch
from mmfer.models.pretrained import CheckedPretrained
from mmfer.models.utils import full_precision, predicts_classes, unwrap_model
from mmfer.registry import MODELS

from .latent import Encoding, sample_latent
from .losses import discriminator_loss, generator_loss

ORDERS = ('official', 'paper')
SCORE_KINDS = ('image', 'latent', 'labels', 'joint')
# Fewer have no batch statistics.
MIN_TUPLES = 2


@MODELS.register_module()
class JointGAN(CheckedPretrained, BatchPrediction, BaseClassifier):
    """Encoder G_Y, decoder G_X and discriminator D (WACV'21).

    The encoder predicts all label sets and a latent vector from an image,
    the decoder makes an image of given labels and a random latent vector,
    and the discriminator tells the tuples of the one from those of the
    other. The encoder is the classifier that comes out, see
    ``tools/model_converters/export_network.py``.

    Losses are means over the K scores of the discriminator, so each has the
    weight lambda / K. Samples that miss valence or arousal take no part in
    the game.

    Trained by :class:`JointGANTrainLoop`, with the two optimizers of
    :class:`JointGANOptimWrapperConstructor`.

    Args:
        encoder (dict): Config of a classifier with a
            :class:`MultiTaskHead`. Its ``latent_dim`` is filled in.
        decoder (dict, optional): Options of :class:`JointGANDecoder`, such
            as ``base_channels``.
        use_decoder (bool): Without one, the discriminator tells images with
            predictions from images with labels (Table 3, "w/o G_X"). There
            are no latent vectors then and no score of the image, which is
            the same in both. Defaults to True.
        discriminator (dict, optional): Options of
            :class:`JointGANDiscriminator`.
        data_preprocessor (dict, optional): Must bring images to [-1, 1], the
            range of the decoder.
        latent_dim (int): L. Defaults to 100.
        adversarial_weight (float): lambda of Eq. 9. Defaults to 0.4.
        discriminator_steps (int): Updates of the discriminator for each of
            the generator, on the same tuples. Defaults to 2.
        order (str): ``'official'``: first the discriminator, as in the
            published code; ``'paper'``: first the generator, as in
            Algorithm 1. Defaults to ``'official'``.
        score_weights (dict, optional): By which scores of ``image``,
            ``latent``, ``labels`` and ``joint`` are multiplied. ``joint=0``
            is "w/o joint" of Table 3, 0 for the three others "w/o
            marginal". K stays. Defaults to 1 for all.
        mismatch_weight (float): Not in the paper, but that of Reed et al.,
            Generative Adversarial Text to Image Synthesis, ICML 2016: with
            this weight the joint score must also tell the encoder's tuples
            from those with the labels of other images. So the discriminator
            learns to look at whether labels belong to the image, and the
            decoder to obey them. Defaults to 0.
        channels_last (bool): Keep decoder and discriminator in
            channels-last order; that of the encoder is its own option.
            Defaults to False.

    Raises:
        ValueError: Images are not square or not in [-1, 1], there is no
            decoder for their size, or an option is out of range.
    """

    def __init__(
        self,
        encoder: dict,
        decoder: Optional[dict] = None,
        use_decoder: bool = True,
        discriminator: Optional[dict] = None,
        data_preprocessor: Optional[dict] = None,
        latent_dim: int = 100,
        adversarial_weight: float = 0.4,
        discriminator_steps: int = 2,
        order: str = 'official',
        score_weights: Optional[dict] = None,
        mismatch_weight: float = 0.0,
        channels_last: bool = False,
        init_cfg: Optional[dict] = None,
    ):
        if order not in ORDERS:
            raise ValueError(
                f'JointGAN: order must be one of {", ".join(ORDERS)}, got {order!r}'
            )
        if discriminator_steps < 1:
            raise ValueError(
                'JointGAN: discriminator_steps must be at least '
                f'1, got {discriminator_steps}'
            )
        unknown = set(score_weights or ()) - set(SCORE_KINDS)
        if unknown:
            raise ValueError(
                f'JointGAN: score_weights has {", ".join(sorted(unknown))}; '
                f'there are scores of {", ".join(SCORE_KINDS)}.'
            )
        if mismatch_weight < 0:
            raise ValueError(
                f'JointGAN: mismatch_weight must not be negative, got {mismatch_weight}'
            )
        super().__init__(
            init_cfg=init_cfg,
            data_preprocessor=build_data_preprocessor(data_preprocessor),
        )
        check_range(self.data_preprocessor)
        channels, height, width = blank_images(self.data_preprocessor).shape[1:]
        if height != width:
            raise ValueError(
                f'JointGAN: images of {height} x {width} pixels are not '
                'square; resize or crop them in all pipelines, and set '
                'data_preprocessor.input_shape.'
            )
        self.latent_dim = latent_dim if use_decoder else 0
        encoder = dict(
            encoder,
            head=dict(encoder['head'], latent_dim=self.latent_dim),
            data_preprocessor=self.data_preprocessor,
        )
        self.encoder = MODELS.build(encoder)
        self.encoder.config_path = 'model.encoder'
        self.label_sets = self.encoder.head.label_sets
        dims = self.label_sets.dims
        self.decoder = None
        if use_decoder:
            self.decoder = MODELS.build(
                dict(
                    dict(
                        type='JointGANDecoder',
                        in_features=latent_dim + sum(dims),
                        image_size=height,
                        out_channels=channels,
                    ),
                    **(decoder or {}),
                )
            )
        self.discriminator = MODELS.build(
            dict(
                dict(
                    type='JointGANDiscriminator',
                    label_dims=dims,
                    latent_dim=self.latent_dim,
                    image_score=use_decoder,
                    image_size=height,
                    in_channels=channels,
                ),
                **(discriminator or {}),
            )
        )
        if channels_last:
            for player in (self.decoder, self.discriminator):
                if player is not None:
                    player.to(memory_format=torch.channels_last)
        self.channels_last = channels_last
        self.adversarial_weight = adversarial_weight
        self.discriminator_steps = discriminator_steps
        self.order = order
        self.mismatch_weight = mismatch_weight
        # Names of the K scores, and what they are multiplied by.
        self.score_names = [
            *(['image', 'latent'] if use_decoder else []),
            *['labels'] * len(dims),
            'joint',
        ]
        weights = dict(dict.fromkeys(SCORE_KINDS, 1.0), **(score_weights or {}))
        self.register_buffer(
            'score_weights',
            torch.tensor([float(weights[n]) for n in self.score_names]),
            persistent=False,
        )
        if not self.score_weights.any():
            raise ValueError(
                'JointGAN: all score_weights are 0; for the '
                'encoder alone train a FERClassifier.'
            )
        # Set by the loop: without the game the encoder learns alone.
        self.in_game = True
        # Steps in which there was a game, for the loop.
        self.game_steps = 0

    # -- the classifier ----------------------------------------------------
    def forward(
        self,
        inputs: Tensor,
        data_samples: Optional[List[DataSample]] = None,
        mode: str = 'tensor',
    ):
        """That of the encoder.

        Args:
            inputs (Tensor): (B, C, H, W).
            data_samples (list[DataSample], optional): Needed for losses.
            mode (str): ``'tensor'``: an :class:`Encoding`; ``'loss'``: those
                of the label sets; ``'predict'``: a list of data samples.
        """
        return unwrap_model(self.encoder)(inputs, data_samples, mode)

    def extract_feat(self, inputs: Tensor, **kwargs):
        """Features of the encoder."""
        return unwrap_model(self.encoder).extract_feat(inputs, **kwargs)

    def loss(self, inputs: Tensor, data_samples: List[DataSample]) -> dict:
        """Losses of the label sets, without the game."""
        return unwrap_model(self.encoder).loss(inputs, data_samples)

    def predict_batch(self, inputs: Tensor) -> Dict[str, Tensor]:
        """Predictions of the encoder."""
        return predict_batch(unwrap_model(self.encoder), inputs)

    @property
    def predicts_classes(self) -> bool:
        """Whether the encoder predicts classes."""
        return predicts_classes(unwrap_model(self.encoder))

    # -- the game ----------------------------------------------------------
    def players(self) -> Dict[str, nn.ModuleDict]:
        """What each optimizer moves."""
        generator = nn.ModuleDict(dict(encoder=unwrap_model(self.encoder)))
        if self.decoder is not None:
            generator['decoder'] = unwrap_model(self.decoder)
        return dict(
            generator=generator,
            discriminator=nn.ModuleDict(
                dict(discriminator=unwrap_model(self.discriminator))
            ),
        )

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapperDict
    ) -> Dict[str, Tensor]:
        """One update of encoder and decoder, ``discriminator_steps`` of D.

        Encoder and decoder run once; all updates are on these tuples.

        Returns:
            dict[str, Tensor]: For the log: ``loss``, what the generator
            minimises, and its parts; ``d_loss`` and the mean of each kind
            of score in it, ``d_image``, ``d_latent``, ``d_labels``,
            ``d_joint``, and ``d_mismatch`` if there is one; and of the
            generator ``g_loss``, ``g_image``, ..., before lambda.
        """
        data = self.data_preprocessor(data, True)
        images, samples = data['inputs'], data['data_samples']
        labels = self.label_sets.read(samples, images.device)
        generator = optim_wrapper['generator']
        with generator.optim_context(self):
            encoding = self.encoder(images)
            losses = unwrap_model(self.encoder).head.task_losses(encoding, labels)
            tuples = (
                self.make_tuples(
                    images, encoding, labels, self.label_sets.complete(samples)
                )
                if self.in_game
                else None
            )
        log = {name: value.detach() for name, value in losses.items()}
        self.game_steps += tuples is not None
        if tuples is not None and self.order == 'official':
            log.update(self.step_discriminator(*tuples, optim_wrapper))
        total = sum(losses.values())
        if tuples is not None:
            with generator.optim_context(self), frozen(self.discriminator):
                parts = generator_loss(
                    *self.score(unwrap_model(self.discriminator), *tuples),
                    self.score_weights,
                )
            total = total + self.adversarial_weight * parts.mean()
            log.update(g_loss=parts.mean().detach(), **self.by_kind('g', parts))
        generator.update_params(total)
        if tuples is not None and self.order == 'paper':
            log.update(self.step_discriminator(*tuples, optim_wrapper))
        return dict(loss=total.detach(), **log)

    def make_tuples(
        self,
        images: Tensor,
        encoding: Encoding,
        labels: Tuple[Tensor, ...],
        complete: Optional[np.ndarray] = None,
    ) -> Optional[Tuple[List[Tensor], List[Tensor]]]:
        """Tuples of the encoder and of the decoder (Eq. 5).

        Args:
            images (Tensor): (B, C, H, W).
            encoding (Encoding): Of these images.
            labels (tuple[Tensor]): See :meth:`LabelSets.read`.
            complete (np.ndarray, optional): See :meth:`LabelSets.complete`.

        Returns:
            tuple, optional: Two lists of an image, a latent vector (not
            without decoder), and each label set: real images with logits
            and values as predicted, and generated ones with the labels.
            None if there are not enough samples whose labels are complete.
        """
        if len(images) < MIN_TUPLES:
            return None
        if complete is not None:
            # Together, or processes would wait for one another.
            if fewest_of_all(len(complete)) < MIN_TUPLES:
                return None
            known = torch.from_numpy(complete).to(images.device)
            images = images[known]
            encoding = Encoding(
                *[
                    None
                    if x is None
                    else tuple(y[known] for y in x)
                    if isinstance(x, tuple)
                    else x[known]
                    for x in encoding
                ]
            )
            labels = tuple(x[known] for x in labels)
        vectors = self.label_sets.vectors(labels)
        if self.decoder is None:
            return [images, *encoding.labels], [images, *vectors]
        latent = torch.randn(len(images), self.latent_dim, device=images.device)
        generated = self.decoder(torch.cat([latent, *vectors], dim=1))
        with full_precision(images):
            inferred = sample_latent(
                encoding.mean.float(), encoding.log_variance.float()
            )
        return ([images, inferred, *encoding.labels], [generated, latent, *vectors])

    def exchange_labels(self, real: List[Tensor]) -> List[Tensor]:
        """Tuples of the encoder, each with the labels of the one before."""
        first = len(real) - len(self.label_sets.dims)
        return real[:first] + [labels.roll(1, 0) for labels in real[first:]]

    def score(
        self, discriminator: nn.Module, *tuples: List[Tensor]
    ) -> Tuple[Tensor, ...]:
        """Scores of each kind of tuples, float32, (B, K).

        In one forward: spectral normalisation makes one power iteration.
        """
        image, *vectors = [
            torch.cat([x.float() for x in variable])
            for variable in zip(*tuples, strict=True)
        ]
        if self.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        return discriminator(image, vectors).float().chunk(len(tuples))

    def step_discriminator(
        self,
        real: List[Tensor],
        generated: List[Tensor],
        optim_wrapper: OptimWrapperDict,
    ) -> Dict[str, Tensor]:
        """Update the discriminator; the losses are those of the last step."""
        tuples = [detach(real), detach(generated)]
        if self.mismatch_weight:
            tuples.append(self.exchange_labels(tuples[0]))
        wrapper = optim_wrapper['discriminator']
        for _ in range(self.discriminator_steps):
            with wrapper.optim_context(self):
                scores = self.score(self.discriminator, *tuples)
            parts = discriminator_loss(*scores[:2], self.score_weights)
            loss = parts.mean()
            log = dict(d_loss=loss, **self.by_kind('d', parts))
            if self.mismatch_weight:
                # A hinge on both sides, or one answer to all would do.
                mismatch = discriminator_loss(scores[0], scores[2], self.score_weights)[
                    -1
                ]
                loss = loss + self.mismatch_weight * mismatch / len(parts)
                log.update(d_loss=loss, d_mismatch=mismatch)
            wrapper.update_params(loss)
        return {name: value.detach() for name, value in log.items()}

    def by_kind(self, prefix: str, parts: Tensor) -> Dict[str, Tensor]:
        """Means over the scores of each kind, for the log.

        Args:
            prefix (str): Of the names.
            parts (Tensor): Loss of each score, (K, ).
        """
        parts = parts.detach()
        return {
            f'{prefix}_{kind}': torch.stack(
                [
                    part
                    for part, name in zip(parts, self.score_names, strict=True)
                    if name == kind
                ]
            ).mean()
            for kind in dict.fromkeys(self.score_names)
        }

    # -- pictures ----------------------------------------------------------
    @torch.no_grad()
    def generate(
        self,
        latent: Tensor,
        labels: Tuple[Tensor, ...],
        decoder: Optional[nn.Module] = None,
    ) -> Tensor:
        """Images that the decoder makes.

        Args:
            latent (Tensor): (B, L).
            labels (tuple[Tensor]): See :meth:`LabelSets.read`.
            decoder (nn.Module, optional): A copy of the decoder, in the mode
                that it is in, see :func:`~.pictures.recompute_bn_stats`. By default the
                decoder itself in eval mode.

        Returns:
            Tensor: In [-1, 1], (B, C, H, W).

        Raises:
            ValueError: There is no decoder.
        """
        if self.decoder is None:
            raise ValueError(
                'JointGAN: a model with use_decoder=False makes no images.'
            )
        inputs = torch.cat([latent, *self.label_sets.vectors(labels)], dim=1)
        if decoder is not None:
            return decoder(inputs)
        decoder = unwrap_model(self.decoder)
        training = decoder.training
        decoder.eval()
        try:
            return decoder(inputs)
        finally:
            decoder.train(training)


def fewest_of_all(count: int) -> int:
    """Smallest of the counts of all processes."""
    if get_world_size() == 1:
        return count
    smallest = torch.tensor(count)
    all_reduce(smallest, 'min')
    return int(smallest)


def detach(tensors: List[Tensor]) -> List[Tensor]:
    """The same values without gradient."""
    return [tensor.detach() for tensor in tensors]


@contextmanager
def frozen(module: nn.Module):
    """Parameters get no gradient inside."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def check_range(data_preprocessor: nn.Module) -> None:
    """Raise unless pixels of 0 and 255 become -1 and 1."""
    mean, std = 0.0, 1.0
    if data_preprocessor._enable_normalize:
        mean, std = data_preprocessor.mean, data_preprocessor.std
    ends = [(torch.as_tensor(end) - mean) / std for end in (0.0, 255.0)]
    if not all(
        torch.allclose(end, torch.full_like(end, sign))
        for end, sign in zip(ends, (-1.0, 1.0), strict=True)
    ):
        raise ValueError(
            'JointGAN: the decoder makes images in [-1, 1], but '
            'data_preprocessor brings real ones to '
            f'[{ends[0].min():.3g}, {ends[1].max():.3g}]; set its mean and '
            'std to 127.5, for each channel.'
        )
