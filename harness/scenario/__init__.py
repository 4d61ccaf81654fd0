"""Scenario files: model, loading with located errors, matrix expansion, planning. Pure."""
