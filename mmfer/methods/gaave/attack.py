"""Adversarial attack that measures vulnerability: GAAVE (AAAI'23), Eqs. 1 to 3."""

import math
from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor

from mmfer.registry import TASK_UTILS
from mmfer.utils.checks import in_range, positive_int

# Sample ids, images in [0, 1] and labels.
Batch = Tuple[Tensor, Tensor, Tensor]


def log_odds_against(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the log-odds against the label, (B, ).

    Cross-entropy is the softplus of these log-odds, so both gradients have the
    same direction. If a prediction is certain, the gradient of cross-entropy is
    0 in float32, and Eq. 2 gets no sign from it. The gradient of the log-odds
    does not vanish.

    Args:
        logits (Tensor): Logits, (B, C), C >= 2.
        labels (Tensor): Labels, int64 (B, ).
    """
    given = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return torch.logsumexp(others, dim=1) - given.squeeze(1)


@TASK_UTILS.register_module()
class PGD:
    """Projected gradient descent in the maximum norm, Eqs. 1 and 2.

    It starts from the image itself, not from a random point near it. Another
    attack can replace it: any class that has the attribute ``steps`` and the
    method ``step``.

    Args:
        epsilon (float): Radius of the ball, for pixels in [0, 1]. Defaults to
            1 / 255.
        step_size (float, optional): alpha. Defaults to epsilon / 8.
        steps (int, optional): Number of steps. Defaults to epsilon / alpha,
            rounded up. This reaches the surface of the ball, and gives 4 for
            the paper's example of a common setting. (Eq. 3 prints alpha as
            the number of steps.)

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        epsilon: float = 1 / 255,
        step_size: Optional[float] = None,
        steps: Optional[int] = None,
    ):
        self.epsilon = in_range(
            self,
            'epsilon',
            epsilon,
            0,
            1,
            open_low=True,
            hint='It is a distance between pixels in [0, 1].',
        )
        in_range(self, 'step_size', step_size, 0, open_low=True, optional=True)
        self.step_size = epsilon / 8 if step_size is None else step_size
        positive_int(self, 'steps', steps, optional=True)
        # Rounding may make 1/255 / (1/255/8) a little more than 8.
        self.steps = (
            math.ceil(epsilon / self.step_size - 1e-6) if steps is None else steps
        )

    def step(self, images: Tensor, start: Tensor, gradient: Tensor) -> Tensor:
        """Make one step of the attack, Eq. 2.

        Args:
            images (Tensor): x^(s), in [0, 1], (B, C, H, W).
            start (Tensor): x^(0), (B, C, H, W).
            gradient (Tensor): Gradient of the loss, (B, C, H, W). Only its
                signs are used, so any positive factor may be missing.

        Returns:
            Tensor: x^(s+1), in [0, 1].
        """
        moved = images + self.step_size * gradient.sign()
        return moved.clamp(start - self.epsilon, start + self.epsilon).clamp(0, 1)


class Attacked(NamedTuple):
    """Result of the attack: tensors (N, ) on the CPU, one entry per image.

    Attributes:
        sample_ids (Tensor): Sample ids, int64, in the order in which images
            left the attack.
        steps (Tensor): k, int64, in [0, ``PGD.steps`` + 1]. 0 means that even
            the unchanged image is not predicted as its label.
        probability (Tensor): Probability of the label on the unchanged image,
            float64.
    """

    sample_ids: Tensor
    steps: Tensor
    probability: Tensor


def attack_steps(
    predict: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    attack: PGD,
    batch_size: int,
    recross: bool = False,
) -> Attacked:
    """Compute the geometric value k of adversarial vulnerability, Eq. 3.

    An image leaves the attack once its prediction has changed. The next image
    takes its place, so every pass of the model is full. The last passes repeat
    some images, so that all passes have the same number of them. The result of
    an image depends neither on the other images nor on their order.

    Args:
        predict (Callable): Differentiable function from images
            (B, 3 or 1, H, W) in [0, 1] to logits (B, C). Its model must be in
            eval mode, without dropout and with fixed BatchNorm statistics.
        batches (Iterable): Tuples on the device of the model: sample ids,
            int64 (n, ); images in [0, 1], (n, 3 or 1, H, W); and labels,
            int64 (n, ). n may vary. Batches are read as needed.
        attack (PGD): The attack.
        batch_size (int): Number of images in each pass.
        recross (bool): Compute the literal sum of Eq. 3: images stay until
            the last step, and a prediction that returns to the label counts
            again. False: count only the steps before the prediction first
            changes. Defaults to False.

    Raises:
        FloatingPointError: A prediction is not finite.
    """
    positive_int('attack_steps', 'batch_size', batch_size)
    queue = _Queue(batches)
    pool = queue.fill(None, batch_size)
    finished: List[Attacked] = []
    while pool is not None:
        pool, done = _attack_once(predict, pool, attack, batch_size, recross)
        finished.append(done)
        pool = queue.fill(pool, batch_size)
    if not finished:
        empty = torch.zeros(0, dtype=torch.int64)
        return Attacked(empty, empty.clone(), empty.double())
    ids, steps, against = (torch.cat(parts) for parts in zip(*finished))
    # float64 can distinguish probabilities near 1.
    return Attacked(ids, steps, (-against.double()).sigmoid())


class _Pool(NamedTuple):
    """Images under attack.

    Attributes:
        sample_ids, labels (Tensor): int64 (n, ).
        start, images (Tensor): x^(0) and x^(s), (n, C, H, W).
        step (Tensor): s, int64 (n, ).
        survived (Tensor): Number of steps at which the prediction was the
            label, int64 (n, ).
        against (Tensor): Log-odds against the label on x^(0), float32 (n, ).
    """

    sample_ids: Tensor
    labels: Tensor
    start: Tensor
    images: Tensor
    step: Tensor
    survived: Tensor
    against: Tensor

    def choose(self, index: Union[Tensor, slice]) -> '_Pool':
        return _Pool(*(field[index] for field in self))

    def join(self, other: '_Pool') -> '_Pool':
        return _Pool(*map(torch.cat, zip(self, other)))


class _Queue:
    """Queue of the images that have not been attacked yet."""

    def __init__(self, batches: Iterable[Batch]):
        self.source = iter(batches)
        self.rest: Optional[_Pool] = None

    def fill(self, pool: Optional[_Pool], size: int) -> Optional[_Pool]:
        """Return the pool with its free places filled; None if no image is left."""
        while pool is None or len(pool.labels) < size:
            if self.rest is None or not len(self.rest.labels):
                batch = next(self.source, None)
                if batch is None:
                    break
                self.rest = _new_pool(*batch)
            free = size if pool is None else size - len(pool.labels)
            entering = self.rest.choose(slice(free))
            self.rest = self.rest.choose(slice(free, None))
            pool = entering if pool is None else pool.join(entering)
        return pool if pool is not None and len(pool.labels) else None


def _new_pool(sample_ids: Tensor, images: Tensor, labels: Tensor) -> _Pool:
    zeros = torch.zeros_like(labels)
    against = torch.zeros_like(labels, dtype=torch.float32)
    return _Pool(sample_ids, labels, images, images, zeros, zeros, against)


def _attack_once(
    predict: Callable[[Tensor], Tensor],
    pool: _Pool,
    attack: PGD,
    batch_size: int,
    recross: bool,
) -> Tuple[Optional[_Pool], Attacked]:
    """Run the model once on a pool, then make one step of the attack.

    Returns:
        tuple[_Pool | None, Attacked]: The images that stay in the attack (None
        if there are none), and those that leave it. ``probability`` of the
        latter has the log-odds against the label, not yet a probability.
    """
    size = len(pool.labels)
    # If the pool is not full, repeat its images.
    places = torch.arange(batch_size, device=pool.labels.device) % size
    with torch.enable_grad():
        images = pool.images[places].requires_grad_()
        logits = predict(images)
        right = (logits.argmax(dim=1) == pool.labels[places])[:size]
        _check_finite(logits[:size], pool.sample_ids)
        survived = pool.survived + right
        against = log_odds_against(logits, pool.labels[places])
        # Keep the log-odds of the first pass, in which images are unchanged.
        first = torch.where(pool.step == 0, against[:size].detach(), pool.against)
        done = pool.step == attack.steps
        if not recross:
            done = done | ~right
        gradient = None
        if not done.all():
            (gradient,) = torch.autograd.grad(against.sum(), images)
    finished = Attacked(
        pool.sample_ids[done].cpu(), survived[done].cpu(), first[done].cpu()
    )
    if gradient is None:
        return None, finished
    moved = pool._replace(
        images=attack.step(pool.images, pool.start, gradient[:size]),
        step=pool.step + 1,
        survived=survived,
        against=first,
    )
    return moved.choose(~done), finished


def _check_finite(logits: Tensor, sample_ids: Tensor) -> None:
    bad = ~logits.isfinite().all(dim=1)
    if bad.any():
        raise FloatingPointError(
            f'{int(bad.sum())} predictions are not finite; the first one is for '
            f'sample {int(sample_ids[bad][0])}. Look at its image, or train '
            'the model with a lower learning rate.'
        )
