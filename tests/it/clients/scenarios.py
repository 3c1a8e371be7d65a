# What Galera's own test suites do with two and three nodes, said again with three connections and judged more strictly
# (docs/scenarios.md has the table). Each function is a scenario; its docstring names the test upstream and says what
# must happen. The tables that it leaves are compared on the three nodes, then dropped. nodes.py stands above.


@scenario
def bf_abort(a, b, c):
    """1, galera_bf_abort: an open INSERT of a key that another node commits first loses with 1213, and is counted."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    before = [cert_failures(node) for node in (a, b, c)]
    sql(b, "BEGIN", "INSERT INTO t VALUES (1, 2)")
    sql(a, "INSERT INTO t VALUES (1, 1)")
    fails(LOST, b, "COMMIT")
    equal([cert_failures(node) for node in (a, b, c)], [before[0], before[1] + 1, before[2]])
    equal(sql(b, "SELECT * FROM t"), ((1, 1),))
    # The connection is good for the next transaction.
    sql(b, "BEGIN", "INSERT INTO t VALUES (2, 2)", "COMMIT")
    equal(on_each_node("SELECT * FROM t ORDER BY id"), ((1, 1), (2, 2)))


@scenario
def certification_double_failure(a, b, c):
    """2, galera_certification_double_failure: who loses to two nodes on two tables gets one 1213 and leaves nothing; who
    only wrote is done once more."""
    sql(a, "CREATE TABLE t1 (id INT PRIMARY KEY, v INT)", "CREATE TABLE t2 (id INT PRIMARY KEY, v INT)")
    sql(a, "INSERT INTO t1 VALUES (1, 0)", "INSERT INTO t2 VALUES (1, 0)")
    before = cert_failures(a)
    writes = ("UPDATE t1 SET v = 1", "UPDATE t2 SET v = 1", "INSERT INTO t1 VALUES (2, 1)")
    sql(a, "BEGIN", "SELECT v FROM t1", *writes)
    at_once(lambda: sql(b, "UPDATE t1 SET v = 2"), lambda: sql(c, "UPDATE t2 SET v = 3"))
    fails(LOST, a, "COMMIT")
    equal(error(a, "COMMIT"), None)
    equal(cert_failures(a), before + 1)
    equal(on_each_node("SELECT * FROM t1 ORDER BY id"), ((1, 2),))
    equal(on_each_node("SELECT * FROM t2 ORDER BY id"), ((1, 3),))
    sql(a, "BEGIN", *writes)
    at_once(lambda: sql(b, "UPDATE t1 SET v = 4"), lambda: sql(c, "UPDATE t2 SET v = 5"))
    equal(error(a, "COMMIT"), None)
    equal(on_each_node("SELECT * FROM t1 ORDER BY id"), ((1, 1), (2, 1)))
    equal(on_each_node("SELECT * FROM t2 ORDER BY id"), ((1, 1),))


@scenario
def serializable_read_against_a_remote_write(a, b, c):
    """3, galera_serializable: at SERIALIZABLE who read what another node then wrote, and writes elsewhere, loses."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 1)")
    sql(a, "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN")
    equal(sql(a, "SELECT v FROM t WHERE id = 1"), ((1,),))
    sql(b, "UPDATE t SET v = 9 WHERE id = 1")
    sql(a, "UPDATE t SET v = 2 WHERE id = 2")
    fails(LOST, a, "COMMIT")
    # A phantom is a write to what was read, too.
    sql(a, "BEGIN")
    equal(sql(a, "SELECT COUNT(*) FROM t WHERE id > 1"), ((1,),))
    sql(b, "INSERT INTO t VALUES (3, 1)")
    sql(a, "UPDATE t SET v = 3 WHERE id = 1")
    fails(LOST, a, "COMMIT")
    # And who only reads reads one snapshot, and is never refused.
    sql(a, "BEGIN", "SELECT * FROM t")
    sql(c, "DELETE FROM t WHERE id = 3")
    equal(sql(a, "SELECT COUNT(*) FROM t"), ((3,),))
    equal(error(a, "COMMIT"), None)
    equal(on_each_node("SELECT * FROM t ORDER BY id"), ((1, 9), (2, 1)))


@scenario
def serializable_write_skew(a, b, c):
    """3, galera_serializable, stricter: of three that read all and write one row each, on three nodes, one commits."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)")
    for i, node in enumerate((a, b, c), 1):
        sql(node, "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN")
        equal(sql(node, "SELECT SUM(v) FROM t")[0][0], 3)
        sql(node, f"UPDATE t SET v = 0 WHERE id = {i}")
    numbers = at_once(*(lambda node=node: error(node, "COMMIT") for node in (a, b, c)))
    equal(sorted(numbers, key=str), [LOST, LOST, None])
    equal(on_each_node("SELECT SUM(v) FROM t")[0][0], 2)


@scenario
def transaction_replay(a, b, c):
    """4, galera_transaction_replay: a row read FOR UPDATE that another node wrote: upstream both commit, here 1213."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1), (2, 1)")
    sql(a, "BEGIN", "UPDATE t SET v = 2 WHERE id = 1")
    equal(sql(a, "SELECT v FROM t WHERE id = 2 FOR UPDATE"), ((1,),))
    sql(b, "UPDATE t SET v = 7 WHERE id = 2")
    fails(LOST, a, "COMMIT")
    equal(on_each_node("SELECT * FROM t ORDER BY id"), ((1, 1), (2, 7)))


@scenario
def autocommit_is_tried_again(a, b, c):
    """5, galera_var_retry_autocommit: autocommit statements against remote TRUNCATEs and writers: done, or 1213."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE n (id INT PRIMARY KEY, v INT)")
    sql(a, "INSERT INTO n VALUES (1, 0)")

    def inserts():
        return [i for i in range(150) if acknowledged(a, f"INSERT INTO t VALUES ({i})", 1)]

    def truncates():
        for _ in range(15):
            try_until_done(b, "TRUNCATE TABLE t")

    done, _ = at_once(inserts, truncates)
    left = [i for (i,) in on_each_node("SELECT id FROM t ORDER BY id")]
    assert len(done) > 75, done
    equal(left, done[len(done) - len(left) :])
    increment = "UPDATE n SET v = v + 1 WHERE id = 1"
    counts = at_once(*(lambda node=node: acknowledged(node, increment, 60) for node in (a, b, c)))
    equal(on_each_node("SELECT v FROM n"), ((sum(counts),),))
    assert min(counts) > 0, counts


@scenario
def sync_wait(a, b, c):
    """6, galera_var_sync_wait, MW-86-wait1, -wait8: each kind of statement sees the remote write before it; 0 too."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
    for i, mask in enumerate((0, 1, 2, 4, 8, 15)):
        sql(b, f"SET SESSION wsrep_sync_wait = {mask}")
        equal(sql(b, "SELECT @@wsrep_sync_wait"), ((mask,),))
        sql(a, f"INSERT INTO t VALUES ({10 * i}, 0)")
        equal(sql(b, f"SELECT v FROM t WHERE id = {10 * i}"), ((0,),))
        sql(a, f"INSERT INTO t VALUES ({10 * i + 1}, 0)")
        equal(sql(b, f"UPDATE t SET v = 1 WHERE id = {10 * i + 1}"), 1)
        sql(a, f"INSERT INTO t VALUES ({10 * i + 2}, 0)")
        fails(DUPLICATE, b, f"INSERT INTO t VALUES ({10 * i + 2}, 5)")
        sql(a, f"CREATE TABLE s{i} (id INT PRIMARY KEY)")
        equal(sql(b, f"SHOW TABLES LIKE 's{i}'"), ((f"s{i}",),))
        sql(a, f"INSERT INTO t VALUES ({10 * i + 3}, 0)")
        equal(sql(b, f"DELETE FROM t WHERE id = {10 * i + 3}"), 1)


@scenario
def causal(a, b, c):
    """8, GAL tests/test_causal: what was written on one node is read at once on the others, in every round."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 0)")
    for i in range(1, 151):
        writer = (a, b, c)[i % 3]
        equal(sql(writer, f"UPDATE t SET v = {i} WHERE id = 1"), 1)
        for reader in (a, b, c):
            equal(sql(reader, "SELECT v FROM t WHERE id = 1"), ((i,),))


@scenario
def fk_conflict(a, b, c):
    """9, galera_fk_conflict: DELETE of a parent against INSERT of its child, either first: the second gets 1213."""
    sql(a, "CREATE TABLE p (id INT PRIMARY KEY)", "INSERT INTO p VALUES (1), (2)")
    sql(a, "CREATE TABLE ch (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))")
    for parent, first, second in ((1, a, b), (2, b, a)):
        sql(a, "BEGIN", f"DELETE FROM p WHERE id = {parent}")
        sql(b, "BEGIN", f"INSERT INTO ch VALUES ({parent}, {parent})")
        sql(first, "COMMIT")
        fails(LOST, second, "COMMIT")
    fails(NO_PARENT, a, "INSERT INTO ch VALUES (3, 1)")
    fails(HAS_CHILDREN, b, "DELETE FROM p WHERE id = 2")
    equal(on_each_node("SELECT p.id, ch.id FROM p LEFT JOIN ch ON ch.p = p.id"), ((2, 2),))


@scenario
def fk_cascades(a, b, c):
    """10, galera_fk_cascade_delete, _update, _setnull: a cascade gives the same children on every node."""
    sql(a, "CREATE TABLE p (id INT PRIMARY KEY)", "INSERT INTO p VALUES (1), (2), (3), (4)")
    ref = "p INT, FOREIGN KEY (p) REFERENCES p (id)"
    sql(a, f"CREATE TABLE d (id INT PRIMARY KEY, {ref} ON DELETE CASCADE ON UPDATE CASCADE)")
    sql(a, "CREATE TABLE dd (id INT PRIMARY KEY, d INT, FOREIGN KEY (d) REFERENCES d (id) ON DELETE CASCADE)")
    sql(a, f"CREATE TABLE n (id INT PRIMARY KEY, {ref} ON DELETE SET NULL ON UPDATE SET NULL)")
    for name in ("d", "n"):
        sql(b, f"INSERT INTO {name} VALUES " + ", ".join(f"({i}, {i % 4 + 1})" for i in range(40)))
    sql(b, "INSERT INTO dd SELECT id + 100, id FROM d")
    sql(c, "DELETE FROM p WHERE id = 1")
    sql(a, "UPDATE p SET id = 20 WHERE id = 2")
    equal(on_each_node("SELECT p, COUNT(*) FROM d GROUP BY p ORDER BY p"), ((3, 10), (4, 10), (20, 10)))
    equal(on_each_node("SELECT COUNT(*) FROM dd"), ((30,),))
    equal(on_each_node("SELECT p, COUNT(*) FROM n GROUP BY p ORDER BY p"), ((None, 20), (3, 10), (4, 10)))
    # A cascade against a write to what it takes along: one of the two.
    sql(b, "BEGIN", "UPDATE dd SET d = 3 WHERE id = 102")
    sql(c, "DELETE FROM p WHERE id = 3")
    fails(LOST, b, "COMMIT")
    equal(on_each_node("SELECT COUNT(*) FROM dd WHERE d = 2"), ((0,),))


@scenario
def fk_odd_shapes(a, b, c):
    """11, galera_fk_selfreferential, _multicolumn, _no_pk, _mismatch: odd shapes keep the nodes equal."""
    sql(a, "CREATE TABLE s (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES s (id) ON DELETE CASCADE)")
    sql(b, "INSERT INTO s VALUES (1, NULL), (2, 1), (3, 2), (4, 3), (9, 9)")
    fails(NO_PARENT, c, "INSERT INTO s VALUES (10, 11)")
    sql(c, "DELETE FROM s WHERE id = 1")
    equal(on_each_node("SELECT * FROM s"), ((9, 9),))
    sql(a, "CREATE TABLE m (x INT, y INT, PRIMARY KEY (x, y))", "INSERT INTO m VALUES (1, 1), (1, 2), (2, 1)")
    sql(a, "CREATE TABLE mc (x INT, y INT, FOREIGN KEY (x, y) REFERENCES m (x, y) ON UPDATE CASCADE ON DELETE SET NULL)")
    sql(b, "INSERT INTO mc VALUES (1, 1), (1, 1), (1, 2), (7, NULL)")
    fails(NO_PARENT, b, "INSERT INTO mc VALUES (2, 2)")
    sql(c, "UPDATE m SET y = 5 WHERE x = 1 AND y = 1")
    sql(a, "DELETE FROM m WHERE y = 2")
    both = ((None, None), (1, 5), (1, 5), (7, None))
    equal(on_each_node("SELECT x, y FROM mc ORDER BY x, y"), both)
    for text, number in (
        ("CREATE TABLE w (p BIGINT, FOREIGN KEY (p) REFERENCES s (id))", 3780),
        ("CREATE TABLE w (p INT, FOREIGN KEY (p) REFERENCES m (y))", 1822),
        ("CREATE TABLE w (p INT, FOREIGN KEY (p) REFERENCES nosuch (id))", 1824),
        ("DROP TABLE m", 3730),
    ):
        for node in (a, b, c):
            fails(number, node, text)
    equal(tables(), ["m", "mc", "s"])


@scenario
def unique_key(a, b, c):
    """12, wsrep/unique_key, PXC-3729: unique values that move between rows on three nodes at once stay unique."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, u INT, UNIQUE KEY by_u (u))")
    sql(a, "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)")
    # One value for two rows, on two nodes.
    sql(a, "BEGIN", "UPDATE t SET u = 50 WHERE id = 1")
    sql(b, "BEGIN", "UPDATE t SET u = 50 WHERE id = 2")
    sql(b, "COMMIT")
    fails(LOST, a, "COMMIT")
    # A value that is let go is free after the commit and not before.
    sql(a, "BEGIN", "UPDATE t SET u = 60 WHERE id = 2")
    fails(DUPLICATE, c, "INSERT INTO t VALUES (5, 50)")
    sql(a, "COMMIT")
    sql(c, "INSERT INTO t VALUES (5, 50)")
    sql(a, "DELETE FROM t WHERE id = 5", "UPDATE t SET u = 2 WHERE id = 2")

    def swap(node, x, y):
        rows = dict(sql(node, "BEGIN", f"SELECT id, u FROM t WHERE id IN ({x}, {y}) FOR UPDATE"))
        sql(node, f"UPDATE t SET u = NULL WHERE id = {x}", f"UPDATE t SET u = {rows[x]} WHERE id = {y}")
        sql(node, f"UPDATE t SET u = {rows[y]} WHERE id = {x}", "COMMIT")

    def swaps(node, first):
        for i in range(20):
            x = (first + i) % 4 + 1
            until_done(node, lambda: swap(node, x, x % 4 + 1))

    at_once(lambda: swaps(a, 0), lambda: swaps(b, 1), lambda: swaps(c, 2))
    equal(on_each_node("SELECT u FROM t FORCE INDEX (by_u) WHERE u > 0 ORDER BY u"), ((1,), (2,), (3,), (4,)))
    equal(sorted(u for (_, u) in on_each_node("SELECT id, u FROM t ORDER BY id")), [1, 2, 3, 4])


@scenario
def duplicate_primary_value(a, b, c):
    """13, galera_duplicate_primary_value: one primary key from three nodes: exactly one commits, the others get 1213."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, node INT)")
    for key in range(10):
        for i, node in enumerate((a, b, c), 1):
            sql(node, "BEGIN", f"INSERT INTO t VALUES ({key}, {i})")
        numbers = at_once(*(lambda node=node: error(node, "COMMIT") for node in (a, b, c)))
        equal(sorted(numbers, key=str), [LOST, LOST, None])
        equal(on_each_node(f"SELECT node FROM t WHERE id = {key}"), ((numbers.index(None) + 1,),))
    # By autocommit the losers find the row when they try again.
    numbers = at_once(*(lambda node=node: error(node, "INSERT INTO t VALUES (99, 0)") for node in (a, b, c)))
    equal(sorted(numbers, key=str), [DUPLICATE, DUPLICATE, None])


@scenario
def insert_ignore_replace_and_on_duplicate(a, b, c):
    """14, galera_insert_ignore, ON DUPLICATE KEY UPDATE, REPLACE: the outcomes are the same on all nodes."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, u INT UNIQUE, n INT)", "INSERT INTO t VALUES (1, 10, 0)")
    for text in ("INSERT IGNORE INTO t VALUES (2, 20, 1)", "REPLACE INTO t VALUES (3, 30, 1)"):
        sql(a, "BEGIN", text)
        sql(b, "BEGIN", text)
        sql(b, "COMMIT")
        fails(LOST, a, "COMMIT")
    equal(sql(a, "INSERT IGNORE INTO t VALUES (1, 99, 5), (4, 10, 5), (5, 50, 5)"), 1)
    equal(sql(b, "REPLACE INTO t VALUES (1, 20, 7)"), 3)
    equal(sql(c, "INSERT INTO t VALUES (9, 50, 1) ON DUPLICATE KEY UPDATE n = n + 100"), 2)
    equal(on_each_node("SELECT * FROM t ORDER BY id"), ((1, 20, 7), (3, 30, 1), (5, 50, 105)))
    upsert = "INSERT INTO t VALUES (7, 70, 1) ON DUPLICATE KEY UPDATE n = n + 1"
    counts = at_once(*(lambda node=node: acknowledged(node, upsert, 50) for node in (a, b, c)))
    equal(on_each_node("SELECT n FROM t WHERE id = 7"), ((sum(counts),),))


@scenario
def auto_increment_control(a, b, c):
    """15, galera_var_auto_inc_control_on: default ids from three nodes at once are distinct, each of its node's class."""
    sql(a, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, node INT)")

    def inserts(i, node):
        equal(sql(node, "SELECT @@auto_increment_increment"), ((3,),))
        ids = []
        for _ in range(60):
            with node.cursor() as cursor:
                cursor.execute(f"INSERT INTO t (node) VALUES ({i})")
                ids.append(cursor.lastrowid)
        return ids

    given = at_once(*(lambda i=i, node=node: inserts(i, node) for i, node in enumerate((a, b, c), 1)))
    for i, ids in enumerate(given, 1):
        equal({id % 3 for id in ids}, {i % 3})
        equal(ids, sorted(set(ids)))
    rows = on_each_node("SELECT id, node FROM t ORDER BY id")
    equal(rows, tuple(sorted((id, i) for i, ids in enumerate(given, 1) for id in ids)))
    # An id that somebody chose lifts what comes, on every node.
    sql(a, "INSERT INTO t VALUES (5000, 0)")
    for node in (a, b, c):
        sql(node, "INSERT INTO t (node) VALUES (9)")
        assert sql(node, "SELECT LAST_INSERT_ID()")[0][0] > 5000


@scenario
def parallel_autoinc_manytrx(a, b, c):
    """16, galera_parallel_autoinc_manytrx, _largetrx: many inserts of many rows; as many distinct ids as rows."""
    sql(a, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, who INT, i INT)")
    own = [connect(node) for node in (1, 1, 2, 3)]

    def inserts(who, node):
        for i in range(250):
            equal(sql(node, f"INSERT INTO t (who, i) VALUES ({who}, {i}), ({who}, {i}), ({who}, {i})"), 3)
        sql(node, "BEGIN")
        for _ in range(50):
            sql(node, "INSERT INTO t (who, i) VALUES " + ", ".join([f"({who}, -1)"] * 20))
        sql(node, "COMMIT")

    at_once(*(lambda who=who, node=node: inserts(who, node) for who, node in enumerate(own)))
    equal(on_each_node("SELECT COUNT(*), COUNT(DISTINCT id) FROM t"), ((4 * 1750, 4 * 1750),))
    equal(on_each_node("SELECT who, COUNT(*) FROM t WHERE i = -1 GROUP BY who ORDER BY who")[3], (3, 1000))
    for node in own:
        node.close()


@scenario
def ddl_from_two_nodes(a, b, c):
    """18, galera_toi_ddl_nonconflicting, _sequential, _locking: ALTERs from two nodes at once all take effect."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)")

    def alters(node, prefix):
        for i in range(8):
            try_until_done(node, f"ALTER TABLE t ADD COLUMN {prefix}{i} INT DEFAULT {i}")

    def inserts():
        for i in range(100, 140):
            try_until_done(c, f"INSERT INTO t (id) VALUES ({i})")

    at_once(lambda: alters(a, "a"), lambda: alters(b, "b"), inserts)
    names = {row[0] for row in on_each_node("SHOW COLUMNS FROM t")}
    equal(names, {"id"} | {f"{prefix}{i}" for prefix in "ab" for i in range(8)})
    equal(on_each_node("SELECT COUNT(*), SUM(a7), SUM(b3) FROM t"), ((42, 7 * 42, 3 * 42),))
    # The same column from two nodes: one has it, the other is told that it is there.
    numbers = at_once(*(lambda node=node: error(node, "ALTER TABLE t ADD COLUMN z INT") for node in (a, b)))
    equal(sorted(numbers, key=str), [1060, None])
    # An index that is made while rows come has them all.
    more = [f"INSERT INTO t (id, a0) VALUES ({i}, {i})" for i in range(200, 260)]
    at_once(lambda: sql(a, "CREATE INDEX by_a0 ON t (a0)"), lambda: [try_until_done(b, text) for text in more])
    equal(on_each_node("SELECT COUNT(*) FROM t FORCE INDEX (by_a0) WHERE a0 >= 200"), ((60,),))


@scenario
def ddl_against_dml_on_fk_tables(a, b, c):
    """19, galera_ddl_fk_conflict, galera_toi_ddl_fk_insert: DDL on parent or child: the open transaction gets 1213."""
    sql(a, "CREATE TABLE p (id INT PRIMARY KEY)", "INSERT INTO p VALUES (1)")
    sql(a, "CREATE TABLE ch (id INT PRIMARY KEY, p INT, CONSTRAINT k FOREIGN KEY (p) REFERENCES p (id))")
    for ddl in (
        "ALTER TABLE p ADD COLUMN z INT",
        "ALTER TABLE ch ADD COLUMN z INT",
        "CREATE INDEX by_z ON ch (z)",
        "ALTER TABLE ch DROP FOREIGN KEY k",
        "ALTER TABLE ch ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE",
    ):
        sql(b, "BEGIN", "INSERT INTO ch (id, p) VALUES (1, 1)")
        sql(a, ddl)
        fails(LOST, b, "COMMIT")
        equal(on_each_node("SELECT COUNT(*) FROM ch"), ((0,),))
    sql(b, "INSERT INTO ch (id, p) VALUES (1, 1)")
    sql(c, "DELETE FROM p")
    equal(on_each_node("SELECT COUNT(*) FROM ch"), ((0,),))


@scenario
def truncate_against_open_transactions(a, b, c):
    """20, galera_toi_truncate, galera_truncate: who wrote before a TRUNCATE of another node and commits after loses."""
    sql(a, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    for text in ("UPDATE t SET v = v + 1", "INSERT INTO t (v) VALUES (5)", "DELETE FROM t"):
        sql(a, "INSERT INTO t (v) VALUES (1), (2), (3)")
        sql(b, "BEGIN", text)
        sql(c, "TRUNCATE TABLE t")
        fails(LOST, b, "COMMIT")
        equal(on_each_node("SELECT COUNT(*) FROM t"), ((0,),))
    # Ids begin anew with the table.
    sql(a, "INSERT INTO t (v) VALUES (1)")
    equal(on_each_node("SELECT id FROM t"), ((1,),))


@scenario
def failing_ddl(a, b, c):
    """21, galera_toi_vote, GCF-363, PXC-4336: DDL that fails fails alike on every node, and nobody leaves."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT, s VARCHAR(9))", "INSERT INTO t VALUES (1, 1, 'a'), (2, 1, 'b')")
    seen = [status(node, "wsrep_cluster_conf_id") for node in (a, b, c)]
    for text, number in (
        ("ALTER TABLE t ADD UNIQUE KEY by_v (v)", DUPLICATE),
        ("ALTER TABLE t MODIFY s INT NOT NULL", 1366),
        ("ALTER TABLE t DROP COLUMN nosuch", 1091),
        ("ALTER TABLE t DROP INDEX nosuch", 1091),
        ("ALTER TABLE t ADD COLUMN v INT", 1060),
        ("CREATE TABLE t (id INT)", 1050),
        ("DROP TABLE nosuch", 1051),
        ("ALTER TABLE nosuch ADD COLUMN v INT", 1146),
    ):
        for node in (a, b, c):
            fails(number, node, text)
    equal([status(node, "wsrep_cluster_conf_id") for node in (a, b, c)], seen)
    equal(on_each_node("SELECT * FROM t ORDER BY id"), ((1, 1, "a"), (2, 1, "b")))


@scenario
def one_table_from_three_nodes(a, b, c):
    """22, galera_concurrent_ctas, without its SELECT: one CREATE TABLE on three nodes at once; one makes it."""
    for i in range(10):
        text = f"CREATE TABLE t{i} (id INT PRIMARY KEY)"
        numbers = at_once(*(lambda node=node: error(node, text) for node in (a, b, c)))
        equal(sorted(numbers, key=str), [1050, 1050, None])
    text = "CREATE TABLE IF NOT EXISTS again (id INT PRIMARY KEY)"
    equal(at_once(*(lambda node=node: error(node, text) for node in (a, b, c))), [None, None, None])
    fails(NOT_SUPPORTED, a, "CREATE TABLE copy AS SELECT * FROM again")
    equal(tables(), ["again"] + [f"t{i}" for i in range(10)])


@scenario
def rename_and_drop(a, b, c):
    """23, rename, galera_drop_multi: a table goes on under its new name; several are dropped at once; no swap."""
    sql(a, "CREATE TABLE x (id INT PRIMARY KEY)", "CREATE TABLE y (id INT PRIMARY KEY)", "INSERT INTO x VALUES (1)")
    sql(b, "BEGIN", "INSERT INTO x VALUES (2)")
    sql(a, "RENAME TABLE x TO z")
    fails(LOST, b, "COMMIT")
    for node in (a, b, c):
        fails(1146, node, "SELECT * FROM x")
    equal(on_each_node("SELECT * FROM z"), ((1,),))
    fails(1050, c, "RENAME TABLE z TO y")
    fails(NOT_SUPPORTED, a, "RENAME TABLE z TO w, y TO z, w TO y")
    sql(c, "BEGIN", "INSERT INTO y VALUES (2)")
    sql(b, "DROP TABLE y, z")
    fails(LOST, c, "COMMIT")
    equal(tables(), [])


@scenario
def rolling_schema_changes_are_refused(a, b, c):
    """24, galera_rsu_simple, galera_rsu_add_pk: no schema change on one node alone: a clear refusal."""
    sql(a, "CREATE TABLE t (id INT)", "INSERT INTO t VALUES (1), (2)")
    fails(NOT_SUPPORTED, a, "SET SESSION wsrep_OSU_method = 'RSU'")
    fails(NOT_SUPPORTED, a, "SET SESSION wsrep_on = OFF")
    equal(sql(a, "SELECT @@wsrep_osu_method, @@wsrep_on"), (("TOI", 1),))
    sql(a, "ALTER TABLE t ADD PRIMARY KEY (id)")
    fails(DUPLICATE, c, "INSERT INTO t VALUES (2)")


@scenario
def no_primary_key(a, b, c):
    """25, galera_nopk_*, galera_nonPK_and_PA, galera_many_tables_nopk: tables without a key are equal on all nodes."""
    for i in range(5):
        sql(a, f"CREATE TABLE t{i} (v INT, s VARCHAR(9), KEY (v))")

    def work(node, first):
        for i in range(30):
            name = f"t{(first + i) % 5}"
            try_until_done(node, f"INSERT INTO {name} VALUES (1, 'x'), (1, 'x'), ({i}, NULL)")
            try_until_done(node, f"UPDATE {name} SET v = v + 100 WHERE v = 1 LIMIT 1")
            try_until_done(node, f"DELETE FROM {name} WHERE v = {i} LIMIT 1")

    at_once(lambda: work(a, 0), lambda: work(b, 2), lambda: work(c, 4))
    # Each round brings three rows and takes one, if there is one: its own third if no other.
    total = sum(on_each_node(f"SELECT COUNT(*) FROM t{i}")[0][0] for i in range(5))
    equal(total, 3 * 30 * 2)
    sql(a, "DELETE FROM t0", "INSERT INTO t0 VALUES (1, 'a'), (1, 'a')")
    sql(b, "BEGIN", "SELECT s FROM t0", "UPDATE t0 SET s = 'b'")
    sql(c, "UPDATE t0 SET s = 'c' LIMIT 1")
    fails(LOST, b, "COMMIT")
    equal(on_each_node("SELECT s FROM t0 ORDER BY s"), (("a",), ("c",)))


@scenario
def many_rows(a, b, c):
    """26, galera_many_rows: a transaction of 20,000 rows is there whole or not at all, and loses whole."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT, KEY (v))")
    chunks = [", ".join(f"({i}, {i % 7})" for i in range(first, first + 1000)) for first in range(0, 20000, 1000)]
    fill = [f"INSERT INTO t VALUES {chunk}" for chunk in chunks]
    sql(a, "BEGIN", *fill)
    equal(sql(b, "SELECT COUNT(*) FROM t"), ((0,),))
    sql(a, "ROLLBACK")
    equal(on_each_node("SELECT COUNT(*) FROM t"), ((0,),))
    sql(a, "BEGIN", *fill)
    sql(b, "INSERT INTO t VALUES (19999, 0)")
    fails(LOST, a, "COMMIT")
    equal(on_each_node("SELECT * FROM t"), ((19999, 0),))
    sql(a, "DELETE FROM t", "BEGIN", *fill, "COMMIT")
    equal(on_each_node("SELECT COUNT(*), SUM(id) FROM t"), ((20000, sum(range(20000))),))
    equal(sql(b, "UPDATE t SET v = 100 WHERE v < 3"), 8572)
    equal(sql(c, "DELETE FROM t WHERE v = 100"), 8572)
    equal(on_each_node("SELECT COUNT(*) FROM t FORCE INDEX (v) WHERE v > 2"), ((20000 - 8572,),))


@scenario
def status_and_variables(a, b, c):
    """+, galera_status_*, galera_defaults, wsrep/variables: they are there, and count what this node did."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY)")
    expected = {
        "wsrep_ready": "ON", "wsrep_connected": "ON", "wsrep_cluster_status": "Primary", "wsrep_cluster_size": "3",
        "wsrep_local_state": "4", "wsrep_local_state_comment": "Synced", "wsrep_cluster_weight": "3",
    }
    for i, node in enumerate((a, b, c)):
        got = dict(sql(node, "SHOW GLOBAL STATUS LIKE 'wsrep\\_%'"))
        equal({name: got.get(name) for name in expected}, expected)
        equal(got["wsrep_local_index"], str(i))
        equal(got["wsrep_cluster_state_uuid"], got["wsrep_local_state_uuid"])
    commits = [int(status(node, "wsrep_local_commits")) for node in (a, b, c)]
    for i in range(10):
        sql(b, f"INSERT INTO t VALUES ({i})")
    equal([int(status(node, "wsrep_local_commits")) for node in (a, b, c)], [commits[0], commits[1] + 10, commits[2]])
    equal(sql(a, "SELECT @@wsrep_on, @@wsrep_sync_wait, @@wsrep_osu_method"), ((1, 0, "TOI"),))


@scenario
def status_moves(a, b, c):
    """+, galera_status_*: each row that can move does, by what it is about."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 0), (2, 0)")

    def moves(node, name, do, by=None):
        before = int(status(node, name))
        do()
        moved = int(status(node, name)) - before
        if moved <= 0 or by not in (None, moved):
            raise AssertionError(f"{name} moved by {moved}, expected {by or 'more than 0'}")

    def write(node):
        return lambda: sql(node, "UPDATE t SET v = v + 1, id = 2 WHERE id = 2")

    for name in ("wsrep_replicated", "wsrep_local_commits"):
        moves(a, name, write(a), 1)
    moves(a, "wsrep_replicated_bytes", write(a))
    moves(b, "wsrep_last_committed", write(b))
    for name in ("wsrep_received", "wsrep_received_bytes"):
        seen = int(status(c, name))
        sql(a, "UPDATE t SET v = v + 1, id = 2 WHERE id = 2")
        until(f"{name} at another node", lambda: None if int(status(c, name)) > seen else "as before")

    def lose():
        sql(a, "BEGIN", "SELECT v FROM t WHERE id = 1", "UPDATE t SET v = 5 WHERE id = 1")
        sql(b, "UPDATE t SET v = v + 1 WHERE id = 1")
        fails(LOST, a, "COMMIT")

    def replay():
        sql(a, "BEGIN", "UPDATE t SET v = v + 1 WHERE id = 1")
        sql(b, "UPDATE t SET v = v + 1 WHERE id = 1")
        sql(a, "COMMIT")

    moves(a, "wsrep_local_cert_failures", lose, 1)
    moves(a, "wsrep_local_replays", replay, 1)
    others = []
    moves(b, "wsrep_open_connections", lambda: others.append(connect(2)), 1)
    moves(b, "wsrep_open_transactions", lambda: sql(others[0], "BEGIN", "SELECT v FROM t"), 1)
    equal(sql(others[0], "ROLLBACK"), 0)
    equal(status(b, "wsrep_open_transactions"), "0")
    others[0].close()
    until("the connection is gone", lambda: None if status(b, "wsrep_open_connections") == "1" else "still there")

    # Queues: what waits for a verdict here, and what is ordered and not applied yet. A wide write makes both long
    # enough to be looked at.
    sql(c, "CREATE TABLE wide (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200))")
    sql(c, "INSERT INTO wide (v) VALUES " + ", ".join(["('x')"] * 5000))
    watching = [connect(3), connect(1)]
    for name, watcher in zip(("wsrep_local_send_queue", "wsrep_local_recv_queue"), watching):
        seen, done = [], threading.Event()

        def watch():
            while not done.is_set() and not any(seen):
                seen.append(int(status(watcher, name)))

        def work():
            end = time.monotonic() + WAIT_MAX_S
            while not any(seen) and time.monotonic() < end:
                sql(c, "UPDATE wide SET v = CONCAT(LEFT(v, 100), 'y')")
            done.set()

        at_once(watch, work)
        if not any(seen):
            raise AssertionError(f"{name} was never above 0")


@scenario
def sync_wait_upto(a, b, c):
    """7, galera_sync_wait_upto: values, errors, time-out and wake-up of the functions of GTIDs."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    written = sql(a, "SELECT WSREP_LAST_WRITTEN_GTID()")[0][0]
    cluster, seqno = written.rsplit(":", 1)
    equal(cluster, status(a, "wsrep_cluster_state_uuid"))
    equal(sql(c, "SELECT WSREP_LAST_WRITTEN_GTID()")[0][0], "00000000-0000-0000-0000-000000000000:-1")
    equal(sql(b, f"SELECT WSREP_SYNC_WAIT_UPTO_GTID('{written}')"), ((1,),))
    assert int(sql(b, "SELECT WSREP_LAST_SEEN_GTID()")[0][0].rsplit(":", 1)[1]) >= int(seqno)
    ahead = f"{cluster}:{int(seqno) + 5}"
    fails(1205, b, f"SELECT WSREP_SYNC_WAIT_UPTO_GTID('{ahead}', 0.2)")
    for wrong, number in [("NULL", 1210), ("'1-2-3'", 1941), (f"'{written},{written}'", 1210)]:
        fails(number, b, f"SELECT WSREP_SYNC_WAIT_UPTO_GTID({wrong})")
    woken = at_once(
        lambda: sql(b, f"SELECT WSREP_SYNC_WAIT_UPTO_GTID('{ahead}', {WAIT_MAX_S})"),
        lambda: [sql(a, f"INSERT INTO t VALUES ({i})") for i in range(10, 20)],
    )
    equal(woken[0], ((1,),))
    equal(sql(a, "SELECT WSREP_TRX_STATUS('1-100000001-999999')"), (("unknown",),))


@scenario
def named_locks(a, b, c):
    """+, galera_bf_abort_get_lock, stricter: GET_LOCK holds in the whole cluster, and is gone with its connection."""
    sql(a, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 0)")
    equal(sql(a, "SELECT GET_LOCK('job', 0)"), ((1,),))
    equal(sql(b, "SELECT GET_LOCK('job', 0.1)"), ((0,),))
    # A connection's number is of its node's class, as ids are, so nobody but the holder takes the lock for his.
    equal([sql(node, "SELECT CONNECTION_ID() % 3")[0][0] for node in (a, b, c)], [1, 2, 0])
    mine = "SELECT IS_USED_LOCK('JOB') = CONNECTION_ID()"
    equal([sql(node, mine) for node in (a, b, c)], [((1,),), ((0,),), ((0,),)])
    equal(sql(c, "SELECT RELEASE_LOCK('job')"), ((0,),))
    waited = at_once(
        lambda: sql(b, f"SELECT GET_LOCK('job', {WAIT_MAX_S})"),
        lambda: sql(a, "DO RELEASE_LOCK('job')"),
    )
    equal(waited[0], ((1,),))
    # Whoever goes away leaves his locks.
    waiting = connect(1)
    gone = at_once(lambda: sql(waiting, f"SELECT GET_LOCK('job', {WAIT_MAX_S})"), b.close)
    equal(gone[0], ((1,),))
    waiting.close()

    # What is read and written in two transactions under the lock is not lost, on whichever nodes.
    def work(node):
        for _ in range(20):
            equal(sql(node, f"SELECT GET_LOCK('row', {WAIT_MAX_S})"), ((1,),))
            v = sql(node, "SELECT v FROM t WHERE id = 1")[0][0]
            sql(node, f"UPDATE t SET v = {v + 1} WHERE id = 1")
            equal(sql(node, "SELECT RELEASE_LOCK('row')"), ((1,),))

    nodes = [connect(node) for node in (1, 2, 3)]
    at_once(*(lambda node=node: work(node) for node in nodes))
    equal(on_each_node("SELECT v FROM t"), ((60,),))
    for node in nodes:
        node.close()


main()
