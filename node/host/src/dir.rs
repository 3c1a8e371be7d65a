//! A node's data directory as a whole: founding it, and making sure that one process alone uses it.

use crate::exit::Exit;
use plait_base::disk;
use std::fs;
use std::io;
use std::path::Path;

/// Why a directory can't be used, and what to do.
pub fn unfit(dir: &Path, error: &io::Error) -> Exit {
    let next = match error.kind() {
        io::ErrorKind::StorageFull => "make room on that disk",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "let this user write there, or name another directory (`data_dir`)"
        }
        _ => "look at that directory and its disk",
    };
    Exit::Environment(format!("the data directory {} can't be used: {error}; {next}", dir.display()))
}

/// Makes the directory if it is not there, and takes its lock. The lock ends with what is returned.
pub fn open(dir: &Path) -> Result<fs::File, Exit> {
    fs::create_dir_all(dir).map_err(|error| unfit(dir, &error))?;
    let path = dir.join("lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| unfit(dir, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Exit::Environment(format!(
            "the data directory {} is in use by another process (it holds {}); end that one first",
            dir.display(),
            path.display()
        ))),
        Err(fs::TryLockError::Error(error)) => Err(unfit(dir, &error)),
    }
}

/// What in a directory says that a node has lived in it.
pub fn traces(dir: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if disk::File::parse(&name).is_some() || name.starts_with("checkpoint-") {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes the identity of a founding member into an empty directory.
pub fn found(dir: &Path, identity: &[u8]) -> Result<(), Exit> {
    let _lock = open(dir)?;
    let traces = traces(dir).map_err(|error| unfit(dir, &error))?;
    if let Some(trace) = traces.first() {
        return Err(Exit::WrongState(format!(
            "{} is not empty (it has {trace}): a member is founded once; wipe the directory to let the slot join anew",
            dir.display()
        )));
    }
    let write = || -> io::Result<()> {
        let (fresh, path) = (dir.join("identity.new"), dir.join(disk::File::Identity.to_string()));
        fs::write(&fresh, identity)?;
        fs::File::open(&fresh)?.sync_all()?;
        fs::rename(&fresh, &path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| unfit(dir, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_directory_is_founded_once() {
        let scratch = Scratch::new("found");
        found(scratch.path(), b"who").unwrap();
        assert_eq!(fs::read(scratch.path().join("identity")).unwrap(), b"who");
        let again = found(scratch.path(), b"other").unwrap_err();
        assert_eq!(again.code(), 6);
        assert_eq!(fs::read(scratch.path().join("identity")).unwrap(), b"who");
    }

    #[test]
    fn one_process_alone_uses_a_directory() {
        let scratch = Scratch::new("lock");
        let lock = open(scratch.path()).unwrap();
        let second = open(scratch.path()).unwrap_err();
        assert_eq!(second.code(), 5);
        assert!(second.to_string().contains("in use"), "{second}");
        drop(lock);
        open(scratch.path()).unwrap();
    }
}
