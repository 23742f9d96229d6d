//! A change to a file as a person reads it: a unified diff against what is on disk now.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::Duration,
};

use loopsy_shared::text::{bytes, inert};
use similar::TextDiff;

/// Bytes of a file that are read; a larger one is not compared.
const MOST_READ: u64 = 1 << 20;
/// Bytes of a diff that are kept.
pub(crate) const MOST_DIFF: usize = 200 << 10;
/// How long two texts are compared; past this the diff is correct and longer than it had to be.
const MOST_TIME: Duration = Duration::from_millis(500);

/// A file as it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OnDisk {
    /// Nothing is there.
    Nothing,
    /// A text.
    Text(String),
    /// What cannot be compared, and why.
    Other(String),
}

/// Reads a file, if it is one. Never waits for a pipe or device.
pub(crate) fn on_disk(path: &Path) -> OnDisk {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return OnDisk::Nothing,
        Err(error) => return OnDisk::Other(format!("it cannot be read: {error}")),
    };
    if !meta.is_file() {
        return OnDisk::Other("it is no regular file".to_owned());
    }
    let mut content = Vec::new();
    match File::open(path).and_then(|file| file.take(MOST_READ + 1).read_to_end(&mut content)) {
        Err(error) => OnDisk::Other(format!("it cannot be read: {error}")),
        Ok(_) if content.len() as u64 > MOST_READ => OnDisk::Other(format!("it has {}", bytes(meta.len()))),
        Ok(_) => match String::from_utf8(content) {
            Ok(text) if !text.contains('\0') => OnDisk::Text(text),
            _ => OnDisk::Other("it is no text".to_owned()),
        },
    }
}

/// A unified diff with three lines of context.
pub(crate) fn unified(path: &str, before: &str, after: &str) -> String {
    if after.len() as u64 > MOST_READ || after.contains('\0') {
        return format!("`{}` gets {} that cannot be compared.\n", inert(path), bytes(after.len() as u64));
    }
    let name = inert(path);
    let diff = TextDiff::configure().timeout(MOST_TIME).diff_lines(before, after);
    let old = if before.is_empty() { "/dev/null" } else { &*name };
    diff.unified_diff().context_radius(3).header(old, &name).to_string()
}

/// A diff that came as such, with the file's name above it.
pub(crate) fn given(path: &str, diff: &str) -> String {
    let end = if diff.ends_with('\n') { "" } else { "\n" };
    if diff.starts_with("--- ") || diff.starts_with("diff ") || diff.starts_with("Index: ") {
        return format!("{diff}{end}");
    }
    let name = inert(path);
    format!("--- {name}\n+++ {name}\n{diff}{end}")
}

/// What is kept of it, at a line's end, with a note where that is not all.
pub(crate) fn capped(mut diff: String) -> String {
    if diff.len() > MOST_DIFF {
        let all = diff.len();
        let mut end = MOST_DIFF;
        while !diff.is_char_boundary(end) {
            end -= 1;
        }
        diff.truncate(diff[..end].rfind('\n').map_or(end, |at| at + 1));
        diff.push_str(&format!("\\ The first {} of {} are shown.\n", bytes(diff.len() as u64), bytes(all as u64)));
    }
    diff
}

/// Lines that are added and removed.
pub(crate) fn counts(diff: &str) -> (usize, usize) {
    let lines = |mark: &str, header: &str| diff.lines().filter(|line| line.starts_with(mark) && !line.starts_with(header)).count();
    (lines("+", "+++ "), lines("-", "--- "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_three_lines_around_it() {
        let before: String = (0..20).map(|n| format!("{n}\n")).collect();
        let diff = unified("a.txt", &before, &before.replace("10\n", "ten\n"));
        assert_eq!(diff, "--- a.txt\n+++ a.txt\n@@ -8,7 +8,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n");
        assert_eq!(counts(&diff), (1, 1));
        assert!(unified("a", "", "x\n").starts_with("--- /dev/null\n+++ a\n"));
    }

    #[test]
    fn large_and_strange_files_are_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("f");
        assert_eq!(on_disk(&path), OnDisk::Nothing);
        fs::write(&path, b"a\0b").expect("writes");
        assert_eq!(on_disk(&path), OnDisk::Other("it is no text".to_owned()));
        fs::write(&path, vec![b'a'; 2 << 20]).expect("writes");
        assert_eq!(on_disk(&path), OnDisk::Other("it has 2.0 MiB".to_owned()));
        assert_eq!(on_disk(dir.path()), OnDisk::Other("it is no regular file".to_owned()));
        assert_eq!(on_disk(Path::new("/dev/zero")), OnDisk::Other("it is no regular file".to_owned()));
        let diff = capped(unified("a", "", &"ä long line\n".repeat(50_000)));
        assert!(diff.len() < MOST_DIFF + 100 && diff.contains("\\ The first 200"), "{}", &diff[diff.len() - 60..]);
    }
}
