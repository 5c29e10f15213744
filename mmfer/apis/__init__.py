"""Trained models for users: inference on images, and models by name."""

from .hub import get_model, list_models, register_models
from .inferencer import FERInferencer

__all__ = ['FERInferencer', 'get_model', 'list_models', 'register_models']
