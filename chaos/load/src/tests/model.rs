//! A store for one session at a time: tables are maps, a rollback takes a copy back. It knows the statements of the
//! workloads and no others.

use crate::{Answer, Got, Rows};
use std::collections::BTreeMap;

/// By primary key, the other column's text.
type Table = BTreeMap<i64, String>;

#[derive(Debug, Clone, Default)]
pub struct Model {
    tables: BTreeMap<String, Table>,
    before: Option<BTreeMap<String, Table>>,
    last_id: i64,
}

fn int(text: &str) -> i64 {
    text.trim().parse().unwrap_or_else(|why| panic!("'{text}': {why}"))
}

/// The words between two others.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no '{from}' in {text}")).1;
    if to.is_empty() { rest } else { rest.split_once(to).unwrap_or_else(|| panic!("no '{to}' in {text}")).0 }
}

impl Model {
    pub fn answer(&mut self, text: &str) -> Answer {
        self.done_or(text).unwrap_or_else(|code| Answer::Refused { code, text: "refused".to_owned() })
    }

    pub fn done(&mut self, text: &str) {
        assert!(matches!(self.answer(text), Answer::Done(_)), "{text}");
    }

    /// What an open transaction did is gone.
    pub fn hang_up(&mut self) {
        if let Some(before) = self.before.take() {
            self.tables = before;
        }
    }

    pub fn sum(&self, table: &str) -> i64 {
        self.tables[table].values().map(|value| int(value)).sum()
    }

    fn table(&mut self, name: &str) -> &mut Table {
        self.tables.get_mut(name).unwrap_or_else(|| panic!("no table {name}"))
    }

    fn done_or(&mut self, text: &str) -> Result<Answer, u16> {
        let words: Vec<&str> = text.split(' ').collect();
        let mut got = Got::default();
        match (words[0], *words.get(1).unwrap_or(&"")) {
            ("SET", _) => {}
            ("START", _) => self.before = Some(self.tables.clone()),
            ("COMMIT", _) => self.before = None,
            ("ROLLBACK", _) => self.hang_up(),
            ("DROP", _) => _ = self.tables.remove(words[4]),
            ("CREATE", _) => _ = self.tables.insert(words[2].to_owned(), Table::new()),
            ("SELECT", "LAST_INSERT_ID()") => got.rows = vec![vec![Some(self.last_id.to_string())]],
            ("SELECT", _) => got.rows = self.select(text),
            ("INSERT", _) => self.insert(text, words[2], &mut got)?,
            ("UPDATE", _) => {
                let (id, set) = (int(between(text, "WHERE id = ", "")), between(text, " = ", " WHERE"));
                if let Some(value) = self.table(words[1]).get_mut(&id) {
                    *value = match set.split_once('+') {
                        Some((_, more)) => (int(value) + int(more)).to_string(),
                        None => set.to_owned(),
                    };
                    got.affected = 1;
                }
            }
            ("DELETE", _) => {
                let id = int(between(text, "WHERE id = ", ""));
                got.affected = self.table(words[2]).remove(&id).is_some().into();
            }
            _ => panic!("the model does not know: {text}"),
        }
        Ok(Answer::Done(got))
    }

    fn select(&mut self, text: &str) -> Rows {
        let text = text.strip_suffix(" FOR UPDATE").unwrap_or(text);
        let text = text.strip_suffix(" ORDER BY id").or(text.strip_suffix(" ORDER BY val")).unwrap_or(text);
        let rest = between(text, "FROM ", "");
        let (name, wanted) = rest.split_once(" WHERE ").unwrap_or((rest, ""));
        let columns: Vec<&str> = between(text, "SELECT ", " FROM").split(", ").collect();
        let holds = |id: i64, value: &str| match wanted {
            "" => true,
            _ if wanted.starts_with("id = ") => id == int(&wanted[5..]),
            _ if wanted.starts_with("id IN") => {
                between(wanted, "(", ")").split(',').any(|one| int(one) == id)
            }
            _ => {
                let (lo, hi) = between(wanted, "BETWEEN ", "").split_once(" AND ").expect("two bounds");
                (int(lo)..=int(hi)).contains(&int(value))
            }
        };
        let rows = self.table(name).iter().filter(|(id, value)| holds(**id, value));
        let cell = |id: i64, value: &str, column: &str| {
            Some(if column == "id" { id.to_string() } else { value.to_owned() })
        };
        rows.map(|(id, value)| columns.iter().map(|column| cell(*id, value, column)).collect()).collect()
    }

    fn insert(&mut self, text: &str, name: &str, got: &mut Got) -> Result<(), u16> {
        let (columns, rest) = (between(text, "(", ")"), between(text, "VALUES ", ""));
        let (rows, on_duplicate) = rest.split_once(" ON DUPLICATE KEY UPDATE val = ").unwrap_or((rest, ""));
        for row in rows.split("), (") {
            let cells: Vec<&str> = row.trim_matches(['(', ')']).split(", ").collect();
            let (id, value) = match columns.contains("id") {
                true => (int(cells[0]), cells[1].trim_matches('\'')),
                false => {
                    self.last_id += 3;
                    got.insert_id = self.last_id as u64;
                    (self.last_id, cells[0])
                }
            };
            let table = self.table(name);
            match table.get_mut(&id) {
                Some(_) if on_duplicate.is_empty() => return Err(1062),
                Some(old) if on_duplicate.starts_with("CONCAT") => *old = format!("{old},{value}"),
                Some(old) => value.clone_into(old),
                None => _ = table.insert(id, value.to_owned()),
            }
            got.affected += 1;
        }
        Ok(())
    }
}
