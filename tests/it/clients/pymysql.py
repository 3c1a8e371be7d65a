# PyMySQL: two nodes, a transaction, the types, an error by its number. PORT1..PORT3 stand above.
import datetime
import decimal
import pymysql


def connect(port):
    return pymysql.connect(host="127.0.0.1", port=port, user="plait", password="plait", database="shop")


one, two = connect(PORT1), connect(PORT2)
with one.cursor() as cursor:
    cursor.execute(
        "CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, n VARCHAR(20) UNIQUE, d DECIMAL(9,3), "
        "at DATETIME(6), day DATE, f DOUBLE, big BIGINT UNSIGNED, b VARBINARY(10))"
    )
    row = ("é", decimal.Decimal("1.500"), datetime.datetime(2024, 2, 29, 1, 2, 3, 4), datetime.date(2024, 2, 29))
    row += (1.25, 2**64 - 1, b"\x00\xff")
    cursor.execute("INSERT INTO p (n, d, at, day, f, big, b) VALUES (%s, %s, %s, %s, %s, %s, _binary %s)", row)
    first = cursor.lastrowid
    assert first % 3 == 1, first
one.commit()
with two.cursor() as cursor:
    cursor.execute("SELECT n, d, at, day, f, big, b FROM p WHERE id = %s", (first,))
    got = cursor.fetchone()
    assert got == row, got
    try:
        cursor.execute("INSERT INTO p (n) VALUES ('é')")
        raise SystemExit("a unique value was taken twice")
    except pymysql.err.IntegrityError as error:
        assert error.args[0] == 1062, error
    cursor.executemany("INSERT INTO p (n) VALUES (%s)", [("a",), ("b",)])
two.rollback()
with one.cursor(pymysql.cursors.DictCursor) as cursor:
    cursor.execute("SELECT COUNT(*) AS n FROM p")
    assert cursor.fetchone() == {"n": 1}
print("all is well")
