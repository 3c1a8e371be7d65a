//! What became of an ordered operation, the same on every node; kept so that a second copy of a proposal is
//! answered with the first verdict.

use crate::error::Error;
use plait_base::codec::{self, Reader, Writer};
use plait_base::{Bytes, Seqno};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It happened, at this position. A reservation gives the ids `first..=last` in steps of three; an addition
    /// whether its row was there (`first`) and changed (`last`); for anything else both are 0.
    Done { seqno: Seqno, first: i64, last: i64 },
    /// It changed nothing and never will.
    Refused(Error),
}

impl Verdict {
    pub fn done(seqno: Seqno) -> Verdict {
        Verdict::Done { seqno, first: 0, last: 0 }
    }

    pub fn encode(&self) -> Bytes {
        let mut w = Writer::with_capacity(32);
        match self {
            Verdict::Done { seqno, first, last } => w.u8(0).varint(seqno.0).i64(*first).i64(*last),
            Verdict::Refused(error) => match error {
                Error::Conflict { table, key, read_at, winner } => {
                    w.u8(1).str(table).str(key).varint(read_at.0).varint(winner.0)
                }
                Error::TooOld { read_at, horizon } => w.u8(2).varint(read_at.0).varint(horizon.0),
                Error::SchemaChanged { table } => w.u8(3).str(table),
                Error::DuplicateKey { table, index, key } => w.u8(4).str(table).str(index).str(key),
                Error::NoTable { table } => w.u8(5).str(table),
                Error::TableExists { table } => w.u8(6).str(table),
                Error::Misuse { why } => w.u8(7).str(why),
                Error::Internal { why } => w.u8(8).str(why),
                Error::Cells { code, why } => w.u8(9).u16(*code).str(why),
                Error::OutOfRange { column } => w.u8(10).str(column),
                Error::Check { table, name } => w.u8(11).str(table).str(name),
                other => unreachable!("apply does not refuse with '{other}'"),
            },
        };
        w.finish()
    }

    /// What the hash chain takes in: all but the words of an explanation, which may be better in another build.
    pub(crate) fn chained(&self) -> Bytes {
        match self {
            Verdict::Refused(Error::Misuse { .. }) => Bytes::from_static(&[7]),
            Verdict::Refused(Error::Internal { .. }) => Bytes::from_static(&[8]),
            Verdict::Refused(Error::Cells { code, .. }) => {
                Bytes::copy_from_slice(&[9, (code >> 8) as u8, *code as u8])
            }
            _ => self.encode(),
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Verdict, codec::Error> {
        let mut r = Reader::new(bytes);
        let text = |r: &mut Reader<'_>| r.str("a refusal").map(str::to_owned);
        let verdict = match r.u8()? {
            0 => Verdict::Done { seqno: Seqno(r.varint()?), first: r.i64()?, last: r.i64()? },
            tag => Verdict::Refused(match tag {
                1 => Error::Conflict {
                    table: text(&mut r)?,
                    key: text(&mut r)?,
                    read_at: Seqno(r.varint()?),
                    winner: Seqno(r.varint()?),
                },
                2 => Error::TooOld { read_at: Seqno(r.varint()?), horizon: Seqno(r.varint()?) },
                3 => Error::SchemaChanged { table: text(&mut r)? },
                4 => Error::DuplicateKey { table: text(&mut r)?, index: text(&mut r)?, key: text(&mut r)? },
                5 => Error::NoTable { table: text(&mut r)? },
                6 => Error::TableExists { table: text(&mut r)? },
                7 => Error::Misuse { why: text(&mut r)? },
                8 => Error::Internal { why: text(&mut r)? },
                9 => Error::Cells { code: r.u16()?, why: text(&mut r)? },
                10 => Error::OutOfRange { column: text(&mut r)? },
                11 => Error::Check { table: text(&mut r)?, name: text(&mut r)? },
                tag => return Err(codec::Error::Tag { what: "a verdict", tag: tag.into() }),
            }),
        };
        r.end()?;
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_comes_back() {
        let (table, key) = ("t".to_owned(), "1-é".to_owned());
        for verdict in [
            Verdict::Done { seqno: Seqno(1 << 40), first: -4, last: i64::MAX },
            Verdict::Refused(Error::Check { table: table.clone(), name: key.clone() }),
            Verdict::Refused(Error::Conflict {
                table: table.clone(),
                key: key.clone(),
                read_at: Seqno(5),
                winner: Seqno(300),
            }),
            Verdict::Refused(Error::TooOld { read_at: Seqno(1), horizon: Seqno(2) }),
            Verdict::Refused(Error::SchemaChanged { table: table.clone() }),
            Verdict::Refused(Error::DuplicateKey { table: table.clone(), index: "PRIMARY".into(), key }),
            Verdict::Refused(Error::Cells { code: 1406, why: "Data too long".into() }),
            Verdict::Refused(Error::OutOfRange { column: "n".into() }),
            Verdict::Refused(Error::NoTable { table: table.clone() }),
            Verdict::Refused(Error::TableExists { table }),
            Verdict::Refused(Error::Misuse { why: "m".into() }),
            Verdict::Refused(Error::Internal { why: "i".into() }),
        ] {
            assert_eq!(Verdict::decode(&verdict.encode()), Ok(verdict.clone()));
            let cut = verdict.encode().len() - 1;
            assert!(Verdict::decode(&verdict.encode()[..cut]).is_err());
        }
    }
}
