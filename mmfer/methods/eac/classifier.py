"""Classifier that shows each image twice: EAC (Zhang et al., ECCV'22)."""

from typing import Any, Dict, Optional, Sequence, Tuple

from torch import Tensor

from mmfer.datasets.batches import Samples
from mmfer.models import FERClassifier
from mmfer.registry import MODELS

from .views import MirroredViews


@MODELS.register_module()
class EACClassifier(FERClassifier):
    """``FERClassifier`` whose loss compares two views of each image.

    Both views are made from the prepared batch, on its device. So the training
    pipeline need not erase or mirror. The network sees them one after the other, and
    each batch of views has its own BatchNorm statistics. Predictions are those of a
    ``FERClassifier``.

    Args:
        shared_erasing (bool): False: each view has a rectangle of its own, as the
            published code does for lists with planted noise. True: the second view is
            the mirror image of the finished first one, as it does for the labels as
            published. Defaults to False.
        erase_prob (float): Probability that a rectangle of a view is erased. Defaults
            to 0.5.
        erase_area (tuple[float, float]): Range of its share of the image. Defaults to
            (0.02, 0.25).
        erase_aspect (tuple[float, float]): Range of its height over its width.
            Defaults to (0.3, 3.3).
        noise_prob (float): Probability that the first view gets white noise before it
            is erased. Defaults to 0.5.
        noise_variance (float): Variance of the noise, in squared grey levels of images
            from 0 to 255. Defaults to 30.
        **kwargs (Any): See :class:`~mmfer.models.FERClassifier`.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        backbone: Any,
        shared_erasing: bool = False,
        erase_prob: float = 0.5,
        erase_area: Sequence[float] = (0.02, 0.25),
        erase_aspect: Sequence[float] = (0.3, 3.3),
        noise_prob: float = 0.5,
        noise_variance: float = 30.0,
        **kwargs: Any,
    ):
        super().__init__(backbone, **kwargs)
        self.views = MirroredViews(
            shared_erasing=shared_erasing,
            erase_prob=erase_prob,
            erase_area=erase_area,
            erase_aspect=erase_aspect,
            noise_prob=noise_prob,
            noise_variance=noise_variance,
        )

    def loss(self, inputs: Tensor, data_samples: Samples) -> Dict[str, Tensor]:
        """Return the losses of two views of a batch, see :meth:`EACHead.loss`.

        Args:
            inputs (Tensor): Prepared images, (B, C, H, W).
            data_samples (SampleBatch | list[DataSample]): Samples with ``gt_label``.

        Returns:
            dict[str, Tensor]: Losses of the head.
        """
        first, second = self.views.make(inputs, self._normalisation())
        feats = self.extract_feat(first)
        mirrored = self.extract_feat(second)
        return self.head.loss(feats, data_samples, mirrored=mirrored)

    def _normalisation(self) -> Optional[Tuple[Tensor, Tensor]]:
        """Return mean and standard deviation of prepared images, if there are any."""
        preprocessor = self.data_preprocessor
        if not hasattr(preprocessor, 'mean'):
            return None
        return preprocessor.mean, preprocessor.std
