"""Batches as tensors: random steps of a pipeline for a whole batch at once."""
