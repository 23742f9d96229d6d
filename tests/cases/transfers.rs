//! Files and folders between machines: whole, exact, resumable, and nothing that was there is harmed.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::bad_input::push;
use crate::support::{Pair, TestDaemon, files_below, kill, noise, sha256, until};

fn modified(path: &Path) -> i128 {
    let meta = std::fs::metadata(path).unwrap();
    i128::from(meta.mtime()) * 1000 + i128::from(meta.mtime_nsec() / 1_000_000)
}

fn make_old(path: &Path, mode: u32) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(1_600_000_000_123)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Names of parts of unfinished uploads below a directory.
fn parts(dir: &Path) -> Vec<String> {
    files_below(dir).into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn a_file_goes_and_comes_back_the_same() {
    let pair = Pair::new();
    let content = noise(5 << 20, 1);
    let source = pair.leo.home.write("a file.bin", &content);
    make_old(&source, 0o640);
    let sent = pair.leo.loopsy(&["send", "kai", "a file.bin", "got/there.bin", "--json"]).ok().json();
    assert_eq!((&sent["state"], &sent["sha256"], &sent["bytesDone"]), (&json!("done"), &json!(sha256(&content)), &json!(content.len())));
    let there = pair.kai.home.home().join("got/there.bin");
    assert!(std::fs::read(&there).unwrap() == content);
    assert_eq!((modified(&there), std::fs::metadata(&there).unwrap().permissions().mode() & 0o777), (1_600_000_000_123, 0o640));
    let text = pair.leo.loopsy(&["pull", "kai", "got/there.bin", "back.bin"]).ok().text();
    assert!(text.contains("back.bin"), "{text}");
    let back = pair.leo.home.home().join("back.bin");
    assert!(std::fs::read(&back).unwrap() == content);
    assert_eq!((modified(&back), std::fs::metadata(&back).unwrap().permissions().mode() & 0o777), (1_600_000_000_123, 0o640));
    // Into a directory, by a slash or because it is there; empty files; replaced files.
    pair.leo.home.write("empty", "");
    pair.leo.loopsy(&["send", "kai", "empty", "got"]).ok();
    pair.leo.loopsy(&["send", "kai", "empty", "new/dir/"]).ok();
    assert_eq!(std::fs::read(pair.kai.home.home().join("got/empty")).unwrap(), b"");
    assert_eq!(std::fs::read(pair.kai.home.home().join("new/dir/empty")).unwrap(), b"");
    pair.leo.home.write("empty", "no longer");
    pair.leo.loopsy(&["send", "kai", "empty", "got/empty"]).ok();
    assert_eq!(std::fs::read(pair.kai.home.home().join("got/empty")).unwrap(), b"no longer");
    let listed = pair.leo.loopsy(&["transfers"]).ok().text();
    assert!(listed.contains("kai") && listed.lines().count() >= 5, "{listed}");
    assert!(parts(pair.kai.home.root()).is_empty() && parts(pair.leo.home.root()).is_empty());
}

/// Path below the root, and content.
fn snapshot(root: &Path) -> Vec<(String, String)> {
    files_below(root).iter().map(|path| (path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), sha256(&std::fs::read(path).unwrap()))).collect()
}

#[test]
fn a_folder_goes_by_its_rules() {
    let pair = Pair::new();
    let home = &pair.leo.home;
    for (name, content) in [
        ("tree/a.txt", "a"),
        ("tree/.hidden", "h"),
        ("tree/sub/b.txt", "b"),
        ("tree/sub/ä ö 日本 🦀.txt", "u"),
        ("tree/target/big.o", "o"),
        ("tree/x.log", "log"),
        ("tree/sub/keep.log", "keep"),
        ("tree/secret.env", "s"),
        ("tree/.gitignore", "target/\n*.log\n!keep.log\n"),
        ("tree/.loopsyignore", "*.env\n"),
        ("tree/tmp.bak", "bak"),
    ] {
        home.write(name, content);
    }
    std::fs::create_dir_all(home.home().join("tree/empty/deep")).unwrap();
    let outside = home.root().join("outside");
    std::fs::write(&outside, "outside").unwrap();
    symlink(&outside, home.home().join("tree/link")).unwrap();
    symlink("a.txt", home.home().join("tree/inner")).unwrap();
    symlink("..", home.home().join("tree/loop")).unwrap();
    make_old(&home.home().join("tree/a.txt"), 0o755);
    let wanted = [".gitignore", ".hidden", ".loopsyignore", "a.txt", "sub/b.txt", "sub/keep.log", "sub/ä ö 日本 🦀.txt"];

    let dry = pair.leo.loopsy(&["send", "kai", "tree", "copy", "--dry-run", "--ignore", "*.bak", "--json"]).ok().json();
    assert_eq!(dry["planned"].as_array().unwrap().len(), wanted.len(), "{dry}");
    assert!(!pair.kai.home.home().join("copy").exists(), "a dry run wrote something");

    let sent = pair.leo.loopsy(&["send", "kai", "tree", "copy", "--ignore", "*.bak", "--json"]).ok().json();
    let copy = pair.kai.home.home().join("copy");
    let found = snapshot(&copy);
    assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), wanted);
    for (name, hash) in &found {
        assert_eq!(*hash, sha256(&std::fs::read(home.home().join("tree").join(name)).unwrap()), "{name}");
    }
    assert!(copy.join("empty/deep").is_dir());
    let left: Vec<&str> = sent["leftOut"].as_array().unwrap().iter().map(|left| left["path"].as_str().unwrap()).collect();
    assert!(left.contains(&"link") && left.contains(&"inner") && left.contains(&"loop"), "{left:?}");
    assert_eq!((modified(&copy.join("a.txt")), std::fs::metadata(copy.join("a.txt")).unwrap().permissions().mode() & 0o777), (1_600_000_000_123, 0o755));

    // The second time there is nothing to do; a changed file is the only one that goes.
    let again = pair.leo.loopsy(&["send", "kai", "tree", "copy", "--ignore", "*.bak", "--json"]).ok().json();
    assert_eq!((&again["filesSkipped"], &again["filesDone"]), (&json!(wanted.len()), &json!(0)), "{again}");
    home.write("tree/sub/b.txt", "changed");
    let third = pair.leo.loopsy(&["send", "kai", "tree", "copy", "--ignore", "*.bak", "--json"]).ok().json();
    assert_eq!((&third["filesSkipped"], &third["filesDone"]), (&json!(wanted.len() - 1), &json!(1)), "{third}");
    assert_eq!(std::fs::read_to_string(copy.join("sub/b.txt")).unwrap(), "changed");

    let all = pair.leo.loopsy(&["send", "kai", "tree", "all", "--no-ignore", "--json"]).ok().json();
    assert_eq!(all["filesDone"], 11, "{all}");
    assert!(pair.kai.home.home().join("all/target/big.o").exists());

    // And back again.
    pair.leo.loopsy(&["pull", "kai", "copy", "back"]).ok();
    assert_eq!(snapshot(&home.home().join("back")), snapshot(&copy));
    let empty = pair.leo.loopsy(&["pull", "kai", "no-such-thing", "x"]);
    assert!(empty.refused(1).contains("no-such-thing"), "{}", empty.err);
}

#[test]
fn a_push_goes_on_after_the_receiver_was_killed() {
    let mut pair = Pair::on_fixed_ports();
    let content = noise(192 << 20, 2);
    pair.leo.home.write("big", &content);
    pair.kai.home.write("there", "old content");
    let started = pair
        .leo
        .post("/api/v1/transfers", json!({ "peer": "kai", "direction": "push", "source": pair.leo.home.home().join("big"), "destination": "there" }))
        .ok()
        .json();
    let id = started["transferId"].as_str().unwrap().to_owned();
    let state = |pair: &Pair| pair.leo.get(&format!("/api/v1/transfers/{id}")).ok().json();
    // Some of it must be on kai's disk, so that there is something to go on from.
    until("some of it", || (state(&pair)["bytesDone"].as_u64().unwrap() > (48 << 20)).then_some(()));
    pair.kai.kill9();
    let now = state(&pair);
    assert_eq!(std::fs::read_to_string(pair.kai.home.home().join("there")).unwrap(), "old content", "the old file is whole until the new one is");
    assert_eq!(now["state"], "running", "it was too fast to be broken off: {now}");
    std::thread::sleep(Duration::from_millis(300));
    pair.kai.launch(&[]);
    let ended = until("the end", || Some(state(&pair)).filter(|info| info["state"] != "running"));
    assert_eq!((&ended["state"], &ended["sha256"]), (&json!("done"), &json!(sha256(&content))), "{ended}");
    assert!(ended["bytesResumed"].as_u64().unwrap() > 0, "everything was sent again: {ended}");
    assert_eq!(ended["bytesDone"], content.len());
    assert!(std::fs::read(pair.kai.home.home().join("there")).unwrap() == content);
    assert!(parts(pair.kai.home.root()).is_empty());
}

#[test]
fn a_pull_goes_on_after_the_sender_was_killed() {
    let mut pair = Pair::on_fixed_ports();
    let content = noise(192 << 20, 3);
    pair.kai.home.write("big", &content);
    let here = pair.leo.home.home().join("here");
    let started = pair.leo.post("/api/v1/transfers", json!({ "peer": "kai", "direction": "pull", "source": "big", "destination": here })).ok().json();
    let id = started["transferId"].as_str().unwrap().to_owned();
    let state = |pair: &Pair| pair.leo.get(&format!("/api/v1/transfers/{id}")).ok().json();
    until("some of it", || (state(&pair)["bytesDone"].as_u64().unwrap() > (8 << 20)).then_some(()));
    pair.kai.kill9();
    assert!(!here.exists());
    pair.kai.launch(&[]);
    let ended = until("the end", || Some(state(&pair)).filter(|info| info["state"] != "running"));
    assert_eq!((&ended["state"], &ended["sha256"]), (&json!("done"), &json!(sha256(&content))), "{ended}");
    assert!(ended["bytesResumed"].as_u64().unwrap() > 0, "everything was sent again: {ended}");
    assert!(std::fs::read(&here).unwrap() == content);
    assert!(parts(pair.leo.home.root()).is_empty());
}

#[test]
fn ctrl_c_cancels_and_leaves_no_half_file() {
    let pair = Pair::new();
    pair.leo.home.write("big", noise(256 << 20, 4));
    pair.kai.home.write("there", "old content");
    let child = pair.leo.home.command(&["send", "kai", "big", "there"]).spawn().unwrap();
    let running = |pair: &Pair| pair.leo.get("/api/v1/transfers").ok().json()["transfers"][0].clone();
    until("some of it", || running(&pair)["bytesDone"].as_u64().filter(|done| *done > 0));
    kill(child.id(), rustix::process::Signal::INT);
    let ran = crate::support::cli::finish(child, Vec::new());
    assert_eq!(ran.code, 130, "{} {}", ran.text(), ran.err);
    until("its end", || (running(&pair)["state"] == "cancelled").then_some(()));
    assert_eq!(std::fs::read_to_string(pair.kai.home.home().join("there")).unwrap(), "old content");
    let left: Vec<String> = files_below(&pair.kai.home.home()).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    // What was sent may be gone on from for a day, under a name of ours, and nothing else is left.
    assert!(left.iter().all(|name| name == "there" || (name.starts_with(".loopsy.") && name.ends_with(".part"))), "{left:?}");
    pair.leo.call("DELETE", "/api/v1/transfers/no-such-transfer", None).refused(404, 4008);
}

#[test]
fn another_content_than_announced_replaces_nothing() {
    let kai = TestDaemon::new("kai");
    kai.home.write("f", "old");
    let hash = sha256(b"new");
    push(&kai, "f", &[("sha256", &sha256(b"other"))], b"new").refused(400, 4004);
    assert_eq!(std::fs::read_to_string(kai.home.home().join("f")).unwrap(), "old");
    push(&kai, "f", &[("sha256", "zz")], b"new").refused(400, 9003);
    push(&kai, "f", &[("size", "4")], b"new");
    push(&kai, "f", &[("overwrite", "false")], b"new").refused(400, 4005);
    assert_eq!(std::fs::read_to_string(kai.home.home().join("f")).unwrap(), "old");
    let bearer = format!("Bearer {}", kai.key);
    // A form that breaks off.
    let half = b"--XyZ\r\nContent-Disposition: form-data; name=\"destPath\"\r\n\r\nf\r\n--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf a fi";
    let answer = kai.raw("POST", "/api/v1/transfer/push", &[("Authorization", &bearer), ("Content-Type", "multipart/form-data; boundary=XyZ")], Some(half));
    answer.refused(400, 9003);
    assert_eq!(std::fs::read_to_string(kai.home.home().join("f")).unwrap(), "old");
    let done = push(&kai, "f", &[("sha256", &hash)], b"new").ok().json();
    assert_eq!((&done["path"], &done["size"], &done["checksum"]), (&json!("f"), &json!(3), &json!(hash)));
    assert_eq!(std::fs::read_to_string(kai.home.home().join("f")).unwrap(), "new");
    assert_eq!(std::fs::read_dir(kai.home.home()).unwrap().count(), 1, "{:?}", files_below(&kai.home.home()));
}

#[test]
fn the_forms_of_the_reference_client() {
    let kai = TestDaemon::new("kai");
    let bearer = format!("Bearer {}", kai.key);
    let form = |parts: &str| {
        kai.raw("POST", "/api/v1/transfer/push", &[("Authorization", &bearer), ("Content-Type", "multipart/form-data; boundary=X")], Some(parts.as_bytes()))
    };
    let dest = |path: &str| format!("--X\r\nContent-Disposition: form-data; name=\"destPath\"\r\n\r\n{path}\r\n");
    let file = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"ignored.bin\"\r\nContent-Type: application/octet-stream\r\n\r\nhello\r\n";
    let done = form(&format!("{}{file}--X--\r\n", dest("new/dirs/a.txt"))).ok().json();
    let keys: Vec<&String> = done.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 4);
    assert_eq!((&done["path"], &done["size"], &done["checksum"]), (&json!("new/dirs/a.txt"), &json!(5), &json!(sha256(b"hello"))));
    assert!(done["duration"].is_number());
    let absolute = kai.home.home().join("abs.txt");
    form(&format!("{}{}--X--\r\n", dest(absolute.to_str().unwrap()), file.replace("name=\"file\"", "name=\"anything\""))).ok();
    assert_eq!(std::fs::read_to_string(absolute).unwrap(), "hello");
    form(&format!("{}--X--\r\n", dest("a"))).refused(400, 4005);
    form(&format!("{file}--X--\r\n")).refused(400, 9003);
    form(&format!("{file}{}--X--\r\n", dest("late"))).refused(400, 9003);
    kai.raw("POST", "/api/v1/transfer/push", &[("Authorization", &bearer), ("Content-Type", "text/plain")], Some(b"x")).refused(415, 9007);
    kai.raw("POST", "/api/v1/transfer/push", &[("Authorization", &bearer)], Some(b"x")).refused(415, 9007);
    for place in ["new", "new/dirs/a.txt/b", ""] {
        let refused = push(&kai, place, &[], b"x");
        assert!(refused.status == 400, "{place}: {} {}", refused.status, refused.text());
    }
    assert_eq!(std::fs::read_to_string(kai.home.home().join("new/dirs/a.txt")).unwrap(), "hello");
}

#[test]
fn a_pull_says_what_comes() {
    let kai = TestDaemon::new("kai");
    let names = ["plain.txt", "ä ö.txt", "日本語 🦀.bin", "quote\"s.txt", "semi;colon=.txt", "per%cent.txt", "-dash"];
    for name in names {
        let path = kai.home.write(name, name.as_bytes());
        make_old(&path, 0o604);
        let pulled = kai.post("/api/v1/transfer/pull", json!({ "sourcePath": name })).ok();
        assert_eq!(pulled.body, name.as_bytes());
        assert_eq!(pulled.header("content-type"), Some("application/octet-stream"));
        assert_eq!(
            (pulled.header("content-length"), pulled.header("x-loopsy-file-size")),
            (Some(name.len().to_string().as_str()), Some(name.len().to_string().as_str()))
        );
        assert_eq!((pulled.header("x-loopsy-modified"), pulled.header("x-loopsy-mode")), (Some("1600000000123"), Some("604")));
        assert_eq!(pulled.header("x-content-type-options"), Some("nosniff"));
        let disposition = pulled.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\"") && disposition.is_ascii(), "{disposition}");
        if name != "plain.txt" && name != "-dash" && name != "semi;colon=.txt" {
            let encoded = loopsy_shared::api::wire::encode_segment(name);
            assert!(disposition.contains(&format!("filename*=UTF-8''{encoded}")), "{disposition}");
        }
    }
    let rest = kai.post("/api/v1/transfer/pull", json!({ "sourcePath": "plain.txt", "offset": 6 })).ok();
    assert_eq!((rest.body.as_slice(), rest.header("x-loopsy-file-size")), (&b"txt"[..], Some("9")));
    let beyond = kai.post("/api/v1/transfer/pull", json!({ "sourcePath": "plain.txt", "offset": 100 }));
    assert!((400..500).contains(&beyond.status), "{}", beyond.status);
}

#[test]
fn names_that_some_system_does_not_take_are_left_out_and_said() {
    let pair = Pair::new();
    for name in ["d/fine.txt", "d/a:b", "d/CON", "d/new\nline"] {
        pair.kai.home.write(name, name);
    }
    let pulled = pair.leo.loopsy(&["pull", "kai", "d", "d", "--json"]).ok().json();
    let left: Vec<&str> = pulled["leftOut"].as_array().unwrap().iter().map(|left| left["path"].as_str().unwrap()).collect();
    assert_eq!(left.len(), 3, "{pulled}");
    assert_eq!(snapshot(&pair.leo.home.home().join("d")).len(), 1);
    let text = pair.leo.loopsy(&["pull", "kai", "d", "again"]).ok();
    assert!((text.text() + &text.err).contains("CON"), "it is not said: {} {}", text.text(), text.err);
}

#[test]
fn the_largest_file_is_a_limit() {
    let kai = TestDaemon::with_config("kai", "maxFileSize: 1073741824", "maxFileSize: 1000");
    let leo = TestDaemon::new("leo");
    push(&kai, "f", &[], &[1; 1000]).ok();
    push(&kai, "f", &[], &[2; 1001]).refused(400, 4003);
    push(&kai, "f", &[("size", "5000")], &[2; 5000]).refused(400, 4003);
    assert_eq!(std::fs::read(kai.home.home().join("f")).unwrap(), [1; 1000]);
    kai.home.write("large", [0; 2000]);
    kai.post("/api/v1/transfer/pull", json!({ "sourcePath": "large" })).refused(400, 4003);
    let pair = Pair::of(leo, kai);
    pair.leo.home.write("large", [0; 2000]);
    let ran = pair.leo.loopsy(&["send", "kai", "large", "x"]);
    assert!(ran.refused(1).contains("maxFileSize"), "{}", ran.err);
    assert_eq!(files_below(&pair.kai.home.home()).len(), 2);
}

#[test]
fn transfers_end_as_events_say() {
    let pair = Pair::new();
    let mut events = pair.leo.events("?topics=transfers", None);
    events.next();
    pair.leo.home.write("f", noise(3 << 20, 6));
    pair.leo.loopsy(&["send", "kai", "f", "f"]).ok();
    let last = until("the end", || Some(events.next().data).filter(|event| event["transfer"]["state"] != "running"));
    let info = &last["transfer"];
    assert_eq!((&last["type"], &info["state"], &info["peer"], &info["direction"]), (&json!("transfer-changed"), &json!("done"), &json!("kai"), &json!("push")));
    assert!(info["endedAt"].is_u64());
    assert_eq!(pair.leo.get("/api/v1/transfers").ok().json()["transfers"][0], *info);
    for body in [
        json!({}),
        json!({ "peer": "kai", "direction": "sideways", "source": "a", "destination": "b" }),
        json!({ "peer": "kai", "direction": "push", "source": 1, "destination": "b" }),
    ] {
        pair.leo.post("/api/v1/transfers", body).refused(400, 9003);
    }
    pair.leo.post("/api/v1/transfers", json!({ "peer": "nobody", "direction": "push", "source": "f", "destination": "b" })).refused(404, 2001);
    let failed = pair.leo.post("/api/v1/transfers", json!({ "peer": "kai", "direction": "pull", "source": "none", "destination": "b" }));
    if failed.status == 200 {
        let id = failed.json()["transferId"].as_str().unwrap().to_owned();
        let ended: Value = until("its end", || Some(pair.leo.get(&format!("/api/v1/transfers/{id}")).ok().json()).filter(|info| info["state"] != "running"));
        assert_eq!((&ended["state"], &ended["error"]["code"]), (&json!("failed"), &json!(4002)), "{ended}");
    }
}
