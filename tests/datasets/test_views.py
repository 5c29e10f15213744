"""Views: other labels and another pipeline; the data set is unchanged."""

import copy
from pathlib import Path

import numpy as np
import pytest

from mmfer.datasets import LabelView, SyntheticFaces, unaugmented


@pytest.fixture
def faces():
    return SyntheticFaces(
        num_samples=30,
        size=20,
        pipeline=[
            dict(type='LoadFERImage', color_type='grayscale'),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackFERInputs'),
        ],
    )


def test_labels_of_another_task(faces):
    before = faces.get_gt_labels().copy()
    ids = np.array([7, 3, 20])
    view = LabelView(faces, ids, [1, 0, 1], 2)
    assert len(view) == 3 and view.metainfo['classes'] == ('class 0', 'class 1')
    for i, (sample_id, label) in enumerate(zip(ids, [1, 0, 1])):
        sample = view[i]['data_samples']
        assert int(sample.sample_id) == sample_id
        assert sample.gt_label.tolist() == [label]
        # The data set keeps its own labels.
        own = faces[int(sample_id)]['data_samples']
        assert own.gt_label.tolist() == [before[sample_id]]
    assert (faces.get_gt_labels() == before).all()
    assert view.get_gt_labels().tolist() == [1, 0, 1]


def test_view_of_a_subset(faces):
    part = faces.get_subset([20, 4, 9])
    view = LabelView(part, [9, 20], [0, 0], 1)
    assert [int(view[i]['data_samples'].sample_id) for i in range(2)] == [9, 20]
    with pytest.raises(ValueError, match='1 of 2 samples .* sample 5'):
        LabelView(part, [9, 5], [0, 0], 1)
    with pytest.raises(ValueError, match='sample 99'):
        LabelView(part, [99], [0], 1)


def test_unaugmented_view(faces):
    faces.set_random_state(0, 0)
    other = SyntheticFaces(
        num_samples=30,
        size=20,
        test_mode=True,
        pipeline=[
            dict(type='LoadFERImage', color_type='grayscale'),
            dict(type='PackFERInputs'),
        ],
    )
    view = unaugmented(faces, other.pipeline)
    flipped = 0
    for i in range(30):
        assert (view[i]['inputs'] == other[i]['inputs']).all()
        flipped += int((faces[i]['inputs'] != view[i]['inputs']).any())
    assert 5 < flipped < 25 and not faces.test_mode
    # The view has the labels in use.
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
    part.apply_decisions(
        dict(
            sample_id=order, decision=decision[order], suggested_label=suggested[order]
        )
    )
    assert part.sample_ids.tolist() == [i for i in range(30) if i not in (8, 9, 10)]
    expected = np.delete(suggested, [8, 9, 10])
    assert (part.get_gt_labels() == expected).all()
    assert len(part.uncleaned) == 30
    assert (part.given_labels == labels).all()


# -- decisions from a table ---------------------------------------------------
HEAD = 'sample_id,image,given_label,noise_score,suggested_label,decision,clean_label'


def table_of(dataset, decisions):
    """Lines of a score table of all samples, in descending order."""
    lines = [HEAD]
    for i in reversed(range(len(dataset))):
        info = dataset.get_data_info(i)
        decision, suggested = decisions.get(i, ('keep', info['gt_label']))
        lines.append(
            f'{i},{dataset.image_name(info["img_path"])},'
            f'{info["gt_label"]},{i / 100},{suggested},{decision},'
        )
    return lines


def write(tmp_path, lines):
    path = tmp_path / 'sample_scores.csv'
    path.write_text('\n'.join(lines) + '\n')
    return str(path)


def test_table_is_acted_on(faces, tmp_path):
    labels = faces.get_gt_labels()
    new = (int(labels[4]) + 1) % 7
    path = write(
        tmp_path,
        table_of(faces, {4: ('relabel', new), 6: ('drop', -1), 9: ('drop', 3)}),
    )
    cleaned = SyntheticFaces(
        num_samples=30, size=20, decisions=path, pipeline=faces.pipeline.transforms
    )
    kept = [i for i in range(30) if i not in (6, 9)]
    assert cleaned.sample_ids.tolist() == kept
    expected = labels[kept]
    expected[4] = new
    assert (cleaned.get_gt_labels() == expected).all()
    assert cleaned.label_decisions['noise_score'][7] == 0.07
    assert len(cleaned.uncleaned) == 30
    assert len(cleaned.get_subset([0, 1])) == 2


def test_table_from_a_spreadsheet(faces, tmp_path):
    path = write(tmp_path, table_of(faces, {6: ('drop', -1)}))
    Path(path).write_bytes(b'\xef\xbb\xbf' + Path(path).read_bytes())
    assert (
        len(SyntheticFaces(num_samples=30, size=20, decisions=path, pipeline=[])) == 29
    )


@pytest.mark.parametrize(
    'change',
    [
        lambda text: text.replace(',', ';').replace('\n', '\r\n').encode('utf-8-sig'),
        lambda text: text.replace(',', '\t').encode('utf-16'),
        lambda text: text.replace('\n', '\r').encode(),
        lambda text: (text + ',,,,,,\n,,,,,,\n').encode(),
        lambda text: text.replace('drop', ' Drop ').replace('keep', 'KEEP').encode(),
        # A spreadsheet leaves out the empty column at the end.
        lambda text: text.replace(',keep,', ',keep').encode(),
        lambda text: text.replace(',synthfaces', '.0,synthfaces').encode(),
        lambda text: text.replace('synthfaces/train/', 'synthfaces\\train\\').encode(),
        # The file has decimal commas.
        lambda text: text.replace(',', ';').replace(';0.', ';0,').encode(),
        # The file has an index column.
        lambda text: ''.join(
            f'{i - 1 if i else ""},{line}\n' for i, line in enumerate(text.splitlines())
        ).encode(),
        lambda text: text.replace('sample_id', 'Sample_ID').encode(),
    ],
)
def test_tables_of_spreadsheets(faces, tmp_path, change):
    lines = table_of(faces, {6: ('drop', -1), 9: ('relabel', 3)})
    path = tmp_path / 'sample_scores.csv'
    path.write_bytes(change('\n'.join(lines) + '\n'))
    cleaned = SyntheticFaces(num_samples=30, size=20, decisions=str(path), pipeline=[])
    assert cleaned.sample_ids.tolist() == [i for i in range(30) if i != 6]
    assert cleaned.all_labels[9] == 3
    assert cleaned.label_decisions['noise_score'][7] == 0.07


def test_suggestion_by_name(faces, tmp_path):
    path = write(tmp_path, table_of(faces, {9: ('relabel', 'Fear')}))
    settings = dict(num_samples=30, size=20, decisions=path, pipeline=[])
    cleaned = SyntheticFaces(**settings)
    assert cleaned.CLASSES[cleaned.all_labels[9]] == 'fear'
    write(tmp_path, table_of(faces, {9: ('relabel', 'faer')}))
    with pytest.raises(ValueError, match="'faer'.*Did you mean 'fear'"):
        SyntheticFaces(**settings)


def test_decisions_that_leave_a_class_out_are_said(faces, tmp_path, said):
    labels = faces.get_gt_labels()
    gone = np.flatnonzero(labels == 3).tolist()
    for new, left in (('drop', 30 - len(gone)), ('relabel', 30)):
        said.clear()
        path = write(tmp_path, table_of(faces, {i: (new, 1) for i in gone}))
        SyntheticFaces(num_samples=30, size=20, decisions=path, pipeline=[])
        (text,) = [x for x in said if 'decisions' in x]
        for part in (
            f'{left} samples of 30',
            f'no sample of {faces.CLASSES[3]}.',
            'cannot be trained or tested',
        ):
            assert part in text
    # A class with one sample is not empty.
    said.clear()
    path = write(tmp_path, table_of(faces, {i: ('drop', 1) for i in gone[1:]}))
    SyntheticFaces(num_samples=30, size=20, decisions=path, pipeline=[])
    assert not [x for x in said if 'decisions' in x]


def test_copies_share_images_and_nothing_else(faces):
    other = copy.deepcopy(faces)
    assert other._images is faces._images and len(other) == 30
    before = faces.get_gt_labels().copy()
    other.set_labels([0], [(int(before[0]) + 1) % 7])
    assert (faces.get_gt_labels() == before).all()
    other.get_subset_([3])
    assert len(other) == 1 and len(faces) == 30
    assert faces.get_data_info(4)['sample_id'] == 4


def test_lazy_set_reads_its_table_later(faces, tmp_path):
    path = write(tmp_path, table_of(faces, {6: ('drop', -1)}))
    lazy = SyntheticFaces(
        num_samples=30, size=20, decisions=path, pipeline=[], lazy_init=True
    )
    lazy.full_init()
    lazy.full_init()
    assert len(lazy) == 29


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda lines: lines[:-1], 'lacks 1 of 30 samples'),
        (lambda lines: [*lines, lines[-1]], 'samples twice'),
        (
            lambda lines: [HEAD.replace('decision', 'verdict'), *lines[1:]],
            'no column decision',
        ),
        (lambda lines: lines[:1], 'a header but no rows'),
        (
            lambda lines: [x.replace('keep', 'maybe') for x in lines],
            "decision 'maybe' is none of keep, relabel, drop",
        ),
        (
            lambda lines: [x.replace('000003', '000303') for x in lines],
            'sample 3: the table calls its image .*000303',
        ),
        (
            lambda lines: [
                lines[0],
                lines[1].replace('keep', 'relabel').replace(',0.29,', ',0.29,9'),
                *lines[2:],
            ],
            r'outside \[0, 7\)',
        ),
        (
            lambda lines: [lines[0], *(x.replace('0.', 'x.') for x in lines[1:])],
            r"line 2: .*noise_score is 'x\.29', which is no number",
        ),
        (
            lambda lines: [*lines[:-1], '0,synthfaces/train/000000.png'],
            'line 31: .*2 comma-separated fields instead of 7',
        ),
        (
            lambda lines: [x.replace('keep', 'drop') for x in lines],
            'drops every sample',
        ),
        (
            lambda lines: [*lines[:4], lines[4].replace('keep', ''), *lines[5:]],
            "line 5: .*decision '' is none of",
        ),
        (
            lambda lines: [*lines[:4], lines[4].replace(',keep', '.5,keep')],
            'line 5: .*suggested_label is .*no whole number',
        ),
        (
            lambda lines: [x.replace(',', '|') for x in lines],
            r'line 1: .*no column sample_id.*split at every',
        ),
        (
            lambda lines: [
                *lines[:2],
                lines[2].replace('keep', 'keep"'),
                *lines[3:],
                f'"{lines[2]}',
            ],
            'line 32: .*line break',
        ),
    ],
)
def test_tables_that_do_not_fit(faces, tmp_path, change, message):
    path = write(tmp_path, change(table_of(faces, {})))
    with pytest.raises(ValueError, match=message):
        SyntheticFaces(num_samples=30, size=20, decisions=path, pipeline=[])


def test_table_of_other_labels(faces, tmp_path):
    path = write(tmp_path, table_of(faces, {}))
    noise = dict(type='SymmetricNoise', rate=0.5, seed=0)
    with pytest.raises(ValueError, match='made from other labels'):
        SyntheticFaces(
            num_samples=30, size=20, decisions=path, pipeline=[], label_noise=noise
        )


def test_decisions_belong_to_training(tmp_path):
    with pytest.raises(FileNotFoundError, match='sample_scores.csv of a run'):
        SyntheticFaces(
            num_samples=30, size=20, pipeline=[], decisions=str(tmp_path / 'none.csv')
        )
    with pytest.raises(ValueError, match='for an evaluation'):
        SyntheticFaces(
            num_samples=30, size=20, pipeline=[], split='test', decisions='a.csv'
        )
