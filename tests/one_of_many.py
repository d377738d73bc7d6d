"""A training run that notes what each process saw and learnt: python one_of_many.py FOLDER OUT BATCH STEPS.

For several processes, see `Forks.ranks`, and for one alone. Writes OUT/process-RANK.pt.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from conftest import canonical_face

from faceinpaint import training
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import MobileFaceNet, Recogniser
from faceinpaint.training import completion
from faceinpaint.training.presets import PRESETS
from faceinpaint.training.run import Run


def main(folder: str, out: str, batch: str, steps: str) -> None:
    torch.set_num_threads(1)
    noted = {"names": [], "gradients": [], "rank": None}
    see, clip = Run.steps, Accelerator.clip_grad_norm_

    def note_names(self, *arguments):
        noted["rank"] = self.accelerator.process_index
        for step, faces in see(self, *arguments):
            noted["names"].append(faces.name)
            yield step, faces

    def note_gradients(self, parameters, *arguments):
        parameters = list(parameters)
        noted["gradients"].append([parameter.grad.clone() for parameter in parameters])
        noted["parameters"] = parameters
        return clip(self, parameters, *arguments)

    Run.steps, Accelerator.clip_grad_norm_ = note_names, note_gradients
    completion.fit_appearance.__defaults__, completion.VALIDATION_MASKS = (48,), ("mask01",)
    torch.manual_seed(0)
    recogniser = Recogniser("small", MobileFaceNet(width=0.125), threshold=0.5)
    settings = replace(
        PRESETS["smoke"].completion, batch=int(batch), steps=int(steps), adversarial_from=1, precision="fp32",
        validate_every=100, milestone_faces=1, lr=1e-3,
        # Pixels of the symmetry prior, which does not learn, may cross one of its thresholds with the last digit.
        prior=False,
    )
    predictor = LandmarkPredictor(width=0.35, size=64)
    predictor.set_mean_face(canonical_face(64), 64)  # all landmarks in one point would be no face at all
    training.train_completion([folder], settings, Path(out), predictor, recogniser)
    noted["parameters"] = [parameter.detach() for parameter in noted["parameters"]]
    torch.save(noted, Path(out) / f"process-{noted.pop('rank')}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
