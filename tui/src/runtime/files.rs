//! Files of the person's and of ours, an editor, and the daemon that is started. All of it waits, so none of it runs in the loop.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use loopsy_shared::{paths::DataDir, text::inert};
use serde_json::Value;

/// The longest file that is read or written.
const MOST: u64 = 64 << 20;
/// The longest state that is read.
const MOST_STATE: u64 = 1 << 20;
/// Lines of a program's output that are worth telling.
const LAST: usize = 3;

/// A path as a person writes it.
fn path_of(text: &str) -> io::Result<PathBuf> {
    let text = text.trim();
    match text.strip_prefix("~/") {
        Some(rest) => Ok(loopsy_shared::paths::home()?.join(rest)),
        None => Ok(PathBuf::from(text)),
    }
}

fn told(error: &io::Error) -> String {
    inert(&error.to_string()).into_owned()
}

/// Writes a new file that only this user can read: its length. One that exists is left alone.
///
/// # Errors
/// Why it was not written, for people.
pub(crate) fn write(path: &str, content: &[u8]) -> Result<usize, String> {
    if content.len() as u64 > MOST {
        return Err(format!("it would have more than {}.", loopsy_shared::text::bytes(MOST)));
    }
    let path = path_of(path).map_err(|error| told(&error))?;
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err("a file of this name exists. Choose another name.".to_owned()),
        Err(error) => return Err(told(&error)),
    };
    file.write_all(content).map_err(|error| {
        let _half = fs::remove_file(&path);
        told(&error)
    })?;
    Ok(content.len())
}

/// Reads a text.
///
/// # Errors
/// Why it cannot be had, for people.
pub(crate) fn read(path: &str) -> Result<String, String> {
    let shown = inert(path).into_owned();
    let path = path_of(path).map_err(|error| told(&error))?;
    let meta = fs::metadata(&path).map_err(|error| format!("`{shown}` cannot be read: {}.", told(&error)))?;
    if !meta.is_file() {
        return Err(format!("`{shown}` is no file."));
    }
    let bytes = bounded(&path, MOST).map_err(|error| format!("`{shown}` cannot be read: {}.", told(&error)))?;
    let bytes = bytes.ok_or_else(|| format!("`{shown}` has more than {}.", loopsy_shared::text::bytes(MOST)))?;
    String::from_utf8(bytes).map_err(|_| format!("`{shown}` is no text (UTF-8)."))
}

/// The content; none when there is more of it.
fn bounded(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// Opens `$VISUAL`, `$EDITOR` or `vi` on a text, in a file that only this user can read. None when nothing was changed.
///
/// # Errors
/// A sentence for people.
pub(crate) fn edit(text: &str) -> Result<Option<String>, String> {
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty())).unwrap_or_else(|| "vi".to_owned());
    edit_with(&editor, text)
}

fn edit_with(editor: &str, text: &str) -> Result<Option<String>, String> {
    let broken = |error: io::Error| format!("The text cannot be edited: {}.", told(&error));
    let mut file = tempfile::Builder::new().prefix("loopsy-").suffix(".txt").tempfile().map_err(broken)?;
    file.write_all(text.as_bytes()).map_err(broken)?;
    // As git does it: the variable may hold arguments too.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file.path()).status().map_err(broken)?;
    if !status.success() {
        return Err("The editor ended with an error; the text is as it was.".to_owned());
    }
    // Many editors put a new file in the place of the old one.
    let bytes = bounded(file.path(), MOST).map_err(broken)?.ok_or_else(|| "What you left is too long; the text is as it was.".to_owned())?;
    let changed = String::from_utf8(bytes).map_err(|_| "What you left is no text (UTF-8); the text is as it was.".to_owned())?;
    // Editors end the last line.
    let changed = if text.ends_with('\n') { changed } else { changed.strip_suffix('\n').map_or(changed.clone(), str::to_owned) };
    Ok((changed != text).then_some(changed))
}

/// Where the state is remembered.
fn state_path(dir: &DataDir) -> PathBuf {
    dir.path().join("tui-state.json")
}

/// What was remembered; none when nothing was.
///
/// # Errors
/// A sentence for people when it cannot be understood.
pub(crate) fn state(dir: &DataDir) -> Result<Option<Value>, String> {
    let path = state_path(dir);
    let broken = |why: String| format!("What was remembered of the last time is not used: `{}` {why}.", path.display());
    match bounded(&path, MOST_STATE) {
        Ok(Some(bytes)) => serde_json::from_slice(&bytes).map(Some).map_err(|error| broken(format!("is broken ({error})"))),
        Ok(None) => Err(broken("is too long".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(broken(format!("cannot be read ({})", told(&error)))),
    }
}

/// Remembers the state, if there is a data directory to do it in.
///
/// # Errors
/// As writing a file.
pub(crate) fn save(dir: &DataDir, state: &Value) -> io::Result<()> {
    if !dir.config().exists() {
        return Ok(());
    }
    // Made with 0600, and put in place when it is whole.
    let mut file = tempfile::Builder::new().prefix(".tui-state-").tempfile_in(dir.path())?;
    file.write_all(state.to_string().as_bytes())?;
    file.persist(state_path(dir)).map(drop).map_err(|error| error.error)
}

/// Starts the local daemon, after making a data directory if there is none.
///
/// # Errors
/// What the program said, for people.
pub(crate) fn start_daemon(program: &Path, dir: &DataDir) -> Result<(), String> {
    if !dir.config().exists() {
        ours(program, dir, "init")?;
    }
    ours(program, dir, "start")
}

fn ours(program: &Path, dir: &DataDir, command: &str) -> Result<(), String> {
    let broken = |error: io::Error| format!("`loopsy {command}` cannot be run: {}.", told(&error));
    // A file and no pipe: the daemon that is started may keep what it was given.
    let output = tempfile::tempfile().map_err(broken)?;
    let status = Command::new(program)
        .arg("--data-dir")
        .arg(dir.path())
        .arg(command)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(broken)?)
        .stderr(output.try_clone().map_err(broken)?)
        .status()
        .map_err(broken)?;
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    let _none = io::Seek::rewind(&mut &output).and_then(|()| (&output).take(64 << 10).read_to_end(&mut said));
    Err(format!("`loopsy {command}` failed: {}", last_lines(&String::from_utf8_lossy(&said))))
}

/// The last lines, as one that drives nothing.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default().join(" ");
    if last.is_empty() { "it said nothing.".to_owned() } else { inert(&last).into_owned() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_exists_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.json");
        let name = path.to_str().unwrap();
        assert_eq!(write(name, b"one"), Ok(3));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write(name, b"two").unwrap_err().contains("exists"));
        assert_eq!(read(name).unwrap(), "one");
        fs::write(&path, [0xff]).unwrap();
        assert!(read(name).unwrap_err().contains("no text"));
        assert!(read(dir.path().to_str().unwrap()).unwrap_err().contains("is no file"));
    }

    #[test]
    fn the_state_is_private_and_a_broken_one_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path()).unwrap();
        save(&dir, &Value::from(1)).unwrap();
        assert_eq!(state(&dir), Ok(None), "nothing is written where no node is");
        fs::write(dir.config(), "").unwrap();
        save(&dir, &serde_json::json!({"tab": "peers"})).unwrap();
        assert_eq!(state(&dir).unwrap().unwrap()["tab"], "peers");
        assert_eq!(fs::metadata(state_path(&dir)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(state_path(&dir), "{").unwrap();
        assert!(state(&dir).unwrap_err().contains("is broken"));
    }

    #[test]
    fn an_editor_changes_a_text_or_nothing() {
        assert_eq!(edit_with("true", "as it was"), Ok(None));
        assert_eq!(edit_with("printf 'new\\n' >", "old"), Ok(Some("new".to_owned())));
        assert!(edit_with("false", "x").unwrap_err().contains("as it was"));
        assert_eq!(edit_with("f() { test $(stat -c %a \"$1\") = 600; }; f", "x"), Ok(None), "nobody else can read it");
    }

    #[test]
    fn what_a_program_said_last_is_one_inert_line() {
        assert_eq!(last_lines("a\n\n b\nc\x1b[2J\n d \n"), "b c\\u{1b}[2J d");
        assert_eq!(last_lines(" \n"), "it said nothing.");
    }
}
