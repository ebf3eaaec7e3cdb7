"""Shape tells the classes apart; color and shuffled labels do not.

A nearest-centroid classifier on a few hand-made features of the masked object, without training.
"""

from pathlib import Path

import cv2
import numpy as np

from mmlite.datasets.shapes import Job, render, task_spec
from mmlite.datasets.shapes.spec import CLUTTER

TRAIN, VAL, NUM_CLASSES = 192, 96, 12


def shape_features(mask):
    """Seven Hu moments (log), solidity and compactness: invariant to place, size and angle."""
    moments = cv2.HuMoments(cv2.moments(mask.astype(np.uint8), binaryImage=True)).ravel()
    log_moments = np.log10(np.abs(moments) + 1e-7)
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contour = max(contours, key=cv2.contourArea)
    area, hull = mask.sum(), cv2.contourArea(cv2.convexHull(contour))
    compactness = area / cv2.arcLength(contour, True) ** 2
    return np.array([*log_moments, area / hull, 10 * compactness])


def make_samples(**options):
    """Features of the main object of every image, and the labels, true and shuffled."""
    job = Job('cls', Path('unused'), task_spec('cls', **options))
    rows = {'shape': [], 'color': [], 'label': [], 'shuffled': []}
    for index in range(TRAIN + VAL):
        scene = job.scene('train', index)
        rendering = render(scene)
        main = [i.label != CLUTTER for i in scene.instances].index(True)
        mask = rendering.mask(main)
        rows['shape'].append(shape_features(mask))
        rows['color'].append(rendering.image[mask].mean(axis=0))
        rows['label'].append(scene.instances[main].label)
        rows['shuffled'].append(job.label('train', index, 'shuffle'))
    return {name: np.array(values) for name, values in rows.items()}


def accuracy(features, labels):
    """Accuracy on the last VAL samples of the nearest class centroid, after whitening."""
    train, val = features[:TRAIN], features[TRAIN:]
    known = labels[:TRAIN]
    centroids = np.stack([train[known == c].mean(axis=0) for c in range(NUM_CLASSES)])
    spread = np.cov((train - centroids[known]).T) + 1e-3 * np.eye(train.shape[1])
    whiten = np.linalg.cholesky(np.linalg.inv(spread))
    distance = np.linalg.norm((val[:, None] - centroids[None]) @ whiten, axis=2)
    return (distance.argmin(axis=1) == labels[TRAIN:]).mean()


def test_shape_tells_the_classes_apart_and_color_only_on_request():
    samples, chance = make_samples(size=112), 1 / NUM_CLASSES
    assert accuracy(samples['shape'], samples['label']) >= 0.65
    assert accuracy(samples['shape'], samples['shuffled']) < 2.5 * chance
    assert np.bincount(samples['shuffled']).tolist() == [(TRAIN + VAL) // NUM_CLASSES] * NUM_CLASSES
    assert accuracy(samples['color'], samples['label']) < 2.5 * chance
    easy = make_samples(size=64, class_colors=True)
    assert accuracy(easy['color'], easy['label']) > 0.8
