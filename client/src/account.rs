//! The three nodes' accounts of themselves, asked at the same time and with one deadline.

use crate::admin::Admin;
use crate::ports::{Block, local};
use crate::slot::Slot;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// One node's account, or why there is none.
#[derive(Debug, Clone)]
pub struct Account {
    pub slot: Slot,
    fields: Result<Value, String>,
}

impl Account {
    pub fn answered(&self) -> bool {
        self.fields.is_ok()
    }

    /// Why it did not answer.
    pub fn silence(&self) -> Option<&str> {
        self.fields.as_ref().err().map(String::as_str)
    }

    pub fn json(&self) -> Value {
        match &self.fields {
            Ok(fields) => fields.clone(),
            Err(_) => Value::Null,
        }
    }

    /// A field as text, whatever its kind.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.fields.as_ref().ok()?.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// Whether it takes requests now: it is in a majority, in step, and holds a lease.
    pub fn serves(&self) -> bool {
        self.text("ready").is_some_and(|ready| ready == "true")
    }

    /// Why it does not serve, in its own words or those of the connection.
    pub fn why_not(&self) -> String {
        match &self.fields {
            Err(why) => why.clone(),
            Ok(_) => self
                .text("unready_because")
                .or_else(|| self.text("state"))
                .unwrap_or_else(|| "not in step".into()),
        }
    }

    pub fn leader(&self) -> Option<Slot> {
        self.text("leader")?.parse().ok()
    }

    pub fn leads(&self) -> bool {
        self.leader() == Some(self.slot)
    }

    pub fn lease(&self) -> bool {
        self.text("lease").is_some_and(|lease| matches!(lease.as_str(), "usable" | "true"))
    }
}

/// Asks all three.
pub async fn all(block: Block, deadline: Duration) -> [Account; 3] {
    let one = async |slot: Slot| {
        let asked = async { Admin::connect(local(block.grpc(slot)), deadline).await?.status().await };
        let fields = tokio::time::timeout(deadline, asked)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} ms", deadline.as_millis())));
        Account { slot, fields }
    };
    let [n1, n2, n3] = Slot::ALL;
    let (a, b, c) = tokio::join!(one(n1), one(n2), one(n3));
    [a, b, c]
}

/// Whether the hash chains of those that answered agree wherever two of them stand at the same seqno. `None`: no two
/// did.
pub fn chains_agree(accounts: &[Account; 3]) -> Option<bool> {
    let mut at: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for account in accounts {
        if let (Some(seqno), Some(chain)) = (account.number("seqno"), account.text("chain")) {
            at.entry(seqno).or_default().push(chain);
        }
    }
    let pairs: Vec<&Vec<String>> = at.values().filter(|chains| chains.len() > 1).collect();
    (!pairs.is_empty()).then(|| pairs.iter().all(|chains| chains.iter().all(|chain| *chain == chains[0])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn account(n: u8, fields: Value) -> Account {
        Account { slot: Slot::new(n).expect("a slot"), fields: Ok(fields) }
    }

    #[test]
    fn fields_are_read_as_numbers_or_text() {
        let account =
            account(2, json!({ "ready": true, "term": "7", "seqno": 9, "leader": "n2", "lease": "usable" }));
        assert!(account.serves() && account.leads() && account.lease());
        assert_eq!((account.number("term"), account.number("seqno")), (Some(7), Some(9)));
    }

    #[test]
    fn chains_are_compared_only_at_the_same_seqno() {
        let at = |n, seqno: u64, chain: &str| account(n, json!({ "seqno": seqno, "chain": chain }));
        assert_eq!(chains_agree(&[at(1, 5, "a"), at(2, 5, "a"), at(3, 4, "x")]), Some(true));
        assert_eq!(chains_agree(&[at(1, 5, "a"), at(2, 5, "b"), at(3, 4, "x")]), Some(false));
        assert_eq!(chains_agree(&[at(1, 5, "a"), at(2, 6, "b"), at(3, 4, "x")]), None);
    }
}
