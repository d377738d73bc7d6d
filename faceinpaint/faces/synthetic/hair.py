"""Hair: how people wear it (`hair_looks`), on the head (`scalp_hair`), and on the face (`face_hair`)."""

from faceinpaint.faces.synthetic.face_hair import beard_zone, face_hair
from faceinpaint.faces.synthetic.hair_looks import HairLook, sample_hair
from faceinpaint.faces.synthetic.scalp_hair import scalp_cover, scalp_hair

__all__ = ["HairLook", "beard_zone", "face_hair", "sample_hair", "scalp_cover", "scalp_hair"]
