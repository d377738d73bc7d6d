"""The figures of the paper that this course follows, to be laid beside one's own: its tables 1 to 5.

They are means over test photographs of CelebA-HQ at 256 pixels, judged by ArcFace. Other photographs and another
judge give other figures: what can be compared is how they change from mask to mask, and from model to model.
"""

from __future__ import annotations

# Table 1: the steps of training after which models 1 to 5 were measured; model 6 had no identity loss.
ITERATIONS = (54_500, 230_900, 600_000, 899_800, 970_000)
MODELS = {"5": "970,000 steps", "6": "970,000 steps, no identity loss"}

# Rows are models 1 to 6, columns mask01 to mask12.
# Tables 2 and 4: share recognised against the original, per cent. Table 2 is the left half of table 4.
RECOGNISED = (
    (58.35, 56.95, 99.37, 96.76, 98.85, 95.99, 31.51, 48.02, 99.62, 84.13, 99.57, 78.88),
    (74.77, 76.64, 99.57, 98.31, 99.37, 98.47, 52.65, 68.65, 99.91, 92.25, 99.82, 88.82),
    (80.23, 81.29, 99.71, 98.51, 99.55, 98.78, 59.39, 73.76, 99.82, 94.16, 99.84, 91.99),
    (82.34, 82.34, 99.75, 98.79, 99.64, 98.92, 62.09, 76.57, 99.93, 94.57, 99.86, 92.14),
    (83.15, 83.28, 99.75, 98.99, 99.77, 98.95, 63.77, 78.85, 99.94, 94.81, 99.91, 92.22),
    (83.04, 81.53, 99.82, 98.81, 99.59, 98.85, 62.72, 76.30, 99.84, 94.50, 99.89, 91.80),
)
# Table 3: PSNR of the whole picture, dB.
PSNR = (
    (13.922, 13.427, 20.637, 20.323, 20.81, 20.597, 24.031, 23.417, 26.218, 28.91, 25.569, 28.782),
    (14.339, 14.267, 21.519, 21.056, 21.387, 21.185, 24.76, 24.141, 27.115, 30.131, 26.599, 30.069),
    (15.319, 14.238, 22.176, 21.868, 21.615, 21.513, 24.295, 23.741, 26.794, 29.833, 26.419, 29.615),
    (15.707, 15.528, 22.33, 21.932, 22.603, 21.994, 24.961, 24.185, 27.674, 30.682, 26.932, 30.506),
    (16.396, 16.353, 22.34, 22.173, 23.098, 22.142, 25.082, 24.398, 27.704, 30.905, 26.919, 30.622),
    (13.876, 14.602, 22.481, 21.374, 22.375, 21.66, 24.849, 24.45, 27.584, 30.598, 27.162, 30.453),
)
# Table 5: share recognised against another photograph of the person, per cent.
RECOGNISED_BY_REFERENCE = (
    (23.40, 22.90, 63.87, 59.83, 64.61, 59.93, 15.36, 19.78, 61.71, 53.65, 66.57, 54.56),
    (33.48, 34.18, 71.00, 66.66, 71.71, 65.95, 22.02, 29.02, 65.32, 62.90, 74.99, 63.04),
    (38.08, 36.54, 73.73, 69.07, 75.10, 68.47, 25.57, 30.96, 71.69, 64.77, 78.06, 67.04),
    (39.29, 38.82, 75.03, 69.16, 75.86, 69.12, 27.07, 32.71, 72.57, 65.01, 78.36, 67.60),
    (41.00, 39.29, 76.99, 71.30, 76.52, 71.40, 27.58, 34.81, 74.33, 65.63, 79.94, 68.28),
    (40.45, 38.88, 76.92, 69.93, 74.61, 70.00, 25.94, 33.64, 73.80, 64.80, 80.07, 67.81),
)


def figure(table: tuple[tuple[float, ...], ...], model: str, mask: str) -> float:
    """The cell of a table for model `1` to `6` and mask `mask01` to `mask12`."""
    return table[int(model) - 1][int(mask.removeprefix("mask")) - 1]
