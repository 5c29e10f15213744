"""Options of the joint GAN: presets of paper and code, and checks."""

from typing import Any, Dict, Optional, Sequence

import torch
from mmengine.logging import MMLogger
from torch import Tensor

from mmfer.utils.checks import choices, in_range, positive_int
from mmfer.utils.presets import with_preset

# Where paper and published code differ. The paper updates encoder and decoder first
# and makes new tuples for D after that. In its residual blocks a ReLU follows each
# convolution, and its MLP blocks are a sum of four terms. The code has one estimator
# of covariance and another one of variance in its concordance loss.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(order='official', encoder=dict(), discriminator=dict()),
    paper=dict(
        order='paper',
        encoder=dict(),
        discriminator=dict(residual_block='plain', mlp_shortcut=False),
    ),
    official=dict(
        order='official', encoder=dict(head=dict(ccc='official')), discriminator=dict()
    ),
)
# Values of lambda for CIFAR-10. They are no part of the presets, because paper and code
# agree on another value for each set of faces, which its config gives.
ADVERSARIAL_WEIGHTS = dict(default=0.4, paper=0.4, official=0.8)

ORDERS = ('official', 'paper')
LABEL_FORMS = ('logits', 'probabilities')
SCORE_KINDS = ('image', 'latent', 'labels', 'joint')


def choose_options(preset: str, given: Dict[str, Any]) -> Dict[str, Any]:
    """Return the options of a preset, with the given ones in their place.

    Args:
        preset (str): ``'default'``, ``'paper'`` or ``'official'``.
        given (dict): Options in which presets differ, and ``adversarial_weight``.
            None stands for options that are not given.

    Raises:
        ValueError: There is no such preset, or a value is out of range.
    """
    given = dict(given)
    weight = given.pop('adversarial_weight')
    options = with_preset('JointGAN', PRESETS, preset, given)
    choices('JointGAN', 'order', options['order'], ORDERS)
    own = ADVERSARIAL_WEIGHTS[preset]
    if weight is None:
        weight = own
    elif weight != own and preset != 'default':
        MMLogger.get_current_instance().info(
            f'JointGAN: adversarial_weight={weight} is given. preset={preset!r} has '
            f'{own} for CIFAR-10; other data sets have other values.'
        )
    in_range('JointGAN', 'adversarial_weight', weight, 0)
    return dict(options, adversarial_weight=weight)


def check_options(
    discriminator_steps: int, mismatch_weight: float, label_form: str
) -> None:
    """Check the options that no preset sets, see :class:`JointGAN`.

    Raises:
        ValueError: A value is unknown or out of range.
    """
    positive_int('JointGAN', 'discriminator_steps', discriminator_steps)
    in_range('JointGAN', 'mismatch_weight', mismatch_weight, 0)
    choices('JointGAN', 'label_form', label_form, LABEL_FORMS)


def score_factors(score_names: Sequence[str], weights: Optional[dict]) -> Tensor:
    """Return the factor of each score, (K, ).

    Args:
        score_names (Sequence[str]): Kind of each score.
        weights (dict, optional): Factors by kind, see :class:`JointGAN`. The others
            are 1.

    Raises:
        ValueError: A kind is unknown, or all factors are 0.
    """
    unknown = set(weights or ()) - set(SCORE_KINDS)
    if unknown:
        raise ValueError(
            f'JointGAN: score_weights has {", ".join(sorted(unknown))}, but '
            f'the scores are {", ".join(SCORE_KINDS)}. Check the spelling.'
        )
    factors = dict(dict.fromkeys(SCORE_KINDS, 1.0), **(weights or {}))
    result = torch.tensor([float(factors[name]) for name in score_names])
    if not result.any():
        raise ValueError(
            'JointGAN: all score_weights are 0, so there is no game; to '
            'train the encoder alone, use a FERClassifier.'
        )
    return result
