"""Looks for good values of params, by Optuna: what may be tried, the study, and the run of each trial."""
