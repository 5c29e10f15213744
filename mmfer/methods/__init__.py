"""One folder per published method; importing this package registers all of them."""

import importlib
import pkgutil

# A new method is found by its folder, so that no list has to name it.
for _method in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_method.name}')
