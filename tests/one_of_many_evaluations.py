"""An evaluation, two photographs at a time, that notes which of them each process measured.

python one_of_many_evaluations.py FOLDER OUT NOTES, in several processes: see `Forks.ranks`.
Writes NOTES/process-RANK.json.
"""

import json
import os
import sys
from pathlib import Path

import torch
from conftest import COMPARED

from faceinpaint.evaluation import Examination, run


def main(folder: str, out: str, notes: str) -> None:
    torch.set_num_threads(1)
    run.BLOCK = 2
    measured, measure = [], Examination.measure

    def note(self, block, *arguments):
        measured.extend(block.index.tolist())
        return measure(self, block, *arguments)

    Examination.measure = note
    tables = run.evaluate(folder, out, family="face-mask", size=64, compared=COMPARED)
    content = {"measured": measured, "tables": tables}
    (Path(notes) / f"process-{os.environ['RANK']}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
