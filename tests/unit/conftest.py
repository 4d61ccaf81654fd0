"""Fixtures of this folder."""

from __future__ import annotations

import pytest
from support import scenario_vocabulary as words

from harness.scenario.plugins import Vocabulary


@pytest.fixture
def vocabulary() -> Vocabulary:
    return words.vocabulary()
