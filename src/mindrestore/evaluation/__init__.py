"""Metrics, named protocols, the evaluator and its reports."""
