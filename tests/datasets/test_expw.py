"""ExpW: boxes, labels in the order of RAF-DB, splits by photo."""

import cv2
import numpy as np
import pytest
from made_data import make_expw

from mmfer.analysis.data_check import read_facts
from mmfer.analysis.review.thumbnails import read_images
from mmfer.datasets import RAFDB, CropFace, ExpW
from mmfer.datasets.batches import fer_collate
from mmfer.datasets.expw import read_faces

PIPELINE = [
    dict(type='LoadFERImage'),
    dict(type='CropFace'),
    dict(type='PackFERInputs'),
]
# In the words of the authors, by the number in the list.
WORDS = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')


@pytest.fixture
def root(tmp_path):
    return make_expw(tmp_path / 'expw')


def both(root):
    return [ExpW(str(root), split=split, pipeline=PIPELINE) for split in ExpW.splits]


def test_faces_are_cropped(root):
    for dataset in both(root):
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            photo = cv2.imread(info['img_path'])
            left, top, right, bottom = info['face_box']
            expected = photo[top:bottom, left:right].transpose(2, 0, 1)
            assert expected.shape == (3, 30, 30)
            np.testing.assert_array_equal(dataset[i]['inputs'].numpy(), expected)
    boxes = {tuple(ExpW(str(root)).get_data_info(i)['face_box']) for i in range(4)}
    assert boxes <= {(10, 5, 40, 35), (11, 5, 41, 35)}


def test_labels_are_in_the_order_of_rafdb(root):
    train, test = both(root)
    assert train.CLASSES == test.CLASSES == RAFDB.METAINFO['classes']
    number = {}
    for line in (root / 'label.lst').read_text().splitlines():
        name, face, *_, label = line.split()
        number[name, int(face)] = int(label)
    for dataset in (train, test):
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            face = info['face_box'][0] - 10
            word = WORDS[number[info['img_path'].rsplit('/')[-1], face]]
            given = dataset.CLASSES[info['gt_label']]
            assert given[:3] == word[:3]  # happiness and happy, anger and angry


def test_splits_cut_between_photos(root):
    train, test = both(root)
    photos = [set(dataset.image_paths) for dataset in (train, test)]
    assert not photos[0] & photos[1] and len(photos[1]) == 4
    assert len(train) + len(test) == 40 and test.test_mode and not train.test_mode
    assert train.sample_ids.tolist() == list(range(32))


def test_other_layouts(root):
    expected = ExpW(str(root)).get_gt_labels()
    (root / 'label').mkdir()
    (root / 'label.lst').rename(root / 'label/label.lst')
    photos = list((root / 'image').iterdir())
    (root / 'image/origin').mkdir()
    for photo in photos:
        photo.rename(root / 'image/origin' / photo.name)
    np.testing.assert_array_equal(ExpW(str(root)).get_gt_labels(), expected)
    # With the header of the authors' description.
    table = root / 'label/label.lst'
    table.write_text(
        'image_name face_id_in_image face_box_top face_box_left face_box_right '
        f'face_box_bottom face_box_cofidence expression_label\n{table.read_text()}'
    )
    np.testing.assert_array_equal(ExpW(str(root)).get_gt_labels(), expected)


def test_faces_in_batches(root):
    """The pipeline runs for each image, because each has a box of its own."""
    dataset = ExpW(str(root), pipeline=PIPELINE)
    dataset.prepare_images()
    batch = fer_collate(dataset.__getitems__([0, 1]))
    for i, image in enumerate(batch['inputs']):
        np.testing.assert_array_equal(image, dataset[i]['inputs'])


def test_reviews_and_checks_see_the_face(root):
    dataset = ExpW(str(root), pipeline=PIPELINE)
    (face,) = read_images(dataset, [1])
    np.testing.assert_array_equal(face.transpose(2, 0, 1), dataset[1]['inputs'])
    # Two faces of one photo are no copies of one image.
    facts = read_facts('train', dataset, lambda done, total: None)
    assert len(set(facts.hashes)) == len(dataset)
    assert facts.sizes == {(30, 30): len(dataset)}


def test_missing_files(root):
    (root / 'label.lst').unlink()
    with pytest.raises(FileNotFoundError, match=r'label\.lst .*\(missing\)'):
        ExpW(str(root))
    with pytest.raises(ValueError, match="no split 'valid', only train, test"):
        ExpW(str(root), split='valid')


@pytest.mark.parametrize(
    'row, message',
    [
        ('a.jpg 0 5 10 40 35 22.9', 'label.lst'),
        ('a.jpg 0 5 10 40 35 22.9 7', r'the label 7 is not in \[0, 7\)'),
        ('a.jpg 0 5 10 10 35 22.9 3', 'is empty'),
        ('a.jpg 0 35 10 40 5 22.9 3', 'is empty'),
        ('a.jpg 0 -35 10 40 -5 22.9 3', 'outside of any photo'),
        ('a.jpg 0 5 1.5 40 35 22.9 3', 'not a number'),
        ('a.jpg 0 5 10 40 35 22.9 3\na.jpg 0 5 10 40 35 22.9 4', 'also in line 1'),
    ],
)
def test_wrong_rows(row, message, tmp_path):
    path = tmp_path / 'label.lst'
    path.write_text(f'{row}\n')
    with pytest.raises(ValueError, match=message) as error:
        read_faces(path)
    assert str(path) in str(error.value)


def test_crop_face():
    image = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    crop = CropFace()
    whole = crop(dict(img=image))
    assert whole['img'] is image
    # A box that reaches beyond the photo.
    face = crop(dict(img=image, face_box=(-4, 10, 15, 99)))
    np.testing.assert_array_equal(face['img'], image[10:, :15])
    assert face['img_shape'] == (10, 15)
    with pytest.raises(ValueError, match='no pixel of this image of 30 x 20 px'):
        crop(dict(img=image, face_box=(30, 0, 40, 10), img_path='a.jpg'))
