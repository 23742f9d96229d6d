//! Every way in which a pairing ends without a peer: what is said, the exit code, and that nothing is kept.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use rustix::process::Signal;

use super::{all, another, invite, join, kept, nothing_was_kept, paired, place, up_to_the_question};
use crate::support::{Dialogue, TestDaemon};

#[test]
fn three_wrong_codes_end_the_invite() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let before = (kept(&leo.home), kept(&kai.home));
    let (mut waiting, code) = invite(&leo, &[]);
    for count in 1..=3 {
        join(&kai, &leo, &another(&code)).end().refused(4);
        assert_eq!(waiting.event("wrong-code")["count"], count);
    }
    let outcome = waiting.event("outcome");
    assert_eq!((outcome["end"].as_str(), outcome["code"].as_u64()), (Some("burned"), Some(7004)), "{outcome}");
    let ended = waiting.end();
    assert!(ended.refused(4).contains("loopsy pair"), "{}", ended.err);
    // The right code is of no use any more.
    let late = join(&kai, &leo, &code).end();
    late.refused(if late.err.contains("7004") { 4 } else { 1 });
    nothing_was_kept(&leo, &before.0);
    nothing_was_kept(&kai, &before.1);
}

#[test]
fn nobody_waits_or_nobody_is_there() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let before = kept(&kai.home);
    let none = kai.home.loopsy_with(&["pair", &place(&leo)], "123456\ny\n");
    assert!(none.refused(1).contains("does not wait for anybody") && none.err.contains("loopsy pair"), "{}", none.err);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let down = kai.home.loopsy_with(&["pair", &format!("127.0.0.1:{port}")], "123456\ny\n");
    assert!(down.refused(3).contains("Nothing was kept"), "{}", down.err);
    let itself = {
        let (waiting, code) = invite(&kai, &[]);
        let busy = kai.home.loopsy_with(&["pair", &place(&kai)], format!("{code}\ny\n"));
        assert!(busy.refused(1).contains("under way") && busy.err.contains("--cancel"), "{}", busy.err);
        let second = kai.loopsy(&["pair"]);
        assert!(second.refused(1).contains("under way"), "{}", second.err);
        waiting.signal(Signal::INT);
        waiting.end()
    };
    assert_eq!(itself.code, 130);
    for (typed, code) in [("12345\n", 2), ("abcdef\n", 2), ("\n", 2), ("", 2)] {
        let ran = kai.home.loopsy_with(&["pair", &place(&leo)], typed);
        assert!(ran.refused(code).contains("invite code"), "{typed:?}: {}", ran.err);
    }
    for bad in ["a b", "http://leo/", "leo:0", "[::1"] {
        assert_eq!(kai.loopsy(&["pair", bad]).code, 2, "{bad}");
    }
    nothing_was_kept(&kai, &before);
}

#[test]
fn a_no_on_either_side_keeps_nothing_on_both() {
    // Whoever waits says no; whoever came says no; a yes is followed by a no; the input ends.
    for (waiter, joiner) in [("n", "y"), ("y", "n"), ("", "y"), ("y", "yep")] {
        let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
        let before = (kept(&leo.home), kept(&kai.home));
        let (mut waiting, mut joining) = up_to_the_question(&leo, &kai);
        match waiter {
            "" => waiting.hang_up(),
            word => waiting.say(word),
        }
        joining.say(joiner);
        for mut side in [waiting, joining] {
            let outcome = side.event("outcome");
            assert_eq!(outcome["end"], "rejected", "{waiter:?} {joiner:?}: {outcome}");
            let ended = side.end();
            assert!(ended.refused(4).contains("nothing was kept") || ended.err.contains("Nothing was kept"), "{}", ended.err);
        }
        nothing_was_kept(&leo, &before.0);
        nothing_was_kept(&kai, &before.1);
    }
}

#[test]
fn an_interrupt_cancels_at_any_time() {
    let (leo, kai) = (TestDaemon::new("leo"), TestDaemon::new("kai"));
    let before = (kept(&leo.home), kept(&kai.home));
    for signal in [Signal::INT, Signal::TERM] {
        let (waiting, _) = invite(&leo, &[]);
        waiting.signal(signal);
        let ended = waiting.end();
        assert!(ended.refused(130).contains("nothing was kept"), "{}", ended.err);
        nothing_was_kept(&leo, &before.0);
    }
    // While the person thinks, on either side; the other side hears of it in the middle of its question.
    for waiter_goes in [true, false] {
        let (waiting, joining) = up_to_the_question(&leo, &kai);
        let (goes, mut stays) = if waiter_goes { (waiting, joining) } else { (joining, waiting) };
        goes.signal(Signal::INT);
        assert!(goes.end().refused(130).contains("nothing was kept"));
        if waiter_goes {
            // The machine that came asks again when its own person answers.
            stays.say("y");
        }
        let outcome = stays.event("outcome");
        assert_eq!(outcome["end"], "rejected", "{outcome}");
        stays.end().refused(4);
        nothing_was_kept(&leo, &before.0);
        nothing_was_kept(&kai, &before.1);
    }
    // While the other machine is asked and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut asking = Dialogue::start(&kai.home, &["pair", &format!("127.0.0.1:{}", silent.local_addr().unwrap().port())]);
    asking.say("493027");
    let _held = silent.accept().unwrap();
    asking.signal(Signal::INT);
    assert!(asking.end().refused(130).contains("nothing was kept"));
    nothing_was_kept(&kai, &before.1);
    // Before a code was typed there is nothing to cancel.
    let typing = Dialogue::start(&kai.home, &["pair", &place(&leo)]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    typing.signal(Signal::INT);
    assert!(typing.end().refused(130).contains("nothing was changed"));
}

#[test]
fn a_pairing_is_cancelled_from_elsewhere() {
    let leo = TestDaemon::new("leo");
    assert!(leo.loopsy(&["pair", "--cancel"]).ok().text().contains("No pairing is under way."));
    let (mut waiting, _) = invite(&leo, &[]);
    assert!(leo.loopsy(&["pair", "--cancel"]).ok().text().contains("nothing was kept"));
    assert_eq!(waiting.event("outcome")["end"], "cancelled");
    let ended = waiting.end();
    ended.refused(1);
    assert_eq!(leo.loopsy(&["pair", "--cancel", "--json"]).ok().json()["cancelled"], false);
    assert_eq!(leo.loopsy(&["pair", "--cancel", "127.0.0.1"]).code, 2);
}

#[test]
fn a_machine_of_the_old_pairing_is_named_and_gets_nothing() {
    let kai = TestDaemon::new("kai");
    let before = kept(&kai.home);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let old = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = vec![0; 8192];
        let read = stream.read(&mut heard).unwrap();
        heard.truncate(read);
        let body = r#"{"error":"Invalid invite code"}"#;
        write!(stream, "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            .unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    });
    let ran = kai.home.loopsy_with(&["pair", &format!("127.0.0.1:{port}")], "493027\ny\n");
    assert!(ran.refused(4).contains("loopsy connect") && ran.err.contains("Nothing was kept"), "{}", ran.err);
    let heard = old.join().unwrap();
    assert!(!heard.contains("493027") && !heard.contains(&kai.key), "{heard}");
    nothing_was_kept(&kai, &before);
}

#[test]
fn a_name_that_is_taken_is_refused_and_the_first_stays() {
    let (leo, kai) = paired();
    let other = TestDaemon::new("kai");
    let before = (kept(&leo.home), kept(&other.home));
    let (mut waiting, code) = invite(&leo, &[]);
    let mut joining = join(&other, &leo, &code);
    // The machine that came is asked, because it cannot know; its yes is answered with a no.
    joining.say("y");
    let refused = waiting.event("outcome");
    assert_eq!(refused["code"], 2007, "{refused}");
    let ended = waiting.end();
    assert!(ended.refused(1).contains("kai") && ended.err.contains("othing was kept"), "{}", all(&ended));
    joining.end().refused(4);
    assert_eq!(kept(&leo.home), before.0);
    nothing_was_kept(&other, &before.1);
    assert_eq!(leo.loopsy(&["exec", "kai", "hostname"]).ok().code, 0);
    assert_eq!(leo.get("/api/v1/at/kai/identity").ok().json()["nodeId"], kai.node_id.as_str());
}
