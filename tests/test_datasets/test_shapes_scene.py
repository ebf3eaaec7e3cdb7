"""The generated scenes: options, outlines, textures, layout and exact masks."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmlite.datasets.shapes import CLASSES, CLUTTER, STUFF, Job, render, task_spec
from mmlite.datasets.shapes.outlines import OUTLINES, sample_outline
from mmlite.datasets.shapes.scene import Exposure, Instance, Pose, Scene, sample_skin
from mmlite.datasets.shapes.textures import TEXTURES, ground_texture
from mmlite.errors import UserError


def paint(*instances, ground=0.5):
    """Render objects on a grey image without light, blur and noise."""
    plain = np.full((100, 100, 3), ground, np.float32), np.zeros((100, 100), np.uint8)
    return render(Scene(100, 100, (), instances, Exposure()), plain)


def square(x, y, size, angle=0.0):
    """A square without the usual variation."""
    skin = sample_skin(np.random.default_rng(0), task_spec('det'), CLASSES.index('square'), size)
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    return Instance(1, replace(skin, rings=(ring,)), Pose(x, y, size, angle))


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        ({'size': 16}, 'size'),
        ({'classes': len(CLASSES) + 1}, 'classes'),
        ({'min_size': 0.6, 'max_size': 0.5}, 'min_size..max_size'),
        ({'size': 64, 'min_size': 0.1}, 'min_size'),
        ({'max_aspect': 0.5}, 'max_aspect'),
        ({'clutter': 1.5}, 'clutter'),
    ],
)
def test_spec_names_the_wrong_option(options, name):
    with pytest.raises(UserError, match=f'^{name} of the generated set is .* should be'):
        task_spec('det', **options)


def test_task_spec_keeps_what_a_task_fixes():
    assert task_spec('cls', max_objects=9, frames=9).max_objects == 1
    assert task_spec('det', frames=9).frames == 1
    assert task_spec('sot', frames=9).frames == 9
    with pytest.raises(UserError, match="task 'pose' is unknown"):
        task_spec('pose')


@pytest.mark.parametrize('name', OUTLINES)
def test_outline_is_normalized_and_varies(name):
    rng = np.random.default_rng(0)
    first, second = sample_outline(name, rng), sample_outline(name, rng)
    for rings in (first, second):
        low, high = rings[0].min(axis=0), rings[0].max(axis=0)
        assert (high - low).max() == pytest.approx(2)
        assert low + high == pytest.approx(0, abs=1e-9)
        assert len(rings) == (2 if name == 'ring' else 1)
        skin = sample_skin(rng, task_spec('det'), 0, 80)
        instance = Instance(0, replace(skin, rings=tuple(rings)), Pose(50, 50, 80, 0))
        area = paint(instance).amodal[0]
        assert 0.09 < area / 80**2 < 0.9  # a polygon that crosses itself fills less
    assert first[0].shape != second[0].shape or not np.allclose(first[0], second[0])


def test_textures_are_distinct_fields():
    v, u = 2 * np.mgrid[-1:1:96j, -1:1:96j].astype(np.float32)
    fields = [texture(u, v, 1 / 24) for texture in TEXTURES.values()]
    for number, field in enumerate(fields):
        assert field.dtype == np.float32 and field.shape == (96, 96)
        assert field.min() >= 0 and field.max() <= 1 and field.std() > 0.12
        assert all(np.abs(field - other).mean() > 0.2 for other in fields[:number])


@pytest.mark.parametrize('name', STUFF)
def test_ground_texture(name):
    field = ground_texture(name, 5, 120, 160, 0.5)
    assert field.shape == (120, 160) and field.dtype == np.float32
    assert field.min() >= 0 and field.max() <= 1 and field.std() > 0.04
    np.testing.assert_array_equal(field, ground_texture(name, 5, 120, 160, 0.5))
    assert np.abs(field - ground_texture(name, 6, 120, 160, 0.5)).mean() > 0.02


def test_painters_order_exact_sizes_and_the_border():
    back, front = square(40, 50, 40), square(60, 50, 40)
    rendering = paint(back, front)
    assert rendering.amodal == rendering.inside == (1600, 1600)
    assert (rendering.mask(0).sum(), rendering.mask(1).sum()) == (1600 - 20 * 40, 1600)
    rows, cols = np.nonzero(rendering.mask(0))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (30, 69, 20, 39)
    assert (rendering.owner == -1).sum() == 100 * 100 - 60 * 40
    rendering = paint(square(0, 50, 40), square(300, 50, 40))
    assert (rendering.amodal, rendering.inside) == ((1600, 1600), (800, 0))
    assert rendering.mask(0).sum() == 800


def test_edges_are_antialiased():
    instance = square(50, 50, 40, angle=0.3)
    skin = replace(instance.skin, colors=((1, 1, 1), (1, 1, 1)))
    image = paint(replace(instance, skin=skin), ground=0).image[..., 0]
    assert image[42:58, 42:58].min() > 200
    partial = (image > 20) & (image < 180)
    assert 40 < partial.sum() < 300  # a rim of one to two pixels around 160 px of border
    assert image[:20].max() == 0


@pytest.mark.parametrize('label', range(len(CLASSES)))
def test_texture_turns_with_the_object(label):
    """A quarter turn of the object is a quarter turn of the rendering."""
    skin = sample_skin(np.random.default_rng(7), task_spec('det'), label, 70)
    angles = 0.4, 0.4 + np.pi / 2
    one, two = (paint(Instance(label, skin, Pose(50, 50, 70, angle))) for angle in angles)
    assert np.abs(np.rot90(one.image, k=-1).astype(int) - two.image).mean() < 1
    assert (np.rot90(one.owner, k=-1) == two.owner).mean() > 0.995


@pytest.fixture(scope='module')
def rendered():
    """Forty rendered scenes of the detection task."""
    job = Job('det', Path('unused'), task_spec('det', size=160), seed=3)
    scenes = [job.scene('train', index) for index in range(40)]
    return [(scene, render(scene)) for scene in scenes]


def test_every_object_is_visible_and_some_are_hidden_in_part(rendered):
    fractions = [
        rendering.mask(number).sum() / rendering.amodal[number]
        for scene, rendering in rendered
        for number in range(len(scene.instances))
    ]
    assert min(fractions) > 0.34  # of 0.4; the layout knows no antialiasing
    assert 0.15 < np.mean(np.array(fractions) < 0.95) < 0.6


def test_scenes_vary_and_are_well_exposed(rendered):
    counts = Counter(sum(i.label != CLUTTER for i in scene.instances) for scene, _ in rendered)
    assert set(counts) == {1, 2, 3, 4, 5, 6}
    assert {len(scene.regions) for scene, _ in rendered} == {1, 2, 3}
    assert {r.stuff for scene, _ in rendered for r in scene.regions} == set(range(len(STUFF)))
    sizes = [i.pose.size / 160 for scene, _ in rendered for i in scene.instances if i.label >= 0]
    assert 0.1 <= min(sizes) < 0.15 and 0.35 < max(sizes) <= 0.5
    means = [rendering.image.mean() for _, rendering in rendered]
    assert 40 < min(means) and max(means) < 215


def test_aspect_ratios():
    job = Job('det', Path('unused'), task_spec('det', size=128, max_aspect=2))
    shapes_ = [(s.height, s.width) for s in (job.scene('train', i) for i in range(30))]
    assert all(max(shape) == 128 and min(shape) >= 64 for shape in shapes_)
    assert any(h > 1.3 * w for h, w in shapes_) and any(w > 1.3 * h for h, w in shapes_)
    scene = job.scene('train', 0)
    assert render(scene).image.shape == (scene.height, scene.width, 3)


def test_object_that_fits_nowhere_is_made_smaller():
    """Objects of nearly the whole side in a flat picture: one still shows enough of itself."""
    spec = task_spec('cls', size=96, min_size=0.95, max_size=1, max_aspect=4, min_visible=0.9)
    job = Job('cls', Path('unused'), spec)
    for index in range(8):
        scene = job.scene('train', index)
        rendering = render(scene)
        labels = [instance.label for instance in scene.instances]
        number = labels.index(job.label('train', index))
        assert rendering.mask(number).sum() > 0.8 * rendering.amodal[number]
