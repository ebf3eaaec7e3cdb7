"""The page about a training run."""

import pickle
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask
from tiny import write_log

from mmlite.analysis.report import write_report
from mmlite.datasets.shapes import Job, generate, task_spec
from mmlite.errors import DataError

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / ('configs/shapes/det/mask-rcnn_vit-tiny-sfp_8xb8-amp-lsj-100e_coco-640px_shapes.py')
TRAINING = [dict(lr=1e-4, loss=3.0 - i, loss_cls=1.0, time=0.5, step=10 * (i + 1)) for i in (0, 1)]
VALIDATION = {
    'coco/bbox_mAP': 0.4321, 'coco/bbox_mAP_50': 0.5, 'coco/segm_mAP': 0.4,
    'coco/disc_precision': 0.612, 'coco/disc_bbox_precision': 0.587, 'step': 20,
}  # fmt: skip


@pytest.fixture(scope='module')
def finished_run(tmp_path_factory):
    """A work directory as train.py and test.py leave it: config, log, predictions."""
    folder = tmp_path_factory.mktemp('run')
    spec = task_spec('det', size=64, classes=4, min_size=0.3, max_objects=2)
    generate(Job('det', folder / 'coco', spec, train=1, val=5))
    cfg = Config.fromfile(RECIPE)
    cfg.test_dataloader.dataset.data_root = f'{folder}/coco/'
    work_dir = folder / 'work'
    work_dir.mkdir()
    cfg.dump(work_dir / 'recipe.py')
    (work_dir / 'last_checkpoint').write_text('/elsewhere/iter_20.pth')
    write_log(work_dir, [*TRAINING, VALIDATION])
    found = InstanceData(
        bboxes=torch.tensor([[5.0, 5, 30, 30], [9, 9, 20, 20]]),
        labels=torch.tensor([1, 2]),
        scores=torch.tensor([0.9, 0.1]),
        masks=[coco_mask.encode(np.zeros((64, 64), np.uint8, order='F'))] * 2,
    )
    predictions = [dict(img_id=i + 1, pred_instances=found) for i in range(5)]
    with open(work_dir / 'predictions.pkl', 'wb') as file:
        pickle.dump(predictions, file)
    return work_dir


def test_the_page_shows_numbers_images_and_commands(finished_run):
    page = write_report(
        finished_run, finished_run / 'predictions.pkl', count=3, title='Mask R-CNN <ours>'
    ).read_text()
    assert '<h1>Mask R-CNN &lt;ours&gt;</h1>' in page
    tiles = tiles_of(page)
    assert {'43.2': 'box AP', '40.0': 'mask AP', '20': 'iterations'}.items() <= tiles.items()
    assert cells_of(page, 'disc') == [58.7, 61.2]
    assert '<th>box AP</th><th>mask AP</th>' in page
    assert page.count('data:image/jpeg') == 6 and page.count('data:image/png') == 3
    assert_it_stands_alone(page)
    assert f'{finished_run}/iter_20.pth' in page


def tiles_of(page):
    return dict(re.findall(r'<b>([^<]+)</b>([^<]+)</div>', page))


def cells_of(page, name):
    """Numbers in the row of a table that begins with ``name``."""
    row = re.search(rf'<tr>\s*<td>{name}</td>(.*?)</tr>', page, re.S)[1]
    return [float(c.replace('–', 'nan')) for c in re.findall(r'<td[^>]*>([^<]+)', row)]


def assert_it_stands_alone(page):
    """No address elsewhere, and every command that it proposes exists."""
    assert 'src="http' not in page and 'name="viewport"' in page
    commands = re.findall(r'(?:python|bash) (tools/\S+) (\S+)', page)
    assert len(commands) >= 2
    for script, config in commands:
        assert (ROOT / script).is_file()
        assert (ROOT / config).exists() or Path(config).exists() or config == 'plot_curve'


def test_predictions_of_other_images_are_refused(finished_run, tmp_path):
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps([dict(img_id=99, pred_instances=None)]))
    with pytest.raises(DataError, match=r'no boxes for image 1 \(.*\.jpg\): they should be those'):
        write_report(finished_run, tmp_path / 'p.pkl')


def test_other_tasks_are_refused(finished_run, tmp_path):
    (tmp_path / 'recipe.py').write_text("default_scope = 'mmpretrain'")
    with pytest.raises(DataError, match="of mmdet and mmseg, not of default_scope='mmpretrain'"):
        write_report(tmp_path)


def test_reconstructions_are_part_of_the_page(finished_run, tmp_path):
    image = tmp_path / 'reconstructions.png'
    with pytest.raises(DataError, match=r'reconstructions\.png'):
        write_report(finished_run, reconstructions=image)
    cv2.imwrite(str(image), np.zeros((4, 4, 3), np.uint8))
    page = write_report(finished_run, reconstructions=image).read_text()
    assert page.count('data:image/png') == 4 and '<h2>Pre-training</h2>' in page
    assert 'Validation images' not in page  # there are no predictions


@pytest.mark.parametrize(
    ('missing', 'message'),
    [('recipe.py', r'no config file'), ('1', r'holds no log'),
     ('predictions.pkl', r'predictions\.pkl not found: write them with tools/test\.py')],
)  # fmt: skip
def test_what_is_missing_is_named(finished_run, tmp_path, missing, message):
    work_dir = tmp_path / 'copy'
    shutil.copytree(finished_run, work_dir)
    path = work_dir / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError, match=message):
        write_report(work_dir, work_dir / 'predictions.pkl')
