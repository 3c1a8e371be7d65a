//! Which entry of the log ended this node's process, so that none is tried a third time (DESIGN law 18).
//!
//! A panic of the ordered apply ends the process, and each start would come to the same entry. The file `ended-by`
//! has one line an end: the build and the entry. Another build tries anew: it may be the one that can apply it.

use plait_base::{Digest, Index};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

const FILE: &str = "ended-by";
const TIMES_MAX: usize = 2;

/// Names the build that runs: a digest of its executable.
fn build() -> io::Result<String> {
    let bytes = fs::read(std::env::current_exe()?)?;
    Ok(Digest::of(&[&bytes]).to_string())
}

/// Notes, durably, that applying this entry ended the process.
pub fn note(dir: &Path, index: u64) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(dir.join(FILE))?;
    writeln!(file, "{} {index}", build()?)?;
    file.sync_all()?;
    fs::File::open(dir)?.sync_all()
}

/// The entry that ended this build's process twice in a row.
pub fn refused(dir: &Path) -> io::Result<Option<Index>> {
    match fs::read_to_string(dir.join(FILE)) {
        Ok(text) => Ok(twice(&text, &build()?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn twice(text: &str, build: &str) -> Option<Index> {
    let ends = text.lines().filter_map(|line| line.split_once(' ')).filter(|(by, _)| *by == build);
    let last: Vec<&str> = ends.map(|(_, index)| index).rev().take(TIMES_MAX).collect();
    let same = last.len() == TIMES_MAX && last.iter().all(|index| *index == last[0]);
    if same { last[0].parse().ok().map(Index) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn twice_in_a_row_by_one_build_is_enough() {
        assert_eq!(twice("", "b"), None);
        assert_eq!(twice("b 7\n", "b"), None);
        assert_eq!(twice("b 7\nb 7\n", "b"), Some(Index(7)));
        assert_eq!(twice("b 7\nb 9\n", "b"), None, "it came past the first");
        assert_eq!(twice("a 7\nb 7\n", "b"), None, "another build may have been wrong in another way");
        assert_eq!(twice("b 7\nb 7\na 7\n", "a"), None, "a new build tries anew");
        assert_eq!(twice("b 7\nb 7\na 7\n", "b"), Some(Index(7)));
    }

    #[test]
    fn what_is_noted_is_found() {
        let scratch = Scratch::new("ended");
        assert_eq!(refused(scratch.path()).unwrap(), None);
        note(scratch.path(), 12).unwrap();
        assert_eq!(refused(scratch.path()).unwrap(), None);
        note(scratch.path(), 12).unwrap();
        assert_eq!(refused(scratch.path()).unwrap(), Some(Index(12)));
    }
}
