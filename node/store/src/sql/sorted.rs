//! Rows in the order that was asked for.
//!
//! Intuition: a hand of cards is sorted in one go; of a whole deck each card is put into its place as it comes, so that
//! no long step waits at the end.
//! Invariant: rows come out by their keys, and those of equal keys as they came; if each key is to come once, with the
//! row that came first. So it does not show whether it was a hand or a deck.

use super::rows::Kept;
use crate::error::Error;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::mem;

/// Rows of a hand, and bytes of their keys and cells; what is more is a deck.
const HAND_MAX: usize = 1024;
const HAND_BYTES_MAX: usize = 256 << 10;

/// Rows for which room is made when a second one comes, and of how many bytes, at most.
const SECOND: usize = 64;

/// A row of the hand: where its key and its cells begin. They end where those of the next one begin.
#[derive(Debug, Clone, Copy)]
struct Card {
    /// The first bytes of the key, which mostly decide.
    head: u64,
    key: (u32, u32),
    row: (u32, u32),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Sorted {
    /// Each key comes once.
    pub(super) once: bool,
    /// Rows that are asked for, at most; `None`: all.
    pub(super) most: Option<u64>,
    hand: Vec<Card>,
    keys: Vec<u8>,
    rows: Vec<u8>,
    /// The hand is sorted, and so many of its rows came out.
    dealt: Option<usize>,
    /// By key and number.
    deck: BTreeMap<(Vec<u8>, u64), Vec<u8>>,
    count: u64,
    /// The row that came out of the deck last.
    last: Vec<u8>,
}

impl Sorted {
    /// Takes in a row, as the bytes of its cells, which it puts behind each other.
    pub(super) fn put<'c>(
        &mut self,
        key: &[u8],
        cells: impl IntoIterator<Item = &'c [u8]>,
        kept: &mut Kept,
    ) -> Result<(), Error> {
        if self.hand.len() == 1 {
            // Where there are two rows there are mostly more.
            self.hand.reserve(SECOND);
            self.keys.reserve(SECOND * key.len().min(SECOND));
            self.rows.reserve(SECOND * self.rows.len().min(SECOND));
        }
        let (key_begin, row_begin) = (self.keys.len() as u32, self.rows.len() as u32);
        self.keys.extend_from_slice(key);
        cells.into_iter().for_each(|cell| self.rows.extend_from_slice(cell));
        let (key_end, row_end) = (self.keys.len() as u32, self.rows.len() as u32);
        let card = Card { head: head(key), key: (key_begin, key_end), row: (row_begin, row_end) };
        self.hand.push(card);
        let full = self.hand.len() == HAND_MAX || self.keys.len() + self.rows.len() > HAND_BYTES_MAX;
        if !full && self.deck.is_empty() {
            return Ok(());
        }
        for card in mem::take(&mut self.hand) {
            let (key, row) = (slice(&self.keys, card.key).to_vec(), slice(&self.rows, card.row).to_vec());
            self.place(key, row, kept)?;
        }
        self.keys.clear();
        self.rows.clear();
        Ok(())
    }

    fn place(&mut self, key: Vec<u8>, row: Vec<u8>, kept: &mut Kept) -> Result<(), Error> {
        self.count += 1;
        // All that have one key have one place, if it is to come once.
        let number = if self.once { 0 } else { self.count };
        if let Entry::Vacant(vacant) = self.deck.entry((key, number)) {
            kept.packed(row.len())?;
            vacant.insert(row);
        }
        if self.most.is_some_and(|most| self.deck.len() as u64 > most)
            && let Some((_, last)) = self.deck.pop_last()
        {
            kept.gone(last.len());
        }
        Ok(())
    }

    /// The next row in order, when all are there.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let Sorted { hand, keys, rows, dealt, deck, last, once, .. } = self;
        if !deck.is_empty() || hand.is_empty() {
            *last = deck.pop_first()?.1;
            return Some(last);
        }
        let key = |card: &Card| slice(keys, card.key);
        let at = dealt.get_or_insert_with(|| {
            // A row that came later stands farther back.
            hand.sort_unstable_by(|a, b| {
                a.head.cmp(&b.head).then_with(|| key(a).cmp(key(b))).then_with(|| a.row.0.cmp(&b.row.0))
            });
            0
        });
        while *once && *at > 0 && *at < hand.len() && key(&hand[*at]) == key(&hand[*at - 1]) {
            *at += 1;
        }
        let card = hand.get(*at)?;
        *at += 1;
        Some(slice(rows, card.row))
    }
}

fn slice(bytes: &[u8], (begin, end): (u32, u32)) -> &[u8] {
    &bytes[begin as usize..end as usize]
}

/// The first bytes of a key, as a number in the same order.
fn head(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All that comes out of rows with these keys, each row its number.
    fn sorted(keys: &[Vec<u8>], once: bool, most: Option<u64>) -> Vec<Vec<u8>> {
        let (mut sorted, mut kept) = (Sorted { once, most, ..Sorted::default() }, Kept::default());
        for (n, key) in keys.iter().enumerate() {
            sorted.put(key, [&(n as u32).to_be_bytes()[..]], &mut kept).expect("there is room");
        }
        let mut out = Vec::new();
        while let Some(row) = sorted.next() {
            out.push(row.to_vec());
        }
        assert!(sorted.next().is_none());
        out.truncate(most.map_or(usize::MAX, |most| most as usize));
        out
    }

    fn expected(keys: &[Vec<u8>], once: bool, most: Option<u64>) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = keys.iter().enumerate().collect();
        all.sort_by_key(|(_, key)| *key);
        if once {
            all.dedup_by_key(|(_, key)| *key);
        }
        let rows = all.into_iter().map(|(n, _)| (n as u32).to_be_bytes().to_vec());
        rows.take(most.map_or(usize::MAX, |most| most as usize)).collect()
    }

    proptest! {
        #[test]
        fn a_hand_and_a_deck_come_out_alike(
            // Keys end as those of texts do, so that none begins another.
            keys in proptest::collection::vec("[a-c]{0,12}".prop_map(|text| [text.as_bytes(), &[0, 1]].concat()), 0..40),
            times in prop_oneof![Just(1_usize), Just(60)],
            once: bool,
            most in proptest::option::of(0..50_u64),
        ) {
            let keys: Vec<_> = std::iter::repeat_n(keys, times).flatten().collect();
            prop_assert_eq!(sorted(&keys, once, most), expected(&keys, once, most));
        }
    }
}
