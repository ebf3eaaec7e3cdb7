"""Small models of every task, shared by the tests of inferencers for images."""

import functools

import pytest
import tiny_tasks
from tiny_tasks import CLASSES, EVERYTHING


@pytest.fixture(scope='session')
def cases(tmp_path_factory):
    """A function from a task to its model's files, written when they are asked for first."""
    return functools.cache(lambda task: tiny_tasks.write(task, tmp_path_factory.mktemp(task)))


@pytest.fixture(scope='session')
def inferencers(cases):
    """A function from a task to its inferencer, built when it is asked for first."""

    @functools.cache
    def build(task):
        return CLASSES[task](cases(task).config, cases(task).weights, 'cpu')

    return build


@pytest.fixture(params=CLASSES)
def task(request):
    return request.param


@pytest.fixture
def case(task, cases):
    return cases(task)


@pytest.fixture
def infer(task, inferencers):
    """The inferencer of a task, called for all that it finds, without progress."""

    def call(*args, **options):
        return inferencers(task)(*args, **{'progress': False, **EVERYTHING[task], **options})

    return call


@pytest.fixture
def torn(case, tmp_path):
    """A folder of four files, the second truncated, and the pictures that are whole."""
    return tiny_tasks.write_torn(tmp_path / 'torn', case.files()[:3])
