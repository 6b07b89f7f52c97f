"""The same work done by DBOS on its SQLite, by a Python that has `dbos`: `dbos_app.py FILE sequential|at-once SIZE`.

DBOS records a step when it is done, in one transaction; a durable promise is recorded before and after. It is used as
its manual has it: plain functions, started in its thread pool. It prints the seconds and the CPU seconds that it took,
and 0 for the memory, which says little beside a file.
"""

from __future__ import annotations

import sys
import time

from dbos import DBOS

PER_WORKFLOW = 5


@DBOS.step()
def step(number: int) -> int:
    return number


@DBOS.workflow()
def sequential(n: int) -> int:
    return sum([step(number) for number in range(n)])


def main(file: str, work: str, size: int) -> None:
    """Do the work once to warm up, once for the clock."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{file}",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    sequential(5)
    started = (time.perf_counter(), time.process_time())
    if work == "sequential":
        total = sequential(size)
    else:
        handles = [DBOS.start_workflow(sequential, PER_WORKFLOW) for _ in range(size // PER_WORKFLOW)]
        total = sum(handle.get_result() for handle in handles)
    print(time.perf_counter() - started[0], time.process_time() - started[1], 0, flush=True)
    assert total == sum(range(size if work == "sequential" else PER_WORKFLOW)) * (
        1 if work == "sequential" else size // PER_WORKFLOW
    )
    DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
