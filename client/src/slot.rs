//! Nodes as a person names them: `n1`, `n2`, `n3`.

use crate::fail::{Fail, nearest};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One of the three places in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slot(u8);

impl Slot {
    pub const ALL: [Slot; 3] = [Slot(1), Slot(2), Slot(3)];

    pub const fn new(n: u8) -> Option<Slot> {
        if n >= 1 && n <= 3 { Some(Slot(n)) } else { None }
    }

    pub const fn get(self) -> u8 {
        self.0
    }

    /// 0, 1 or 2.
    pub const fn at(self) -> usize {
        self.0 as usize - 1
    }

    pub fn others(self) -> impl Iterator<Item = Slot> {
        Slot::ALL.into_iter().filter(move |other| *other != self)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl FromStr for Slot {
    type Err = Fail;

    fn from_str(text: &str) -> Result<Slot, Fail> {
        let number = text.strip_prefix(['n', 'N']).unwrap_or(text);
        number.parse().ok().and_then(Slot::new).ok_or_else(|| {
            let fail =
                Fail::usage(format!("there is no node '{text}'"), "a cluster has the nodes n1, n2 and n3");
            match nearest(text, ["n1", "n2", "n3"]) {
                Some(near) => fail.next(format!("did you mean {near}?")),
                None => fail.next("name one of n1, n2, n3"),
            }
        })
    }
}

impl TryFrom<String> for Slot {
    type Error = Fail;
    fn try_from(text: String) -> Result<Slot, Fail> {
        text.parse()
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> String {
        slot.to_string()
    }
}
