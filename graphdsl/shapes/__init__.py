"""Shapes and dtypes of all values, found by running the module's own lines on a few zero examples."""
