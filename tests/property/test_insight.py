"""Whatever a store holds, the questions are answered: trees, causes and pictures of any records whatever."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from resonate.cli.picture import page
from resonate.core.engine.identity import ARGS, CALL, KIND, SITE
from resonate.core.insight.diagnosis import why_of
from resonate.core.insight.picture import Facts, Picture
from resonate.core.insight.tree import tree_of
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, TaskRecord, TaskState, Value

IDS = st.sampled_from(["a", "b", "a:1", "a:1.1", "a:2", "a:2.0", "a:2.1", "b:1", "a:1.1.1", "a:0.1", ":", "<b>"])
TEXTS = st.one_of(st.text(max_size=20), IDS, st.sampled_from(["true", "local", "global", "poll://any@g", "<script>"]))
TAGS = st.dictionaries(
    st.sampled_from([Tag.TARGET, Tag.TIMER, Tag.EXTERNAL, Tag.DELAY, Tag.ORIGIN, Tag.PARENT, Tag.SCOPE]),
    TEXTS,
    max_size=4,
)
HEADERS = st.dictionaries(
    st.sampled_from([KIND, CALL, ARGS, SITE, "content-type", "content-encoding"]), TEXTS, max_size=3
)
DATA = st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["e30=", "bnVsbA==", '{"message": "x"}', "[1]"]))
VALUES = st.builds(Value, HEADERS, DATA)
INSTANTS = st.one_of(st.integers(0, 10), st.integers(-(2**62), 2**62))


@st.composite
def pictures(draw) -> Picture:
    ids = draw(st.lists(IDS, min_size=1, max_size=8, unique=True))
    records = {
        id: PromiseRecord(
            id=id,
            state=draw(st.sampled_from(PromiseState)),
            param=draw(VALUES),
            value=draw(VALUES),
            tags=draw(TAGS),
            timeout_at=draw(INSTANTS),
            created_at=draw(INSTANTS),
            settled_at=draw(st.none() | INSTANTS),
        )
        for id in ids
    }
    tasks = {
        id: TaskRecord(
            id=id,
            state=draw(st.sampled_from(TaskState)),
            version=draw(st.integers(0, 9)),
            resumes=draw(st.integers(0, 2)),
            pid=draw(st.none() | st.just("p")),
        )
        for id in draw(st.lists(st.sampled_from(ids), unique=True))
    }
    some = st.dictionaries(st.sampled_from(ids), st.lists(IDS, max_size=3).map(tuple), max_size=3)
    facts = st.builds(
        Facts,
        expires=st.dictionaries(st.sampled_from(ids), INSTANTS, max_size=3),
        awaiting=some,
        groups=st.dictionaries(st.just("g"), st.just(("p",))),
        alive=st.dictionaries(st.just("p"), st.booleans()),
    )
    return Picture(now=draw(INSTANTS), records=records, tasks=tasks, facts=draw(st.none() | facts))


class Markup(HTMLParser):
    """What a page consists of, apart from its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.open = 0

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.open += tag == "details"
        assert not any(name.startswith("on") or name in {"href", "src"} for name, _ in attrs)

    def handle_endtag(self, tag) -> None:
        self.open -= tag == "details"
        assert self.open >= 0


@given(pictures())
@settings(max_examples=300, deadline=None)
def test_any_records_have_a_tree_a_cause_and_a_picture(picture):
    trees = {id: tree_of(picture, id) for id in picture.records}
    for id, tree in trees.items():
        nodes = [node.id for _, node in tree.nodes()]
        assert nodes[0] == id
        assert len(nodes) == len(set(nodes))
        why = why_of(picture, id)
        assert why.cause.path[0] == id
        assert why.line
        assert str(why).splitlines()
        markup = Markup()
        markup.feed(page(tree, why))
        markup.close()
        assert markup.open == 0
        assert not markup.tags & {"script", "b ", "img", "iframe", "a"}
