"""One small value that says how a server speaks where servers in the field differ.

The defaults describe our own machine (`core/protocol/machine`).
"""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class Dialect:
    """How a store differs from the others.

    Args:
        separator: stands between the origin of an id and its lineage (`root:1.2`).
        targeted_timers: a timer must carry a target, or the server never fires it.
        enforces_deadlines: promises that are external but not targeted are timed out by the clock.
        searches: promise.search and its siblings are served.
        keeps_resumes: task.suspend redirects when something settled since the last acquire, so that a
            suspend need not name what earlier suspends already registered.
        loses_answers: the answer to a request may get lost, and the request is then asked again: a redirect that is
            told once is not enough to suspend on what earlier suspends have registered.
        loses_messages: a message may get lost on its way, so that whoever waits must also ask from time to time.
        delta_preload: task.acquire honours `delta`, and tells what has settled since the last suspend.
        whole_preload: task.acquire tells all that was created through the task's fence, whatever its tags, and
            task.fence tells nothing but its action's reply.
    """

    separator: str = ":"
    targeted_timers: bool = False
    enforces_deadlines: bool = True
    searches: bool = True
    keeps_resumes: bool = True
    delta_preload: bool = True
    whole_preload: bool = True
    loses_answers: bool = True
    loses_messages: bool = True


OURS = Dialect()

FIELD = Dialect(
    targeted_timers=True,
    enforces_deadlines=False,
    keeps_resumes=False,
    delta_preload=False,
    whole_preload=False,
)
"""What a client may rely on with the servers that are out there, if they serve searches."""
