"""ALUM: adversarial data uncertainty modeling.

Wei, Zhou, Li and Wu, ICCV 2023. Eqs. 2 to 8 regularise the backbone. The other
equations belong to a neck and a head.

=================  ================================  =================================
In the paper       Function                          File
=================  ================================  =================================
Eqs. 2 and 3       ``channel_moments``               ``models/latent_statistics.py``
Eqs. 5 and 6       ``batch_std``                     ``models/latent_statistics.py``
Eq. 7, brackets    ``redraw_statistics``             ``models/latent_statistics.py``
Eq. 7, channels    ``channel_map``                   ``models/latent_statistics.py``
Eq. 7              ``compensate``                    ``models/latent_statistics.py``
Eq. 8, all layers  ``FeaturePerturbation.attach``    ``models/feature_perturbation.py``
Eq. 9              ``UncertaintyNeck``               ``models/uncertainty_neck.py``
Eq. 10             ``mine_adversarial``              ``mining.py``
Sec. 3.3, share p  ``choose_anchors``                ``mining.py``
Eq. 11, weights    ``dimension_weights``             ``models/feature_mixing.py``
Eq. 11, mixture    ``mix``                           ``models/feature_mixing.py``
Eq. 12             ``ALUMHead.loss``                 ``alum_head.py``
Eq. 13             ``ALUMHead.classification_loss``  ``alum_head.py``
Eq. 14, summand    ``triplet_hinge``                 ``losses.py``
Eq. 14, sum        ``reduce_triplets``               ``losses.py``
Eq. 14, L_T        ``ALUMHead.triplet_loss``         ``alum_head.py``
=================  ================================  =================================

Eq. 4, the shape of the statistics, has no function. To change Eq. 10, 11 or 14,
override ``mine``, ``mixing_weights`` or ``hinges`` of ``ALUMHead``.

Where the paper leaves a choice open, the defaults follow the published code of
RUL and of DSU. ``preset='paper'`` of the head and of the compensation follows the
printed equations.
"""

from .alum_head import ALUMHead
from .mining import mine_adversarial

__all__ = ['ALUMHead', 'mine_adversarial']
