"""Synthetic learners whose truth is known: for demonstrations, and to test that analytics find what is there."""

from subjunctive_admin.synthetic.loading import Loaded, ensure, exercise_truths, learner_truths, remove
from subjunctive_admin.synthetic.population import Plan

__all__ = ["Loaded", "Plan", "ensure", "exercise_truths", "learner_truths", "remove"]
