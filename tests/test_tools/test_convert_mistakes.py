"""Converters: what they refuse, each in one sentence, and what they leave untouched then."""

import re

import pytest
import torch
from official_files import official, prefixed, vitdet
from run_tool import run_tool

from mmlite import stack
from mmlite.errors import UserError
from mmlite.weights import convert

CONVERT = 'model_converters/convert'


def without(state, *patterns):
    return {k: v for k, v in state.items() if not any(re.match(p, k) for p in patterns)}


def plus(**extra):
    return official('vit_tiny') | {key.replace('__', '.'): v for key, v in extra.items()}


LINE = torch.zeros(192)
MISTAKES = dict(
    empty=(lambda: dict(model={}), 'mae', 'holds no weights'),
    not_mae=(lambda: vitdet(320), 'mae', r"not a mae checkpoint: .* ViTDet \(source vitdet\)"),
    registers=(lambda: plus(reg_token=LINE), 'timm', "'reg_token' is register tokens, which no"),
    rotary=(lambda: without(plus(), 'pos_embed'), 'timm', 'neither pos_embed nor tables'),
    no_grid=(lambda: plus(pos_embed=torch.zeros(1, 200, 192)), 'timm', '200 rows, which are no'),
    cut_short=(
        lambda: without(plus(), r'blocks\.7\.mlp\.fc2'), 'timm', r'7\.mlp\.fc2\.bias. is not in'
    ),
    shape=(
        lambda: plus(blocks__3__norm1__bias=torch.zeros(9)), 'timm',
        r'norm1\.bias. has shape \(9,\) where \(192,\) follows',
    ),
    pyramid_of_five=(
        lambda: vitdet(320)['model'] | {'simfp_6.0.weight': LINE}, 'vitdet', 'pyramid level of ano'
    ),
    two_layouts=(
        lambda: prefixed('model.', plus()) | prefixed('base_encoder.', plus(head__bias=LINE)),
        'mae-lite', r"'model.cls_token' and 'base_encoder.cls_token' would both become",
    ),
    width=(lambda: official('mae_vit_tiny'), 'mae', r'how many heads mae builds with 192 channels'),
    heads=(plus, 'timm', 'heads=7 cannot be: it does not divide the 192 channels', 7),
    heads_of_tables=(
        lambda: vitdet(320), 'vitdet', 'heads=3 cannot be: its relative positions are made for', 3
    ),
)  # fmt: skip


@pytest.mark.parametrize('mistake', MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told_in_one_sentence(mistake):
    contents, source, message, *heads = mistake
    with pytest.raises(UserError, match=message) as error:
        convert(contents(), source, heads=heads[0] if heads else None)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('src', 'dst', 'code', 'message'),
    [
        ('good.pth', 'a.bin', 2, r'a\.bin does not end in \.pth or \.safetensors'),
        ('good.pth', 'empty.pth', 2, r'empty\.pth exists: name another file or give --force'),
        ('wrong.pth', 'a.pth', 1, r'wrong\.pth: it is not a timm checkpoint'),
    ],
)
def test_mistakes_of_the_command(tmp_path, capsys, src, dst, code, message):
    (tmp_path / 'empty.pth').touch()
    torch.save(dict(model={'a.weight': LINE}), tmp_path / 'wrong.pth')
    torch.save(official('vit_tiny'), tmp_path / 'good.pth')
    assert run_tool(CONVERT, tmp_path / src, tmp_path / dst, '--source', 'timm') == code
    out, err = capsys.readouterr()
    assert out == '' and re.fullmatch(rf'error: .*{message}.*\n', err)
    assert not (tmp_path / 'a.pth').exists()


def test_a_source_file_is_never_overwritten(tmp_path, capsys):
    path = tmp_path / 'a.pth'
    torch.save(official('vit_tiny'), path)
    assert run_tool(CONVERT, path, path, '--source', 'timm', '--force') == 2
    assert 'is the file to read' in capsys.readouterr().err
    assert stack.load(path).keys() == official('vit_tiny').keys()
