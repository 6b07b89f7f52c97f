"""What functions of the standard library and of well-known libraries do, by their names.

Law 1: a name is looked up whole, then by its modules, innermost first: `os.path.join` is not `os.path.*` is not `os.*`.
Law 2: what is not known is taken to be harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from resonate.check.rules import ADDRESS, BLOCKING, CLOCK, IO, LEAVES, OUTPUT, PROCESS, RANDOM, Rule

HARMLESS: Final = None

_CALLS: Final[dict[Rule | None, str]] = {
    CLOCK: """
        time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns
        time.process_time time.process_time_ns time.thread_time time.thread_time_ns time.clock_gettime
        time.clock_gettime_ns time.ctime time.localtime time.gmtime
        datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today
        django.utils.timezone.now django.utils.timezone.localtime pendulum.now pendulum.today arrow.now arrow.utcnow
    """,
    RANDOM: """
        random.* secrets.* numpy.random.* os.urandom os.getrandom uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7
        uuid.uuid8 uuid.getnode shortuuid.uuid nanoid.generate ulid.new ulid.ULID
    """,
    IO: """
        open input io.open codecs.open os.* os.path.exists os.path.lexists os.path.isfile os.path.isdir
        os.path.islink os.path.ismount os.path.getsize os.path.getmtime os.path.getatime os.path.getctime
        os.path.realpath os.path.samefile
        pathlib.Path.home pathlib.Path.cwd shutil.* tempfile.* glob.* fileinput.* linecache.* mmap.mmap dbm.*
        requests.* httpx.* urllib3.* urllib.request.* http.client.* aiohttp.* aiofiles.* pycurl.* websockets.*
        websocket.* socket.* ssl.* select.* smtplib.* aiosmtplib.* ftplib.* imaplib.* poplib.* telnetlib.* nntplib.*
        xmlrpc.client.* paramiko.* asyncssh.* fabric.*
        sqlite3.* aiosqlite.* psycopg.* psycopg2.* asyncpg.* pymysql.* aiomysql.* MySQLdb.* mysql.connector.*
        oracledb.* pyodbc.* pymongo.* motor.* redis.* aioredis.* valkey.* memcache.* pymemcache.* cassandra.*
        elasticsearch.* opensearchpy.* clickhouse_connect.* duckdb.* peewee.* sqlalchemy.create_engine
        sqlalchemy.ext.asyncio.create_async_engine sqlalchemy.orm.Session sqlalchemy.ext.asyncio.AsyncSession
        boto3.* aioboto3.* botocore.* google.cloud.* azure.* stripe.* twilio.* sendgrid.* slack_sdk.* openai.*
        anthropic.* kafka.* aiokafka.* confluent_kafka.* pika.* aio_pika.* nats.* celery.* grpc.* docker.* kubernetes.*
        asyncio.open_connection asyncio.start_server asyncio.open_unix_connection asyncio.start_unix_server
        anyio.open_file anyio.connect_tcp anyio.connect_unix anyio.create_tcp_listener getpass.getpass
        logging.config.* webbrowser.*
    """,
    OUTPUT: """
        print pprint.pprint pprint.pp sys.stdout.* sys.stderr.* warnings.warn traceback.print_exc
        traceback.print_stack logging.debug logging.info logging.warning logging.error logging.critical
        logging.exception logging.log logging.getLogger() structlog.get_logger() loguru.logger.* click.echo
        typer.echo rich.print
    """,
    BLOCKING: "time.sleep signal.pause signal.sigwait trio.sleep gevent.sleep eventlet.sleep",
    LEAVES: """
        threading.* _thread.* multiprocessing.* concurrent.futures.* subprocess.* queue.Queue queue.SimpleQueue
        asyncio.to_thread asyncio.run asyncio.Runner asyncio.new_event_loop asyncio.run_coroutine_threadsafe
        asyncio.create_subprocess_exec asyncio.create_subprocess_shell anyio.run anyio.run_process
        anyio.open_process anyio.to_thread.* anyio.from_thread.* anyio.to_process.* trio.run trio.to_thread.*
        asgiref.sync.* os.system os.popen os.fork os.forkpty os.posix_spawn os.posix_spawnp os.kill os.killpg
        os.execv os.execve os.execvp os.execvpe os.execl os.execle os.execlp os.spawnl os.spawnv os.wait os.waitpid
        os.abort os._exit sys.exit exit quit
    """,
    PROCESS: """
        os.getenv os.getenvb os.getpid os.getppid os.getcwd os.getcwdb os.getlogin os.getuid os.cpu_count os.uname
        os.getloadavg os.path.abspath os.path.expanduser os.path.expandvars os.process_cpu_count
        platform.* socket.gethostname socket.getfqdn getpass.getuser
        threading.get_ident threading.current_thread multiprocessing.current_process
        dotenv.* decouple.config environ.Env
    """,
    ADDRESS: "id hash",
    HARMLESS: """
        os.environ.* os.environb.* os.fspath os.fsencode os.fsdecode os.strerror os.path.*
        random.Random numpy.random.default_rng numpy.random.RandomState
        httpx.Timeout httpx.Limits httpx.URL httpx.Headers httpx.QueryParams httpx.Request httpx.BasicAuth
        requests.auth.* aiohttp.ClientTimeout aiohttp.BasicAuth
        socket.inet_aton socket.inet_ntoa socket.htons socket.ntohs socket.htonl socket.ntohl
        subprocess.list2cmdline shutil.ignore_patterns glob.escape
        threading.local
        urllib.request.Request urllib.request.pathname2url urllib.request.url2pathname urllib3.util.*
        openai.types.* anthropic.types.* stripe.StripeObject google.cloud.exceptions.* azure.core.exceptions.*
        grpc.StatusCode pymongo.ASCENDING celery.chain celery.group celery.signature sqlite3.Row
    """,
}

NEEDS_SEED: Final = frozenset({"random.Random", "numpy.random.default_rng", "numpy.random.RandomState"})
"""Generators that are the same each time if they are given a seed."""

NO_ARGUMENTS: Final = frozenset({"time.ctime", "time.localtime", "time.gmtime"})
"""Functions that read the clock only if they are given no time."""

ATTRIBUTES: Final[dict[str, Rule]] = {
    "os.environ": PROCESS,
    "os.environb": PROCESS,
    "sys.argv": PROCESS,
    "sys.stdin": IO,
}
"""What is read without being called."""

METHODS: Final[dict[str, Rule]] = {
    "read_text": IO,
    "read_bytes": IO,
    "write_text": IO,
    "write_bytes": IO,
    "run_in_executor": LEAVES,
    "run_coroutine_threadsafe": LEAVES,
    "run_until_complete": LEAVES,
}
"""Methods that do one thing, whosever they are."""


def _listed() -> Iterator[tuple[str, Rule | None]]:
    for rule, names in _CALLS.items():
        for name in names.split():
            yield name, rule


_TABLE: Final[dict[str, Rule | None]] = dict(_listed())
_MISSING: Final = object()


def called(name: str) -> Rule | None:
    """Return the rule that a call of `name` breaks, if any; `x.y()` stands for an object that a call of `x.y` made."""
    found = _TABLE.get(name, _MISSING)
    if found is _MISSING:
        if name.rpartition(".")[2].endswith(("Error", "Exception", "Warning")):
            return None  # to raise one is no I/O
        module = name
        while module := module.rpartition(".")[0]:
            found = _TABLE.get(module + ".*", _TABLE.get(module, _MISSING) if module.endswith("()") else _MISSING)
            if found is not _MISSING:
                break
        else:
            return None
    assert found is None or isinstance(found, Rule)
    return found
