# Two transactions on two nodes, one after the other at each step: what Galera lets happen, and what Plait refuses.
# PORT1..PORT3 stand above.
import time
import pymysql


def connect(port):
    return pymysql.connect(host="127.0.0.1", port=port, user="plait", password="plait", database="shop")


def rows(connection, text):
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall()


def wait_for(connection, text, expected):
    end = time.monotonic() + 20
    while rows(connection, text) != expected:
        if time.monotonic() > end:
            raise SystemExit(f"{text} did not become {expected}")
        connection.rollback()


def refused(connection, *texts):
    """Whether the last of these, or the commit after it, is refused as a conflict."""
    try:
        for text in texts:
            rows(connection, text)
        connection.commit()
        return False
    except pymysql.err.OperationalError as error:
        assert error.args[0] == 1213, error
        connection.rollback()
        return True


one, two, look = connect(PORT1), connect(PORT2), connect(PORT2)
compat = rows(one, "SHOW VARIABLES LIKE 'galera_compat'")[0][1] == "ON"
rows(one, "CREATE TABLE c (id INT PRIMARY KEY, n INT)")
rows(one, "INSERT INTO c VALUES (1, 10), (2, 10)")
one.commit()
wait_for(look, "SHOW TABLES LIKE 'c'", (("c",),))
wait_for(look, "SELECT COUNT(*) FROM c", ((2,),))

# A lost update: both read 10, both write 11.
for connection in (one, two):
    assert rows(connection, "SELECT n FROM c WHERE id = 1") == ((10,),)
assert not refused(one, "UPDATE c SET n = 11 WHERE id = 1")
wait_for(look, "SELECT n FROM c WHERE id = 1", ((11,),))
# The same value again would be no change.
lost = not refused(two, "UPDATE c SET n = 12 WHERE id = 1")

# Write skew: each reads both rows under lock and empties one.
for connection in (one, two):
    rows(connection, "SELECT n FROM c FOR UPDATE")
assert not refused(one, "UPDATE c SET n = 0 WHERE id = 1")
skewed = not refused(two, "UPDATE c SET n = 0 WHERE id = 2")

assert (lost, skewed) == (compat, compat), (lost, skewed, compat)
print("all is well")
