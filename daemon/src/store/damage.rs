//! Keeps a copy of a damaged file. The file itself stays where it is.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use loopsy_shared::time;

/// What belongs to a database file.
pub(super) const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];

/// The path with something appended to its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Copies `path`, and with it a database's log, to `<path>.corrupt-<millis>`. An equal copy of an earlier start is not made again. `None` when there is no
/// room.
pub(super) fn keep(path: &Path) -> Option<PathBuf> {
    if let Some(known) = earlier(path) {
        return Some(known);
    }
    let copy = beside(path, &format!(".corrupt-{}", time::now()));
    for suffix in COMPANIONS {
        let (from, to) = (beside(path, suffix), beside(&copy, suffix));
        match fs::copy(&from, &to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(from = %from.display(), %error, "no copy of the damaged file could be made");
                for suffix in COMPANIONS {
                    let _absent = fs::remove_file(beside(&copy, suffix));
                }
                return None;
            }
        }
    }
    Some(copy)
}

fn earlier(path: &Path) -> Option<PathBuf> {
    let prefix = format!("{}.corrupt-", path.file_name()?.to_str()?);
    let copies = fs::read_dir(path.parent()?).ok()?.flatten().filter(|entry| {
        let name = entry.file_name();
        name.to_str().and_then(|name| name.strip_prefix(&prefix)).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    copies.map(|entry| entry.path()).find(|copy| ["", "-wal"].iter().all(|suffix| same(&beside(path, suffix), &beside(copy, suffix)).unwrap_or(false)))
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = match (File::open(one), File::open(other)) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(one), Err(other)) => return Ok(one.kind() == io::ErrorKind::NotFound && other.kind() == io::ErrorKind::NotFound),
        _ => return Ok(false),
    };
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one).bytes(), BufReader::new(other).bytes());
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (None, None) => return Ok(true),
            (a, b) if a != b => return Ok(false),
            _ => {}
        }
    }
}
