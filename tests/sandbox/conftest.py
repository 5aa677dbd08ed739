"""A caller of a simulated Pendo of its own for each test."""

from collections.abc import AsyncIterator

import pytest

from tests.sandbox.calls import Caller, calling


@pytest.fixture
async def caller(request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """A caller of a simulator with the switches that a test names."""
    async for each in calling(getattr(request, "param", None)):
        yield each
