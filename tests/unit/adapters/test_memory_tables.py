from resonate.adapters.memory.tables import Tables
from resonate.core.protocol.effects import DeleteSchedule, PutPromise, PutSchedule, PutTask
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import PromiseRecord, PromiseState, ScheduleRecord, TaskState
from resonate.core.protocol.steps import LeaseTimeout, PromiseTimeout, ScheduleFire

TAGS = {"resonate:target": "poll://any@g"}


def promise(state: PromiseState = PromiseState.PENDING) -> PutPromise:
    settled_at = None if state is PromiseState.PENDING else 5
    record = PromiseRecord(id="p", state=state, tags=TAGS, timeout_at=100, created_at=0, settled_at=settled_at)
    return PutPromise(Promise(record))


def test_a_promise_is_due_until_it_is_settled() -> None:
    tables = Tables()
    tables.apply([promise()])
    assert tables.next_instant(0) == 100
    assert tables.take_step(99) is None
    tables.apply([promise(PromiseState.RESOLVED)])
    assert tables.next_instant(0) is None


def test_what_is_due_is_taken_once() -> None:
    tables = Tables()
    tables.apply([promise()])
    assert tables.take_step(100) == PromiseTimeout("p")
    assert tables.take_step(100) is None


def test_a_task_is_due_while_it_is_leased_or_offered() -> None:
    tables = Tables()
    tables.apply([promise(), PutTask(Task("p", TaskState.ACQUIRED, 1, "w", 10, 10))])
    assert tables.next_instant(0) == 10
    assert tables.take_step(10) == LeaseTimeout("p")
    tables.apply([PutTask(Task("p", TaskState.PENDING, 1, retry_at=20))])
    assert tables.next_instant(0) == 20
    tables.apply([PutTask(Task("p", TaskState.SUSPENDED, 1))])
    assert tables.next_instant(0) == 100


def test_a_schedule_is_due_until_it_is_deleted() -> None:
    tables = Tables()
    record = ScheduleRecord(id="s", cron="* * * * *", promise_id="x", promise_timeout=1, created_at=0, next_run_at=7)
    tables.apply([PutSchedule(record)])
    assert tables.next_instant(0) == 7
    tables.apply([DeleteSchedule("s")])
    assert tables.next_instant(0) is None
    tables.apply([PutSchedule(record)])
    assert tables.take_step(7) == ScheduleFire("s")
