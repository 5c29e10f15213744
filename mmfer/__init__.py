"""mmfer: facial-expression recognition from wrong labels, on OpenMMLab."""

import importlib

from .compat import check_dependencies
from .version import __version__

check_dependencies()
# With it OpenMMLab knows the scope: ``custom_imports=dict(imports='mmfer')``
# is all that a config of mmpretrain needs.
importlib.import_module('mmfer.registry')

# What is for users of trained models loads when it is asked for: trainings
# need none of it.
APIS = ('FERInferencer', 'get_model', 'list_models')
__all__ = ['__version__', *APIS]


def __getattr__(name: str):
    if name in (*APIS, 'apis'):
        # Not `from . import apis`, which would ask for the attribute again.
        apis = importlib.import_module('mmfer.apis')
        return apis if name == 'apis' else getattr(apis, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
