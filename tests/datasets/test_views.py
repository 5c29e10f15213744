"""Views: other labels and another pipeline, without a trace."""
import numpy as np
import pytest

from mmfer.datasets import LabelView, SyntheticFaces, unaugmented




@pytest.fixture
def faces():
    return SyntheticFaces(
        num_samples=30, size=20, pipeline=[
            dict(type='LoadFERImage', color_type='grayscale'),
            dict(type='RandomFlip', prob=.5), dict(type='PackFERInputs')])


def test_labels_of_another_task(faces):
    before = faces.get_gt_labels().copy()
    ids = np.array([7, 3, 20])
    view = LabelView(faces, ids, [1, 0, 1], 2)
    assert len(view) == 3 and view.metainfo['classes'] == ('class 0',
                                                           'class 1')
    for i, (sample_id, label) in enumerate(zip(ids, [1, 0, 1])):
        sample = view[i]['data_samples']
        assert int(sample.sample_id) == sample_id
        assert sample.gt_label.tolist() == [label]
        # The data set still has its own.
        own = faces[int(sample_id)]['data_samples']
        assert own.gt_label.tolist() == [before[sample_id]]
    assert (faces.get_gt_labels() == before).all()
    assert view.get_gt_labels().tolist() == [1, 0, 1]


def test_view_of_a_subset(faces):
    part = faces.get_subset([20, 4, 9])
    view = LabelView(part, [9, 20], [0, 0], 1)
    assert [int(view[i]['data_samples'].sample_id) for i in range(2)] == [
        9, 20]
    with pytest.raises(ValueError, match='1 of 2 samples .* sample 5'):
        LabelView(part, [9, 5], [0, 0], 1)
    with pytest.raises(ValueError, match='sample 99'):
        LabelView(part, [99], [0], 1)


def test_unaugmented_view(faces):
    faces.set_random_state(0, 0)
    other = SyntheticFaces(num_samples=30, size=20, test_mode=True, pipeline=[
        dict(type='LoadFERImage', color_type='grayscale'),
        dict(type='PackFERInputs')])
    view = unaugmented(faces, other.pipeline)
    flipped = 0
    for i in range(30):
        assert (view[i]['inputs'] == other[i]['inputs']).all()
        flipped += int((faces[i]['inputs'] != view[i]['inputs']).any())
    assert 5 < flipped < 25 and not faces.test_mode
    # Labels are those in use.
    faces.set_labels([3], [(int(faces.get_gt_labels()[3]) + 1) % 7])
    assert (view.get_gt_labels() == faces.get_gt_labels()).all()


def test_judgement_is_acted_on(faces):
    labels = faces.get_gt_labels().copy()
    order = np.random.default_rng(0).permutation(30)
    decision = np.array(['keep'] * 30)
    decision = decision.astype('<U7')
    decision[[2, 5]] = 'relabel'
    decision[[8, 9, 10]] = 'drop'
    suggested = labels.copy()
    suggested[[2, 5]] = (labels[[2, 5]] + 1) % 7
    suggested[[8, 9, 10]] = -1
    part = faces.get_subset(list(range(30)))
    part.judge(
        dict(
            sample_id=order, decision=decision[order],
            suggested_label=suggested[order]))
    assert part.sample_ids.tolist() == [
        i for i in range(30) if i not in (8, 9, 10)
    ]
    expected = np.delete(suggested, [8, 9, 10])
    assert (part.get_gt_labels() == expected).all()
    assert len(part.before_judgement) == 30
    assert (part.given_labels == labels).all()
