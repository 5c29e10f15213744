"""ALUM: adversarial data uncertainty modeling (Wei et al., ICCV'23).

===================  ========================================================
paper                code
===================  ========================================================
Eqs. 2 and 3         :func:`~mmfer.models.latent_statistics.channel_moments`:
                     statistics of a channel
Eqs. 5 and 6         :func:`~mmfer.models.latent_statistics.batch_std`: their
                     spread over the batch
Eq. 7                :func:`~mmfer.models.latent_statistics.compensate`:
                     compensated features
Eq. 8                :class:`~mmfer.models.LatentCompensation`: all layers
Eq. 9                :class:`~mmfer.models.UncertaintyNeck`: mean and
                     log-variance of a Gaussian feature
Eq. 10               :func:`mine_adversarial`: adversarial positive and
                     negative of each image
Sec. 3.3, p          :func:`~mmfer.methods.alum.mining.choose_anchors`: images
                     whose partners are mined
Eq. 11               :func:`~mmfer.models.feature_mixing.dimension_weights` and
                     :func:`~mmfer.models.feature_mixing.mix`
Eq. 12               :meth:`ALUMHead.loss`: sum of Eq. 13 and lambda times
                     Eq. 14
Eq. 13               :meth:`ALUMHead.classification_loss`
Eq. 14               :func:`~mmfer.methods.alum.losses.triplet_hinge`, each
                     summand; :meth:`ALUMHead.triplet_loss`, L_T
===================  ========================================================

Where the paper says nothing, the code follows the published code of RUL and
of DSU.
"""

from .alum_head import ALUMHead
from .mining import mine_adversarial

__all__ = ['ALUMHead', 'mine_adversarial']
