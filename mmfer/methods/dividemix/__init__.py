"""DivideMix: learning with noisy labels as semi-supervised learning.

Li, Socher and Hoi, ICLR 2020.

==================  ==============================  =========================
In the paper        Function                        File
==================  ==============================  =========================
Sec. 3.1, mixture   ``ClusteredGaussianMixture``    ``models/mixtures.py``
Sec. 3.1, division  ``DivideMix.fit_noise_models``  ``dividemix.py``
Eqs. 1 and 2        ``DivideMix.warmup_loss``       ``dividemix.py``
Eq. 2               ``confidence_penalty``          ``equations.py``
Eq. 3               ``refine_labels``               ``equations.py``
Eq. 4               ``sharpen``                     ``equations.py``
Algorithm 1, guess  ``guess_labels``                ``equations.py``
Eqs. 5 and 6        ``mixing_share``                ``models/mixup.py``
Eqs. 7 and 8        ``mix_rows``                    ``models/mixup.py``
Eq. 9, L_X          ``labelled_loss``               ``equations.py``
Eq. 10, L_U         ``unlabelled_loss``             ``equations.py``
Eq. 11, L_reg       ``prior_penalty``               ``equations.py``
Eq. 12              ``DivideMix.mixed_loss``        ``dividemix.py``
==================  ==============================  =========================

The paper and the two files of the published code differ. ``PRESETS`` in
``dividemix.py`` has the options of all three.
"""

from .dividemix import DivideMix

__all__ = ['DivideMix']
