"""DivideMix: learning with noisy labels as semi-supervised learning.

Li, Socher and Hoi, ICLR 2020.

==================  ==============================  ======================
In the paper        Function                        File
==================  ==============================  ======================
mixture of losses   ``ClusteredGaussianMixture``    ``models/mixtures.py``
division            ``DivideMix.fit_noise_models``  ``dividemix.py``
warm-up             ``DivideMix.warmup_loss``       ``dividemix.py``
confidence penalty  ``confidence_penalty``          ``equations.py``
co-refinement       ``refine_labels``               ``equations.py``
sharpening          ``sharpen``                     ``equations.py``
co-guessing         ``guess_labels``                ``equations.py``
MixUp, share        ``mixing_share``                ``models/mixup.py``
MixUp, rows         ``mix_rows``                    ``models/mixup.py``
L_X                 ``labelled_loss``               ``equations.py``
L_U                 ``unlabelled_loss``             ``equations.py``
L_reg               ``prior_penalty``               ``equations.py``
all terms           ``DivideMix.mixed_loss``        ``dividemix.py``
==================  ==============================  ======================

The paper and the two files of the published code differ. ``PRESETS`` in
``dividemix.py`` has the options of all three.
"""

from .dividemix import DivideMix

__all__ = ['DivideMix']
