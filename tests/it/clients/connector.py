# Connector/Python: prepared statements in binary, a reset, another user on the same connection.
import datetime
import decimal
import mysql.connector

one = mysql.connector.connect(
    host="127.0.0.1", port=PORT1, user="plait", password="plait", database="shop", use_pure=True
)
cursor = one.cursor()
cursor.execute("CREATE TABLE c (id INT PRIMARY KEY, n VARCHAR(20), d DECIMAL(9,3), at DATETIME, f DOUBLE, s SMALLINT)")
cursor = one.cursor(prepared=True)
row = (1, "é", decimal.Decimal("-1.500"), datetime.datetime(2024, 2, 29, 1, 2, 3), 1.25, -7)
cursor.execute("INSERT INTO c VALUES (%s, %s, %s, %s, %s, %s)", row)
cursor.execute("INSERT INTO c VALUES (%s, %s, %s, %s, %s, %s)", (2, None, None, None, None, None))
one.commit()
cursor.execute("SELECT id, n, d, at, f, s FROM c WHERE id >= %s ORDER BY id LIMIT %s", (1, 5))
got = cursor.fetchall()
assert got == [row, (2, None, None, None, None, None)], got
cursor.close()
one.cmd_reset_connection()
one.cmd_change_user("plait", "plait", "shop")
cursor = one.cursor()
cursor.execute("SELECT COUNT(*) FROM c")
assert cursor.fetchall() == [(2,)]
print("all is well")
