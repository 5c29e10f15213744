"""Export of whole models to ONNX, and predictions with the exported files.

``tools/model_converters/export_network.py`` is something else: it writes the weights
of one network of several into a checkpoint.
"""

from .predictor import OnnxPredictor
from .writing import export_onnx

__all__ = ['OnnxPredictor', 'export_onnx']
