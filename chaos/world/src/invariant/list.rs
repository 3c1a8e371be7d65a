//! A list that transactions append to only grows: each read is the beginning of every longer one, shows what was
//! acknowledged before it began, each number once, and none that was refused.
//!
//! Why it must hold: an append reads the list and writes it longer, so two that missed one another would each drop
//! what the other wrote; and a read at a node that is behind, or of a state that is not of the order, shows a list that
//! is no beginning of the others.

use std::collections::BTreeSet;

#[derive(Debug, Default, Clone)]
struct List {
    /// The longest that was read.
    longest: Vec<u64>,
    acknowledged: BTreeSet<u64>,
    refused: BTreeSet<u64>,
    /// In the order in which they were acknowledged.
    order: Vec<u64>,
}

#[derive(Debug)]
pub struct Lists(Vec<List>);

impl Lists {
    pub fn new(n: usize) -> Lists {
        Lists(vec![List::default(); n])
    }

    /// How many appends were acknowledged so far: a read that begins now shows those.
    pub fn acknowledged(&self, key: usize) -> usize {
        self.0[key].order.len()
    }

    pub fn yes(&mut self, key: usize, number: u64) {
        self.0[key].acknowledged.insert(number);
        self.0[key].order.push(number);
    }

    pub fn no(&mut self, key: usize, number: u64) {
        self.0[key].refused.insert(number);
    }

    /// A list as it was read; `None`: it is none.
    pub fn read(&mut self, key: usize, seen: Option<Vec<u64>>, floor: usize) -> Result<(), String> {
        let list = &mut self.0[key];
        let seen = seen.ok_or("what was read is no list")?;
        let common = seen.len().min(list.longest.len());
        if seen[..common] != list.longest[..common] {
            return Err(format!("{seen:?} and {:?} were read, and neither begins the other", list.longest));
        }
        let numbers: BTreeSet<u64> = seen.iter().copied().collect();
        if numbers.len() < seen.len() {
            return Err(format!("{seen:?} has a number twice"));
        }
        if let Some(number) = list.order[..floor].iter().find(|number| !numbers.contains(number)) {
            return Err(format!("{seen:?} lacks {number}, which was acknowledged before the read began"));
        }
        if let Some(number) = numbers.iter().find(|number| list.refused.contains(number)) {
            return Err(format!("{seen:?} has {number}, which was refused"));
        }
        if seen.len() > list.longest.len() {
            list.longest = seen;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_only_grows_is_well_and_no_other() {
        let mut lists = Lists::new(1);
        lists.yes(0, 3);
        lists.no(0, 9);
        let read = |lists: &mut Lists, seen: &[u64], floor| lists.read(0, Some(seen.to_vec()), floor);
        read(&mut lists, &[], 0).unwrap();
        read(&mut lists, &[3, 5], 1).unwrap();
        read(&mut lists, &[3], 1).unwrap();
        assert!(read(&mut lists, &[], 1).unwrap_err().contains("lacks 3"));
        assert!(read(&mut lists, &[5, 3], 1).unwrap_err().contains("neither"));
        assert!(read(&mut lists, &[3, 5, 3], 1).unwrap_err().contains("twice"));
        assert!(read(&mut lists, &[3, 5, 9], 1).unwrap_err().contains("refused"));
        assert!(lists.read(0, None, 1).is_err());
    }
}
