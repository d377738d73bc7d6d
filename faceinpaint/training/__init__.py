"""Learning to see, learning to paint: one flat loop per stage, on one device or on many.

    faceinpaint train landmarks  --faces synthetic:0.7 FOLDER:0.3 --out runs/landmarks
    faceinpaint train recogniser --faces FOLDER --out runs/recogniser
    faceinpaint train completion --faces FOLDER --out runs/completion
    accelerate launch -m faceinpaint train completion --faces FOLDER ...

`sources` and `batches` say what a run sees, `machine` what makes it fast, `run` what it writes and how it stops.
"""

from faceinpaint.training.completion import train_completion
from faceinpaint.training.landmarks import train_landmarks
from faceinpaint.training.recogniser import train_recogniser
from faceinpaint.training.machine import Machine
from faceinpaint.training.run import Stopped, read_log, read_speed

__all__ = ["Machine", "Stopped", "read_log", "read_speed", "train_completion", "train_landmarks",
           "train_recogniser"]
