//! A person at a terminal: cards, keys, and what must not count as one.

use std::{
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::Instant,
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::json;

use super::fake::{APPROVAL, Fake, HASH, approval};
use crate::support::{PATIENCE, until};

const OTHER: &str = "99992222-3333-4444-8555-666677778888";

/// A command in a terminal of 100 columns and 30 lines.
struct Person {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<Vec<u8>>>,
    _master: Box<dyn MasterPty + Send>,
}

impl Person {
    fn runs(fake: &Fake, args: &[&str], environment: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 }).unwrap();
        // A shell, which says afterwards how the terminal was left.
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", "trap : INT; \"$@\"; code=$?; echo; stty -a; exit $code", "sh", env!("CARGO_BIN_EXE_loopsy")]);
        command.args(args);
        command.env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", fake.home.home());
        command.env("LOOPSY_DATA_DIR", fake.home.data());
        command.env("TERM", "xterm");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(fake.home.home());
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                kept.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        });
        Self { child, keys: pair.master.take_writer().unwrap(), seen, _master: pair.master }
    }

    fn text(&self) -> String {
        anstream_stripped(&self.seen.lock().unwrap())
    }

    #[track_caller]
    fn sees(&self, text: &str) {
        let begun = Instant::now();
        while !self.text().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "no `{text}` in {}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Presses a key until it has done something: one that comes before the card is ready is thrown away.
    #[track_caller]
    fn presses(&mut self, key: &str, done: impl Fn() -> bool) {
        until("what the key does", || {
            if done() {
                return Some(());
            }
            self.types(key);
            let begun = Instant::now();
            while begun.elapsed().as_millis() < 300 {
                if done() {
                    return Some(());
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            None
        });
    }

    /// The same, until something is seen.
    #[track_caller]
    fn presses_until_seen(&mut self, key: &str, text: &str) {
        let seen = Arc::clone(&self.seen);
        self.presses(key, || anstream_stripped(&seen.lock().unwrap()).contains(text));
    }

    /// The end, with the terminal as it was.
    #[track_caller]
    fn ends(mut self) -> (u32, String) {
        let code = until("the end", || self.child.try_wait().unwrap()).exit_code();
        self.sees("isig");
        let text = self.text();
        for mode in [" icanon", " echo ", "susp = ^Z"] {
            assert!(text.contains(mode), "the terminal was left without `{mode}`: {text}");
        }
        let raw = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
        assert!(raw.rfind("\u{1b}[?2004h") <= raw.rfind("\u{1b}[?2004l"), "pasting is still marked");
        (code, text)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

/// The text without styles.
fn anstream_stripped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.find(|c: char| c.is_ascii_alphabetic()).map_or(after.len(), |end| end + 1);
        rest = after.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn state(fake: &Fake, id: &str) -> String {
    fake.look(|world| world.approvals[id]["state"].as_str().unwrap().to_owned())
}

#[test]
fn a_card_comes_up_in_the_stream_and_a_key_answers_it() {
    let fake = Fake::new();
    fake.event("text", json!("before\n"), Some(1));
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    fake.event("text", json!("meanwhile\n"), Some(2));
    let mut person = Person::runs(&fake, &["task", "run", "fix it"], &[]);
    person.sees("a allow once");
    assert!(person.text().contains("| rm -rf target\n") && person.text().contains("always would keep"), "{}", person.text());
    assert!(!person.text().contains("meanwhile"), "what goes on must not push the card away");
    // Enter never approves, and neither does what is pasted, in whatever pieces.
    person.presses_until_seen("\r", "Enter and Space answer nothing");
    person.presses_until_seen("aa", "Several keys came at once");
    person.types("\u{1b}[200~");
    person.types("a");
    person.types("\u{1b}[201~");
    person.presses_until_seen("y", "`y` is not a key here");
    assert_eq!(state(&fake, APPROVAL), "pending");
    person.presses("a", || state(&fake, APPROVAL) == "allowed");
    person.sees("✓ Bash allowed");
    person.sees("meanwhile");
    let body = fake.look(|world| world.asked.iter().find(|asked| asked.line.starts_with("POST /api/v1/approvals/")).unwrap().body.clone());
    assert_eq!(body, json!({ "sha256": HASH, "decision": "allow" }));
    fake.end("completed");
    let (code, text) = person.ends();
    assert_eq!(code, 0, "{text}");
}

#[test]
fn what_was_typed_before_the_card_is_thrown_away() {
    let fake = Fake::new();
    fake.event("text", json!("working\n"), Some(1));
    let mut person = Person::runs(&fake, &["task", "run", "fix it"], &[]);
    person.sees("working");
    // One key, without Enter: it would come out of the terminal alone.
    person.types("a");
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    person.sees("a allow once");
    // Looked at by another command, more than once: a key that counted would have been sent by then.
    for _ in 0..4 {
        assert!(fake.home.loopsy(&["approvals", "show", "1111"]).ok().text().contains("if nobody answers"), "{}", person.text());
    }
    // A key that counts shows that those before did not.
    person.presses("d", || state(&fake, APPROVAL) == "denied");
    fake.end("completed");
    assert_eq!(person.ends().0, 0);
}

#[test]
fn a_card_that_was_answered_elsewhere_goes_away_and_the_next_one_comes() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "first"));
    fake.ask(&approval(OTHER, "second"));
    let mut person = Person::runs(&fake, &["approvals", "watch"], &[]);
    person.sees("| first");
    assert!(!person.text().contains("| second"), "one at a time");
    fake.home.loopsy(&["approvals", "deny", APPROVAL]).ok();
    person.sees("The question is gone");
    person.sees("| second");
    person.presses_until_seen("D", "Reason:");
    person.types("not this one\r");
    fake.wait("the reason", |world| world.approvals[OTHER]["decision"]["reason"].as_str()?.ends_with("not this one").then_some(()));
    person.types("\u{3}");
    assert_eq!(person.ends().0, 130);
}

#[test]
fn a_question_in_a_run_goes_away_when_it_is_answered_elsewhere_and_ctrl_c_interrupts() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "first"));
    let mut person = Person::runs(&fake, &["task", "run", "fix it"], &[]);
    person.sees("a allow once");
    fake.home.loopsy(&["approvals", "deny", APPROVAL]).ok();
    fake.event("status", json!({ "status": "running", "approvalId": APPROVAL, "approved": false, "decision": "deny", "by": "kai\u{1b}[2J" }), None);
    person.sees("The question is gone: denied by kai\\u{1b}[2J");
    fake.event("text", json!("going on\n"), Some(1));
    person.sees("going on");
    fake.ask(&approval(OTHER, "second"));
    person.sees("| second");
    person.types("\u{3}");
    fake.wait("the interrupt", |world| world.asked.iter().any(|asked| asked.line.ends_with("/interrupt")).then_some(()));
    assert_eq!(state(&fake, OTHER), "pending", "an interrupt answers nothing by itself");
    fake.end("cancelled");
    assert_eq!(person.ends().0, 130);
}

#[test]
fn what_was_answered_before_is_not_asked_again() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    fake.home.loopsy(&["approvals", "deny", APPROVAL]).ok();
    fake.event("text", json!("done\n"), Some(1));
    fake.end("completed");
    let (code, text) = Person::runs(&fake, &["task", "tail", "7f3a"], &[]).ends();
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("done") && !text.contains("allow once"), "{text}");
}

#[test]
fn the_second_of_two_answers_is_told_who_was_first() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    let mut person = Person::runs(&fake, &["task", "run", "fix it"], &[]);
    person.sees("a allow once");
    // The stream does not say it in time: the node does when the answer comes.
    fake.change(|world| world.approvals.get_mut(APPROVAL).unwrap()["state"] = json!("allowed"));
    person.presses_until_seen("a", "answered already: allowed by `kai`");
    fake.end("completed");
    assert_eq!(person.ends().0, 0);
}

#[test]
fn the_input_can_be_changed_in_an_editor() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    let editor = fake.home.write("editor.sh", "#!/bin/sh\nsed -i 's/rm -rf target/cargo clean/' \"$1\"\n");
    let mut person = Person::runs(&fake, &["approvals", "watch"], &[("EDITOR", &format!("sh {}", editor.display()))]);
    person.sees("a allow once");
    person.presses_until_seen("e", "allow the changed input");
    assert_eq!(state(&fake, APPROVAL), "pending");
    person.presses("a", || state(&fake, APPROVAL) == "allowed");
    assert_eq!(fake.look(|world| world.approvals[APPROVAL]["decision"]["input"].clone()), json!({ "command": "cargo clean" }));
    person.types("\u{3}");
    assert_eq!(person.ends().0, 130);
}

#[test]
fn a_yes_on_the_command_line_is_confirmed_by_a_key() {
    let fake = Fake::new();
    fake.ask(&approval(APPROVAL, "rm -rf target"));
    let mut person = Person::runs(&fake, &["approvals", "allow", "1111"], &[]);
    person.sees("y yes, allow it once");
    person.presses_until_seen("\r", "Nothing was answered");
    person.types("n");
    let (code, _) = person.ends();
    assert_eq!((code, state(&fake, APPROVAL).as_str()), (1, "pending"));
    let mut person = Person::runs(&fake, &["approvals", "always", "1111"], &[]);
    person.sees("y yes, allow it and keep the rule");
    person.presses("y", || state(&fake, APPROVAL) == "allowed");
    assert_eq!(person.ends().0, 0);
    assert_eq!(fake.look(|world| world.approvals[APPROVAL]["decision"]["suggestion"].clone()), json!(0));
}
