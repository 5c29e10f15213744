"""Adversarial attack that measures vulnerability: GAAVE (AAAI'23), Eqs. 1 to 3."""

import math
from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple, Union

import torch
from torch import Tensor

from mmfer.registry import TASK_UTILS
from mmfer.utils.checks import in_range, positive_int

# Sample ids, images in [0, 1] and labels.
Batch = Tuple[Tensor, Tensor, Tensor]

# Passes of the model between two reads of results. As many batches of images
# are on the device, so that each pass is full without a look at the results.
PASSES_PER_READ = 4


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
        sample_ids (Tensor): Sample ids, int64, roughly in the order in which
            images left the attack.
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

    After the last step, only the prediction matters. Images that have taken
    all steps wait until they fill a pass, which computes no gradient.

    The device chooses by itself which images are in a pass. The host reads
    results once for every :data:`PASSES_PER_READ` passes, so a GPU does not
    wait for it in between.

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
    pool, moving, still = queue.fill(None, 0, PASSES_PER_READ * batch_size), 0, 0
    finished: List[Attacked] = []
    while pool is not None:
        moving = len(pool.labels) - still
        # Each pass takes at most ``batch_size`` images out of the attack, so
        # these passes are full.
        full = min(moving // batch_size, PASSES_PER_READ)
        for _ in range(max(full, int(moving > 0))):
            attack_once(predict, pool, attack, batch_size, recross)
        last_looks = still // batch_size if moving else -(-still // batch_size)
        for _ in range(last_looks):
            look_once(predict, pool, attack, batch_size)
        pool, still, done = _remove_finished(pool, attack.steps)
        finished.append(done)
        pool = queue.fill(pool, still, PASSES_PER_READ * batch_size)
    if not finished:
        empty = torch.zeros(0, dtype=torch.int64)
        return Attacked(empty, empty.clone(), empty.double())
    ids, steps, against = (torch.cat(parts) for parts in zip(*finished))
    # float64 can distinguish probabilities near 1.
    return Attacked(ids, steps, (-against.double()).sigmoid())


class Pool(NamedTuple):
    """Images under attack, and those that wait for a place in a pass.

    A pass changes its tensors in place.

    Attributes:
        sample_ids, labels (Tensor): int64 (n, ).
        start, images (Tensor): x^(0) and x^(s), (n, C, H, W).
        step (Tensor): s, int64 (n, ).
        survived (Tensor): Number of steps at which the prediction was the
            label, int64 (n, ).
        against (Tensor): Log-odds against the label on x^(0), float32 (n, ).
        done (Tensor): Whether the image has left the attack, bool (n, ).
        bad (Tensor): Whether a prediction was not finite, bool (n, ).
    """

    sample_ids: Tensor
    labels: Tensor
    start: Tensor
    images: Tensor
    step: Tensor
    survived: Tensor
    against: Tensor
    done: Tensor
    bad: Tensor

    def choose(self, index: Union[Tensor, slice]) -> 'Pool':
        return Pool(*(field[index] for field in self))

    def join(self, other: 'Pool') -> 'Pool':
        return Pool(*map(torch.cat, zip(self, other)))


def new_pool(sample_ids: Tensor, images: Tensor, labels: Tensor) -> Pool:
    """Return a pool of unchanged images; see :class:`Pool` for the arguments."""
    return Pool(
        sample_ids,
        labels,
        images,
        images.clone(),
        torch.zeros_like(labels),
        torch.zeros_like(labels),
        torch.zeros_like(labels, dtype=torch.float32),
        torch.zeros_like(labels, dtype=torch.bool),
        torch.zeros_like(labels, dtype=torch.bool),
    )


class _Queue:
    """Queue of the images that have not been attacked yet."""

    def __init__(self, batches: Iterable[Batch]):
        self.source = iter(batches)
        self.rest: Optional[Batch] = None

    def fill(self, pool: Optional[Pool], still: int, size: int) -> Optional[Pool]:
        """Return the pool with new images; None if no image is left.

        Args:
            pool (Pool, optional): Images in the attack.
            still (int): Number of these images that take no more steps.
            size (int): Number of images wanted that take steps.
        """
        parts = [] if pool is None else [pool]
        free = size + still - (0 if pool is None else len(pool.labels))
        while free > 0:
            if self.rest is None or not len(self.rest[2]):
                self.rest = next(self.source, None)
                if self.rest is None:
                    break
            parts.append(new_pool(*(field[:free] for field in self.rest)))
            ids, images, labels = (field[free:] for field in self.rest)
            free -= len(parts[-1].labels)
            self.rest = ids, images, labels
        if len(parts) > 1:
            pool = Pool(*map(torch.cat, zip(*parts)))
        elif parts:
            pool = parts[0]
        return pool if pool is not None and len(pool.labels) else None


def attack_once(
    predict: Callable[[Tensor], Tensor],
    pool: Pool,
    attack: PGD,
    batch_size: int,
    recross: bool,
) -> None:
    """Run the model on the first images that take steps, and move these images.

    Nothing is read on the host, and all shapes are known to it.

    See :func:`attack_steps` for the arguments. The pool is changed in place.
    """
    places, rows, active = _first_of(
        ~pool.done & (pool.step < attack.steps), batch_size
    )
    with torch.enable_grad():
        images = pool.images[places].requires_grad_()
        logits = predict(images)
        against = log_odds_against(logits, pool.labels[places])
        (gradient,) = torch.autograd.grad(against.sum(), images)
    right = _count(pool, places, rows, active, logits.detach(), against.detach())
    if not recross:
        pool.done[rows] |= active & ~right
    before = images.detach()[: len(rows)]
    moved = attack.step(before, pool.start[rows], gradient[: len(rows)])
    pool.images[rows] = torch.where(active[:, None, None, None], moved, before)
    pool.step[rows] += active.long()


@torch.no_grad()
def look_once(
    predict: Callable[[Tensor], Tensor], pool: Pool, attack: PGD, batch_size: int
) -> None:
    """Predict the first images that have taken all steps; they leave the attack.

    See :func:`attack_steps` for the arguments. The pool is changed in place.
    """
    places, rows, active = _first_of(
        ~pool.done & (pool.step >= attack.steps), batch_size
    )
    logits = predict(pool.images[places])
    against = log_odds_against(logits, pool.labels[places])
    _count(pool, places, rows, active, logits, against)
    pool.done[rows] |= active


def _first_of(wanted: Tensor, batch_size: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Choose the images of a pass: first the wanted ones, in their order.

    Args:
        wanted (Tensor): Whether an image shall be in the pass, bool (n, ).
        batch_size (int): B.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Positions of the images of the pass,
        int64 (B, ), which are repeated if n < B; the same without repetitions,
        (min(n, B), ); and whether these are wanted, bool.
    """
    order = wanted.to(torch.uint8).argsort(stable=True, descending=True)
    places = torch.arange(batch_size, device=order.device) % len(order)
    rows = order[:batch_size]
    return order[places], rows, wanted[rows]


def _count(
    pool: Pool,
    places: Tensor,
    rows: Tensor,
    active: Tensor,
    logits: Tensor,
    against: Tensor,
) -> Tensor:
    """Note the predictions of a pass; return which are the label, (len(rows), )."""
    right = (logits.argmax(dim=1) == pool.labels[places])[: len(rows)]
    pool.survived[rows] += (right & active).long()
    # Keep the log-odds of the first pass, in which images are unchanged.
    first = active & (pool.step[rows] == 0)
    pool.against[rows] = torch.where(
        first, against[: len(rows)].float(), pool.against[rows]
    )
    finite = logits.isfinite().all(dim=1)[: len(rows)]
    pool.bad[rows] |= active & ~finite
    return right


def _remove_finished(pool: Pool, steps: int) -> Tuple[Optional[Pool], int, Attacked]:
    """Read on the host which images have left the attack.

    Returns:
        tuple[Pool | None, int, Attacked]: The images that stay in the attack
        (None if there are none); how many of them have taken all steps; and
        those that left it. ``probability`` of the latter has the log-odds
        against the label, not yet a probability.

    Raises:
        FloatingPointError: A prediction is not finite.
    """
    numbers = torch.stack(
        [pool.sample_ids, pool.survived, pool.step, pool.done.long(), pool.bad.long()]
    ).cpu()
    sample_ids, survived, step = numbers[:3]
    done, bad = numbers[3:].bool()
    if bad.any():
        raise FloatingPointError(
            f'{int(bad.sum())} predictions are not finite; the first one is for '
            f'sample {int(sample_ids[bad][0])}. Look at its image, or train '
            'the model with a lower learning rate.'
        )
    finished = Attacked(sample_ids[done], survived[done], pool.against.cpu()[done])
    stays = (~done).nonzero()[:, 0]
    if not len(stays):
        return None, 0, finished
    still = int((step[stays] >= steps).sum())
    if not done.any():
        return pool, still, finished
    return pool.choose(stays.to(pool.done.device)), still, finished
