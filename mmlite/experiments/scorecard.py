"""Pre-trained weights judged by every task, beside random weights and a supervised baseline."""

import math
import os
import shlex
import sys
from pathlib import Path

import torch
from mmengine.registry import init_default_scope

from mmlite.analysis.report.page import last_checkpoint, versions
from mmlite.engine import launch
from mmlite.engine.check_config import check_stage_data
from mmlite.engine.cli import check_out_folder, sentence, stopped_by_signals
from mmlite.errors import DataError, UserError
from mmlite.models.weights import check_architecture
from mmlite.registry import MODELS
from mmlite.utils import write_csv, write_json, write_text
from mmlite.utils.paths import suite_path
from mmlite.utils.progress import format_seconds

from .grid import option_words
from .page import BASELINES, SCRATCH, SUPERVISED, score_table, scorecard_page
from .sweep import Incomplete, Sweep
from .trial import Program

# tool -> title, file and explanation of its figure
FIGURES = {
    'compare_layers': (
        'Similarity of layers', 'cka.png',
        'CKA of every layer of the pre-trained weights with every layer of the first model, on '
        'validation images: 1 (bright) means equal up to rotation and scale.',
    ),
    'attention_stats': (
        'Attention', 'attention.png',
        'Distance and entropy of the attention of the heads of each block of the pre-trained '
        'weights.',
    ),
}  # fmt: skip


class Scorecard:
    """Fine-tune weights for every task of a preset, and write one page.

    Args:
        preset (Preset): The tasks.
        inits (Sequence[Init]): The weights.
        work_dir (str | Path, optional): Defaults to ``work_dirs/scorecard_<preset>``.
        jobs (int, optional): Trainings at once, see :meth:`.Sweep.run`.

    ``configs`` are those of the tasks with their options, by name; ``problems`` has a sentence for
    each thing that is missing or failed, ``figures`` title, explanation and PNG file.
    """

    def __init__(self, preset, inits, work_dir=None, jobs=None):
        self.preset, self.inits, self.jobs = preset, inits, jobs
        self.work_dir = Path(work_dir or Path('work_dirs', f'scorecard_{preset.name}'))
        self.problems, self.figures, self.tables, self.configs = [], [], {}, {}
        self.trained = [task for task in preset.tasks if not task.of]
        for task in self.trained:
            cfg = launch.read_config(task.config, str(self.work_dir / task.name), task.options)
            self.configs[task.name] = cfg
            init_default_scope(cfg.default_scope)
            with torch.device('meta'):
                backbone = MODELS.build({**cfg.model.backbone, 'init_cfg': None})
            for init in inits:
                check_architecture(backbone, dict(meta=dict(backbone=init.backbone)), init.path)

    def missing_data(self, task):
        """Why a task cannot run here, and the command that makes its data; None, None if it can."""
        cfg = self.configs[task.name]
        try:
            for stage in ('train', 'val'):
                check_stage_data(cfg, stage)
        except DataError as error:
            return sentence(error), cfg.get('make_data')
        return None, None

    def rows(self):
        """Results so far: a dict for each task and initialization, compared with the baselines.

        Of the recipe's grid, the setting with the highest mean counts. ``trial`` is the directory
        of the first seed, ``n`` the number of seeds; ``std`` and differences may be None.
        """
        rows = []
        for task in self.preset.tasks:
            best, table = {}, self.tables.get(task.of or task.name)
            for row in table.rows if table else ():
                mean, name = row.mean(task.metric), row.labels[0]
                if mean > (best[name].mean(task.metric) if name in best else -math.inf):
                    best[name] = row
            means = {name: task.factor * row.mean(task.metric) for name, row in best.items()}
            for name, row in best.items():
                std = task.factor * row.deviation(task.metric)
                made = dict(
                    task=task.name, metric=task.label, init=name,
                    trial=next(iter(row.results.values()))['name'],
                    n=len(row.values(task.metric)), mean=means[name],
                    std=None if math.isnan(std) else std, paper=task.paper.get(name),
                )  # fmt: skip
                for baseline in BASELINES:
                    known = baseline in means and baseline != name
                    made[f'minus_{baseline}'] = means[name] - means[baseline] if known else None
                rows.append(made)
        return rows

    def folder(self, row):
        """Work directory of the training of a row."""
        (task,) = [task for task in self.preset.tasks if task.name == row['task']]
        return self.work_dir / (task.of or task.name) / row['trial']

    def supervised(self):
        """Checkpoint of the supervised baseline, None until it is trained."""
        tasks = [task.name for task in self.preset.tasks if task.supervised]
        rows = [row for row in self.rows() if row['task'] in tasks and row['init'] == SCRATCH]
        return last_checkpoint(self.folder(rows[0])) if rows else None

    def sweep(self, task):
        """The sweep over all initializations of a task, baselines first."""
        supervised = None if task.supervised and not task.again else self.supervised()
        inits = [SCRATCH, *([f'{SUPERVISED}={supervised}'] if supervised else [])]
        inits += [f'{init.name}={init.path}' for init in self.inits]
        return Sweep(
            task.config, self.work_dir / task.name, inits, self.preset.seeds,
            options=task.options, flags=task.flags, metric=task.metric,
        )  # fmt: skip

    def dry_run(self):
        """Print what would be trained, which data are missing and how long it would take."""
        minutes = 0
        has_baseline = any(task.supervised for task in self.trained)
        for task in self.trained:
            count = len(self.sweep(task).trials)
            if has_baseline and (task.again or not task.supervised):
                count += count // (1 + len(self.inits))
            minutes += count * task.minutes
            took = format_seconds(60 * task.minutes)
            print(f'{task.title}: {count} trainings of {task.config}, {took} each')
            reason, make = self.missing_data(task)
            if reason:
                print(f'  its data are missing: {"they will be generated" if make else reason}')
        print(f'about {format_seconds(60 * minutes)} (h:mm:ss) on {self.preset.device}')
        for init in (init for init in self.inits if init.digest is None):
            print(f'the weights of {init.name} are missing: {init.path}')
        names = [*(BASELINES if has_baseline else [SCRATCH]), *(init.name for init in self.inits)]
        count = f'{len(self.preset.tasks)} numbers for each of {", ".join(names)}'
        print(f'\n{count}\n{score_table(self.preset.tasks, [], names)}')

    def run(self):
        """Run what is not done; the page is written anew after each task.

        Raises:
            UserError: Before any training, if the directory holds trainings of other settings.
            Incomplete: Something is missing or failed.
        """
        check_out_folder('--work-dir', self.work_dir)
        for task in self.trained:
            self.sweep(task)
        self.work_dir.mkdir(parents=True, exist_ok=True)
        with stopped_by_signals():
            for number, task in enumerate(self.trained, 1):
                print(f'== task {number} of {len(self.trained)}: {task.title}', flush=True)
                for _ in range(1 + task.again):  # again with the baseline of the first time
                    problems = self._train(task)
                self.problems += problems
                if task.predictions:
                    self._predict(task)
                self._write()
            self._draw_figures()
            self._write()
        print(f'\n{score_table(self.preset.tasks, self.rows())}')
        print(f'\nopen {(self.work_dir / "scorecard.html").resolve()}')
        if self.problems:
            raise Incomplete('; '.join(self.problems))

    def _train(self, task):
        """Train what a task lacks; returns what is missing or failed, a sentence each."""
        problems = []
        try:
            sweep = self.sweep(task)
            reason, make = self.missing_data(task)
            if reason and make:
                self._program('generating data', shlex.split(make)[1:])
                reason, _ = self.missing_data(task)
            if reason:
                problems.append(f'{task.title} was left out: {reason}')
            table = sweep.table() if reason else sweep.run(self.jobs)
            if table:
                self.tables[task.name] = table
        except UserError as error:
            return [*problems, f'{task.title}: {sentence(error)}']
        failures = (f'{t.name}: {t.failure} ({t.log})' for t in sweep.failed)
        return problems + [f'{task.title}, {failure}' for failure in failures]

    def _predict(self, task):
        for row in (row for row in self.rows() if row['task'] == task.name):
            folder = self.folder(row)
            words = ['tools/test.py', task.config, last_checkpoint(folder)]
            words += ['--work-dir', folder / 'test', '--out', 'OUTPUT', *option_words(task.options)]
            title = f'{task.title}: predictions of {row["init"]}'
            self._program(title, words, folder / 'predictions.pkl')

    def _draw_figures(self):
        """Draw how the weights work before any fine-tuning."""
        first, count = self.trained[0], self.preset.figure_images
        if not count or self.missing_data(first)[0]:
            return
        weights = {init.name: init.path for init in self.inits}
        if supervised := self.supervised():
            weights = {SUPERVISED: supervised, **weights}
        models = [f'{name}={first.config}:{path}' for name, path in weights.items()]
        common = ['--num-images', count, '--batch-size', min(count, 128), '--out', 'OUTPUT']
        shown = {'attention_stats': ['--models', f'{SCRATCH}={first.config}', *models]}
        if len(models) > 1:
            words = ['--reference', models[0], '--models', *models[1:]]
            shown = {'compare_layers': words, **shown}
        for tool, words in shown.items():
            title, name, text = FIGURES[tool]
            folder = self.work_dir / 'figures' / f'{tool}-{count}-{"-".join(weights)}'
            words = [f'tools/analysis_tools/{tool}.py', *words, *common]
            if self._program(f'figure: {title}', words, folder):
                self.figures.append((title, text, folder / name))

    def _program(self, title, words, output=None):
        """Run a program of the suite; returns whether it succeeded, now or earlier.

        ``'OUTPUT'`` among ``words`` stands for ``output``, which is complete where it exists.
        """
        if output and output.exists():
            return True
        partial = output and output.with_name(f'partial-{output.name}')
        script, *rest = [str(partial) if word == 'OUTPUT' else str(word) for word in words]
        print(f'== {title}', flush=True)
        log = self.work_dir / 'programs.log'
        program = Program([sys.executable, str(suite_path(script)), *rest], log)
        try:
            program.wait()
        finally:
            program.stop()
        if failure := program.failure():
            self.problems.append(f'{title}: {failure} ({log})')
        elif output:
            os.replace(partial, output)
        return not failure

    def _write(self):
        rows = self.rows()
        content = dict(versions=versions(), problems=self.problems, results=rows)
        write_json(self.work_dir / 'scorecard.json', content)
        write_csv(self.work_dir / 'scorecard.csv', rows)
        write_text(self.work_dir / 'scorecard.html', scorecard_page(self, rows))
