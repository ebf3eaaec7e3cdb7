"""Judge pre-trained weights on every task of the suite: one page with a table and what explains it.

Every checkpoint is fine-tuned for each task by the same recipe, beside two baselines: random
weights, and a classifier that was trained from them. Started again, the scorecard leaves out what
is finished and goes on with what is not.

Example:
    python tools/scorecard.py mae=work_dirs/mae/epoch_20.pth d2-mae=work_dirs/d2-mae/epoch_20.pth
    python tools/scorecard.py CHECKPOINT --data real --dry-run
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import mmlite  # noqa: F401  (makes the OpenMMLab packages importable)
from mmlite.analysis import scorecard_results as numbers
from mmlite.analysis.report.page import versions
from mmlite.analysis.scorecard_page import scorecard_page
from mmlite.engine import scorecard
from mmlite.engine.cli import stopped_by_signals, tool
from mmlite.engine.sweep import duration
from mmlite.errors import DataError, UserError
from mmlite.utils import write_json, write_text

PRESETS = dict(shapes='shapes-quick', real='paper')
"""``--data`` -> the preset that is taken where none is named."""
PATIENCE_SECONDS = 40  # for a step to end its own trainings when the scorecard is stopped


class Incomplete(UserError):
    """Something is missing or failed; all else is in the scorecard."""

    exit_code = 1


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('checkpoints', nargs='+', metavar='[NAME=]CHECKPOINT', help='pre-trained weights')
    add('--data', choices=PRESETS, default='shapes', help='generated or real data; default: shapes')
    names = ', '.join(scorecard.preset_names())
    add('--preset', metavar='NAME', help=f'{names}, or a file; default: by --data')
    add('--tasks', nargs='+', default=[], metavar='NAME', help='default: all of the preset')
    add('--seeds', nargs='+', type=int, default=[], help="default: the preset's")
    add('--jobs', type=int, help='trainings at once (default: one a GPU, without GPU one)')
    add('--work-dir', type=Path, help='default: work_dirs/scorecard_PRESET')
    add('--anew', action='store_true', help='move a folder of other settings aside and start anew')
    add('--dry-run', action='store_true', help='tell what would be run, what is missing, how long')
    add(
        '--gpu-tflops', type=float, default=20.0, metavar='N',
        help='sustained by a GPU in training, for the hours that --dry-run expects; default: 20',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.jobs is not None and args.jobs < 1:
        parser.error(f'argument --jobs: must be at least 1, got {args.jobs}')
    if min(args.seeds, default=0) < 0:
        parser.error(f'argument --seeds: must not be negative, got {min(args.seeds)}')
    if args.gpu_tflops <= 0:
        parser.error(f'argument --gpu-tflops: must be positive, got {args.gpu_tflops}')
    return args


@tool
def main(argv=None):
    args = parse_args(argv)
    starts = scorecard.read_starts(args.checkpoints)
    name = args.preset or PRESETS[args.data]
    preset = scorecard.load_preset(name, starts[0].backbone['type'], args.tasks, args.seeds)
    for task in preset.tasks:
        for start in starts:
            scorecard.check_start(task, start)
    folder = args.work_dir or Path('work_dirs', f'scorecard_{preset.name}')
    plan = scorecard.Plan(preset, starts, folder, args.jobs)
    if args.dry_run:
        return tell(plan, args.gpu_tflops)
    prepare(plan, args.anew)
    run = Run(plan)
    with stopped_by_signals():
        run.everything()
    print(
        f'\n{numbers.to_markdown(plan, run.scores())}\nopen {(folder / "scorecard.html").resolve()}'
    )
    if run.problems:
        raise Incomplete('; '.join(run.problems))


def tell(plan, tflops):
    """Print what would be run, where data are missing and how long it would take."""
    hours = minutes = 0
    for task in plan.preset.tasks:
        reason, make = scorecard.missing_data(task, plan.sweep_folder(task))
        baselines = {scorecard.SCRATCH} if task.supervised else scorecard.BASELINES
        count = len({*baselines, *plan.inits(task)}) * len(plan.preset.seeds)
        print(f'{task.title}: {count} trainings\n  {plan.training(task).text()}')
        if reason:
            print(f'  its data are missing: {"they will be drawn" if make else reason}')
        on_gpu = task.gpu_hours(tflops)
        if on_gpu:
            hours += count * on_gpu
            print(f'  about {on_gpu:.0f} GPU-hours each')
        else:
            minutes += count * task.minutes
            print(f'  about {task.minutes:g} min each on two CPU cores')
    if hours:
        print(f'about {hours:.0f} GPU-hours in all: their multiply-adds at {tflops:g} TFLOP/s')
    if minutes:
        print(f'about {duration(60 * minutes)} in all on two CPU cores, an estimate')


def prepare(plan, anew):
    """Make the work directory, and write down what it belongs to."""
    settings = plan.settings()
    if anew:
        moved = scorecard.move_aside(plan.folder)
        if moved:
            print(f'what was in {plan.folder} is now in {moved}')
    scorecard.check_folder(plan.folder, settings)
    file = plan.folder / 'settings.json'
    if file.is_file():
        settings['starts'] = json.loads(file.read_text())['starts'] | settings['starts']
    try:
        write_json(file, settings, indent=1)
    except OSError as error:
        raise DataError(f'--work-dir {plan.folder} cannot be written: {error.strerror}') from error


class Run:
    """The steps of a scorecard, one after the other, and what became of them.

    Attributes:
        problems (list[str]): A sentence for each thing that is missing or failed.
    """

    def __init__(self, plan):
        self.plan = plan
        self.problems = []
        self.steps = []
        self.figures = []
        self.began = time.monotonic()

    def everything(self):
        """Run all steps; the page is written anew after each task."""
        for number, task in enumerate(self.plan.preset.tasks, 1):
            self.say(f'task {number} of {len(self.plan.preset.tasks)}: {task.title}')
            if self.has_data(task):
                self.do(self.plan.training(task))
                for start in self.scores()[task.name] if task.pictures else ():
                    self.do(self.plan.evaluation(task, start))
            self.write()
        self.draw()
        self.write()

    def draw(self):
        """Run the steps that draw figures, where there are pictures for them."""
        first, plan = self.plan.preset.tasks[0], self.plan
        lacking, _ = scorecard.missing_data(first, plan.sweep_folder(first))
        for title, text, step in () if lacking else plan.figures():
            if self.do(step):
                self.figures.append((title, text, step.output))

    def has_data(self, task):
        """Whether the data of a task are there, drawn first where they can be."""
        reason, make = scorecard.missing_data(task, self.plan.sweep_folder(task))
        if reason and make:
            self.do(self.plan.drawing(make))
            reason, _ = scorecard.missing_data(task, self.plan.sweep_folder(task))
        if reason:
            self.problems.append(f'{task.title} was left out: {reason}')
        return not reason

    def do(self, step):
        """Run a step unless its output is there; note it where it fails.

        Returns:
            bool: Whether the step succeeded, now or earlier.
        """
        self.steps.append(step)
        record = step.output and step.output.with_suffix('.command')
        if record and record.is_file() and record.read_text() == step.text():
            return True
        self.say(f'{step.title}\n$ {step.text()}')
        code = run_program(step.command)
        if code:
            self.problems.append(f'{step.title} ended with exit code {code}')
        elif record:
            write_text(record, step.text())
        return not code

    def scores(self):
        """Results so far."""
        return numbers.collect(self.plan)

    def write(self):
        """Write page, table and numbers."""
        scores, plan = self.scores(), self.plan
        rows = numbers.table_rows(plan, scores)
        content = dict(
            plan.settings(),
            versions=versions(),
            results=rows,
            problems=self.problems,
            commands=[step.text() for step in self.steps],
        )
        write_json(plan.folder / 'scorecard.json', content, indent=1)
        write_text(plan.folder / 'scorecard.csv', numbers.to_csv(rows))
        page = scorecard_page(plan, scores, self.steps, self.problems, self.figures)
        write_text(plan.folder / 'scorecard.html', page)

    def say(self, text):
        """A line with the time since the start."""
        print(f'== {duration(time.monotonic() - self.began)}: {text}', flush=True)


def run_program(command):
    """Run a program and return its exit code; it is ended with this one."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        return process.wait()
    finally:
        with suppress(ProcessLookupError):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_SECONDS)


if __name__ == '__main__':
    sys.exit(main())
