"""How good is a completion: right pixels, sharp pixels, the same person, beside what simple methods reach.

    evaluate("data/london", "runs/evaluation", weights=["generator"])

`run` walks through a folder, `examination` completes and measures, `identity` asks the judge, `statistics` says how
sure a mean is, `report` writes tables and pictures beside the figures of the `paper`.
"""

from faceinpaint.evaluation.examination import (
    COLUMNS, FAMILIES, MEASURES, Examination, Located, mask_for, mask_names,
)
from faceinpaint.evaluation.identity import Gallery, Roc, pairs, require_independent, roc
from faceinpaint.evaluation.measures import decibels, perceptual_distance, pixel_measures
from faceinpaint.evaluation.methods import BASELINES, Method, baselines, biharmonic, mirror, navier_stokes, telea
from faceinpaint.evaluation.report import Report, roc_of
from faceinpaint.evaluation.run import DEFAULT_BASELINES, evaluate, metric_rows, read_metrics, write_metrics
from faceinpaint.evaluation.statistics import Difference, Interval, difference, in_words, interval, power

__all__ = [
    "BASELINES", "baselines", "biharmonic", "COLUMNS", "decibels", "DEFAULT_BASELINES", "Difference", "difference",
    "evaluate", "Examination", "FAMILIES", "Gallery", "in_words", "Interval", "interval", "Located", "mask_for",
    "mask_names", "MEASURES", "Method", "metric_rows", "mirror", "navier_stokes", "pairs", "perceptual_distance",
    "pixel_measures", "power", "read_metrics", "Report", "require_independent", "Roc", "roc", "roc_of", "telea",
    "write_metrics",
]
