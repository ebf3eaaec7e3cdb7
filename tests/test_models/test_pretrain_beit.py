"""BEiT: cross entropy to the codes of any frozen tokenizer, and a tokenizer of our own."""

import golden
import pytest
import tiny_methods as methods
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from tiny_methods import IDS, VQ, hidden_pixels, images, samples
from torch import nn

from mmlite.errors import ArgumentError, CheckpointError, UserError
from mmlite.models.pretrain import tokenizer as tokenizer_module
from mmlite.models.pretrain.tokenizer import Codebook, DiscreteTokenizer
from mmlite.registry import MODELS

BACKBONE = methods.METHODS['beit']['backbone']
OFFICIAL = dict(BACKBONE, pos_embed='none', rel_pos='shared_bias')
DALLE = dict(type='mmpretrain.DALL-E', n_hid=8, n_blk_per_group=1, vocab_size=16)


@MODELS.register_module(force=True)
class BrightnessTokenizer(nn.Module):
    """Code of a cell of 8 pixels: its mean brightness in steps of 1/2; logits or ids."""

    def __init__(self, logits=False):
        super().__init__()
        self.logits = logits
        self.unused = nn.Dropout(0.5)

    def forward(self, view):
        assert not self.training and not torch.is_autocast_enabled('cpu')
        means = F.avg_pool2d(view.mean(dim=1), 8)
        ids = (2 * means + 8).round().clamp(0, 15).long()
        one_hot = F.one_hot(ids, 16).movedim(-1, 1).float()
        return one_hot if self.logits else ids.flatten(1)


def build(backbone=BACKBONE, target='mmlite.BrightnessTokenizer', num_embed=16, **kwargs):
    target = dict(type=target) if isinstance(target, str) else target
    head = dict(type='mmlite.TokenHead', num_embed=num_embed)
    return methods.build('beit', backbone=backbone, head=head, target_generator=target, **kwargs)


def views(size=64, batch=2):
    colors = torch.from_numpy(golden.array('colors', (batch, 3, size // 16, size // 16)))
    return [images(size, batch=batch), colors.repeat_interleave(8, 2).repeat_interleave(8, 3)]


# ---- BEiT ------------------------------------------------------------------------------------


@pytest.mark.parametrize('logits', [False, True], ids=['codes', 'logits'])
@pytest.mark.parametrize('backbone', [BACKBONE, OFFICIAL], ids=['absolute', 'official'])
def test_loss_is_that_of_the_paper(backbone, logits):
    """- mean log p(code) over hidden patches, from logits for every token."""
    model = build(backbone, dict(type='mmlite.BrightnessTokenizer', logits=logits)).eval()
    first, second = views()
    with torch.no_grad():
        got = model.loss([first, second], samples())
        tokens = methods.masked_tokens(model, first, IDS)
        probabilities = model.head.cls_head(tokens).softmax(dim=-1)
    wanted, right = [], []
    for view, row, hidden in zip(second, probabilities, IDS, strict=True):
        for cell in hidden.tolist():
            y, x = 8 * (cell // 4), 8 * (cell % 4)
            code = int((2 * view[:, y : y + 8, x : x + 8].mean() + 8).round())
            wanted.append(-row[cell, code].log())
            right.append(float(row[cell].argmax() == code))
    torch.testing.assert_close(got['loss_tokens'], torch.stack(wanted).mean())
    assert got['token_accuracy'] == pytest.approx(sum(right) / len(right))


@pytest.mark.parametrize('target', [VQ, DALLE, 'mmlite.BrightnessTokenizer'])
def test_every_trainable_tensor_learns_and_the_tokenizer_stays(target):
    model = build(target=target).train()
    assert model.training and not any(m.training for m in model.target_generator.modules())
    before = {k: v.clone() for k, v in model.target_generator.state_dict().items()}
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model.loss(views(), samples())
    losses['loss_tokens'].backward()
    assert methods.silent(model) == []
    assert not any(p.requires_grad for p in model.target_generator.parameters())
    torch.optim.AdamW(model.parameters(), lr=0.1).step()
    for key, value in model.target_generator.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_reconstruction_shows_decoded_codes():
    model = build(target=VQ).eval()
    first, second = views()
    shown = model.reconstruct([first, second], samples())
    hidden = hidden_pixels(torch.zeros(2, 16, dtype=torch.bool).scatter(1, IDS, True))
    with torch.no_grad():
        codes = model.target_generator(second).view(2, 4, 4)
        pixels = 127.5 * model.target_generator.decode(codes) + 127.5
        processor = model.data_preprocessor
        want = F.interpolate((pixels - processor.mean) / processor.std, (64, 64), mode='bilinear')
        torch.testing.assert_close(shown.target, want, rtol=1e-4, atol=1e-5)
        # a head that is always right restores what the true codes decode to
        model.head.forward = lambda tokens: F.one_hot(codes.flatten(1).gather(1, IDS), 16)
        perfect = model.reconstruct([first, second], samples())
    torch.testing.assert_close(perfect.restored[hidden], shown.target[hidden])


def loss(inputs, **options):
    return build(**options).loss(inputs, samples())


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: build(data_preprocessor={}), 'set data_preprocessor to type TwoNorm'),
        (lambda: build(target=VQ, num_embed=17), '16 codes but the head 17: set model.head.num_e'),
        (lambda: loss(views(), target=DALLE, num_embed=17), 'tokenizer has 16 codes but the head'),
        (lambda: loss([views()[0]] * 2), '64 codes .* 64x64 pixels, but the first view has 4x4 '),
        (lambda: loss([views()[0], views(32)[1]], target=DALLE), 'gives 2x2 codes .* 16x16 pixels'),
        (lambda: loss(views()[0]), 'BEiT requires two views of every image'),
        (lambda: build().loss(views(), [DataSample()] * 2), "samples have no 'hidden_ids'"),
        (lambda: DiscreteTokenizer(channels=(8, 12)), 'channels 12 is not a multiple of 8'),
        (lambda: tokenizer()(images(20)), '20x20 pixels do not divide into patches of 8'),
        (lambda: tokenizer()(images(16), mode='predict'), "mode 'predict' is unknown"),
        (
            lambda: build(target=DALLE).reconstruct(views(), samples()),
            r'Encoder has no decode\(ids',
        ),
    ],
)
def test_wrong_input(call, message):
    with pytest.raises((ArgumentError, UserError), match=message):
        call()


# ---- where the tokenizer comes from ----------------------------------------------------------


def save_tokenizer(folder, prefix='', drop=(), **changes):
    model = MODELS.build(dict(VQ, **changes))
    state = {prefix + k: v for k, v in model.state_dict().items() if k not in drop}
    torch.save(dict(state_dict=state), folder / 'vq.pth')
    return dict(type='Pretrained', checkpoint=str(folder / 'vq.pth')), model


@pytest.mark.parametrize('prefix', ['', 'tokenizer.'])
def test_tokenizer_is_loaded_from_its_checkpoint(tmp_path, prefix):
    init_default_scope('mmpretrain')
    torch.manual_seed(5)
    init_cfg, saved = save_tokenizer(tmp_path, prefix)
    model = build(target=dict(VQ, init_cfg=dict(init_cfg, prefix=prefix)))
    for key, value in saved.state_dict().items():
        assert torch.equal(model.target_generator.state_dict()[key], value), key


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(drop=['codebook.codes']), r'1 of \d+ tensors are not in it .*codebook.codes'),
        (dict(channels=(8, 8, 16)), 'does not fit this model'),
        (dict(prefix='backbone.'), r'37 of 38 tensors are not in it'),
    ],
)
def test_a_tokenizer_is_never_loaded_in_part(tmp_path, options, message):
    init_default_scope('mmpretrain')
    init_cfg, _ = save_tokenizer(tmp_path, **options)
    with pytest.raises(CheckpointError, match=message):
        build(target=dict(VQ, init_cfg=init_cfg))


# ---- the tokenizer ---------------------------------------------------------------------------


def tokenizer(**options):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    return MODELS.build(dict(VQ, **options))


def unit(name, shape):
    return F.normalize(torch.from_numpy(golden.array(name, shape)), dim=-1)


def test_codes_are_the_closest_ones():
    model = tokenizer().eval()
    x = views(64)[1]
    ids = model(x)
    features = F.normalize(model.encoder(x).movedim(1, -1), dim=-1).reshape(-1, 4)
    distances = (features[:, None] - model.codebook.codes).square().sum(dim=-1)
    assert torch.equal(ids.flatten(), distances.argmin(dim=1))
    assert model.decode(ids.view(2, 4, 4)).shape == (2, 3, 32, 32)
    assert model(torch.zeros(1, 3, 16, 24)).shape == (1, 6)


@pytest.mark.parametrize('training', [True, False])
def test_tokenizer_losses(training):
    """Reconstruction from codes, and distance to them: only training changes the codebook."""
    model = tokenizer().train(training)
    model.codebook.usage.fill_(1 / 16)  # no code is dead
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x = views(64)[1]
    with torch.no_grad():
        ids = model(x)
        codes = model.codebook.codes[ids]
        features = F.normalize(model.encoder(x).movedim(1, -1), dim=-1).flatten(1, 2)
        decoded = model.decode(ids.view(2, 4, 4))
    losses = model.loss(x)
    torch.testing.assert_close(losses['loss_recon'], (decoded - x).square().mean())
    torch.testing.assert_close(losses['loss_commit'], 0.25 * (features - codes).square().mean())
    shares = ids.flatten().bincount(minlength=16) / ids.numel()
    entropy = -sum(p * p.log() for p in shares if p)
    torch.testing.assert_close(losses['perplexity'], entropy.exp())
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    norm = f'encoder.{len(model.encoder) - 1}'
    learnt = {'codebook.codes', 'codebook.usage', f'{norm}.running_mean', f'{norm}.running_var'}
    assert changed - {f'{norm}.num_batches_tracked'} == (learnt if training else set())


def test_gradient_goes_past_the_codes_to_the_encoder():
    model = tokenizer().train()
    losses = model.loss(views(64)[1])
    losses['loss_recon'].backward(retain_graph=True)
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    decoder = [p.grad.clone() for p in model.decoder.parameters()]
    losses['loss_commit'].backward()
    assert all(
        torch.equal(p.grad, g) for p, g in zip(model.decoder.parameters(), decoder, strict=True)
    )


def slow_update(codes, usage, features, decay):
    """What a step makes of a codebook without dead codes, code by code."""
    nearest = (features @ codes.t()).argmax(dim=1)
    new = codes.clone()
    for code in range(len(codes)):
        mine = features[nearest == code]
        if len(mine):
            mean = F.normalize(mine.mean(dim=0), dim=0)
            new[code] = F.normalize(decay * codes[code] + (1 - decay) * mean, dim=0)
        usage[code] = decay * usage[code] + (1 - decay) * len(mine) / len(features)
    return new, usage


def test_codes_follow_their_features():
    book = Codebook(8, 4, decay=0.9, revive_below=0.1).train()
    book.usage.fill_(1 / 8)
    codes, usage = book.codes.clone(), book.usage.clone()
    for step in range(3):
        features = unit(f'features{step}', (5, 6, 4))
        book(features)
        codes, usage = slow_update(codes, usage, features.flatten(0, 1), 0.9)
        torch.testing.assert_close(book.codes, codes)
        torch.testing.assert_close(book.usage, usage)


def test_dead_codes_become_features():
    book = Codebook(8, 4, decay=0.9, revive_below=0.5).train()
    _, stats = book(unit('first', (40, 4)))
    assert stats['dead_codes'] == 1.0  # the codes start as features of the first batch
    book.usage.copy_(torch.tensor([1, 1, 1, 0.06, 1, 1, 1, 0.06]))
    kept = book.codes.clone()
    features = unit('second', (1, 4))  # all tokens the same
    _, stats = book(features.expand(40, 4))
    assert stats['dead_codes'] == 0.25
    assert stats['perplexity'] == 1.0
    torch.testing.assert_close(book.codes[[3, 7]], features.expand(2, 4))
    assert torch.equal(book.codes[[0, 1]], kept[[0, 1]])


def test_two_processes_keep_one_codebook(monkeypatch):
    """Each with half of the batch, they end where one process with all of it ends."""
    features = unit('features', (60, 4))
    torch.manual_seed(0)
    whole = Codebook(8, 4, 0.9, 0.1).train()
    whole.usage.fill_(1 / 8)
    start = {k: v.clone() for k, v in whole.state_dict().items()}

    def run(mine, others):
        """One process's step; ``others`` is what the other one adds, in order."""
        book = Codebook(8, 4, 0.9, 0.1).train()
        book.load_state_dict(start)
        sent = []

        def add(tensor):
            sent.append(tensor.clone())
            if others:
                tensor += others[len(sent) - 1]

        monkeypatch.setattr(tokenizer_module, 'all_reduce', add)
        book(mine)
        return book, sent

    first = run(features[:20], None)[1]
    second, _ = run(features[20:], first)
    monkeypatch.undo()
    whole(features)
    torch.testing.assert_close(second.codes, whole.codes)
    torch.testing.assert_close(second.usage, whole.usage)
