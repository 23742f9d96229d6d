//! In tmux, which is a terminal of its own: it starts, takes keys, and leaves a usable pane.

use std::process::Command;

use super::Stage;
use crate::support::{netns::skip, until};

/// A server that nobody else uses; ended when dropped.
struct Tmux {
    socket: std::path::PathBuf,
}

impl Tmux {
    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(["-f", "/dev/null"]).args(args).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        let done = command.output().unwrap();
        assert!(done.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn sees(&self, text: &str) -> String {
        until(&format!("`{text}` in the pane"), || Some(self.run(&["capture-pane", "-p"])).filter(|pane| pane.contains(text)))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _gone = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

#[test]
fn it_lives_in_a_pane_of_tmux() {
    if Command::new("tmux").arg("-V").output().is_err() {
        skip("a pane of tmux", "LOOPSY_TEST_TMUX", "there is no `tmux` here");
        return;
    }
    let stage = Stage::typical();
    let tmux = Tmux { socket: stage.home.root().join("tmux") };
    let shell = format!(
        "env -i HOME={} LOOPSY_DATA_DIR={} LANG=C.UTF-8 PATH=/usr/bin:/bin TERM=$TERM TMUX=$TMUX TZ='{}' PS1='ready> ' bash --norc --noprofile -i",
        stage.home.home().display(),
        stage.home.data().display(),
        stage.moment.zone()
    );
    tmux.run(&["new-session", "-d", "-x", "100", "-y", "30", &shell]);
    tmux.sees("ready>");
    tmux.run(&["send-keys", &format!("{} tui", env!("CARGO_BIN_EXE_loopsy")), "Enter"]);
    tmux.sees("studio-mac");
    tmux.run(&["send-keys", "3"]);
    tmux.sees("build/sha");
    tmux.run(&["resize-window", "-x", "80", "-y", "24"]);
    tmux.sees("5 Tasks");
    tmux.run(&["send-keys", "!"]);
    tmux.sees("REVIEW");
    // What tmux pastes is a paste.
    tmux.run(&["set-buffer", "a"]);
    tmux.run(&["paste-buffer", "-p"]);
    tmux.run(&["send-keys", "Escape"]);
    until("the review to close", || (!tmux.run(&["capture-pane", "-p"]).contains("REVIEW")).then_some(()));
    tmux.run(&["send-keys", "Q"]);
    tmux.run(&["send-keys", "echo $((6 * 7)) again", "Enter"]);
    tmux.sees("42 again");
    assert_eq!(tmux.run(&["display-message", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}"]).trim(), "0 0 1");
    assert_eq!(stage.fleet.decisions().len(), 0);
}
