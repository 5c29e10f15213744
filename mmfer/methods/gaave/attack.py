"""Geometry aware adversarial vulnerability: GAAVE (AAAI'23), Eqs. 1 to 3."""

import math
from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from mmfer.registry import TASK_UTILS


def log_odds_against(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds against the label, (B, ).

    Cross-entropy is softplus of it, so that both have gradients of the same
    direction. Cross-entropy's gradient vanishes in float32 where a prediction
    is certain, and with it the sign that Eq. 2 needs; this one's does not.

    Args:
        logits (Tensor): (B, C), C >= 2.
        labels (Tensor): int64 (B, ).
    """
    given = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return torch.logsumexp(others, dim=1) - given.squeeze(1)


@TASK_UTILS.register_module()
class PGD:
    """Projected gradient descent in the maximum norm, Eqs. 1 and 2.

    From the image itself, without a random start. Another attack is another
    class with ``steps`` and the same ``step``.

    Args:
        epsilon (float): Radius of the ball, of pixels in [0, 1]. Defaults to
            1 / 255.
        step_size (float, optional): alpha. Defaults to epsilon / 8.
        steps (int, optional): Defaults to epsilon / alpha, rounded up, which
            reaches the surface of the ball and is 4 in the paper's example
            of the common setting. (Eq. 3 prints alpha as their number.)
    """

    def __init__(
        self,
        epsilon: float = 1 / 255,
        step_size: Optional[float] = None,
        steps: Optional[int] = None,
    ):
        if not 0 < epsilon <= 1:
            raise ValueError(
                'PGD: epsilon is a distance of pixels in [0, 1] '
                f'and must lie in (0, 1], got {epsilon}'
            )
        self.epsilon = epsilon
        self.step_size = epsilon / 8 if step_size is None else step_size
        if not self.step_size > 0:
            raise ValueError(f'PGD: step_size must be positive, got {step_size}')
        # 1/255 / (1/255/8) may be a little more than 8.
        self.steps = (
            math.ceil(epsilon / self.step_size - 1e-6) if steps is None else steps
        )
        if self.steps < 1:
            raise ValueError(f'PGD: steps must be at least 1, got {steps}')

    def step(self, images: Tensor, start: Tensor, gradient: Tensor) -> Tensor:
        """Eq. 2.

        Args:
            images (Tensor): x^(s), in [0, 1], (B, C, H, W).
            start (Tensor): x^(0).
            gradient (Tensor): Of the loss, up to a positive factor for each
                image.

        Returns:
            Tensor: x^(s+1), in [0, 1].
        """
        moved = images + self.step_size * gradient.sign()
        return moved.clamp(start - self.epsilon, start + self.epsilon).clamp(0, 1)


class _Pool(NamedTuple):
    """Images under attack."""

    sample_ids: Tensor
    labels: Tensor
    start: Tensor
    images: Tensor
    step: Tensor
    survived: Tensor
    against: Tensor

    def choose(self, index: Tensor) -> '_Pool':
        return _Pool(*(field[index] for field in self))

    def join(self, other: '_Pool') -> '_Pool':
        return _Pool(*map(torch.cat, zip(self, other)))


Batch = Tuple[Tensor, Tensor, Tensor]


class Attacked(NamedTuple):
    """What the attack found, of each image, on the CPU, (N, ).

    Attributes:
        sample_ids (Tensor): int64, in the order in which images were done.
        steps (Tensor): k, int64, in [0, steps + 1]; 0 means that the
            unchanged image is not predicted as its label.
        probability (Tensor): Of the label on the unchanged image, float64.
    """

    sample_ids: Tensor
    steps: Tensor
    probability: Tensor


def _fresh(sample_ids: Tensor, images: Tensor, labels: Tensor) -> _Pool:
    zeros = torch.zeros_like(labels)
    return _Pool(
        sample_ids,
        labels,
        images,
        images,
        zeros,
        zeros,
        torch.zeros_like(labels, dtype=torch.float32),
    )


def attack_steps(
    predict: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    attack: PGD,
    batch_size: int,
    recross: bool = False,
) -> Attacked:
    """Geometric value k of adversarial vulnerability, Eq. 3.

    Only images whose prediction still is their label go on; their places
    are taken by the next ones, so that every pass of the model is full. All
    passes have the same number of images, the last ones repeat some: what
    becomes of an image depends neither on the others nor on their order.

    Args:
        predict (Callable): Logits (B, C) of images (B, 3 or 1, H, W) in
            [0, 1]; differentiable. Its model is in eval mode, so that
            neither batch statistics nor dropout play a part.
        batches (Iterable): Tuples of sample ids, int64 (n, ), images in
            [0, 1], (n, 3 or 1, H, W), and labels, int64 (n, ), on the device
            of the model; n may vary. Drawn from as needed.
        attack (PGD): The attack.
        batch_size (int): Images in each pass.
        recross (bool): The literal sum of Eq. 3: images go on to the last
            step, and predictions that return to the label count again.
            Defaults to False: the number of steps before the first
            crossing.

    Raises:
        FloatingPointError: A prediction is not finite.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, got {batch_size}')
    source = iter(batches)
    waiting: Optional[_Pool] = None
    pool: Optional[_Pool] = None
    ids: List[Tensor] = []
    counts: List[Tensor] = []
    odds: List[Tensor] = []
    while True:
        # Fill the free places.
        while source is not None and _size(pool) < batch_size:
            if not _size(waiting):
                batch = next(source, None)
                if batch is None:
                    source = None
                    break
                waiting = _fresh(*batch)
            free = batch_size - _size(pool)
            entering, waiting = _split(waiting, free)
            pool = entering if pool is None else pool.join(entering)
        size = _size(pool)
        if not size:
            break
        places = torch.arange(batch_size, device=pool.labels.device) % size
        with torch.enable_grad():
            images = pool.images[places].requires_grad_()
            logits = predict(images)
            right = (logits.argmax(dim=1) == pool.labels[places])[:size]
            _check_finite(logits[:size], pool.sample_ids)
            survived = pool.survived + right
            against = log_odds_against(logits, pool.labels[places])
            # Of the unchanged images, for which it is the first time.
            first = torch.where(pool.step == 0, against[:size].detach(), pool.against)
            done = pool.step == attack.steps
            if not recross:
                done = done | ~right
            gradient = None
            if not done.all():
                (gradient,) = torch.autograd.grad(against.sum(), images)
        ids.append(pool.sample_ids[done].cpu())
        counts.append(survived[done].cpu())
        odds.append(first[done].cpu())
        if gradient is None:
            pool = None
            continue
        pool = pool._replace(
            images=attack.step(pool.images, pool.start, gradient[:size]),
            step=pool.step + 1,
            survived=survived,
            against=first,
        ).choose(~done)
    if not ids:
        empty = torch.zeros(0, dtype=torch.int64)
        return Attacked(empty, empty.clone(), empty.double())
    # In float64, which tells probabilities near 1 apart.
    return Attacked(
        torch.cat(ids), torch.cat(counts), (-torch.cat(odds).double()).sigmoid()
    )


def _size(pool: Optional[_Pool]) -> int:
    return 0 if pool is None else len(pool.labels)


def _split(pool: _Pool, size: int) -> Tuple[_Pool, _Pool]:
    return (
        _Pool(*(field[:size] for field in pool)),
        _Pool(*(field[size:] for field in pool)),
    )


def _check_finite(logits: Tensor, sample_ids: Tensor) -> None:
    bad = ~logits.isfinite().all(dim=1)
    if bad.any():
        raise FloatingPointError(
            f'{int(bad.sum())} predictions are not finite, the first that of '
            f'sample {int(sample_ids[bad][0])}: look at its image, and train '
            'the model with a lower learning rate.'
        )
