"""What a scan concludes and says, from made scores."""

import dataclasses

import numpy as np
import pytest
from made_data import write_image

from mmfer.evaluation import Strength
from mmfer.evaluation.flagging import Quality
from mmfer.scan import LabelScores
from mmfer.scan.duplicates import Duplicates
from mmfer.scan.findings import Findings, class_summaries, confusions, small_classes
from mmfer.scan.groups import Groups
from mmfer.scan.report import console_lines, percent, report_text, warnings_of
from mmfer.scan.sources import find_source
from mmfer.score_table import read_decisions, write_score_table

COUNT = 60


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp('x y') / 'Bilder Ü'
    for row in range(COUNT):
        write_image(
            root / ('anger', 'glad', 'sad')[row % 3] / f'{row:02d} ä.png', 4, row
        )
    found = find_source(str(root))
    found.dataset.full_init()
    return found


def strong(accuracy=0.6, majority=0.34, error=0.02):
    fields = dict(accuracy=accuracy, majority=majority, prior=0.33, error=error)
    names = {field.name for field in dataclasses.fields(Strength)}
    rest = {name: COUNT for name in names - set(fields)}
    return Strength(**fields, **rest)


def findings_of(source, strength=None, decided=True, symmetric=True, **changes):
    rng = np.random.default_rng(0)
    labels = source.dataset.get_gt_labels()
    probabilities = rng.dirichlet([0.4] * 3, COUNT)
    score = 1 - probabilities[np.arange(COUNT), labels]
    known = dict(
        noise_score=score,
        probabilities=probabilities,
        suggested_label=probabilities.argmax(axis=1),
        suspicious=score > 0.7,
        careful=score > 0.9,
        noise_rate=0.1 if symmetric and decided else None,
        strength=strength or strong(),
        decided=decided,
        symmetric=symmetric,
        quality=Quality(0.9, 0.8, 0.7) if symmetric else None,
        weak=True,
    )
    names = {field.name for field in dataclasses.fields(LabelScores)}
    rows = np.arange(COUNT)
    values = dict(
        source=source,
        names=source.dataset.image_names(),
        labels=labels,
        errors={},
        scores=LabelScores(**{k: v for k, v in known.items() if k in names}),
        duplicates=Duplicates(rows, rows),
        groups=Groups(rows, 'near duplicates'),
        faceless=np.zeros(COUNT, bool),
        face_scores=None,
        encoder='hog',
    )
    return Findings(**dict(values, **changes))


def test_summaries_equal_a_loop(source):
    findings = findings_of(source, errors={3: 'x', 40: 'y'})
    flagged = [
        row
        for row in range(COUNT)
        if findings.scores.noise_score[row] > 0.7 and row not in (3, 40)
    ]
    rows = class_summaries(findings)
    for label, row in enumerate(rows):
        own = [
            r for r in range(COUNT) if findings.labels[r] == label and r not in (3, 40)
        ]
        assert row.images == len(own)
        assert row.suspicious == len(
            [r for r in flagged if findings.labels[r] == label]
        )
        assert row.wrong == pytest.approx(
            sum(findings.scores.noise_score[r] for r in own) / len(own)
        )
    pairs = {}
    for r in flagged:
        pair = findings.labels[r], findings.scores.suggested_label[r]
        if pair[0] != pair[1]:
            pairs[pair] = pairs.get(pair, 0) + 1
    found = {(p.given, p.suggested): p.images for p in confusions(findings)}
    assert found == pairs
    assert [p.images for p in confusions(findings)] == sorted(pairs.values())[::-1]


def test_table_follows_the_decisions(source, tmp_path):
    group = np.arange(COUNT)
    group[[5, 9]] = 2
    findings = findings_of(
        source, errors={7: 'broken'}, duplicates=Duplicates(group, np.arange(COUNT))
    )
    table = findings.table()
    assert table['decision'][7] == 'drop' and table['noise_score'][7] == 0
    assert table['suggested_label'][7] == -1 and table['readable'][7] == 0
    rest = np.arange(COUNT) != 7
    flagged = findings.scores.noise_score > 0.7
    assert ((table['decision'] == 'drop') == flagged)[rest].all()
    assert table['duplicate_of'][[2, 5, 9, 10]].tolist() == [-1, 2, 2, -1]
    # The table is one that data sets and the review page read.
    path, dataset = str(tmp_path / 'scores.csv'), source.dataset
    write_score_table(path, table, findings.classes)
    found = read_decisions(
        path, dataset.names_by_id(), dataset.given_labels, dataset.sample_ids, 3,
        dataset.CLASSES,
    )  # fmt: skip
    assert (found['decision'] == table['decision']).all()


def test_relabel_only_where_the_suggestion_is_sure(source):
    findings = findings_of(source, relabel=True)
    decision, scores = findings.decision, findings.scores
    for row in range(COUNT):
        best = scores.probabilities[row].max()
        other = scores.suggested_label[row] != findings.labels[row]
        if decision[row] == 'relabel':
            assert best >= 1 - scores.noise_rate and other
            assert scores.noise_score[row] > 0.7
        elif decision[row] == 'drop':
            assert best < 1 - scores.noise_rate
    assert {'keep', 'relabel', 'drop'} == set(decision)


def test_noise_that_is_not_symmetric_has_no_probabilities(source):
    findings = findings_of(source, symmetric=False)
    assert all(np.isnan(row.wrong) for row in class_summaries(findings))
    text = ' '.join(report_text(findings, '').split())
    assert 'estimated wrong' not in text and 'twice as probable' in text
    assert 'larger is more suspicious' in text and 'nan' not in text
    scores = dataclasses.replace(findings.scores, weak=False)
    enough = dataclasses.replace(findings, scores=scores)
    assert 'cannot be estimated' in ' '.join(warnings_of(enough))
    usual = ' '.join(report_text(findings_of(source), '').split())
    assert 'estimated wrong' in usual and 'probability that the label' in usual


def test_encoder_that_does_not_know_is_said_first_and_decides_nothing(source):
    findings = findings_of(source, strength=strong(accuracy=0.35))
    assert not findings.suspicious.any() and set(findings.decision) == {'keep'}
    first = warnings_of(findings)[0]
    assert 'DOES NOT KNOW' in first and '35 %' in first and '34 %' in first
    assert console_lines(findings)[0].startswith('WARNING: THE ENCODER')
    text = report_text(findings, 'next')
    assert text.index('DOES NOT KNOW') < text.index('What was found')
    assert 'Suspicious labels' not in text


def test_few_images_are_only_sorted(source):
    findings = findings_of(source, decided=False)
    assert not findings.suspicious.any()
    assert any('too few to decide' in text for text in warnings_of(findings))


def test_few_images_are_weak_with_numbers(source):
    text = ' '.join(warnings_of(findings_of(source)))
    assert 'fewer than 3000' in text and '60 %' in text and '34 %' in text
    assert 'about 80 % are wrong' in text and 'about 70 % are flagged' in text


def test_small_classes_and_broken_copies_are_warnings(source):
    errors = {row: f'{row} is empty' for row in range(15)}
    findings = findings_of(source, errors=errors)
    assert small_classes(findings) == ['anger']
    text = ' '.join(warnings_of(findings))
    assert 'anger' in text and '15 images of 60 cannot be read' in text


def test_report_names_what_was_found(source):
    group, exact = np.arange(COUNT), np.arange(COUNT)
    group[[25, 45]] = 1
    exact[25] = 1
    faceless = np.zeros(COUNT, bool)
    faceless[11] = True
    findings = findings_of(
        source,
        errors={0: "'0.png' is empty"},
        duplicates=Duplicates(group, exact),
        faceless=faceless,
    )
    text = report_text(findings, 'NEXT STEPS')
    assert "'0.png' is empty" in text and 'NEXT STEPS' in text
    names = findings.names
    assert f'same pixels: {names[1]} (anger), {names[25]} (glad)' in ' '.join(
        text.split()
    )
    assert names[11] in text and 'Perhaps no face' in text
    assert 'mmfer[face]' in text
    assert max(map(len, text.splitlines())) < 140
    with_detector = findings_of(
        source, faceless=faceless, face_scores=np.zeros(COUNT, np.float32)
    )
    assert 'face detector of dlib' in report_text(with_detector, '')


def test_duplicates_with_equal_labels_are_listed(source):
    """Also where no group has different labels; many groups are cut short."""
    rows = np.arange(COUNT)
    findings = findings_of(source)
    labels, names = findings.labels, findings.names
    first, second = np.flatnonzero(labels == labels[0])[:2].tolist()
    group = rows.copy()
    group[second] = first
    findings = findings_of(source, duplicates=Duplicates(group, rows))
    text = ' '.join(report_text(findings, '').split())
    assert '0 exact and 1 near copy; 0 groups with different labels' in text
    assert f'duplicates: {names[first]} ({findings.classes[labels[first]]})' in text
    assert names[second] in text and 'Duplicates with different labels' not in text


def test_percent():
    shares = (0, 0.001, 0.0499, 0.0996, 0.5, 0.998, 1)
    expected = ['0 %', '0.1 %', '5.0 %', '10 %', '50 %', '>99 %', '100 %']
    assert [percent(share) for share in shares] == expected
