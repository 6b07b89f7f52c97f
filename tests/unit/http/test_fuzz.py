"""Whatever a server sends, a request ends with a reply or with one of our errors, and the stream goes on."""

from __future__ import annotations

import asyncio

import httpx
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from resonate import Context, StoreError
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.records import Execute, Unblock
from resonate.core.protocol.requests import PromiseGet, PromiseReply, Rejection, TaskAcquire
from resonate.ports.store import Dropped, Reconnected
from tests.unit.http.wild import Body, Wild, answer, stream


def orjson_or_text(value):
    try:
        return orjson.dumps(value)
    except TypeError:
        return repr(value).encode()


names = st.sampled_from(
    [
        "kind",
        "head",
        "data",
        "promise",
        "task",
        "preload",
        "id",
        "state",
        "version",
        "status",
        "tags",
        "param",
        "corrId",
    ]
) | st.text(max_size=4)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
statuses = st.integers(200, 599)
record = st.fixed_dictionaries(
    {"id": st.text(max_size=3) | json},
    optional={
        "state": st.sampled_from(["pending", "resolved", "nonsense"]) | json,
        "timeoutAt": st.integers(0, 2**53) | json,
        "createdAt": st.integers(0, 2**53) | json,
        "param": json,
        "value": json,
        "tags": json,
        "settledAt": json,
    },
)
bodies = st.binary(max_size=60) | json.map(orjson_or_text)
replies = st.one_of(
    st.tuples(st.just("raw"), statuses, bodies),
    st.tuples(
        st.just("reply"), statuses, json | st.fixed_dictionaries({"promise": record}, optional={"preload": json})
    ),
    st.tuples(st.just("cut"), statuses, bodies),
)


def respond(reply):
    kind, status, what = reply

    def answerer(request):
        if kind == "reply":
            try:
                return answer(request, status, what)
            except ValueError:
                return httpx.Response(status)
        then = "end" if kind == "raw" else httpx.ReadError("cut")
        return httpx.Response(status, stream=Body(what, then=then))

    return answerer


@settings(max_examples=150, deadline=None)
@given(st.lists(replies, min_size=1, max_size=8), st.booleans())
def test_a_request_ends_with_a_reply_or_an_error_of_ours(script, claims):
    async def run():
        wild = Wild()
        store = wild.backend(dialect=OURS, timeout=60).connect(group="g", pid="p")
        await store.start()
        wild.posts.extend(map(respond, script))
        request = TaskAcquire(id="p", version=1, pid="p", ttl=1) if claims else PromiseGet("p")
        async with asyncio.timeout(60):
            for _ in script:
                try:
                    reply = await store.send(request)
                except StoreError:
                    continue
                assert isinstance(reply, PromiseReply | Rejection) or claims
        await store.stop()

    asyncio.run(run())


message = st.one_of(
    bodies,
    st.fixed_dictionaries({"kind": st.sampled_from(["execute", "unblock", "x"]) | json, "data": json}).map(
        orjson_or_text
    ),
    record.map(lambda promise: orjson_or_text({"kind": "unblock", "head": {}, "data": {"promise": promise}})),
)
event = st.tuples(st.sampled_from([b"data: ", b"data:", b": ", b"event: ", b"id: ", b"", b"retry: "]), message)
lines = event.map(lambda parts: parts[0] + parts[1])
ends = st.sampled_from([b"\n\n", b"\n", b"\r\n\r\n", b"\r", b""])
chunks = st.lists(st.tuples(lines, ends).map(lambda parts: parts[0] + parts[1]), max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.lists(chunks, max_size=3), st.integers(1, 50))
def test_a_stream_goes_on_whatever_comes(scripts, size):
    async def run():
        wild = Wild()
        last = b'\n\ndata: {"kind":"execute","data":{"task":{"id":"the last","version":1}}}\n\n'

        def cut(script):
            body = b"".join(script)
            return [body[at : at + size] for at in range(0, len(body), size)]

        for script in scripts:
            wild.polls.append(lambda _, script=script: stream(*cut(script)))
        wild.polls.append(lambda _: stream(last, then="hang"))
        store = wild.backend(dialect=OURS, message_bytes=100).connect(group="g", pid="p")
        await store.start()
        async with asyncio.timeout(60):
            async for item in store.messages():
                assert isinstance(item, Execute | Unblock | Dropped | Reconnected)
                if item == Execute("the last", 1):
                    break
        await store.stop()

    asyncio.run(run())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.none() | replies.filter(lambda reply: reply[1] not in range(400, 500) and reply[1] != 501), max_size=12)
)
def test_a_workflow_finishes_whatever_came_in_between(script):
    """What has the form of a refusal is one, so those are left out; a reply that lies cannot be told from the truth."""

    async def double(n: int) -> int:
        return 2 * n

    async def flow(ctx: Context) -> int:
        return await ctx.run(double, await ctx.run(double, 1))

    async def run():
        wild = Wild()
        client = wild.client()
        client.register(flow)
        async with client:
            wild.posts.extend(reply and respond(reply) for reply in script if reply is None or reply[0] != "reply")
            async with asyncio.timeout(60):
                assert await client.run("root", flow) == 4

    asyncio.run(run())
