"""Generate pictures and sequences of textured shapes in the layouts of official data sets.

python tools/dataset_converters/make_shapes.py --tasks det --out data/shapes --train 200 --val 50
"""

import sys

from mmlite.datasets.shapes.cli import run
from mmlite.engine.cli import tool

main = tool(run)

if __name__ == '__main__':
    sys.exit(main())
