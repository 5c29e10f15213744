"""Fixtures of the tests of methods."""

import pytest
from mmengine.logging import MMLogger


@pytest.fixture
def said(monkeypatch):
    """Return the list of texts that are logged."""
    texts = []
    for level in ('info', 'warning'):
        monkeypatch.setattr(
            MMLogger, level, lambda self, text, *_, **__: texts.append(text)
        )
    return texts
