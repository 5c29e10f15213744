"""PACS and Office-Home: train on some domains, test on another one."""

import os.path as osp
from typing import Dict, List, Sequence, Tuple

import numpy as np
from mmengine.dataset import force_full_init

from mmfer.registry import DATASETS
from mmfer.utils.checks import choices

from .base import FERDataset
from .checks import missing_root, tried
from .images import find_images
from .lists import read_label_list

PACS_CLASSES = ('dog', 'elephant', 'giraffe', 'guitar', 'horse', 'house', 'person')
# The published lists name this sketch, but its file is damaged. Common protocols
# omit it.
PACS_DAMAGED = 'sketch/dog/n02103406_4068-1.png'
OFFICE_HOME_CLASSES = tuple(
    'Alarm_Clock Backpack Batteries Bed Bike Bottle Bucket Calculator Calendar Candles '
    'Chair Clipboards Computer Couch Curtains Desk_Lamp Drill Eraser Exit_Sign Fan '
    'File_Cabinet Flipflops Flowers Folder Fork Glasses Hammer Helmet Kettle Keyboard '
    'Knives Lamp_Shade Laptop Marker Monitor Mop Mouse Mug Notebook Oven Pan '
    'Paper_Clip Pen Pencil Postit_Notes Printer Push_Pin Radio Refrigerator Ruler '
    'Scissors Screwdriver Shelf Sink Sneakers Soda Speaker Spoon Table Telephone '
    'ToothBrush Toys Trash_Can TV Webcam'.split()
)


class LeaveOneDomainOut(FERDataset):
    """Base of data sets of several domains, one of which is kept for the test.

    A subclass has ``DOMAINS``, and implements ``samples_of``.

    Args:
        data_root (str): Root of the data set.
        test_domain (str): Domain that is tested on. The others are trained on.
            Give the same one to the training and to the evaluation set.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The data or listed images are missing.
        ValueError: The domain or the split is unknown.
    """

    DOMAINS: Sequence[str] = ()
    splits = ('train', 'test')

    def __init__(
        self, data_root: str, test_domain: str, split: str = 'train', **kwargs
    ):
        self.test_domain = choices(self, 'test_domain', test_domain, self.DOMAINS)
        super().__init__(data_root=data_root, split=split, **kwargs)

    def load_samples(self) -> List[dict]:
        """Read the test domain, or all the others."""
        test = self.split == 'test'
        samples, domains = [], []
        for number, domain in enumerate(self.DOMAINS):
            if (domain == self.test_domain) == test:
                found = self.samples_of(domain)
                samples += [
                    dict(img_path=path, gt_label=label) for path, label in found
                ]
                domains += [number] * len(found)
        self._domains = np.array(domains)
        return samples

    @force_full_init
    def get_domains(self) -> np.ndarray:
        """Return the domains of the samples in this (sub)set, int64 (N,).

        Each is an index into ``DOMAINS``.
        """
        return self._domains[self.sample_ids]

    def samples_of(self, domain: str) -> List[Tuple[str, int]]:
        """Return paths and labels of the images of a domain in this split."""
        raise NotImplementedError


@DATASETS.register_module()
class PACS(LeaveOneDomainOut):
    """PACS: 9,991 images of seven classes in four domains.

    It is read with its published lists::

        data_root/
        |-- kfold/art_painting/dog/pic_001.jpg ...
        `-- splits/art_painting_train_kfold.txt, art_painting_test_kfold.txt ...

    The folder of images may also be ``images``, ``images/kfold`` or
    ``data_root`` itself. The lists may lie beside the domains, or in the
    folder in which they were published.

    The train split has the images in the training lists of three domains,
    nine tenths of each; the other tenth is not used. The test split has all
    images of the fourth domain.

    Args:
        data_root (str): Folder of images and lists.
        test_domain (str): ``'art_painting'``, ``'cartoon'``, ``'photo'`` or
            ``'sketch'``. Defaults to ``'sketch'``.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: Lists or images are missing.
        ValueError: The domain is unknown; or a list has another label for an
            image than its folder.
    """

    METAINFO = dict(classes=PACS_CLASSES)
    DOMAINS = ('art_painting', 'cartoon', 'photo', 'sketch')
    IMAGES = ('kfold', 'images/kfold', 'images', '')
    LISTS = ('splits', 'Train val splits and h5py files pre-read')

    def __init__(
        self,
        data_root: str = 'data/pacs',
        test_domain: str = 'sketch',
        split: str = 'train',
        **kwargs,
    ):
        super().__init__(data_root, test_domain, split, **kwargs)

    def samples_of(self, domain: str) -> List[Tuple[str, int]]:
        """Read the list of a domain, rows ``dog/pic_001.jpg 1`` below its name."""
        folders = [osp.join(self.data_root, name) for name in self.IMAGES]
        images = next((f for f in folders if osp.isdir(osp.join(f, domain))), None)
        name = f'{domain}_{self.split}_kfold.txt'
        lists = [osp.join(self.data_root, folder, name) for folder in self.LISTS]
        lists += [osp.join(folder, name) for folder in folders]
        path = next((p for p in lists if osp.isfile(p)), None)
        if images is None or path is None:
            raise missing_root(
                f'PACS, {self.split} split, domain {domain!r}',
                [
                    tried([osp.join(f, domain) for f in folders], images),
                    tried(lists, path),
                ],
                'the authors of "Deeper, Broader and Artier Domain Generalization"',
            )
        rows = read_label_list(
            path, len(PACS_CLASSES), label_base=1, by_path=True, root=images
        )
        found = []
        for image, label in zip(rows.paths, rows.labels.tolist(), strict=True):
            if image == PACS_DAMAGED:
                continue
            folder = osp.basename(osp.dirname(image))
            if folder != PACS_CLASSES[label]:
                raise ValueError(
                    f'PACS: {path} has the label {label + 1} '
                    f'({PACS_CLASSES[label]}) for {image!r}, which lies in the '
                    f'folder {folder!r}. Unpack the published list again.'
                )
            found.append((osp.join(images, image), label))
        return found


@DATASETS.register_module()
class OfficeHome(LeaveOneDomainOut):
    """Office-Home: about 15,500 images of 65 classes in four domains.

    It is read in its published layout::

        data_root/Art/Alarm_Clock/00001.jpg ...
        data_root/Clipart/ ...  Product/ ...  Real World/ ...

    The files may also lie in ``data_root/OfficeHomeDataset_10072016``. There
    are no lists: the train split has all images of three domains.
    ``fold=(0, 10)`` holds out a tenth of them, as some protocols do.

    Args:
        data_root (str): Folder of the domains.
        test_domain (str): ``'art'``, ``'clipart'``, ``'product'`` or
            ``'real_world'``. Defaults to ``'clipart'``.
        split (str): ``'train'`` or ``'test'``. Defaults to ``'train'``.
        **kwargs: See :class:`FERDataset`.

    Raises:
        FileNotFoundError: The folder of a domain or of a class is missing.
        ValueError: The domain is unknown.
    """

    METAINFO = dict(classes=OFFICE_HOME_CLASSES)
    DOMAINS = ('art', 'clipart', 'product', 'real_world')
    # Upper and lower case, blanks and underscores differ between copies.
    FOLDERS: Dict[str, Tuple[str, ...]] = dict(
        art=('Art', 'art'),
        clipart=('Clipart', 'clipart'),
        product=('Product', 'product'),
        real_world=('Real World', 'RealWorld', 'Real_World', 'real_world'),
    )

    def __init__(
        self,
        data_root: str = 'data/officehome',
        test_domain: str = 'clipart',
        split: str = 'train',
        **kwargs,
    ):
        # The folders are listed, so their files exist.
        kwargs.setdefault('check_files', False)
        super().__init__(data_root, test_domain, split, **kwargs)

    def samples_of(self, domain: str) -> List[Tuple[str, int]]:
        """List the class folders of a domain."""
        places = [
            osp.join(self.data_root, folder, name)
            for folder in ('', 'OfficeHomeDataset_10072016')
            for name in self.FOLDERS[domain]
        ]
        root = next(filter(osp.isdir, places), None)
        if root is None:
            raise missing_root(
                f'OfficeHome, {self.split} split, domain {domain!r}',
                [tried(places, None)],
                'the authors of Office-Home',
            )
        found = []
        for label, name in enumerate(OFFICE_HOME_CLASSES):
            images, _ = find_images(osp.join(root, name))
            if not images:
                raise FileNotFoundError(
                    f'OfficeHome: there are no images in {osp.join(root, name)!r}. '
                    'Unpack the data set again: each of its 65 classes has a folder '
                    'in each domain.'
                )
            found += [(path, label) for path in images]
        return found
