"""Joint-distribution GAN: a classifier and the game that regularises it."""

from typing import Any, Dict, List, Optional, Tuple

import torch
import torch.nn as nn
from mmengine.optim import OptimWrapperDict
from mmpretrain.models.classifiers import BaseClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmfer.models.data_preprocessor import build_data_preprocessor
from mmfer.models.predictions import BatchPrediction, predict_batch
from mmfer.models.pretrained import CheckedPretrained
from mmfer.models.utils import (
    full_precision,
    predicts_classes,
    to_channels_last,
    unwrap_model,
)
from mmfer.registry import MODELS

from .game import (
    MIN_TUPLES,
    Complete,
    Tuples,
    detach,
    draw_latents,
    exchange_labels,
    frozen,
    mean_by_kind,
)
from .label_sets import LabelSets
from .latent import Encoding, sample_latent
from .losses import discriminator_loss, generator_loss
from .options import check_options, choose_options, score_factors
from .players import (
    build_decoder,
    build_discriminator,
    build_encoder,
    check_image_range,
    square_image_shape,
)


@MODELS.register_module()
class JointGAN(CheckedPretrained, BatchPrediction, BaseClassifier):
    """Model of encoder G_Y, decoder G_X and discriminator D (WACV'21).

    The encoder predicts all label sets and a latent vector from an image. The
    decoder generates an image from given labels and a random latent vector. The
    discriminator distinguishes the tuples of the encoder from those of the
    decoder. After the run, the encoder alone is the classifier, see
    ``tools/model_converters/export_network.py``.

    The adversarial losses are means over the K scores of the discriminator, so
    the loss of each score has the weight lambda / K. Samples without valence or
    arousal are not used in the game.

    In several processes, the latent vectors of an image depend on its position in
    the global batch, and losses are means over that batch, see
    :mod:`mmfer.models.gathering`.

    :class:`JointGANTrainLoop` trains the model, with the two optimizers of
    :class:`JointGANOptimWrapperConstructor`.

    Args:
        encoder (dict): Config of a classifier with a
            :class:`MultiTaskHead`. ``latent_dim`` of the head is filled in.
        decoder (dict, optional): Options of :class:`JointGANDecoder`, such
            as ``base_channels``.
        use_decoder (bool): Whether there is a decoder. Without one, the
            discriminator distinguishes images with predictions from images
            with labels (Table 3, "w/o G_X"). There are then no latent vectors.
            There is also no score of the image, because both tuples have the
            same images. Defaults to True.
        discriminator (dict, optional): Options of
            :class:`JointGANDiscriminator`.
        data_preprocessor (dict, optional): Config. It must scale images to
            [-1, 1], the range of the decoder.
        latent_dim (int): Length L of the latent vector. Defaults to 100.
        preset (str): ``'default'``, ``'paper'`` or ``'official'`` (the published
            code). It sets ``order``, the estimator of the concordance loss and the
            blocks of the discriminator where these are not given, see ``PRESETS``
            in ``options.py``. Defaults to ``'default'``.
        adversarial_weight (float, optional): lambda of Eq. 9. Paper and code have
            1.0 for RAF-base and 0.4 for AffectNet-base. Defaults to that of the
            preset for CIFAR-10: 0.8 for ``'official'``, otherwise 0.4.
        discriminator_steps (int): Updates of the discriminator for each
            update of the generator, on the same tuples. Defaults to 2.
        order (str, optional): ``'official'``: update the discriminator first, as
            the published code does. All updates then use the same tuples.
            ``'paper'``: update encoder and decoder first, as Algorithm 1 does.
            The updated networks then make the tuples for the discriminator, from
            the same random latent vectors. Defaults to that of the preset.
        label_form (str): What the discriminator gets as the classes that the
            encoder predicts: ``'logits'`` as in the published code, or
            ``'probabilities'``. The classes of the decoder's tuples are always
            one-hot vectors; logits can be told from these by their form.
            Valence and arousal stay as they are. Defaults to ``'logits'``.
        score_weights (dict, optional): Factors of the scores ``image``,
            ``latent``, ``labels`` and ``joint``. ``joint=0`` is "w/o joint" of
            Table 3; 0 for the three others is "w/o marginal". K does not
            change. Defaults to 1 for all.
        mismatch_weight (float): Weight of mismatched tuples. They are not in
            the paper, but in Reed et al., Generative Adversarial Text to Image
            Synthesis, ICML 2016. The joint score must then also distinguish
            the encoder's tuples from tuples with the labels of other images.
            So the discriminator learns whether labels belong to the image, and
            the decoder learns to follow its labels. Defaults to 0.
        channels_last (bool): Keep decoder and discriminator in
            channels-last order. The encoder has its own option. Defaults to
            False.

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
        preset: str = 'default',
        adversarial_weight: Optional[float] = None,
        discriminator_steps: int = 2,
        order: Optional[str] = None,
        label_form: str = 'logits',
        score_weights: Optional[dict] = None,
        mismatch_weight: float = 0.0,
        channels_last: bool = False,
        init_cfg: Optional[dict] = None,
    ):
        chosen = choose_options(
            preset,
            dict(
                order=order,
                adversarial_weight=adversarial_weight,
                encoder=encoder,
                discriminator=discriminator,
            ),
        )
        check_options(discriminator_steps, mismatch_weight, label_form)
        super().__init__(
            init_cfg=init_cfg,
            data_preprocessor=build_data_preprocessor(data_preprocessor),
        )
        check_image_range(self.data_preprocessor)
        image_shape = square_image_shape(self.data_preprocessor)
        self.latent_dim = latent_dim if use_decoder else 0
        # Keep this order: each network draws random initial weights.
        self.encoder = build_encoder(
            chosen['encoder'], self.latent_dim, self.data_preprocessor
        )
        self.label_sets: LabelSets = self.encoder.head.label_sets
        dims = self.label_sets.dims
        self.decoder: Optional[nn.Module] = None
        if use_decoder:
            self.decoder = build_decoder(decoder, latent_dim, dims, image_shape)
        self.discriminator = build_discriminator(
            chosen['discriminator'], self.latent_dim, dims, image_shape, use_decoder
        )
        if channels_last and self.decoder is not None:
            to_channels_last(self.decoder, 'JointGAN.decoder')
        self.channels_last = channels_last and to_channels_last(
            self.discriminator, 'JointGAN.discriminator'
        )
        self.adversarial_weight = chosen['adversarial_weight']
        self.discriminator_steps = discriminator_steps
        self.order = chosen['order']
        self.label_form = label_form
        self.mismatch_weight = mismatch_weight
        # Kinds of the K scores.
        self.score_names = [
            *(['image', 'latent'] if use_decoder else []),
            *['labels'] * len(dims),
            'joint',
        ]
        self.register_buffer(
            'score_weights',
            score_factors(self.score_names, score_weights),
            persistent=False,
        )
        # The train loop sets this. False: the encoder is trained alone.
        self.in_game = True
        # Number of steps with a game in this epoch, which the train loop reads.
        self.game_steps = 0

    # -- the classifier ----------------------------------------------------
    @property
    def classifier(self) -> BaseClassifier:
        """Encoder, without its wrapper for DDP."""
        return unwrap_model(self.encoder)

    def forward(
        self,
        inputs: Tensor,
        data_samples: Optional[List[DataSample]] = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run the encoder.

        Args:
            inputs (Tensor): Prepared images, (B, C, H, W).
            data_samples (list[DataSample], optional): Needed for losses.
            mode (str): ``'tensor'`` returns an :class:`Encoding`, ``'loss'``
                the losses of the label sets, ``'predict'`` a list of data
                samples.
        """
        return self.classifier(inputs, data_samples, mode)

    def extract_feat(self, inputs: Tensor, **kwargs: Any) -> Any:
        """Return the features of the encoder."""
        return self.classifier.extract_feat(inputs, **kwargs)

    def loss(self, inputs: Tensor, data_samples: List[DataSample]) -> dict:
        """Compute the losses of the label sets, without the game."""
        return self.classifier.loss(inputs, data_samples)

    def predict_batch(self, inputs: Tensor) -> Dict[str, Tensor]:
        """Return the predictions of the encoder."""
        return predict_batch(self.classifier, inputs)

    @property
    def predicts_classes(self) -> bool:
        """Whether the encoder predicts classes."""
        return predicts_classes(unwrap_model(self.encoder))

    # -- the game ----------------------------------------------------------
    def players(self) -> Dict[str, nn.ModuleDict]:
        """Return the networks that each optimizer updates."""
        generator = nn.ModuleDict(dict(encoder=self.classifier))
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
        """Update encoder and decoder once, D ``discriminator_steps`` times.

        With the order ``'official'``, encoder and decoder run once, and all updates
        use these tuples. With ``'paper'``, they run again after their update.

        Returns:
            dict[str, Tensor]: Losses for the log:

            - ``loss``, which encoder and decoder minimise, and its parts;
            - ``d_loss`` of the discriminator, and its mean for each kind of
              score: ``d_image``, ``d_latent``, ``d_labels`` and ``d_joint``;
              also ``d_mismatch`` with ``mismatch_weight``;
            - ``g_loss``, ``g_image``, ...: adversarial losses of encoder and
              decoder, not yet multiplied by lambda.
        """
        data = self.data_preprocessor(data, True)
        images, samples = data['inputs'], data['data_samples']
        labels = self.label_sets.read(samples, images.device)
        complete = self.complete_images(samples) if self.in_game else None
        generator = optim_wrapper['generator']
        with generator.optim_context(self):
            encoding = self.encoder(images)
            losses = self.classifier.head.task_losses(encoding, labels)
            draws = draw_latents(images, self.latent_dim) if self.in_game else None
            tuples = self.make_tuples(images, encoding, labels, draws, complete)
        log = {name: value.detach() for name, value in losses.items()}
        self.game_steps += tuples is not None
        if tuples is not None and self.order == 'official':
            log.update(self.step_discriminator(*tuples, optim_wrapper, complete))
        total = sum(losses.values())
        if tuples is not None:
            with generator.optim_context(self), frozen(self.discriminator):
                real_scores, generated_scores = self.score(
                    unwrap_model(self.discriminator), *tuples
                )
                parts = generator_loss(
                    real_scores, generated_scores, self.score_weights
                )
                if complete is not None:
                    parts = parts * complete.weight
            total = total + self.adversarial_weight * parts.mean()
            log.update(
                g_loss=parts.mean().detach(),
                **mean_by_kind('g', parts, self.score_names),
            )
        generator.update_params(total)
        if tuples is not None and self.order == 'paper':
            # D must distinguish the tuples of the updated networks (Algorithm 1).
            with torch.no_grad(), generator.optim_context(self):
                encoding = self.encoder(images)
                tuples = self.make_tuples(images, encoding, labels, draws, complete)
            assert tuples is not None
            log.update(self.step_discriminator(*tuples, optim_wrapper, complete))
        return dict(loss=total.detach(), **log)

    def complete_images(self, data_samples: List[DataSample]) -> Optional[Complete]:
        """Return the images with complete labels; None if all of them are.

        Args:
            data_samples (list[DataSample]): The batch.
        """
        positions = self.label_sets.complete(data_samples)
        if positions is None:
            return None
        return Complete.of(positions, len(data_samples))

    def make_tuples(
        self,
        images: Tensor,
        encoding: Encoding,
        labels: Tuple[Tensor, ...],
        draws: Optional[Tuple[Tensor, Tensor]],
        complete: Optional[Complete] = None,
    ) -> Optional[Tuples]:
        """Make the tuples of the encoder and of the decoder (Eq. 5).

        Args:
            images (Tensor): Prepared images, (B, C, H, W).
            encoding (Encoding): Predictions for these images.
            labels (tuple[Tensor]): See :meth:`LabelSets.read`.
            draws (tuple[Tensor, Tensor], optional): See :func:`draw_latents`.
            complete (Complete, optional): Images to use. Defaults to all.

        Returns:
            Tuples, optional: None if there are no draws, or if a process has fewer
            than two images with complete labels.
        """
        if draws is None:
            return None
        latent, noise = draws
        if complete is not None:
            # All processes must decide the same, or they would wait for each other.
            if complete.fewest < MIN_TUPLES:
                return None
            known = torch.from_numpy(complete.own).to(images.device)
            images, latent, noise = images[known], latent[known], noise[known]
            encoding = encoding.choose(known)
            labels = tuple(x[known] for x in labels)
        vectors = self.label_sets.vectors(labels)
        predicted = self.label_sets.predicted(encoding.labels, self.label_form)
        if self.decoder is None:
            return Tuples([images, *predicted], [images, *vectors])
        generated = self.decoder(torch.cat([latent, *vectors], dim=1))
        # With a decoder, the head always predicts both.
        assert encoding.mean is not None and encoding.log_variance is not None
        with full_precision(images):
            inferred = sample_latent(
                encoding.mean.float(), encoding.log_variance.float(), noise
            )
        return Tuples([images, inferred, *predicted], [generated, latent, *vectors])

    def score(
        self, discriminator: nn.Module, *tuples: List[Tensor]
    ) -> Tuple[Tensor, ...]:
        """Return the scores of each list of tuples, float32 (B, K).

        All tuples go through one forward pass, because spectral normalisation
        makes one power iteration in every pass.
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
        complete: Optional[Complete] = None,
    ) -> Dict[str, Tensor]:
        """Update the discriminator; return the losses of the last update."""
        tuples = [detach(real), detach(generated)]
        if self.mismatch_weight:
            tuples.append(
                exchange_labels(tuples[0], len(self.label_sets.dims), complete)
            )
        weight = 1.0 if complete is None else complete.weight
        wrapper = optim_wrapper['discriminator']
        for _ in range(self.discriminator_steps):
            with wrapper.optim_context(self):
                scores = self.score(self.discriminator, *tuples)
            parts = discriminator_loss(scores[0], scores[1], self.score_weights)
            loss = parts.mean()
            log = dict(d_loss=loss, **mean_by_kind('d', parts, self.score_names))
            if self.mismatch_weight:
                # Use a hinge for both kinds of tuples. With only one, a constant
                # score would minimise the loss.
                mismatched = discriminator_loss(
                    scores[0], scores[2], self.score_weights
                )
                mismatch = mismatched[-1]
                loss = loss + self.mismatch_weight * mismatch / len(parts)
                log.update(d_loss=loss, d_mismatch=mismatch)
            wrapper.update_params(loss * weight)
        return {name: value.detach() for name, value in log.items()}

    # -- generated images --------------------------------------------------
    @torch.no_grad()
    def generate(
        self,
        latent: Tensor,
        labels: Tuple[Tensor, ...],
        decoder: Optional[nn.Module] = None,
    ) -> Tensor:
        """Generate images with the decoder.

        Args:
            latent (Tensor): Latent vectors, (B, L).
            labels (tuple[Tensor]): See :meth:`LabelSets.read`.
            decoder (nn.Module, optional): Copy of the decoder, see
                :func:`~.generation.recompute_bn_stats`. Its mode is not
                changed. Defaults to the decoder itself, in eval mode.

        Returns:
            Tensor: Images in [-1, 1], (B, C, H, W).

        Raises:
            ValueError: There is no decoder.
        """
        if self.decoder is None:
            raise ValueError(
                'JointGAN: a model with use_decoder=False generates no images. Set '
                'use_decoder=True.'
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
