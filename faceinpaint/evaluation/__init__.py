"""How good is a completion: right pixels, sharp pixels, no seam, the same person, beside what simple methods reach.

    evaluate("data/london", "runs/evaluation", weights=["generator"])

`run` walks through what `selection` takes of a folder, `examination` completes and measures, `identity` asks the judge,
`detector` whether there is a face at all, `statistics` says how sure a mean is, `report` writes tables and pictures
beside the figures of the `paper`. `sweeps` measures where a completion breaks, while one of the `factors` varies;
`groups` for whom, among the photographed people of a `crowd`; `third_view` asks what a second photograph is worth,
`diversity` how different several answers are.
"""

from faceinpaint.evaluation.detector import detector_measures, find_eyes
from faceinpaint.evaluation.examination import COLUMNS, FAMILIES, MEASURES, Examination, Located, mask_for, mask_names
from faceinpaint.evaluation.identity import Gallery, Roc, pairs, require_independent, roc
from faceinpaint.evaluation.measures import decibels, perceptual_distance, pixel_measures, seam
from faceinpaint.evaluation.methods import (
    BASELINES, Method, baselines, biharmonic, mirror, navier_stokes, telea, warped_mirror
)
from faceinpaint.evaluation.report import Report, roc_of
from faceinpaint.evaluation.run import DEFAULT_BASELINES, evaluate, metric_rows, read_metrics, write_metrics
from faceinpaint.evaluation.statistics import Difference, Interval, contrast, difference, in_words, interval, power

__all__ = [
    "BASELINES", "baselines", "biharmonic", "COLUMNS", "contrast", "decibels", "DEFAULT_BASELINES",
    "detector_measures", "Difference", "difference", "evaluate",
    "Examination", "FAMILIES", "find_eyes", "Gallery", "in_words",
    "Interval", "interval", "Located", "mask_for", "mask_names", "MEASURES", "Method", "metric_rows",
    "mirror", "navier_stokes", "pairs", "perceptual_distance", "pixel_measures", "power", "read_metrics", "Report",
    "require_independent", "Roc", "roc", "roc_of", "seam", "telea",
    "warped_mirror", "write_metrics",
]
