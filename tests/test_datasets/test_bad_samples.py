"""Bad training samples: reported once, replaced up to a share, the others untouched."""

import csv
import multiprocessing

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from mmlite.datasets import bad_samples
from mmlite.datasets.bad_samples import BadSamples, SkippingDataset
from mmlite.datasets.seeded import SeededDataset
from mmlite.errors import ArgumentError, DataError

BAD = {3: DataError('image 3.jpg cannot be read'), 7: ValueError('odd\nshape'), 8: KeyError('x')}


class Pictures(Dataset):
    """Twenty samples, of which some raise; a sample is its index and a random number."""

    def __init__(self, bad=()):
        self.bad = dict(bad)

    def __len__(self):
        return 20

    def get_data_info(self, index):
        return dict(img_path=f'{index}.jpg')

    def __getitem__(self, index):
        if index in self.bad:
            raise self.bad[index]
        return index, np.random.rand()


def rows(file):
    with open(file, newline='') as lines:
        return list(csv.reader(lines))


def loader(file, bad, workers=0, share=0.5):
    dataset = SkippingDataset(Pictures(bad), BadSamples(file, 20, share))
    return DataLoader(SeededDataset(dataset, 0), num_workers=workers, collate_fn=list)


@pytest.mark.parametrize('workers', [0, 3])
def test_others_keep_place_and_augmentation(workers, tmp_path):
    file = tmp_path / 'bad.csv'
    sound = [sample for (sample,) in loader(file, ())]
    assert not file.exists()
    met = [sample for (sample,) in loader(file, BAD, workers)]
    assert [i for i in range(20) if met[i] != sound[i]] == list(BAD)
    replaced = [met[i][0] for i in BAD]
    assert not set(replaced) & set(BAD) and met == [s for (s,) in loader(file, BAD)]
    header, *reported = rows(file)
    assert header == ['sample', 'reason'] and len(reported) == len(BAD)
    where = r'test_bad_samples.py, line'
    for (name, reason), (index, error) in zip(sorted(reported), BAD.items(), strict=True):
        assert name == f'{index}.jpg'
        if isinstance(error, DataError):
            assert reason == str(error)
        else:
            kind = type(error).__name__
            assert reason.startswith(f'sample {index}.jpg cannot be prepared: {kind}: ')
            assert where in reason and '\n' not in reason


def test_by_default_the_first_one_is_an_error(tmp_path):
    with pytest.raises(DataError, match='^image 3.jpg cannot be read$'):
        list(loader(tmp_path / 'bad.csv', BAD, share=0))
    with pytest.raises(DataError, match='^sample 7.jpg cannot be prepared: ValueError: odd'):
        list(loader(tmp_path / 'bad.csv', {7: BAD[7]}, share=0))
    assert not (tmp_path / 'bad.csv').exists()


def test_more_than_the_share_is_an_error_that_names_the_report(tmp_path):
    file = tmp_path / 'bad.csv'
    list(loader(file, BAD, share=0.15))
    file.unlink()
    message = (
        rf'^3 of 20 training samples .* than train_cfg\.max_bad_share=0\.1 allows: {file} lists '
        r'them; the last: sample 8\.jpg cannot be prepared: KeyError'
    )
    with pytest.raises(DataError, match=message):
        list(loader(file, BAD, share=0.1))
    resumed = loader(file, BAD, share=0.1)
    resumed.dataset.policy.begin(resume=True)
    with pytest.raises(DataError, match='more than train_cfg.*the last: image 3.jpg cannot'):
        list(resumed)
    assert len(rows(file)) == 4


def test_nothing_but_bad_samples_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(bad_samples, 'MAX_TRIES', 30)
    every = {i: DataError(f'{i} is bad') for i in range(20)}
    with pytest.raises(DataError, match='^30 samples drawn at random are bad'):
        list(loader(tmp_path / 'bad.csv', every, share=1))


@pytest.mark.parametrize(
    'error', [MemoryError(), KeyboardInterrupt(), SystemExit(), ArgumentError('a wrong option')]
)
def test_what_is_no_fault_of_a_sample_is_passed_on(error, tmp_path):
    with pytest.raises(type(error)):
        list(loader(tmp_path / 'bad.csv', {3: error}))


def note_all(file):
    policy = BadSamples(file, 1000, 1)
    for i in range(40):
        policy.note(f'{i},"quoted"\n.jpg', DataError('broken,\nvery'))


def test_processes_share_a_report(tmp_path):
    file = tmp_path / 'bad.csv'
    context = multiprocessing.get_context('fork')
    processes = [context.Process(target=note_all, args=(file,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    reported = rows(file)
    assert len(reported) == len({tuple(row) for row in reported}) == 41
    assert BadSamples(file, 1000, 1).read() == 40


@pytest.mark.parametrize('error', [NotImplementedError(), OSError(37, 'No locks available')])
def test_a_file_system_without_locks_ends_no_training(error, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(bad_samples, 'FileLock', refuse)
    assert len(list(loader(tmp_path / 'bad.csv', BAD))) == 20
    assert len(rows(tmp_path / 'bad.csv')) == 1 + len(BAD)


def test_a_resumed_run_goes_on_with_the_report(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(bad_samples, 'print_log', lambda text, **_: logged.append(text))
    file = tmp_path / 'bad.csv'
    list(loader(file, BAD))
    first = rows(file)
    file.write_text(file.read_text() + 'torn by a ki')  # its writer was killed
    policy = BadSamples(file, 20, 0.5)
    policy.begin(resume=True)
    assert policy.count == 3
    policy.note('3.jpg', BAD[3])
    assert len(file.read_text().splitlines()) == len(first) + 1
    policy.note('4.jpg', DataError('image 4.jpg cannot be read'))
    fourth = ['4.jpg', 'image 4.jpg cannot be read']
    assert [row for row in rows(file) if len(row) == 2] == [*first, fourth]
    assert len(logged) == 4 and logged[-1] == f'Left out: {fourth[1]}'
    assert '4 of 20 training samples are unreadable or malformed' in policy.summary()
    policy.begin(resume=False)
    assert policy.count == 0 and not file.exists()


@pytest.mark.parametrize('share', [-0.1, 1.5, True, '1%', float('nan')])
def test_a_share_is_a_number_from_0_to_1(share, tmp_path):
    with pytest.raises(ArgumentError, match=r'max_bad_share must be a number from 0 to 1'):
        BadSamples(tmp_path / 'bad.csv', 20, share)
