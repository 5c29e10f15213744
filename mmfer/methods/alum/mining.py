"""Mine adversarial partners from the batch: ALUM Eq. 10."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfer.utils.random import step_permutation


class Mined(NamedTuple):
    """Mined partners of each of the B images of a batch.

    Attributes:
        positive (Tensor): Index of x+, int64 (B, ); 0 if there is none.
        negative (Tensor): Index of x-, int64 (B, ); 0 if there is none.
        has_positive (Tensor): Whether another image has the same label, bool
            (B, ).
        has_negative (Tensor): Whether an image has another label, bool (B, ).
    """

    positive: Tensor
    negative: Tensor
    has_positive: Tensor
    has_negative: Tensor


# Eq. 10 does not say whether D is a similarity or a distance. Each reading says
# whether x+ is hard (least similar), and whether x- is hard (most similar).
READINGS = dict(prose=(True, True), similarity=(True, False), distance=(False, True))


@torch.no_grad()
def mine_adversarial(mean: Tensor, labels: Tensor, reading: str = 'prose') -> Mined:
    """Find each image's adversarial positive and negative, ALUM Eq. 10.

    Args:
        mean (Tensor): Mean vectors mu, (B, D).
        labels (Tensor): Given (noisy) labels, int64 (B, ).
        reading (str): How Eq. 10 is read. Defaults to ``'prose'``.

            - ``'prose'`` follows the text below the equation: x+ is the
              *least* similar image of the same label ("visually distinct"),
              x- the *most* similar one of another label.
            - ``'similarity'`` follows the equation, which has arg-min for
              both, and reads D as a similarity: x+ and x- are the least
              similar images.
            - ``'distance'`` follows the equation, and reads D as a distance:
              x+ and x- are the most similar images.

    Returns:
        Mined: No image is its own partner.
    """
    hard_positive, hard_negative = READINGS[reading]
    direction = F.normalize(mean, dim=1)
    similarity = direction @ direction.t()
    same = labels[:, None] == labels[None, :]
    positives = same.clone()
    positives.fill_diagonal_(False)

    def extreme(mask: Tensor, largest: bool) -> Tensor:
        score = similarity if largest else -similarity
        return score.masked_fill(~mask, -torch.inf).argmax(dim=1)

    return Mined(
        positive=extreme(positives, largest=not hard_positive),
        negative=extreme(~same, largest=hard_negative),
        has_positive=positives.any(dim=1),
        has_negative=(~same).any(dim=1),
    )


def choose_anchors(batch_size: int, ratio: float, device: torch.device) -> Tensor:
    """Choose the share p of images that use mined partners, ALUM Sec. 3.3.

    Args:
        batch_size (int): B.
        ratio (float): p in [0, 1].
        device (torch.device): Device of the result.

    Returns:
        Tensor: bool (B, ). Exactly round(p * B) images, drawn uniformly, are
        True; the same ones in all processes.
    """
    anchors = torch.zeros(batch_size, dtype=torch.bool, device=device)
    order = step_permutation(batch_size, 'anchors', device)
    anchors[order[: round(ratio * batch_size)]] = True
    return anchors
