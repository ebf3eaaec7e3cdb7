"""Check label maps of a segmentation data set: check_data.py under its former name."""

import runpy
import sys
from pathlib import Path

main = runpy.run_path(str(Path(__file__).with_name('check_data.py')))['main']

if __name__ == '__main__':
    sys.exit(main())
