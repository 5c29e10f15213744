"""Data sets and pipelines inside wrappers."""

from torch.utils.data import ConcatDataset, Subset

from mmfer.datasets import SyntheticFaces, fer_datasets, pipeline_of

PIPELINE = [dict(type='LoadFERImage', color_type='grayscale')]


def faces():
    return SyntheticFaces(
        num_samples=4, size=16, pipeline=PIPELINE, lazy_init=True, serialize_data=False
    )


def test_data_sets_inside_wrappers():
    first, second = faces(), faces()
    joined = ConcatDataset([Subset(first, [0]), second])
    assert list(fer_datasets(joined)) == [first, second]
    assert pipeline_of(joined) is first.pipeline


def test_search_does_not_load_a_data_set():
    """Its length, and so its truth value, would load it."""
    inner = faces()
    wrapper = Subset(inner, [0])
    assert list(fer_datasets(wrapper)) == [inner]
    assert pipeline_of(wrapper) is inner.pipeline
    assert not inner._fully_initialized


def test_data_sets_of_other_packages():
    assert list(fer_datasets([1, 2])) == []
    assert pipeline_of([1, 2]) is None
