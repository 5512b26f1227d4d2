"""Synthetic learners whose truth is known: for demonstrations, and to test that analytics find what is there."""
