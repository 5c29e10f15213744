"""Facial-expression recognition on noisy labels, as a plug-in for OpenMMLab."""

import importlib

from .utils.collector import collector_paused
from .utils.installed import check_installed
from .version import __version__

# A mixture of packages can fail when it is imported, so this comes first.
check_installed()

with collector_paused():
    from .compat import check_dependencies

    check_dependencies()
    # This import makes the scope ``mmfer`` known to OpenMMLab. A config of
    # mmpretrain therefore needs only ``custom_imports=dict(imports='mmfer')``.
    importlib.import_module('mmfer.registry')

# These names are imported on first use, because only users of trained models need
# them; a run would load them for nothing.
APIS = ('FERInferencer', 'get_model', 'list_models')
__all__ = ['__version__', *APIS]


def __getattr__(name: str):
    if name in (*APIS, 'apis'):
        # `from . import apis` would call this function again, without end.
        apis = importlib.import_module('mmfer.apis')
        return apis if name == 'apis' else getattr(apis, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
