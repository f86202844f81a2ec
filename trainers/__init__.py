"""A thin Learner that reproduces the chapter, what it leaves to look at, and plugs for every other trainer."""

from .checkpoint import Checkpoint, SaveBest
from .events import Callback, StopTraining
from .find import minimum, slide, steep, valley
from .interpret import ClassificationInterpretation
from .learner import Learner
from .metrics import accuracy, accuracy_multi, dice, error_rate, f1, point_distance, roc_auc_multi, top_k
from .serving import load_learner
from .unet import unet_learner
from .vision import vision_learner

__all__ = [
    "Callback",
    "Checkpoint",
    "ClassificationInterpretation",
    "Learner",
    "SaveBest",
    "StopTraining",
    "accuracy",
    "accuracy_multi",
    "dice",
    "error_rate",
    "f1",
    "load_learner",
    "minimum",
    "point_distance",
    "roc_auc_multi",
    "slide",
    "steep",
    "top_k",
    "unet_learner",
    "valley",
    "vision_learner",
]
