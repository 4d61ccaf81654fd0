"""Fixtures of this folder."""

from __future__ import annotations

import pytest
import vocabulary as words

from harness.scenario.shapes import Vocabulary


@pytest.fixture
def vocabulary() -> Vocabulary:
    return words.vocabulary()
