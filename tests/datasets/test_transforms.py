import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

from mmfer.datasets import GaussianNoise, LoadFERImage, PackFERInputs
from mmfer.datasets.images import (
    UnreadableImageError,
    check_image_file,
    decode_image,
    looks_complete,
)
from mmfer.registry import TRANSFORMS


def encode(extension, size=64, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    return cv2.imencode(extension, image)[1].tobytes()


def with_thumbnail(jpeg, thumbnail):
    """Put a thumbnail into an APP1 segment, as cameras do."""
    payload = b'Exif\x00\x00' + thumbnail
    length = (len(payload) + 2).to_bytes(2, 'big')
    return jpeg[:2] + b'\xff\xe1' + length + payload + jpeg[2:]


# -- LoadFERImage ------------------------------------------------------------
@pytest.mark.parametrize('extension', ['.png', '.bmp'])
def test_loads_what_opencv_loads(tmp_path, extension):
    path = str(tmp_path / f'a{extension}')
    with open(path, 'wb') as file:
        file.write(encode(extension))
    color = LoadFERImage()(dict(img_path=path, sample_id=3))
    np.testing.assert_array_equal(color['img'], cv2.imread(path))
    assert color['img_shape'] == color['ori_shape'] == (64, 64)
    assert color['sample_id'] == 3
    grey = LoadFERImage('grayscale')(dict(img_path=path))['img']
    np.testing.assert_array_equal(grey, cv2.imread(path, cv2.IMREAD_GRAYSCALE))
    assert grey.shape == (64, 64) and grey.dtype == np.uint8


def test_decoded_image_is_taken_as_it_is():
    image = np.zeros((4, 4), np.uint8)
    results = dict(img=image, img_path='nowhere.png')
    assert LoadFERImage()(results)['img'] is image


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'a.png').write_bytes(encode('.png'))
    assert LoadFERImage()(dict(img_path='~/a.png'))['img'] is not None
    check_image_file('~/a.png')
    assert looks_complete('~/a.png')


def test_color_type_is_checked():
    with pytest.raises(ValueError, match='gray'):
        LoadFERImage('gray')


def test_message_stands_alone(tmp_path):
    """The message names no option of a data set: inference has none."""
    path = tmp_path / 'a.png'
    path.write_bytes(b'')
    with pytest.raises(UnreadableImageError, match="a.png' is empty$"):
        LoadFERImage()(dict(img_path=str(path)))
    with pytest.raises(FileNotFoundError):
        LoadFERImage()(dict(img_path=str(tmp_path / 'b.png')))


THUMBNAIL = encode('.jpg', 8)
WITH_THUMBNAIL = with_thumbnail(encode('.jpg'), THUMBNAIL)
BAD = {
    'empty': (b'', 'empty'),
    'one byte': (b'\xff', 'not a readable image'),
    'text': (b'<html></html>', 'not a readable image'),
    'jpeg without its end': (encode('.jpg')[:-2], 'truncated JPEG'),
    'half a jpeg': (encode('.jpg')[:2000], 'truncated JPEG'),
    'png without its end': (encode('.png')[:-1], 'truncated PNG'),
    'half a png': (encode('.png')[:2000], 'truncated PNG'),
    # The end marker of the thumbnail is not the end of the image.
    'half a jpeg with a thumbnail': (WITH_THUMBNAIL[:1400], 'truncated JPEG'),
    'jpeg that ends in its header': (
        WITH_THUMBNAIL[: len(THUMBNAIL) + 100],
        'truncated JPEG',
    ),
}
GOOD = {
    'jpeg': encode('.jpg'),
    'png': encode('.png'),
    'bmp': encode('.bmp'),
    'webp': encode('.webp'),
    'tiff': encode('.tiff'),
    'padded jpeg': encode('.jpg') + bytes(500),
    'padded png': encode('.png') + bytes(5000),
    # Phones write a video after the picture.
    'jpeg and more': encode('.jpg') + bytes(100000),
    'jpeg and an image cut short': encode('.jpg') + encode('.jpg')[:-1000],
    'jpeg with a thumbnail': WITH_THUMBNAIL,
    'jpeg with fill bytes': encode('.jpg')[:2] + b'\xff\xff' + encode('.jpg')[2:],
}


@pytest.mark.parametrize('name', BAD)
def test_bad_files(tmp_path, name):
    data, message = BAD[name]
    with pytest.raises(UnreadableImageError, match=message):
        decode_image(data, 'x')
    path = tmp_path / 'x'
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError, match=message):
        check_image_file(str(path))
    if name not in ('jpeg that ends in its header', 'half a jpeg with a thumbnail'):
        assert not looks_complete(str(path))


@pytest.mark.parametrize('name', GOOD)
def test_good_files(tmp_path, name):
    assert decode_image(GOOD[name], 'x').shape == (64, 64, 3)
    path = tmp_path / 'x'
    path.write_bytes(GOOD[name])
    check_image_file(str(path))
    assert looks_complete(str(path))


@pytest.mark.parametrize('ending', ['tga', 'pcx', 'webp', 'tif', 'gif'])
def test_readable_files_of_all_formats_look_complete(tmp_path, ending):
    path = str(tmp_path / f'x.{ending}')
    Image.new('RGB', (8, 8)).save(path)
    check_image_file(path)
    assert looks_complete(path)
    (tmp_path / f'x.{ending}').write_bytes(b'')
    assert not looks_complete(path)


def test_missing_file_does_not_look_complete(tmp_path):
    assert not looks_complete(str(tmp_path / 'x'))
    assert not looks_complete(str(tmp_path))


# -- GaussianNoise -----------------------------------------------------------
def test_gaussian_noise_has_the_variance_it_names():
    np.random.seed(0)
    image = np.full((300, 300), 128, np.uint8)
    for variance in (30.0, 4.0):
        noisy = GaussianNoise(variance)(dict(img=image))['img']
        assert noisy.dtype == np.uint8
        noise = noisy.astype(float) - 128
        # Rounding down, as in the published code, adds 1/12 and -1/2.
        assert noise.var() == pytest.approx(variance + 1 / 12, rel=0.02)
        assert noise.mean() == pytest.approx(-0.5, abs=0.05)
    assert (image == 128).all()  # Not in place: the image may be a cache's.


def test_gaussian_noise_draws_for_every_pixel_and_channel():
    np.random.seed(0)
    image = np.full((200, 200, 3), 128, np.uint8)
    noise = GaussianNoise(30)(dict(img=image))['img'].astype(float) - 128
    corr = np.corrcoef(noise.reshape(-1, 3).T)
    assert abs(corr[np.triu_indices(3, 1)]).max() < 0.05
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.05


def test_gaussian_noise_is_clipped_not_wrapped():
    np.random.seed(0)
    for level in (0, 255):
        image = np.full((100, 100), level, np.uint8)
        noisy = GaussianNoise(30)(dict(img=image))['img'].astype(int)
        assert abs(noisy - level).max() < 40


def test_gaussian_noise_of_nothing_and_less():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    same = GaussianNoise(0)(dict(img=image))['img']
    np.testing.assert_array_equal(same, image)
    with pytest.raises(ValueError, match='at least 0'):
        GaussianNoise(-1)


# -- PackFERInputs -----------------------------------------------------------
def test_packing_keeps_sample_id():
    pack = TRANSFORMS.build(dict(type='PackFERInputs'))
    assert isinstance(pack, PackFERInputs)
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    packed = pack(
        dict(
            img=image, gt_label=5, sample_id=17, sample_idx=2, img_path='a.png', other=1
        )
    )
    assert set(packed) == {'inputs', 'data_samples'}
    assert torch.equal(packed['inputs'], torch.from_numpy(image).permute(2, 0, 1))
    sample = packed['data_samples']
    assert sample.metainfo == dict(sample_id=17, img_path='a.png')
    assert sample.gt_label.tolist() == [5]
    assert set(sample.all_keys()) == {'sample_id', 'img_path', 'gt_label'}


def test_packing_grey_images_and_more_keys():
    image = np.zeros((5, 4), np.uint8)
    results = dict(img=image, sample_id=0, gt_va=np.ones(2), flip=True)
    packed = PackFERInputs(algorithm_keys=('gt_va',), meta_keys=('sample_id', 'flip'))(
        results
    )
    assert packed['inputs'].shape == (1, 5, 4)
    assert packed['data_samples'].gt_va.tolist() == [1, 1]
    assert packed['data_samples'].metainfo == dict(sample_id=0, flip=True)


def test_an_image_that_is_there_is_made_grey():
    colour = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    grey = LoadFERImage('grayscale')(dict(img=colour))['img']
    np.testing.assert_array_equal(grey, cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY))
    assert LoadFERImage('grayscale')(dict(img=grey))['img'] is grey
    assert LoadFERImage()(dict(img=colour))['img'] is colour


# -- second view ---------------------------------------------------------------
def second_view(*steps):
    return TRANSFORMS.build(dict(type='SecondView', transforms=list(steps)))


@pytest.mark.parametrize('shape', [(6, 7), (6, 7, 3)])
def test_the_second_view_leaves_the_first_alone(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    results = dict(img=image.copy(), gt_label=3)
    # Cutout and flip write into arrays that they are given.
    step = second_view(
        dict(type='RandomFlip', prob=1.0, direction='horizontal'),
        dict(type='Cutout', shape=4, prob=1.0),
    )
    found = step(results)
    np.testing.assert_array_equal(found['img'], image)
    view = found['second_view']
    assert view.dtype == torch.uint8 and view.shape == (3 if shape[2:] else 1, 6, 7)
    mirrored = image[:, ::-1].reshape(6, 7, -1).transpose(2, 0, 1)
    changed = view.numpy() != mirrored
    assert changed.any() and changed.mean() < 0.6 and found['gt_label'] == 3
    assert repr(step) == 'SecondView(RandomFlip, Cutout)'


@pytest.mark.parametrize('policy', ['cifar10', 'imagenet', 'svhn'])
def test_learned_augment_is_that_of_torchvision(policy):
    """In RGB, with the same draws."""
    image = np.random.default_rng(1).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    step = TRANSFORMS.build(dict(type='LearnedAugment', policy=policy, fill=7))
    reference = AutoAugment(AutoAugmentPolicy(policy), fill=7)
    for seed in range(20):
        torch.manual_seed(seed)
        found = step(dict(img=image.copy()))['img']
        torch.manual_seed(seed)
        rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
        want = reference(rgb).permute(1, 2, 0).numpy()[..., ::-1]
        np.testing.assert_array_equal(found, want)
    grey = step(dict(img=image[..., 0].copy()))['img']
    assert grey.shape == (9, 8) and grey.dtype == np.uint8


def test_learned_augment_names_its_policies():
    with pytest.raises(ValueError, match="policy must be .*'cifar10' .* got 'face'"):
        TRANSFORMS.build(dict(type='LearnedAugment', policy='face'))


@pytest.mark.parametrize('fill', ['grey', 300, -1, 1.5])
def test_learned_augment_fills_with_a_grey_level(fill):
    with pytest.raises(ValueError, match='fill must be a whole number from 0 to 255'):
        TRANSFORMS.build(dict(type='LearnedAugment', fill=fill))


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8)]
)
def test_learned_augment_of_other_images(image):
    step = TRANSFORMS.build(dict(type='LearnedAugment'))
    with pytest.raises(ValueError, match='LearnedAugment needs bytes .* Load the'):
        step(dict(img=image))


def test_a_second_view_of_nothing():
    with pytest.raises(ValueError, match='SecondView: the sample has no image yet'):
        second_view()(dict(img_path='a.png'))
    packing = second_view(dict(type='PackFERInputs'))
    with pytest.raises(ValueError, match='remove PackFERInputs from the transforms'):
        packing(dict(img=np.zeros((4, 4), np.uint8)))
