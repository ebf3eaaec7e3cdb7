"""Top-1 of a k-NN classifier on the frozen features of a checkpoint, before any fine-tuning.

    python projects/cifar_mae/knn.py CONFIG CHECKPOINT

CONFIG is any classifier: its backbone, its data and the pipeline of its test. The k nearest
training images, by cosine, vote with exp(cosine / 0.07), as in DINO (arXiv 2104.14294).
"""

import argparse
import sys

import torch
import torch.nn.functional as F
from mmengine.runner import Runner

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite import init_model
from mmlite.engine.cli import add_config_options, positive_int, tool
from mmlite.errors import UserError
from mmlite.models.weights import load_pretrained


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add_config_options(parser)
    add('checkpoint', help='of a pre-training or a classifier')
    add('--k', type=positive_int, default=20, help='neighbors; default: 20')
    add('--device', default=None, help='default: a GPU where there is one')
    return parser.parse_args(argv)


def vote(queries, bank, labels, k=20, temperature=0.07):
    """Classes of images by their nearest neighbors.

    Args:
        queries (Tensor): Features (Q, C).
        bank (Tensor): Features of the training images (N, C).
        labels (Tensor): Their classes, int64 (N,).
        k (int): Number of neighbors, at most N. Defaults to 20.
        temperature (float): A neighbor counts ``exp(cosine / temperature)``. Defaults to 0.07.

    Returns:
        Tensor: int64 (Q,).
    """
    bank = F.normalize(bank, dim=1)
    found = []
    for part in F.normalize(queries, dim=1).split(1000):
        cosines, nearest = (part @ bank.T).topk(k, dim=1)
        votes = torch.zeros(len(part), int(labels.max()) + 1, device=part.device)
        found.append(votes.scatter_add(1, labels[nearest], (cosines / temperature).exp()).argmax(1))
    return torch.cat(found)


@torch.no_grad()
def extract(model, loader):
    """Features (N, C) and labels (N,) of a data set."""
    features, labels = [], []
    for data in loader:
        batch = model.data_preprocessor(data, False)
        features.append(model.extract_feat(batch['inputs'])[-1])
        labels += [sample.gt_label for sample in batch['data_samples']]
    return torch.cat(features), torch.cat(labels).to(features[0].device)


@tool
def main(argv=None):
    args = parse_args(argv)
    model = init_model(args.config, device=args.device, cfg_options=args.cfg_options)
    load_pretrained(model.backbone, args.checkpoint)
    test = model.cfg.test_dataloader
    train = dict(model.cfg.train_dataloader.dataset, pipeline=test.dataset.pipeline)
    loaders = [Runner.build_dataloader(dict(test, dataset=part)) for part in (train, test.dataset)]
    bank, labels = extract(model, loaders[0])
    if args.k > len(bank):
        raise UserError(f'--k {args.k} is more than the {len(bank)} training images')
    queries, truth = extract(model, loaders[1])
    share = (vote(queries, bank, labels, args.k) == truth).float().mean().item()
    print(f'k-NN, k = {args.k}: top-1 {100 * share:.2f} of {len(truth):,} images')


if __name__ == '__main__':
    sys.exit(main())
