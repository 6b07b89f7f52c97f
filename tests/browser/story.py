"""An execution with a bit of everything, at one instant: what the picture is drawn of in tests."""

from __future__ import annotations

from collections.abc import Sequence

from resonate import JsonCodec
from resonate.core.engine.identity import Identity, Kind
from resonate.core.insight.picture import Picture
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, Tag, TaskRecord, TaskState, Value
from resonate.errors import ApplicationError

MINUTE = 60_000
START = 1_735_689_600_000
NOW = START + 150 * MINUTE
NASTY = '<img src="https://example.invalid/x" onerror="document.title=1"><script>document.title=2</script>&amp;"\''


def promise(
    id: str,
    kind: Kind,
    call: str = "",
    *,
    parent: str,
    start: float,
    end: float | None = None,
    state: PromiseState | None = None,
    value: Value = NO_VALUE,
    tags: Sequence[tuple[str, str]] = (),
) -> PromiseRecord:
    """Return a promise that was asked for at minute `start` and settled at minute `end`."""
    settled = None if end is None else START + round(end * MINUTE)
    return PromiseRecord(
        id=id,
        state=state or (PromiseState.PENDING if end is None else PromiseState.RESOLVED),
        param=Identity(kind, call, site="shop.py:17").on(NO_VALUE, {}),
        value=value,
        tags={Tag.ORIGIN: parent.partition(":")[0], Tag.PARENT: parent, **dict(tags)},
        timeout_at=START + 1_000 * MINUTE,
        created_at=START + round(start * MINUTE),
        settled_at=settled,
    )


LOCAL = ((Tag.SCOPE, "local"),)
TIMER = ((Tag.SCOPE, "global"), (Tag.TIMER, "true"))
OUTSIDE = ((Tag.SCOPE, "global"), (Tag.EXTERNAL, "true"))


def remote(group: str) -> tuple[tuple[str, str], ...]:
    """Return the tags of a remote call."""
    return ((Tag.SCOPE, "global"), (Tag.TARGET, f"poll://any@{group}"))


def story(root: str = "order-4711", call: str = "checkout", error: str = "card declined") -> Picture:
    """Return an execution that is 150 minutes old and waits for somebody's approval."""
    failed = JsonCodec().encode_error(ApplicationError(error, name="CardError"))
    records = [
        promise(root, Kind.RPC, call, parent=root, start=0, tags=remote("default")),
        promise(f"{root}:1", Kind.RUN, "reserve", parent=root, start=0, end=6, tags=LOCAL),
        promise(
            f"{root}:2",
            Kind.RUN,
            "charge",
            parent=root,
            start=6,
            end=9,
            state=PromiseState.REJECTED,
            value=failed,
            tags=LOCAL,
        ),
        promise(f"{root}:3", Kind.RPC, "pack@2", parent=root, start=13, end=54, tags=remote("warehouse")),
        promise(f"{root}:3.1", Kind.RUN, "fetch", parent=f"{root}:3", start=13, end=25, tags=LOCAL),
        promise(f"{root}:3.2", Kind.SLEEP, parent=f"{root}:3", start=25, end=45, tags=TIMER),
        promise(f"{root}:3.3", Kind.RUN, "label", parent=f"{root}:3", start=45, end=54, tags=LOCAL),
        promise(f"{root}:4", Kind.PROMISE, parent=root, start=60, tags=OUTSIDE),
    ]
    task = TaskRecord(id=root, state=TaskState.SUSPENDED, version=4)
    return Picture(now=NOW, records={one.id: one for one in records}, tasks={root: task})


def crowd(number: int) -> Picture:
    """Return an execution with so many steps, all over."""
    root = promise("big", Kind.RPC, "fan_out", parent="big", start=0, end=150, tags=remote("default"))
    steps = [
        promise(f"big:{n}", Kind.RUN, "tick", parent="big", start=n % 140, end=n % 140 + 5, tags=LOCAL)
        for n in range(1, number + 1)
    ]
    return Picture(now=NOW, records={one.id: one for one in (root, *steps)})


def chain(depth: int) -> Picture:
    """Return executions that each called the next, so deep."""
    ids = ["deep", *("deep:" + ".".join("1" * n) for n in range(1, depth))]
    records = [
        promise(id, Kind.RPC, "again", parent=above, start=n / 100, tags=remote("default"))
        for n, (above, id) in enumerate(zip(["deep", *ids], ids, strict=False))
    ]
    return Picture(now=NOW, records={one.id: one for one in records})
