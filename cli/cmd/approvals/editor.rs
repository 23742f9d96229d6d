//! An input, changed by a person in the editor of their choice.

use std::{io::Write, process::Command};

use serde_json::Value;

/// Opens `$VISUAL`, `$EDITOR` or `vi` on the input as JSON, in a file that only this user can read, and gives what is in it afterwards.
///
/// # Errors
/// A sentence for people.
pub(super) async fn edit(input: &Value) -> Result<Value, String> {
    let text = serde_json::to_string_pretty(input).map_err(|e| format!("The input has no JSON form: {e}."))?;
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty())).unwrap_or_else(|| "vi".to_owned());
    let waited = tokio::task::spawn_blocking(move || {
        let broken = |e: std::io::Error| format!("The input cannot be edited: {e}.");
        let mut file = tempfile::Builder::new().prefix("loopsy-").suffix(".json").tempfile().map_err(broken)?;
        file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(broken)?;
        // As git does it: the variable may hold arguments too.
        let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file.path()).status().map_err(broken)?;
        if !status.success() {
            return Err("The editor ended with an error; the input is as it was.".to_owned());
        }
        // Many editors put a new file in the place of the old one.
        std::fs::read_to_string(file.path()).map_err(broken)
    });
    let changed = waited.await.map_err(|_| "The editor could not be run.".to_owned())??;
    serde_json::from_str(&changed).map_err(|e| format!("What you left is not JSON ({e}); the input is as it was."))
}
