"""Trained models for users: inference on images, and models by name."""

from .hub import get_model, list_models, register_models
from .images import Frame
from .inferencer import FERInferencer
from .videos import Video

__all__ = [
    'FERInferencer',
    'Frame',
    'Video',
    'get_model',
    'list_models',
    'register_models',
]
