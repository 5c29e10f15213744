"""ReSup: reliable label noise suppression (arXiv 2305.17895).

===================  ========================================================
paper                code
===================  ========================================================
Eq. 2                :func:`~mmfer.models.label_noise_model.similarity` of a
                     prediction and a label
Eq. 3                :meth:`BetaMixture.density
                     <mmfer.models.mixtures.TwoComponentMixture.density>`
Eq. 4                :meth:`BetaMixture.log_component_density
                     <mmfer.models.BetaMixture.log_component_density>`
Eq. 5                :meth:`BetaMixture.posterior
                     <mmfer.models.mixtures.TwoComponentMixture.posterior>`;
                     looked up in a table by :class:`~mmfer.models.LabelNoiseModel`
Sec. 3.3             :func:`~mmfer.methods.resup.losses.exchange_weights`:
                     which network's weights apply to which loss
Eq. 6                :meth:`ReSup.joint_loss`
Eq. 7                :func:`~mmfer.methods.resup.losses.weighted_cross_entropy`
Eq. 8                :func:`~mmfer.methods.resup.losses.consistency`
===================  ========================================================

Text and published code differ; ``PRESETS`` in
:mod:`~mmfer.methods.resup.resup` has both.
"""

from .resup import ReSup

__all__ = ['ReSup']
