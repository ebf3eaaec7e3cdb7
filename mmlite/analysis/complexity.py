"""Parameters and MACs of a model, by part."""

from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmlite.models.layers import DecomposedAttention


@contextmanager
def _countable_attention():
    """Run attention in its textbook form, whose products the counter sees one by one."""
    DecomposedAttention.explicit_bias = True
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        DecomposedAttention.explicit_bias = False


@torch.no_grad()
def count_macs(function, *args):
    """MACs of ``function(*args)`` in matrix products and convolutions, and its result."""
    with _countable_attention(), FlopCounterMode(display=False) as counter:
        result = function(*args)
    return counter.get_total_flops() // 2, result


def count_params(module):
    """Number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def detector_complexity(model, shape, num_rois=1000, num_mask_rois=100):
    """Parameters and MACs of a two-stage detector by part, for one image.

    Args:
        model (mmdet.models.TwoStageDetector): With a box head and optionally a mask head.
        shape (tuple[int, int]): (H, W) of the padded input in pixels.
        num_rois (int): Regions that reach the box head. Defaults to 1000.
        num_mask_rois (int): Regions that reach the mask head. Defaults to 100.
    """
    model.eval()
    device = next(model.parameters()).device
    image = torch.zeros(1, 3, *shape, device=device)
    heads = [('box_head', model.roi_head.bbox_head, model.roi_head.bbox_roi_extractor, num_rois)]
    if model.roi_head.with_mask:
        extractor = model.roi_head.mask_roi_extractor
        heads.append(('mask_head', model.roi_head.mask_head, extractor, num_mask_rois))
    parts = {}
    macs, features = count_macs(model.backbone, image)
    parts['backbone'] = (count_params(model.backbone), macs)
    if model.with_neck:
        macs, features = count_macs(model.neck, features)
        parts['neck'] = (count_params(model.neck), macs)
    parts['rpn_head'] = (count_params(model.rpn_head), count_macs(model.rpn_head, features)[0])
    for name, head, extractor, count in heads:
        size = extractor.roi_layers[0].output_size
        regions = torch.zeros(count, extractor.out_channels, *size, device=device)
        parts[name] = (count_params(head), count_macs(head, regions)[0])
    return parts


def model_complexity(model, shape):
    """Parameters and MACs of a model's children, for one image of ``shape`` (H, W) in pixels."""
    model.eval()
    image = torch.zeros(1, 3, *shape, device=next(model.parameters()).device)
    children = {name: child for name, child in model.named_children() if count_params(child)}
    macs = dict.fromkeys(children, 0)
    with torch.no_grad(), _countable_attention(), FlopCounterMode(display=False) as counter:
        with ExitStack() as stack:
            for name, child in children.items():
                stack.enter_context(_counted_calls(child, name, counter, macs))
            model(image)
    return {name: (count_params(child), macs[name]) for name, child in children.items()}


def tracker_complexity(model):
    """Trained parameters and MACs of a one-stream tracker, for one template and one search region.

    The backbone's own table of positions is frozen, since tracking does not use it.
    """
    model.eval()
    device = next(model.parameters()).device
    z, x = (
        torch.zeros(1, 3, s, s, device=device) for s in (model.template_size, model.search_size)
    )
    in_template, template = count_macs(model.embed_template, z)
    in_search, search = count_macs(model.embed_search, x)
    in_blocks, features = count_macs(model.relate, template, search)
    in_head, _ = count_macs(model.head, features)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    in_blocks += in_template + in_search
    return {
        'backbone': (trained - count_params(model.head), in_blocks),
        'head': (count_params(model.head), in_head),
    }


@contextmanager
def _counted_calls(module, name, counter, macs):
    """Add the MACs of ``module.forward``, which mmseg calls directly, to ``macs[name]``."""
    forward = module.forward

    def counted(*args, **kwargs):
        before = counter.get_total_flops()
        result = forward(*args, **kwargs)
        macs[name] += (counter.get_total_flops() - before) // 2
        return result

    module.forward = counted
    try:
        yield
    finally:
        del module.forward


def format_complexity(parts):
    """The parts as a text table with totals; the paper's detectors leave the mask head out."""
    rows = [*parts.items(), ('total', tuple(map(sum, zip(*parts.values(), strict=True))))]
    if 'mask_head' in parts:
        params, macs = rows[-1][1]
        rows.append(('total, mask head not run', (params, macs - parts['mask_head'][1])))
    width = max(len(name) for name, _ in rows)
    lines = [f'{"part":<{width}}  {"parameters":>12}  {"GMAC":>8}']
    lines += [f'{name:<{width}}  {p:>12,}  {m / 1e9:>8.2f}' for name, (p, m) in rows]
    return '\n'.join(lines)
