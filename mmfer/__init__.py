"""mmfer: facial-expression recognition from wrong labels, on OpenMMLab."""
from .compat import check_dependencies
from .version import __version__

check_dependencies()

__all__ = ['__version__']
