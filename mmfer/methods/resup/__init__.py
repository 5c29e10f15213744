"""ReSup: reliable label noise suppression.

Zhang, Lu, Yan, Huang, Ji and Gu, arXiv 2305.17895.

=================  =================================  ===============================
In the paper       Function                           File
=================  =================================  ===============================
Eq. 2              ``similarity``                     ``models/label_noise_model.py``
Eq. 3              ``TwoComponentMixture.density``    ``models/mixtures.py``
Eq. 4              ``BetaMixture``                    ``models/mixtures.py``
Eq. 5              ``TwoComponentMixture.posterior``  ``models/mixtures.py``
Eq. 5, by a table  ``LabelNoiseModel.weigh``          ``models/label_noise_model.py``
Sec. 3.3           ``exchange_weights``               ``losses.py``
Eq. 6              ``ReSup.joint_loss``               ``resup.py``
Eq. 7              ``weighted_cross_entropy``         ``losses.py``
Eq. 8              ``squared_difference``             ``models/divergences.py``
Sec. 4.5, JoCoWe   ``symmetric_kl``                   ``models/divergences.py``
=================  =================================  ===============================

The paper and its published code differ. ``PRESETS`` in ``resup.py`` has the
options of both.
"""

from .resup import ReSup

__all__ = ['ReSup']
