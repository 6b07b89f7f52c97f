"""A worker process of a shop, in one of its two groups, which exports what it does by OTLP.

    python shop.py GROUP URL CONTINUATIONS [MARK]

Where MARK is named and does not exist, the process makes it and kills itself in the middle of the packing.
It ends when its standard input does, as it should.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from resonate import Context, Exponential, Info, OTel, Resonate

GROUP, URL, CONTINUATIONS, *MARK = sys.argv[1:]


def set_up() -> None:
    """What every program that is traced does, once. The rest comes from OTEL_* variables."""
    resource = Resource.create({"service.name": GROUP})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider([reader], resource=resource))


def charge(info: Info, cents: int) -> str:
    if info.attempt < 3:
        raise ConnectionError("the bank does not answer")
    with trace.get_tracer("bank").start_as_current_span("POST /charges"):
        return f"receipt-{cents}"


def pack(titles: list[str]) -> str:
    time.sleep(0.05)
    if MARK and not Path(MARK[0]).exists():
        Path(MARK[0]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return f"parcel of {len(titles)}"


def ship(parcel: str) -> str:
    return f"tracking of {parcel}"


def refuse(title: str) -> str:
    raise ValueError(f"no {title} left")


async def wrap(ctx: Context, titles: list[str]) -> str:
    return await ctx.run(pack, titles)


async def reserve(ctx: Context, title: str) -> str:
    await ctx.sleep(0.1)
    return await ctx.run(shelf, title)


def shelf(title: str) -> str:
    return f"shelf {title[0]}"


async def order(ctx: Context, titles: list[str]) -> str:
    receipt = await ctx.options(retry=Exponential(delay=0.01)).run(charge, 1999)
    warehouse = ctx.options(target="warehouse")
    await asyncio.gather(*(warehouse.rpc("reserve", title) for title in titles))
    try:
        await ctx.run(wrap_gift, "bow")
    except ValueError:
        await ctx.now()
    await ctx.sleep(0.2)
    parcel = await ctx.run(wrap, titles)
    approval = await ctx.promise(returns=bool)
    await approval
    tracking = await ctx.run(ship, parcel)
    return f"{receipt}, {tracking}"


async def wrap_gift(ctx: Context, what: str) -> None:
    await ctx.options(retry=Exponential(delay=0.01, max_retries=1)).run(refuse, what)


async def main() -> None:
    set_up()
    worker = Resonate(URL, group=GROUP, telemetry=OTel(), continuations=int(CONTINUATIONS), ttl=2)
    for fn in (order, reserve):
        worker.register(fn)
    async with worker:
        _ = sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
