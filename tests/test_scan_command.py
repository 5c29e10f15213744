"""The command ``mmfer scan``, as the owner of a data set runs it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import environment
from made_data import make_ferplus, write_image
from made_face_folders import (
    draw_faces,
    huge_png,
    make_folder,
    write_face,
    wrong_labels,
)

from mmfer.datasets import ImageFolders
from mmfer.evaluation.functional import auroc
from mmfer.utils.json_files import read_json
from mmfer_command.main import main

# The encoder without a network.
FAST = ('--encoder', 'hog')


def scan(*args) -> None:
    """Run the command; raises SystemExit with the message of a user error."""
    try:
        main(['scan', *map(str, args)])
    except SystemExit as error:
        if error.code:
            raise


def refusal(*args) -> str:
    """Return the message of a user error, which is one paragraph."""
    with pytest.raises(SystemExit) as error:
        main(['scan', *map(str, args)])
    message = str(error.value.code)
    assert message not in ('0', '1', '2') and '\n' not in message.strip()
    assert 'Traceback' not in message
    return message


def contents(root: Path) -> dict:
    return {
        str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in root.rglob('*')
        if p.is_file()
    }


def rows_of(out: Path) -> list:
    with open(out / 'sample_scores.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """300 faces, 25 % wrong, mixed formats, broken files, a copy in another class."""
    root = tmp_path_factory.mktemp('my data') / 'Gesichter Ü'
    truth = make_folder(root, 300)
    first, second = root / 'wütend', root / 'glad face'
    (first / 'empty.png').write_bytes(b'')
    (first / 'huge.png').write_bytes(huge_png())
    (second / 'text.jpg').write_bytes(b'no picture')
    (root / 'read me.txt').write_text('x')
    copied = sorted(first.glob('*.png'))[2]
    shutil.copy(copied, second / 'kopie.png')
    return root, truth, copied


@pytest.fixture(scope='module')
def scanned(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp('out put')
    before = contents(folder[0])
    scan(folder[0], '--out', out, '--apply', '--copy', out.parent / 'clean ä')
    assert contents(folder[0]) == before
    return out


def test_every_file_is_written_and_readable(folder, scanned):
    root, _, _ = folder
    record = read_json(scanned / 'scan.json', dict)
    assert record['finished'] and record['counts']['images'] == 304
    assert record['counts']['unreadable'] == 3 and len(record['classes']) == 7
    page = (scanned / 'review.html').read_text(encoding='utf-8')
    assert 'wütend' in page
    report = (scanned / 'report.txt').read_text(encoding='utf-8')
    for name in ('empty.png', 'huge.png', 'text.jpg'):
        assert name in report
    rows = rows_of(scanned)
    assert len(rows) == 304
    decisions = {row['image']: row['decision'] for row in rows}
    assert decisions[os.path.join('wütend', 'empty.png')] == 'drop'


def test_scores_find_planted_labels(folder, scanned):
    _, truth, _ = folder
    rows = [row for row in rows_of(scanned) if row['image'] in truth]
    wrong = np.array([row['given_class'] != truth[row['image']] for row in rows])
    score = np.array([float(row['noise_score']) for row in rows])
    assert wrong.mean() == pytest.approx(0.25)
    assert auroc(score, wrong) > 0.8


def test_copy_in_another_class_is_reported(folder, scanned):
    _, _, copied = folder
    report = ' '.join((scanned / 'report.txt').read_text(encoding='utf-8').split())
    assert 'same pixels: ' in report
    line = report.partition('same pixels: ')[2][:200]
    assert 'kopie.png (glad face)' in line and copied.name in line


def test_cleaned_list_and_folder_have_what_is_kept(scanned):
    kept = [row for row in rows_of(scanned) if row['decision'] == 'keep']
    with open(scanned / 'cleaned_list.csv', newline='', encoding='utf-8') as file:
        listed = list(csv.DictReader(file))
    assert [row['label'] for row in listed] == [row['given_class'] for row in kept]
    assert all(os.path.isabs(row['image']) for row in listed)
    cleaned = ImageFolders(str(scanned.parent / 'clean ä'), image_store=False)
    cleaned.full_init()
    assert len(cleaned) == len(kept)


def test_decisions_of_the_page_are_applied(folder, scanned, tmp_path, capsys):
    rows = rows_of(scanned)
    for row in rows:
        row['decision'] = 'keep'
    rows[0]['decision'] = 'relabel'
    rows[0]['suggested_label'] = '2'
    rows[1]['decision'] = 'drop'
    table = tmp_path / 'reviewed.csv'
    columns = 'sample_id image given_label noise_score suggested_label decision'.split()
    with open(table, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore')
        writer.writeheader()
        writer.writerows(rows)
    scan(folder[0], '--out', scanned, '--decisions', table, '--apply')
    with open(scanned / 'cleaned_list.csv', newline='', encoding='utf-8') as file:
        listed = list(csv.DictReader(file))
    # Unreadable images are left out, whatever the table says.
    assert len(listed) == len(rows) - 1 - 3
    assert listed[0]['label'] == 'glad face'
    assert '1 with a new label' in capsys.readouterr().out
    # Without --apply, a table has no use.
    assert '--apply' in refusal(folder[0], '--out', scanned, '--decisions', table)


def test_an_edited_table_outlives_a_second_scan(tmp_path, capsys):
    make_folder(tmp_path / 'in', 40)
    command = (tmp_path / 'in', '--out', tmp_path / 'out', *FAST)
    scan(*command)
    scan(*command)
    table = tmp_path / 'out/sample_scores.csv'
    assert not list(table.parent.glob('edited*'))
    assert 'Your edited' not in capsys.readouterr().out
    text = table.read_text('utf-8')
    for number in (1, 2):
        table.write_text(f'{text}\n{number}', 'utf-8')
        scan(*command)
        kept = table.with_name(f'edited-{number}_sample_scores.csv')
        assert kept.read_text('utf-8') == f'{text}\n{number}'
        assert str(kept) in capsys.readouterr().out
        assert table.read_text('utf-8') == text


def test_link_without_copy_is_refused(tmp_path):
    make_folder(tmp_path / 'in', 20)
    assert '--link needs --copy' in refusal(
        tmp_path / 'in', '--out', tmp_path / 'out', '--link'
    )


def test_a_refused_scan_does_not_occupy_its_folder(tmp_path):
    make_folder(tmp_path / 'in', 20)
    make_folder(tmp_path / 'in 2', 20)
    message = refusal(
        tmp_path / 'in', '--out', tmp_path / 'out', *FAST, '--groups', 'x'
    )
    assert '--groups' in message
    scan(tmp_path / 'in 2', '--out', tmp_path / 'out', *FAST)
    assert 'has the scan of' in refusal(
        tmp_path / 'in', '--out', tmp_path / 'out', *FAST
    )


def test_second_run_reads_nothing_anew(folder, scanned, tmp_path):
    before = rows_of(scanned)
    scan(folder[0], '--out', scanned)
    assert rows_of(scanned) == before


def test_groups_and_classes_of_a_list(tmp_path, capsys):
    images, labels = draw_faces(210)
    given = wrong_labels(labels, 0.1)
    lines = ['Image;Emotion;Person;']
    for row in range(210):
        path = write_face(tmp_path / 'bilder' / f'{row}', images[row])
        lines.append(f'{path.name};{given[row] + 1};p{row % 30};')
    file = tmp_path / 'liste.csv'
    file.write_text('\r\n'.join(lines) + '\r\n', encoding='cp1252')
    message = refusal(file, '--out', tmp_path / 'out')
    assert '--data-root' in message
    root = ('--data-root', tmp_path / 'bilder')
    scan(file, '--out', tmp_path / 'out', *root, '--groups', 'person', *FAST)
    shown = capsys.readouterr().out
    assert 'Classes found in the list: 1, 2, 3, 4, 5, 6, 7' in shown
    rows = rows_of(tmp_path / 'out')
    group = {}
    for row in rows:
        person = int(row['image'].split('.')[0]) % 30
        assert group.setdefault(person, row['group']) == row['group']
    assert 'column' in (tmp_path / 'out/report.txt').read_text()


def test_a_class_of_three_images_and_few_images(tmp_path, capsys):
    make_folder(tmp_path / 'faces', 60)
    for row in range(3):
        write_image(tmp_path / 'faces/tiny' / f'{row}.png', 30, row)
    scan(tmp_path / 'faces', '--out', tmp_path / 'out', *FAST)
    shown = capsys.readouterr().out
    assert 'tiny' in shown and 'too few to decide' in shown
    rows = rows_of(tmp_path / 'out')
    assert {row['decision'] for row in rows} == {'keep'}
    assert all(np.isfinite(float(row['noise_score'])) for row in rows)
    # Nothing was decided, so nothing is applied.
    message = refusal(tmp_path / 'faces', '--out', tmp_path / 'out', '--apply', *FAST)
    assert 'Nothing was cleaned' in message and '--decisions' in message
    assert not (tmp_path / 'out/cleaned_list.csv').exists()
    assert read_json(tmp_path / 'out/scan.json', dict)['noise_rate'] is None
    report = (tmp_path / 'out/report.txt').read_text('utf-8')
    assert 'drops all flagged' not in report and 'Nothing was cleaned' not in report


def test_an_encoder_that_does_not_know_is_a_warning_at_the_top(tmp_path, capsys):
    images, _ = draw_faces(280)
    labels = np.random.default_rng(0).integers(0, 4, 280)
    for row in range(280):
        write_face(tmp_path / 'faces' / 'abcd'[labels[row]] / f'{row}', images[row])
    scan(tmp_path / 'faces', '--out', tmp_path / 'out', *FAST)
    shown = capsys.readouterr().out
    assert 'DOES NOT KNOW' in shown
    report = (tmp_path / 'out/report.txt').read_text()
    assert report.index('DOES NOT KNOW') < 300


def test_published_layout(tmp_path, capsys):
    make_ferplus(tmp_path / 'f', train=40)
    scan(tmp_path / 'f', '--out', tmp_path / 'out', *FAST)
    assert '40 images in 8 classes' in capsys.readouterr().out


# -- refusals ----------------------------------------------------------------
@pytest.mark.parametrize(
    'names, words',
    [
        ([], 'no image in this folder'),
        (['a.png'], '1 images lie in this folder'),
        (['x/a.png', 'x/b.png'], "one class, 'x'"),
        (['train/x/a.png', 'train/y/b.png', 'test/x/c.png'], 'train'),
    ],
)
def test_folders_without_classes(tmp_path, names, words):
    (tmp_path / 'in').mkdir()
    for name in names:
        write_image(tmp_path / 'in' / name, 8, 0)
    assert words in refusal(tmp_path / 'in', '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_only_broken_images(tmp_path):
    for name in ('a/1.png', 'b/2.png'):
        path = tmp_path / 'in' / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b'')
    message = refusal(tmp_path / 'in', '--out', tmp_path / 'out')
    assert 'not one of 2 images can be read' in message and '1.png' in message


def test_folders_for_results(tmp_path):
    for row in range(4):
        write_image(tmp_path / 'in' / 'ab'[row % 2] / f'{row}.png', 8, row)
    source = tmp_path / 'in'
    assert 'inside of' in refusal(source, '--out', source / 'out')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/thesis.doc').write_text('x')
    assert 'not empty' in refusal(source, '--out', tmp_path / 'full')
    assert 'is a file' in refusal(source, '--out', tmp_path / 'full/thesis.doc')
    assert 'cannot be written' in refusal(
        source, '--out', tmp_path / 'full/thesis.doc/x'
    )
    copy = '--copy', source / 'clean'
    assert 'inside of' in refusal(source, '--out', tmp_path / 'out', *copy)
    copy = '--copy', tmp_path / 'full'
    assert 'not empty' in refusal(source, '--out', tmp_path / 'out', *copy)
    (tmp_path / 'out/scan.json').write_text(json.dumps(dict(source='/other')))
    assert '/other' in refusal(source, '--out', tmp_path / 'out')


def test_no_write_permission(tmp_path):
    write_image(tmp_path / 'in/a/1.png', 8, 0)
    write_image(tmp_path / 'in/b/1.png', 8, 1)
    (tmp_path / 'closed').mkdir(mode=0o500)
    if os.access(tmp_path / 'closed', os.W_OK):
        pytest.skip('this user may write everywhere')
    message = refusal(tmp_path / 'in', '--out', tmp_path / 'closed/out')
    assert 'cannot be written' in message


def test_sources_that_are_none(tmp_path):
    out = '--out', tmp_path / 'out'
    assert 'no such folder, list or config' in refusal(tmp_path / 'nothing', *out)
    write_image(tmp_path / 'a.png', 8, 0)
    assert 'this is an image' in refusal(tmp_path / 'a.png', *out)
    (tmp_path / 'x.csv').write_bytes(b'')
    assert 'empty' in refusal(tmp_path / 'x.csv', *out)
    (tmp_path / 'y.csv').write_bytes(bytes(range(256)) * 10)
    assert 'y.csv' in refusal(tmp_path / 'y.csv', *out)


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no such names')
def test_names_that_tables_cannot_hold(tmp_path):
    for row, name in enumerate(('a/1.png', 'b/2.png', 'b/line\nbreak.png')):
        write_image(tmp_path / 'in' / name, 8, row)
    message = refusal(tmp_path / 'in', '--out', tmp_path / 'out')
    assert 'line break' in message and not (tmp_path / 'out').exists()


def test_a_terminal_without_umlauts(tmp_path):
    for row in range(6):
        write_image(tmp_path / 'in' / 'äß'[row % 2] / f'ü {row}.png', 8, row)
    command = [sys.executable, '-m', 'mmfer_command', 'scan', str(tmp_path / 'in')]
    done = subprocess.run(
        [*command, '--out', str(tmp_path / 'out'), *FAST],
        env=environment(PYTHONIOENCODING='ascii'),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b'\\xdf 3, \\xe4 3' in done.stdout


def test_without_the_extra_for_faces(tmp_path, capsys, monkeypatch):
    from mmfer.cli import scan as module

    monkeypatch.setattr(module, 'has_detector', lambda: False)
    make_folder(tmp_path / 'faces', 210)
    scan(tmp_path / 'faces', '--out', tmp_path / 'out', *FAST)
    assert 'pip install "mmfer[face]"' in capsys.readouterr().out
    assert 'face_score' not in rows_of(tmp_path / 'out')[0]


@pytest.mark.slow
def test_killed_scan_continues(tmp_path):
    make_folder(tmp_path / 'faces', 300)
    command = [sys.executable, '-m', 'mmfer_command', 'scan', str(tmp_path / 'faces')]
    command += ['--out', str(tmp_path / 'out')]
    env = environment(MMFER_CACHE_DIR=str(tmp_path / 'cache'))
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    import time

    while not (tmp_path / 'out/scan.json').exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not read_json(tmp_path / 'out/scan.json', dict)['finished']
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    assert read_json(tmp_path / 'out/scan.json', dict)['finished']


def test_the_next_command_has_the_options_of_this_one(tmp_path):
    root = make_folder(tmp_path / 'Bilder ä', 20) and tmp_path / 'Bilder ä'
    images = sorted(p.relative_to(root).as_posix() for p in root.rglob('*.*'))
    rows = [f'{name},{name.split("/")[0]},{i % 7}' for i, name in enumerate(images)]
    table = tmp_path / 'liste.csv'
    table.write_text('\n'.join(['image,label,Person', *rows]), 'utf-8')
    options = ('--data-root', root, '--groups', 'Person')
    scan(table, '--out', tmp_path / 'out', *options, *FAST)
    report = (tmp_path / 'out/report.txt').read_text('utf-8')
    assert f'--data-root "{root}" --encoder hog --groups Person --decisions' in report
