"""A data set around another one."""

from torch.utils.data import Dataset


class WrappedDataset(Dataset):
    """Pass on to ``dataset`` what a wrapper does not do itself, also the setting of attributes."""

    def __init__(self, dataset, **attributes):
        self.__dict__.update(dataset=dataset, **attributes)

    def __len__(self):
        return len(self.dataset)

    def __getattr__(self, name):
        if name.startswith('__') or 'dataset' not in self.__dict__:  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.__dict__['dataset'], name)

    def __setattr__(self, name, value):
        setattr(self.dataset, name, value)


def parts(dataset):
    """A data set and all data sets inside its wrappers, outer ones first."""
    yield dataset
    for name in ('dataset', 'datasets', '_dataset'):  # the last: mmengine's num_batch_per_epoch
        inner = getattr(dataset, name, None)
        for part in inner if isinstance(inner, (list, tuple)) else [inner]:
            if isinstance(part, Dataset):
                yield from parts(part)
