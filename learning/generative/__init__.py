"""Learning what confirmed defects look like, to make more of them: a small GAN."""

from learning.generative.model import LEAST_DEFECTS, DefectGenerator, GenerativeConfig

__all__ = ["LEAST_DEFECTS", "DefectGenerator", "GenerativeConfig"]
