//! A person's clipboard, wherever they sit: through the terminal, and through a tool of this machine where they sit at it.

use std::{
    ffi::OsStr,
    io::Write,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};

/// The most base64 that goes through a terminal: more is cut silently by many.
pub(crate) const MOST: usize = 100_000;
/// How long a tool may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What stands between us and the person's window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The person sits elsewhere.
    pub(crate) remote: bool,
    /// In tmux, which takes sequences for itself and passes on wrapped ones.
    pub(crate) tmux: bool,
    /// In zellij.
    pub(crate) zellij: bool,
}

impl Surroundings {
    /// As the environment tells.
    pub(crate) fn find() -> Self {
        let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self { remote: has("SSH_CONNECTION") || has("SSH_TTY"), tmux: has("TMUX"), zellij: has("ZELLIJ") }
    }
}

/// The bytes that put a text into the clipboard of whoever sits at the terminal; none when it is too long for that.
pub(crate) fn through_terminal(text: &str, around: Surroundings) -> Option<Vec<u8>> {
    let data = STANDARD.encode(text);
    if data.len() > MOST {
        return None;
    }
    let plain = format!("\x1b]52;c;{data}\x1b\\").into_bytes();
    // tmux keeps the plain one as its own buffer, and may pass it on; the wrapped one goes to the terminal around it.
    let wrapped = around.tmux.then(|| wrap(&plain));
    Some(plain.into_iter().chain(wrapped.into_iter().flatten()).collect())
}

/// As tmux passes things on to the terminal around it: every Esc twice.
pub(crate) fn wrap(bytes: &[u8]) -> Vec<u8> {
    let inner = bytes.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == 0x1b { 2 } else { 1 }));
    b"\x1bPtmux;".iter().copied().chain(inner).chain(*b"\x1b\\").collect()
}

/// The bytes that call a person who looks elsewhere. The text is one line that drives nothing.
pub(crate) fn notification(text: &str, around: Surroundings) -> Vec<u8> {
    if around.zellij {
        return vec![7];
    }
    let text: String = text.chars().map(|c| if loopsy_shared::text::is_active(c) { ' ' } else { c }).take(200).collect();
    // A number and a semicolon in front would be another command for some terminals.
    let note = format!("\x1b]9;Loopsy: {text}\x1b\\").into_bytes();
    let note = if around.tmux { wrap(&note) } else { note };
    [7].into_iter().chain(note).collect()
}

/// The bytes that name the window.
pub(crate) fn title(text: &str) -> Vec<u8> {
    let text: String = text.chars().filter(|c| !loopsy_shared::text::is_active(*c)).take(200).collect();
    format!("\x1b]2;{text}\x1b\\").into_bytes()
}

/// The tool of this machine, if there is one and a clipboard to put things into: program and arguments.
fn tool() -> Option<(&'static str, &'static [&'static str])> {
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let tools: [(bool, &str, &[&str]); 4] = [
        (cfg!(target_os = "macos"), "pbcopy", &[]),
        (has("WAYLAND_DISPLAY"), "wl-copy", &[]),
        (has("DISPLAY"), "xclip", &["-selection", "clipboard"]),
        (has("DISPLAY"), "xsel", &["--clipboard", "--input"]),
    ];
    tools.into_iter().find(|(fits, program, _)| *fits && is_on_path(program)).map(|(_, program, args)| (program, args))
}

fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Puts a text into the clipboard of this machine: with what. Waits, so it is not for the loop.
pub(crate) fn through_tool(text: &str) -> Option<Result<&'static str, String>> {
    let (program, args) = tool()?;
    Some(give(program, args, text).map(|()| program).map_err(|why| format!("`{program}` did not take it: {why}.")))
}

fn give(program: impl AsRef<OsStr>, args: &[&str], text: &str) -> Result<(), String> {
    let mut child =
        Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    }
    end(&mut child)
}

fn end(child: &mut Child) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) if begin.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                let _ended = child.kill().and_then(|()| child.wait());
                return Err("it took too long".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What to tell the person. `tool` is what a tool said, if there was one; `sent` whether the text went to the terminal.
pub(crate) fn told(text: &str, sent: bool, tool: Option<&Result<&'static str, String>>) -> Result<String, String> {
    let lines = text.lines().count();
    let what = if lines > 1 { format!("{lines} lines") } else { format!("{} characters", text.chars().count()) };
    match (tool, sent) {
        (Some(Ok(program)), _) => Ok(format!("Copied {what} (`{program}`).")),
        (_, true) => Ok(format!(
            "Copied {what} through the terminal. If nothing arrives, select it with the mouse (with Shift held where M has the mouse drive Loopsy)."
        )),
        (Some(Err(why)), false) => Err(why.clone()),
        (None, false) => Err(format!("{what} are too many for the terminal's clipboard, which takes about {} KB. Write a file instead.", MOST * 3 / 4 / 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TMUX: Surroundings = Surroundings { remote: true, tmux: true, zellij: false };

    #[test]
    fn a_text_goes_as_osc_52_and_in_tmux_also_wrapped() {
        let plain = through_terminal("hi ü", Surroundings::default()).unwrap();
        assert_eq!(plain, b"\x1b]52;c;aGkgw7w=\x1b\\");
        let both = through_terminal("hi ü", TMUX).unwrap();
        assert_eq!(both, b"\x1b]52;c;aGkgw7w=\x1b\\\x1bPtmux;\x1b\x1b]52;c;aGkgw7w=\x1b\x1b\\\x1b\\");
    }

    #[test]
    fn what_a_terminal_would_cut_is_not_sent_and_the_person_hears_why() {
        let most = "x".repeat(MOST / 4 * 3);
        assert!(through_terminal(&most, TMUX).is_some());
        assert!(through_terminal(&format!("{most}x"), TMUX).is_none());
        assert!(told(&format!("{most}x"), false, None).unwrap_err().contains("75001 characters are too many"));
        assert!(told("a\nb", true, None).unwrap().starts_with("Copied 2 lines through the terminal."));
        assert_eq!(told("a", true, Some(&Ok("xclip"))).unwrap(), "Copied 1 characters (`xclip`).");
    }

    #[test]
    fn a_notification_drives_nothing() {
        let hostile = "x\x1b\\\x1b[2J\x07;\u{202e}\ny";
        let bytes = notification(hostile, Surroundings::default());
        assert_eq!(bytes, b"\x07\x1b]9;Loopsy: x \\ [2J ;  y\x1b\\");
        assert_eq!(notification(hostile, Surroundings { zellij: true, ..TMUX }), [7]);
        assert!(notification("x", TMUX).starts_with(b"\x07\x1bPtmux;\x1b\x1b]9;"));
        assert_eq!(title("a\x07\x1b]b"), b"\x1b]2;a]b\x1b\\");
    }

    #[test]
    fn a_tool_gets_the_whole_text_and_its_failure_is_told() {
        assert_eq!(give("sh", &["-c", "test \"$(cat)\" = 'the text'"], "the text"), Ok(()));
        assert!(give("sh", &["-c", "cat >/dev/null; exit 3"], "x").is_err());
        assert!(give("no-such-program-of-loopsy", &[], "x").is_err());
    }
}
