"""The use of a trained graph: its outputs, and its losses and metrics, on data of any length."""
