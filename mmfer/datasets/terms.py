"""Terms on which the owners give data sets, as far as we found them.

``docs/licences.md`` shows the same facts; a test compares them. They are notes for
people, not legal advice. What was not found is called unknown.
"""

from typing import Dict, NamedTuple


class DataTerms(NamedTuple):
    """What is known about a data set that a model is trained on.

    Attributes:
        name (str): Name of the data set.
        terms (str): On what terms its owners give images and labels.
        redistribute (str): What may be passed on under these terms.
        annotators (str): Who labelled the images.
        source (str): Where this is written.
    """

    name: str
    terms: str
    redistribute: str
    annotators: str
    source: str


_CIFAR = DataTerms(
    'CIFAR-10 and CIFAR-100',
    'free to download; the page asks for a citation and states no licence, so the '
    'licence is unknown',
    'unknown',
    'paid students, according to the technical report of 2009',
    'https://www.cs.toronto.edu/~kriz/cifar.html',
)

TERMS: Dict[str, DataTerms] = {
    'FERPlus': DataTerms(
        'FERPlus',
        'labels: MIT licence, Microsoft; images: FER2013, from a web image search, '
        'given for a Kaggle contest of 2013 under its rules; the licence of the single '
        'pictures is unknown',
        'the labels, with their licence; not the images',
        'ten crowd-sourced taggers for each image; who they are is unknown',
        'https://github.com/microsoft/FERPlus, https://arxiv.org/abs/1608.01041, '
        'https://arxiv.org/abs/1307.0414',
    ),
    'RAFDB': DataTerms(
        'RAF-DB',
        'on request, for non-commercial research only; the pictures are from the '
        'Internet and do not belong to its owners',
        'neither images nor labels, nor any part of them',
        'about 40 crowd-sourced annotators for each image',
        'http://whdeng.cn/RAF/model1.html; the terms were read on the page of its '
        'sister set RAF-CE, http://whdeng.cn/RAF/model4.html',
    ),
    'AffectNet': DataTerms(
        'AffectNet',
        'on request of a professor or lab manager who signs an agreement, for research '
        'only; the pictures are from three web search engines',
        'nothing without leave of its owners: the signed agreement decides',
        'twelve paid annotators, mostly one for each image',
        'http://mohammadmahoor.com/pages/databases/affectnet/, '
        'https://arxiv.org/abs/1708.03985',
    ),
    'FER2013': DataTerms(
        'FER2013',
        'from a web image search, given for a Kaggle contest of 2013 under its rules; '
        'the licence of the single pictures is unknown',
        'unknown',
        'the words of the image search; people rejected wrong images',
        'https://arxiv.org/abs/1307.0414',
    ),
    'NoisyMNIST': DataTerms(
        'MNIST',
        'made from data of NIST; the documentation of TensorFlow states CC BY-SA 3.0',
        'under CC BY-SA 3.0, if that holds',
        'unknown',
        'http://yann.lecun.com/exdb/mnist, '
        'https://www.tensorflow.org/api_docs/python/tf/keras/datasets/mnist/load_data',
    ),
    'ExpW': DataTerms(
        'ExpW',
        'from a web image search; the terms of its owners are unknown',
        'unknown',
        'unknown',
        'https://arxiv.org/abs/1609.06426',
    ),
    'PACS': DataTerms(
        'PACS',
        'chosen from Caltech256, Sketchy, TU-Berlin and a web image search; the terms '
        'of its owners are unknown',
        'unknown',
        'unknown',
        'http://www.eecs.qmul.ac.uk/~dl307/project_iccv2017, '
        'https://arxiv.org/abs/1710.03077',
    ),
    'OfficeHome': DataTerms(
        'Office-Home',
        'from web pages and a web image search; the terms of its owners are unknown',
        'unknown',
        'unknown',
        'http://hemanthdv.org/OfficeHome-Dataset/, https://arxiv.org/abs/1706.07522',
    ),
    'NoisyCIFAR10': _CIFAR,
    'NoisyCIFAR100': _CIFAR,
    'CIFAR-N': DataTerms(
        'CIFAR-10N and CIFAR-100N',
        'labels for the images of CIFAR; the repository states no licence in its '
        'files, so the licence is unknown',
        'unknown',
        'workers of Amazon Mechanical Turk, three for each image of CIFAR-10N and one '
        'for each of CIFAR-100N',
        'https://github.com/UCSC-REAL/cifar-10-100n',
    ),
    'SyntheticFaces': DataTerms(
        'SyntheticFaces',
        'drawn by mmfer: Apache-2.0; no person is shown',
        'everything, under Apache-2.0',
        'none: the program that draws a face knows its label',
        'mmfer/datasets/synthetic_faces',
    ),
}
