"""Decisions: which deployments serve a model, and which comes next. Pure: the present moment is an argument."""
