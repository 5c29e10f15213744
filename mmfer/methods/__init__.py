"""Published methods, one folder for each.

Importing this package imports every folder in it, which registers all
classes. A new method needs no entry here.
"""

import importlib
import pkgutil

# Names of the methods, in alphabetical order.
METHODS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))

for _name in METHODS:
    importlib.import_module(f'{__name__}.{_name}')
