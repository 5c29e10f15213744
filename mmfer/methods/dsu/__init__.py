"""DSU: domain shifts with uncertainty, in the statistics of features.

Li, Dai, Ge, Liu, Shan and Duan, Uncertainty Modeling for Out-of-Distribution
Generalization, ICLR 2022. It regularises the backbone of any classifier. The loss is
plain cross-entropy. ALUM has the same operator as its latent compensation.

================  =======================  =================================
In the paper      Function                 File
================  =======================  =================================
Eqs. 1 and 2      ``channel_moments``      ``models/latent_statistics.py``
Eqs. 3 and 4      ``batch_std``            ``models/latent_statistics.py``
Eqs. 5 and 6      ``redraw_statistics``    ``models/latent_statistics.py``
Eq. 7             ``compensate``           ``models/latent_statistics.py``
Layers and gates  ``FeaturePerturbation``  ``models/feature_perturbation.py``
================  =======================  =================================
"""

from mmfer.models.latent_compensation import LatentCompensation

__all__ = ['LatentCompensation']
