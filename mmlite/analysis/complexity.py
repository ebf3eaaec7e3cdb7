"""Parameters and MACs of a model, by part."""

from contextlib import ExitStack, contextmanager

import torch
from mmengine.structures import BaseDataElement
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mmlite.models.eomt import EoMTDetector, EoMTSegmentor
from mmlite.models.layers import DecomposedAttention
from mmlite.utils import render_table


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
    """Parameters and MACs of a two-stage detector by part, for one padded image (H, W).

    ``num_rois`` regions reach the box head, ``num_mask_rois`` the mask head, if there is one.
    """
    device, roi_head = next(model.parameters()).device, model.roi_head
    names = ('backbone', 'neck', 'rpn_head')
    parts = {name: getattr(model, name) for name in names if getattr(model, name, None)}
    heads = [('box_head', roi_head.bbox_head, roi_head.bbox_roi_extractor, num_rois)]
    if roi_head.with_mask:
        extractor = roi_head.mask_roi_extractor
        heads.append(('mask_head', roi_head.mask_head, extractor, num_mask_rois))
    parts |= {name: head for name, head, *_ in heads}

    def run():
        model.rpn_head(model.extract_feat(torch.zeros(1, 3, *shape, device=device)))
        for _, stages, extractors, count in heads:
            if not isinstance(stages, nn.ModuleList):
                stages, extractors = [stages], [extractors]
            for head, extractor in zip(stages, extractors, strict=True):  # of a cascade
                size = extractor.roi_layers[0].output_size
                head(torch.zeros(count, extractor.out_channels, *size, device=device))

    return _by_part(model, parts, run)


def model_complexity(model, shape):
    """Parameters and MACs of a model's children, for one image of ``shape`` (H, W) in pixels.

    Models with queries compute from values, which the meta device has not: they move to the CPU,
    with weights of 0.
    """
    children = {name: child for name, child in model.named_children() if count_params(child)}
    if not any(hasattr(module, 'num_queries') for module in model.modules()):
        image = torch.zeros(1, 3, *shape, device=next(model.parameters()).device)
        return _by_part(model, children, lambda: model(image))
    model.to_empty(device='cpu')
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.zero_()
    keys = ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape')
    meta = dict.fromkeys(keys, shape) | dict(scale_factor=(1, 1), padding_size=[0] * 4)
    image, samples = torch.zeros(1, 3, *shape), [BaseDataElement(metainfo=meta)]
    if isinstance(model, EoMTDetector | EoMTSegmentor):  # queries inside the backbone
        macs, _ = count_macs(model.eval().extract_feat, image)
        return {'backbone and head': (count_params(model), macs)}
    return _by_part(model, children, lambda: model(image, samples, mode='predict'))


def tracker_complexity(model):
    """Trained parameters and MACs of a one-stream tracker, for one template and search region."""
    device = next(model.parameters()).device
    z, x = (
        torch.zeros(1, 3, s, s, device=device) for s in (model.template_size, model.search_size)
    )
    model.eval()
    in_backbone, features = count_macs(
        lambda: model.relate(model.embed_template(z), model.embed_search(x))
    )
    in_head, _ = count_macs(model.head, features)
    # the backbone's own table of positions is frozen, since tracking does not use it
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    head = count_params(model.head)
    return {'backbone': (trained - head, in_backbone), 'head': (head, in_head)}


def _by_part(model, parts, run):
    """Parameters and MACs of modules, by name, in ``run()`` of the model."""
    model.eval()
    macs = dict.fromkeys(parts, 0)

    def counted(name, forward):
        def call(*args, **kwargs):
            before = counter.get_total_flops()
            result = forward(*args, **kwargs)
            macs[name] += (counter.get_total_flops() - before) // 2
            return result

        return call

    with torch.no_grad(), _countable_attention(), FlopCounterMode(display=False) as counter:
        with ExitStack() as stack:
            for name, part in parts.items():
                for module in part if isinstance(part, nn.ModuleList) else [part]:
                    # instead of a hook: mmseg calls ``forward`` itself
                    module.forward = counted(name, module.forward)
                    stack.callback(delattr, module, 'forward')
            run()
    return {name: (count_params(module), macs[name]) for name, module in parts.items()}


def format_complexity(parts):
    """The parts as a text table with totals; the paper's detectors leave the mask head out."""
    params, macs = map(sum, zip(*parts.values(), strict=True))
    rows = [*parts.items(), ('total', (params, macs))]
    if 'mask_head' in parts:
        rows.append(('total, mask head not run', (params, macs - parts['mask_head'][1])))
    lines = [(name, f'{params:,}', f'{macs / 1e9:.2f}') for name, (params, macs) in rows]
    return render_table(('part', 'parameters', 'GMAC'), lines)
