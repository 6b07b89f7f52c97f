"""The codec's contract."""

from __future__ import annotations

import asyncio

import pytest

from resonate.core.values import Codec
from resonate.testing.conformance.subjects import PLAIN, Options, made
from resonate.testing.contracts import CODEC_CHECKS, CodecCheck


@pytest.mark.parametrize("check", CODEC_CHECKS, ids=lambda check: check.__name__)
def test_codec(check: CodecCheck, request: pytest.FixtureRequest) -> None:
    """Hold a codec to one promise of the port."""
    options = Options(request.config)
    make = options.named("--codec")
    asyncio.run(_run(check, made(make), options))


async def _run(check: CodecCheck, codec: Codec, options: Options) -> None:
    await check(codec, options.maybe("--codec-samples") or PLAIN)
