//! Between the client protocol's messages and the store's words.

use plait_base::Outcome;
use plait_proto::client::v1 as wire;
use plait_replica::Request as Ask;
use plait_store::{Change, Error, Isolation, Reply, Request, Step, StepResult, Value};

/// What a message asks of a session; `Err` says what it lacks.
pub fn request(kind: wire::request::Kind) -> Result<Ask, Error> {
    use wire::request::Kind;
    Ok(Ask::Store(match kind {
        Kind::Begin(begin) => Request::Begin { isolation: isolation(begin.isolation)? },
        Kind::Run(run) => Request::Run(steps(run.steps)?),
        Kind::Commit(_) => Request::Commit,
        Kind::Rollback(_) => Request::Rollback,
        Kind::Script(script) => return self::script(script),
        Kind::Sql(text) => Request::Sql { text, multi: false },
    }))
}

pub fn script(script: wire::Script) -> Result<Ask, Error> {
    let isolation = isolation(script.isolation)?;
    Ok(Ask::Store(Request::Script { isolation, steps: steps(script.steps)? }))
}

fn misuse(why: impl Into<String>) -> Error {
    Error::Misuse { why: why.into() }
}

fn isolation(number: i32) -> Result<Isolation, Error> {
    match wire::Isolation::try_from(number) {
        Ok(wire::Isolation::RepeatableRead) => Ok(Isolation::RepeatableRead),
        Ok(wire::Isolation::ReadCommitted) => Ok(Isolation::ReadCommitted),
        Ok(wire::Isolation::Serializable) => Ok(Isolation::Serializable),
        Err(_) => Err(misuse(format!("isolation {number} is unknown; name 0, 1 or 2"))),
    }
}

fn steps(steps: Vec<wire::Step>) -> Result<Vec<Step>, Error> {
    steps.into_iter().map(step).collect()
}

fn step(step: wire::Step) -> Result<Step, Error> {
    use wire::step::Kind;
    let row = |row: Option<wire::Row>| values(row.unwrap_or_default().values);
    Ok(match step.kind.ok_or_else(|| misuse("a step says nothing"))? {
        Kind::Get(s) => Step::Get { table: s.table, key: values(s.key)?, lock: s.lock },
        Kind::Scan(s) => Step::Scan {
            table: s.table,
            from: values(s.from)?,
            to: values(s.to)?,
            limit: s.limit,
            lock: s.lock,
        },
        Kind::Insert(s) => Step::Insert { table: s.table, row: row(s.row)? },
        Kind::Put(s) => Step::Put { table: s.table, row: row(s.row)? },
        Kind::Update(s) => {
            let set = s.set.into_iter().map(change).collect::<Result<_, _>>()?;
            Step::Update { table: s.table, key: values(s.key)?, set }
        }
        Kind::Delete(s) => Step::Delete { table: s.table, key: values(s.key)? },
        Kind::Check(s) => Step::Check {
            table: s.table,
            key: values(s.key)?,
            column: s.column,
            least: s.least,
            most: s.most,
        },
    })
}

fn change(change: wire::Change) -> Result<(String, Change), Error> {
    let kind = match change.kind {
        Some(wire::change::Kind::To(to)) => Change::To(value(to)?),
        Some(wire::change::Kind::Add(n)) => Change::Add(n),
        None => return Err(misuse(format!("the change of {} says nothing", change.column))),
    };
    Ok((change.column, kind))
}

fn values(values: Vec<wire::Value>) -> Result<Vec<Value>, Error> {
    values.into_iter().map(value).collect()
}

fn value(value: wire::Value) -> Result<Value, Error> {
    use wire::value::Kind;
    match value.kind {
        Some(Kind::Null(_)) => Ok(Value::Null),
        Some(Kind::Int(n)) => Ok(Value::Int(n)),
        Some(Kind::Text(text)) => Ok(Value::Text(text)),
        Some(Kind::Bytes(bytes)) => Ok(Value::Bytes(bytes.into())),
        None => Err(misuse("a value says nothing; NULL is `null`")),
    }
}

/// The answer to a request.
pub fn reply(id: u64, answer: Result<Reply, Error>) -> wire::Reply {
    match answer {
        Ok(reply) => wire::Reply {
            id,
            outcome: wire::Outcome::Yes.into(),
            error: None,
            results: reply.results.into_iter().map(result).collect(),
            seqno: reply.seqno.map_or(0, |seqno| seqno.0),
        },
        Err(error) => refused(id, error),
    }
}

fn refused(id: u64, error: Error) -> wire::Reply {
    let outcome = match error.outcome() {
        Outcome::Yes => unreachable!("an error is no yes"),
        Outcome::No => wire::Outcome::No,
        Outcome::Unknown => wire::Outcome::Unknown,
    };
    let (code, state) = error.code();
    let told = wire::Error {
        code: code.into(),
        sqlstate: state.to_owned(),
        message: error.to_string(),
        retry: error.retry(),
    };
    let before = match error {
        Error::After { done, .. } => done,
        _ => Vec::new(),
    };
    let results = before.into_iter().map(result).collect();
    wire::Reply { id, outcome: outcome.into(), error: Some(told), results, seqno: 0 }
}

fn result(result: StepResult) -> wire::Result {
    match result {
        StepResult::Rows(rows) => wire::Result {
            columns: rows.columns.into_iter().map(|column| column.name).collect(),
            rows: rows
                .rows
                .values()
                .into_iter()
                .map(|row| wire::Row { values: row.into_iter().map(told).collect() })
                .collect(),
            affected: 0,
            insert_id: 0,
        },
        StepResult::Done(done) => wire::Result {
            columns: Vec::new(),
            rows: Vec::new(),
            affected: done.affected,
            insert_id: done.insert_id,
        },
    }
}

fn told(value: Value) -> wire::Value {
    use wire::value::Kind;
    let kind = match value {
        Value::Null => Kind::Null(true),
        Value::Int(n) => Kind::Int(n),
        Value::UInt(_) | Value::Dec(_) | Value::Double(_) => Kind::Text(value.to_string()),
        Value::Text(text) => Kind::Text(text),
        Value::Bytes(bytes) => Kind::Bytes(bytes.into()),
    };
    wire::Value { kind: Some(kind) }
}
