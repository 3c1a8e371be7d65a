# What the scenarios have in common: connections to the three nodes, what a statement must answer, and whether the
# nodes are equal. scenarios.py goes on below; PORT1..PORT3 stand above.
import sys
import threading
import time
import traceback
import pymysql

PORTS = (PORT1, PORT2, PORT3)
SCENARIOS = []
WAIT_MAX_S = 30
LOOK_EVERY_S = 0.02
LOST, DUPLICATE, NO_PARENT, HAS_CHILDREN, NOT_SUPPORTED = 1213, 1062, 1452, 1451, 1235


def scenario(function):
    SCENARIOS.append(function)
    return function


def connect(node):
    return pymysql.connect(
        host="127.0.0.1", port=PORTS[node - 1], user="plait", password="plait", database="shop",
        autocommit=True, ssl_disabled=True,
    )


def sql(connection, *texts):
    """Runs these; the rows of the last one, or how many rows it changed."""
    for text in texts:
        with connection.cursor() as cursor:
            changed = cursor.execute(text)
            rows = cursor.fetchall() if cursor.description else changed
    return rows


def error(connection, text):
    """The number of the error that this statement gives, or None."""
    try:
        sql(connection, text)
    except pymysql.err.MySQLError as failed:
        return failed.args[0]
    return None


def equal(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r}, expected {expected!r}")


def fails(number, connection, text):
    got = error(connection, text)
    if got != number:
        raise AssertionError(f"{text}: got {got}, expected error {number}")


def until(what, look):
    end = time.monotonic() + WAIT_MAX_S
    while True:
        why = look()
        if why is None:
            return
        if time.monotonic() > end:
            raise AssertionError(f"{what}: {why}")
        time.sleep(LOOK_EVERY_S)


def at_once(*jobs):
    """Runs these functions in threads of their own that begin together; what each returned."""
    results, start = [None] * len(jobs), threading.Barrier(len(jobs))

    def run(i, job):
        try:
            start.wait()
            results[i] = job()
        except BaseException as failed:
            results[i] = failed

    threads = [threading.Thread(target=run, args=(i, job)) for i, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def status(connection, name):
    rows = sql(connection, f"SHOW STATUS LIKE '{name}'")
    equal(len(rows), 1)
    return rows[0][1]


def cert_failures(connection):
    return int(status(connection, "wsrep_local_cert_failures"))


def on_each_node(text):
    """The rows that this gives, which are the same on all three nodes."""
    rows = []
    for node in (1, 2, 3):
        connection = connect(node)
        rows.append(sql(connection, text))
        connection.close()
    if not rows[0] == rows[1] == rows[2]:
        raise AssertionError(f"{text}: the nodes differ: {rows}")
    return rows[0]


def tables():
    return [name for (name,) in on_each_node("SHOW TABLES") if name != "plait_ready"]


def compare_all():
    """The three nodes have the same tables, definitions and rows, and the same hash at the same seqno."""
    for name in tables():
        on_each_node(f"SHOW CREATE TABLE {name}")
        columns = [row[0] for row in on_each_node(f"SHOW COLUMNS FROM {name}")]
        on_each_node(f"SELECT * FROM {name} ORDER BY {', '.join(columns)}")
    connections = [connect(node) for node in (1, 2, 3)]

    def look():
        seen = {(status(c, "wsrep_last_committed"), status(c, "wsrep_state_hash")) for c in connections}
        return None if len(seen) == 1 else f"{seen}"

    until("one hash on the three nodes", look)
    for connection in connections:
        equal(status(connection, "wsrep_cluster_size"), "3")
        equal(status(connection, "wsrep_local_state_comment"), "Synced")
        connection.close()


def drop_all(connection):
    sql(connection, "SET foreign_key_checks = 0")
    names = tables()
    if names:
        sql(connection, f"DROP TABLE {', '.join(names)}")
    sql(connection, "SET foreign_key_checks = 1")
    equal(tables(), [])


def until_done(connection, transaction):
    """Runs this function, a transaction, again for as long as it loses; how often it lost."""
    lost = 0
    while True:
        try:
            transaction()
            return lost
        except pymysql.err.OperationalError as failed:
            equal(failed.args[0], LOST)
            sql(connection, "ROLLBACK")
            lost += 1


def try_until_done(connection, *texts):
    return until_done(connection, lambda: sql(connection, "BEGIN", *texts, "COMMIT"))


def acknowledged(connection, text, times):
    """How many of so many autocommit statements were acknowledged; the others must have lost."""
    numbers = [error(connection, text) for _ in range(times)]
    assert set(numbers) <= {None, LOST}, set(numbers)
    return numbers.count(None)


def main():
    wanted = sys.argv[1:]
    for run in SCENARIOS:
        if wanted and run.__name__ not in wanted:
            continue
        nodes = [connect(node) for node in (1, 2, 3)]
        try:
            run(*nodes)
            compare_all()
            for node in nodes:
                if node.open:
                    node.close()
            last = connect(1)
            drop_all(last)
            last.close()
        except BaseException:
            traceback.print_exc()
            raise SystemExit(f"failed: {run.__name__}: {run.__doc__}")
        print(f"passed: {run.__name__}", flush=True)
    print("all is well")
