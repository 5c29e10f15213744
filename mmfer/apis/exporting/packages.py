"""Packages of the extra ``[onnx]``, which are imported when they are needed."""

import importlib
from typing import Any


def require(name: str) -> Any:
    """Import a package of the extra ``[onnx]``.

    Args:
        name (str): ``'onnx'`` or ``'onnxruntime'``.

    Raises:
        ImportError: It is not installed. The message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'ONNX files need the package {name}: pip install "mmfer[onnx]" ({error})'
        ) from None
