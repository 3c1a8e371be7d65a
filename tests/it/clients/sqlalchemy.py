# SQLAlchemy: makes tables, joins them, asks what is there.
import datetime
import decimal
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, Mapped

engine = sa.create_engine(f"mysql+pymysql://plait:plait@127.0.0.1:{PORT1}/shop")


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "sa_user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    age: Mapped[int | None] = mapped_column(index=True)


class Order(Base):
    __tablename__ = "sa_order"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(index=True)
    total: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    made: Mapped[datetime.datetime] = mapped_column(sa.DateTime)
    paid: Mapped[bool] = mapped_column(default=False)


Base.metadata.create_all(engine)
Base.metadata.create_all(engine)
made = datetime.datetime(2024, 1, 2, 3, 4, 5)
with Session(engine) as session:
    ann, bob = User(name="ann", age=3), User(name="bob", age=None)
    session.add_all([ann, bob])
    session.flush()
    session.add(Order(user_id=ann.id, total=decimal.Decimal("12.50"), made=made, paid=True))
    with session.begin_nested():
        session.add(Order(user_id=ann.id, total=decimal.Decimal("0.50"), made=made))
    session.commit()
with Session(engine) as session:
    sums = sa.select(User.name, sa.func.count(Order.id), sa.func.sum(Order.total))
    sums = sums.outerjoin(Order, Order.user_id == User.id).group_by(User.id).order_by(User.name)
    got = [tuple(row) for row in session.execute(sums)]
    assert got == [("ann", 2, decimal.Decimal("13.00")), ("bob", 0, None)], got
    rich = sa.select(User.name).where(User.id.in_(sa.select(Order.user_id).where(Order.total > 10)))
    assert session.scalars(rich).all() == ["ann"]
    without = sa.select(User.name).where(~sa.exists().where(Order.user_id == User.id))
    assert session.scalars(without).all() == ["bob"]
    order = session.scalars(sa.select(Order).where(Order.paid)).one()
    assert (order.total, order.made) == (decimal.Decimal("12.50"), made)
inspector = sa.inspect(engine)
assert {"sa_order", "sa_user"} <= set(inspector.get_table_names())
columns = {column["name"]: column for column in inspector.get_columns("sa_order")}
assert str(columns["total"]["type"]) == "DECIMAL(10, 2)" and not columns["total"]["nullable"]
assert {index["name"] for index in inspector.get_indexes("sa_user")} == {"name", "ix_sa_user_age"}
assert inspector.get_pk_constraint("sa_user")["constrained_columns"] == ["id"]
assert inspector.get_foreign_keys("sa_order") == []
Base.metadata.drop_all(engine)
print("all is well")
