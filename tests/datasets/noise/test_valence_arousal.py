import numpy as np
import pytest
from made_data import make_affectnet, make_rafdb

from mmfer.datasets import RAFDB, AffectNet, SyntheticFaces
from mmfer.datasets.noise import GaussianVANoise, check_va

PACK = [dict(type='PackFERInputs', algorithm_keys=('gt_label_sets', 'gt_va'))]


def faces(**options):
    return SyntheticFaces(num_samples=210, size=16, pipeline=PACK, **options)


def test_noise_of_known_size():
    va = np.zeros((20000, 2), np.float32)
    va[3] = np.nan
    noise = GaussianVANoise(0.3, seed=1)
    noisy = noise(va)
    assert np.isnan(noisy[3]).all() and noisy.dtype == np.float32
    known = np.delete(noisy, 3, axis=0)
    assert known.std(0) == pytest.approx([0.3, 0.3], abs=0.01)
    assert known.mean(0) == pytest.approx([0, 0], abs=0.01)
    assert abs(np.corrcoef(known.T)[0, 1]) < 0.03
    assert np.array_equal(noise(va), noisy, equal_nan=True)
    assert not np.array_equal(GaussianVANoise(0.3, seed=2)(va), noisy)
    assert np.abs(GaussianVANoise(3.0)(va)[:3]).max() <= 1
    with pytest.raises(ValueError, match='std'):
        GaussianVANoise(-1)


def test_data_set_with_noisy_values():
    clean, noisy = (faces(), faces(va_noise=dict(type='GaussianVANoise', std=0.2)))
    pairs = np.stack([clean[i]['data_samples'].gt_va for i in range(210)])
    found = np.stack([noisy[i]['data_samples'].gt_va for i in range(210)])
    assert clean.clean_va is None
    assert (noisy.clean_va == pairs).all()
    assert noisy.noise_manifest() == dict(
        va_noise=dict(generator='GaussianVANoise', std=0.2, seed=0)
    )
    assert (found == GaussianVANoise(0.2)(pairs)).all()
    part = noisy.get_subset([4])
    assert (part[0]['data_samples'].gt_va == found[4]).all()
    with pytest.raises(ValueError, match='evaluation'):
        faces(split='test', va_noise=dict(type='GaussianVANoise', std=0.2))


def test_values_are_checked(monkeypatch):
    logs = []
    monkeypatch.setattr(
        'mmfer.datasets.noise.valence_arousal.print_log',
        lambda text, *_, **__: logs.append(text),
    )
    va = check_va(np.array([[0.5, -1], [-2, 0.1], [1, np.nan]]), 'Made')
    assert np.isnan(va[1, 0]) and va[0].tolist() == [0.5, -1]
    assert '2 of 3 samples lack' in logs[0]
    with pytest.raises(
        ValueError,
        match=r'1 samples have arousal .* 1.2 in '
        'row 1',
    ):
        check_va(np.array([[0.5, -1], [0, 1.2]]), 'Made')


def test_noise_without_values(tmp_path):
    with pytest.raises(ValueError, match='no valence and arousal'):
        RAFDB(str(make_rafdb(tmp_path)), va_noise=dict(type='GaussianVANoise', std=0.2))


def test_missing_values_of_affectnet(tmp_path):
    """A missing value, -2, reaches the model as NaN, also with noise."""
    root = make_affectnet(tmp_path)
    table = root / 'Manually_Annotated_file_lists/training.csv'
    rows = table.read_text().splitlines()
    rows[1] = ','.join([*rows[1].split(',')[:-2], '-2', '-2'])
    table.write_text('\n'.join(rows))
    dataset = AffectNet(str(root), va_noise=dict(type='GaussianVANoise', std=0.1))
    assert np.isnan(dataset.get_data_info(0)['gt_va']).all()
    assert np.isfinite(dataset.get_data_info(1)['gt_va']).all()


def write_va(path, rows):
    path.write_text(''.join(f'{name} {v} {a}\n' for name, v, a in rows))
    return str(path)


def test_values_of_raf_db(tmp_path):
    """The published list is joined by name and clipped; test rows are ignored."""
    root = make_rafdb(tmp_path / 'raf')
    rows = [(f'train_{i + 1:05d}.jpg', i / 10 - 1.05, 0.5) for i in range(14)]
    rows[2] = (rows[2][0], -2, -2)
    path = write_va(tmp_path / 'va.txt', [*rows[::-1], ('test_00001.jpg', 0, 0)])
    dataset = RAFDB(str(root), va_list=path)
    assert len(dataset) == 14
    for i, (_, valence, _) in enumerate(rows):
        pair = dataset.get_data_info(i)['gt_va']
        if i == 2:
            assert np.isnan(pair).all()
        else:
            assert pair == pytest.approx([np.clip(valence, -1, 1), 0.5])
    rows[5] = (rows[5][0], 7, 5)
    with pytest.raises(
        ValueError, match='train_00006.jpg has the absolute value 7.* scale'
    ):
        RAFDB(str(root), va_list=write_va(tmp_path / 'c.txt', rows))
    # A missing value beside it does not hide another scale.
    rows[5] = (rows[5][0], -2, 5)
    with pytest.raises(ValueError, match='train_00006.jpg .* value 5.* scale'):
        RAFDB(str(root), va_list=write_va(tmp_path / 'd.txt', rows))
    with pytest.raises(ValueError, match='1 of 14 .* train_00014'):
        RAFDB(str(root), va_list=write_va(tmp_path / 'b.txt', rows[:-1]))
    with pytest.raises(ValueError, match='evaluation'):
        RAFDB(str(root), split='test', va_list=path)
