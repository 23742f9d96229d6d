//! The same questions on a real terminal: what a person sees and types.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use super::{invite, place};
use crate::support::{Home, TestDaemon, until};

/// `loopsy pair ADDRESS` below a pseudo-terminal of util-linux's `script`.
fn on_a_terminal(home: &Home, args: &[&str]) -> Option<Command> {
    let script = ["/usr/bin/script", "/bin/script"].into_iter().find(|path| std::path::Path::new(path).exists())?;
    let plain = home.command(args);
    let line: Vec<String> = std::iter::once(plain.get_program()).chain(plain.get_args()).map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut command = Command::new(script);
    command.args(["-qefc", &line.join(" "), "/dev/null"]).env_clear().env("TERM", "xterm").current_dir(home.home());
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Some(command)
}

#[test]
fn a_person_types_and_compares() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let Some(mut command) = on_a_terminal(&kai.home, &["pair", &place(&leo)]) else {
        std::io::Write::write_all(&mut std::io::stderr(), b"!!!! SKIPPED: there is no `script` (util-linux) here, so nothing was tried on a terminal\n")
            .unwrap();
        return;
    };
    let (mut waiting, code) = invite(&leo, &[]);
    let mut child = command.spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let screen = Arc::new(Mutex::new(String::new()));
    let reader = {
        let (screen, mut out) = (Arc::clone(&screen), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(read @ 1..) = out.read(&mut bytes) {
                screen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        })
    };
    let shows = |text: &str| until(text, || screen.lock().unwrap().contains(text).then_some(()));
    shows("Invite code that the other machine shows: ");
    // A yes in advance is no answer to a question that was not asked yet.
    write!(keyboard, "{code}\ny\n").unwrap();
    waiting.event("sas");
    shows("Are the digits the same on both screens? [y/N] ");
    assert!(child.try_wait().unwrap().is_none(), "it did not wait for the answer");
    writeln!(keyboard, "y").unwrap();
    shows("You said yes.");
    shows("Waiting, ");
    waiting.say("y");
    let status = until("its end", || child.try_wait().unwrap());
    reader.join().unwrap();
    let seen = screen.lock().unwrap().clone();
    assert!(status.success(), "{seen}");
    assert!(seen.contains("SAS: ") && seen.contains("Paired with"), "{seen}");
    waiting.end().ok();
}
