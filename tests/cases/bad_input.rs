//! Whatever is sent in: a clear sentence, a code, nothing lost, nothing run, nothing written.

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use loopsy_shared::api::wire::encode_segment;
use serde_json::{Value, json};

use crate::support::{Home, Pair, TestDaemon, http, until};

fn entries(daemon: &TestDaemon) -> usize {
    daemon.get("/api/v1/context").ok().json()["entries"].as_array().unwrap().len()
}

fn put_raw(daemon: &TestDaemon, key: &str, body: &[u8]) -> http::Answer {
    let bearer = format!("Bearer {}", daemon.key);
    daemon.raw("PUT", &format!("/api/v1/context/{key}"), &[("Authorization", &bearer), ("Content-Type", "application/json")], Some(body))
}

#[test]
fn bodies_that_are_not_what_they_should_be() {
    let leo = TestDaemon::new("leo");
    leo.put("kept", "kept").ok();
    let deep = |open: &str, close: &str| format!("{{\"value\":{}{}}}", open.repeat(100_000), close.repeat(100_000));
    let deep_extra = format!("{{\"value\":\"x\",\"other\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: Vec<Vec<u8>> = [
        "{",
        "[]",
        "\"x\"",
        "7",
        "null",
        "{}",
        "{\"value\":1}",
        "{\"value\":null}",
        "{\"value\":[\"x\"]}",
        "{\"value\":{\"a\":1}}",
        "{\"value\":\"x\"",
        "{\"value\":\"x\"}}",
        "{\"value\":\"x\"} {}",
        "{'value':'x'}",
        "value=x",
        "{\"value\":\"x\",}",
        "{\"Value\":\"x\"}",
        "{\"value\":\"\\ud800\"}",
        "\u{feff}{\"value\":\"x\"}",
        "{\"value\":\"x\",\"ttl\":0}",
        "{\"value\":\"x\",\"ttl\":-1}",
        "{\"value\":\"x\",\"ttl\":1e308}",
        "{\"value\":\"x\",\"ttl\":1e999}",
        "{\"value\":\"x\",\"ttl\":\"abc\"}",
        "{\"value\":\"x\",\"ttl\":\"60\"}",
        "{\"value\":\"x\",\"ttl\":1.5}",
        "{\"value\":\"x\",\"ttl\":true}",
        "{\"value\":\"x\",\"ttl\":[]}",
        "{\"value\":\"x\",\"ttl\":NaN}",
        "{\"value\":\"x\",\"ttl\":99999999999999999999}",
        "{\"value\":\"x\",\"ifVersion\":-1}",
        "{\"value\":\"x\",\"ifVersion\":\"1\"}",
        &deep("[", "]"),
        &deep("{\"a\":", "}").replace("\"a\":}", "\"a\":1}"),
        &deep_extra,
    ]
    .iter()
    .map(|body| body.as_bytes().to_vec())
    .chain([b"{\"value\":\"\xff\xfe\"}".to_vec(), b"\0\0\0".to_vec(), b"{\"value\":\"a\nb\"}".to_vec()])
    .collect();
    for body in &bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = put_raw(&leo, "k", body);
        assert_eq!((answer.status, answer.code()), (400, 9003), "{shown}: {}", answer.text());
        let said = answer.refused(400, 9003);
        assert!(said.len() < 1000 && answer.json()["error"]["hint"].is_string(), "{shown}: {said}");
        // The same through the door, and on a route that would run something.
        put_raw(&leo, "k", body).refused(400, 9003);
        let bearer = format!("Bearer {}", leo.key);
        let run = leo.raw("POST", "/api/v1/execute", &[("Authorization", &bearer), ("Content-Type", "application/json")], Some(body));
        assert_eq!((run.status, run.code()), (400, 9003), "{shown}: {}", run.text());
    }
    assert_eq!(entries(&leo), 1);
    assert_eq!(leo.get("/api/v1/status").ok().json()["jobs"]["total"], 0);
    for body in [
        json!({ "command": "" }),
        json!({ "command": 7 }),
        json!({ "command": "echo", "args": "x" }),
        json!({ "command": "echo", "args": [1] }),
        json!({ "command": "echo", "timeout": 0 }),
        json!({ "command": "echo", "timeout": -5 }),
        json!({ "command": "echo", "timeout": "5" }),
        json!({ "command": "echo", "timeout": 1e300 }),
        json!({ "command": "echo", "env": ["A=1"] }),
        json!({ "command": "echo", "env": { "A": 1 } }),
        json!({ "command": "echo", "env": { "A=B": "1" } }),
        json!({ "command": "echo", "env": { "": "1" } }),
        json!({ "command": "echo", "cwd": 7 }),
        json!({ "command": "echo", "args": ["a\u{0}b"] }),
        json!({ "command": "ec\u{0}ho" }),
        json!({ "command": "echo", "cwd": "/a\u{0}b" }),
        json!({ "command": "echo", "env": { "A": "a\u{0}" } }),
    ] {
        for route in ["/api/v1/execute", "/api/v1/execute/stream"] {
            let answer = leo.post(route, body.clone());
            assert!(answer.status == 400 && matches!(answer.code(), 9003 | 3004), "{body}: {} {}", answer.status, answer.text());
        }
    }
    for body in [
        json!({ "command": "no-such-program-anywhere" }),
        json!({ "command": "echo", "cwd": "/no/such/directory" }),
        json!({ "command": "/etc/passwd" }),
        json!({ "command": "/" }),
    ] {
        leo.post("/api/v1/execute", body).refused(400, 3004);
    }
    assert_eq!(leo.get("/api/v1/status").ok().json()["jobs"]["active"], 0);
}

#[test]
fn a_body_of_100_mb_is_refused_without_being_kept() {
    let leo = TestDaemon::new("leo");
    let memory = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", leo.pid())).unwrap();
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    };
    let before = memory();
    let head = |length: &str| {
        format!(
            "PUT /api/v1/context/k HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n{length}\r\n\r\n",
            leo.address, leo.key
        )
    };
    // Announced: refused before it is sent.
    http::exchange(leo.address, head("Content-Length: 104857600").as_bytes(), false).refused(413, 9006);
    // Really sent, with its length and in chunks.
    let mut whole = head("Content-Length: 104857600").into_bytes();
    whole.resize(whole.len() + 104_857_600, b'a');
    http::exchange(leo.address, &whole, false).refused(413, 9006);
    drop(whole);
    let mut stream = http::dial(leo.address);
    stream.write_all(head("Transfer-Encoding: chunked").as_bytes()).unwrap();
    let chunk = [b"100000\r\n".to_vec(), vec![b'a'; 1 << 20], b"\r\n".to_vec()].concat();
    for _ in 0..100 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let answer = http::read_head(&mut std::io::BufReader::new(stream));
    assert!(answer.as_ref().is_none_or(|(status, _)| *status == 413), "{answer:?}");
    assert!(memory() - before < 60_000, "{} kB were kept", memory() - before);
    assert_eq!(entries(&leo), 0);
    leo.get("/api/v1/status").ok();
}

#[test]
fn a_request_that_stops_in_the_middle_leaves_nothing() {
    let leo = TestDaemon::new("leo");
    for part in [
        "PUT /api/v1/con",
        "PUT /api/v1/context/k HTTP/1.1\r\nHost: x\r\nAuthor",
        &format!(
            "PUT /api/v1/context/k HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{{\"value\":\"x\"",
            leo.address, leo.key
        ),
    ] {
        let mut stream = http::dial(leo.address);
        stream.write_all(part.as_bytes()).unwrap();
    }
    for nonsense in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", b"\r\n\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut stream = http::dial(leo.address);
        stream.write_all(nonsense).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _closed = std::io::Read::read_to_end(&mut stream, &mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{nonsense:?}");
    }
    let long = format!("GET /api/v1/{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    let mut stream = http::dial(leo.address);
    let _cut = stream.write_all(long.as_bytes());
    let mut reader = std::io::BufReader::new(stream);
    assert!(http::read_head(&mut reader).is_none_or(|(status, _)| matches!(status, 414 | 431 | 400)));
    assert_eq!(entries(&leo), 0);
}

#[test]
fn keys_and_values_at_their_limits() {
    let leo = TestDaemon::new("leo");
    let longest: String = std::iter::repeat_n("aä/%🦀\u{7}\n.", 32).collect();
    assert_eq!(longest.chars().count(), 256);
    leo.put(&longest, "x").ok();
    assert_eq!(leo.get(&format!("/api/v1/context/{}", encode_segment(&longest))).ok().json()["key"], longest.as_str());
    let crabs = "🦀".repeat(256);
    leo.put(&crabs, "x").ok();
    for too_long in ["a".repeat(257), "🦀".repeat(257), "a".repeat(10_000)] {
        let said = leo.put(&too_long, "x").refused(400, 9003);
        assert!(said.contains("256") && said.len() < 600, "{said}");
    }
    assert!(leo.put("", "x").refused(400, 9003).contains("256"));
    leo.get("/api/v1/context/").refused(400, 9003);
    let mib = 1 << 20;
    for value in ["x".repeat(mib), "\"".repeat(mib), "\u{1}".repeat(mib), "ä".repeat(mib / 2), "🦀".repeat(mib / 4)] {
        leo.put("big", &value).ok();
        assert!(leo.get("/api/v1/context/big").ok().json()["value"] == value.as_str(), "a value of 1 MiB changed");
    }
    for value in ["x".repeat(mib + 1), format!("x{}", "🦀".repeat(mib / 4)), "\"".repeat(mib + 1)] {
        let answer = leo.put("big", &value);
        answer.refused(400, 5002);
        assert!(answer.json()["error"]["hint"].as_str().unwrap().contains("loopsy send"));
    }
    assert_eq!(leo.get("/api/v1/context/big").ok().json()["value"].as_str().unwrap().len(), mib, "the old value is lost");
    leo.put("empty", "").ok();
    assert_eq!(leo.get("/api/v1/context/empty").ok().json()["value"], "");
    assert_eq!(entries(&leo), 4);
    // By the command line.
    for (args, code) in [
        (vec!["context", "set", "", "x"], None),
        (vec!["context", "set", "k", "x", "--ttl", "0"], Some(2)),
        (vec!["context", "set", "k", "x", "--ttl", "-1"], Some(2)),
        (vec!["context", "set", "k", "x", "--ttl", "abc"], Some(2)),
        (vec!["context", "set", "k", "x", "--ttl", "1e308"], Some(2)),
        (vec!["context", "set", "k", "x", "--ttl", "1.5"], Some(2)),
        (vec!["context", "set", &too_long_key(), "x"], None),
        (vec!["context", "get", "nothing"], Some(1)),
        (vec!["context", "list", "--peer", "nobody"], Some(1)),
        (vec!["context", "import", "/no/such/file"], Some(1)),
        (vec!["context", "frobnicate"], Some(2)),
    ] {
        let ran = leo.loopsy(&args);
        let code = code.unwrap_or(ran.code);
        assert_ne!(code, 0, "{args:?}");
        ran.refused(code);
    }
    let ran = leo.home.loopsy_with(&["context", "set", "k", "-"], vec![b'x'; mib + 1]);
    assert!(matches!(ran.code, 1 | 2), "{}", ran.err);
    leo.home.loopsy_with(&["context", "set", "k", "-"], vec![0xff, 0xfe]).refused(1);
    leo.home.loopsy_with(&["context", "import", "-"], "[[[").refused(1);
    assert_eq!(entries(&leo), 4);
    leo.home.loopsy_with(&["context", "set", "big", "-"], "y".repeat(mib)).ok();
    assert_eq!(leo.loopsy(&["context", "get", "big"]).ok().out.len(), mib);
}

fn too_long_key() -> String {
    "k".repeat(257)
}

#[test]
fn a_denied_command_is_denied_in_every_disguise() {
    let pair = Pair::new();
    let victim = pair.kai.home.write("victim", "still here");
    let link = pair.kai.home.home().join("harmless");
    std::os::unix::fs::symlink("/bin/rm", &link).unwrap();
    let (victim_text, link) = (victim.to_str().unwrap().to_owned(), link.to_str().unwrap().to_owned());
    let script = |text: &str| text.replace("VICTIM", &victim_text);
    let disguises: Vec<Vec<String>> = [
        vec!["rm", "VICTIM"],
        vec!["/bin/rm", "VICTIM"],
        vec!["/usr/bin/../bin/rm", "VICTIM"],
        vec!["./../../../../../../bin/rm", "VICTIM"],
        vec!["env", "rm", "VICTIM"],
        vec!["env", "-i", "A=1", "/bin/rm", "VICTIM"],
        vec!["env", "-S", "rm VICTIM"],
        vec!["nice", "-n", "5", "rm", "VICTIM"],
        vec!["nohup", "rm", "VICTIM"],
        vec!["timeout", "5", "rm", "VICTIM"],
        vec!["setsid", "-w", "rm", "VICTIM"],
        vec!["stdbuf", "-oL", "rm", "VICTIM"],
        vec!["xargs", "rm", "VICTIM"],
        vec!["find", "VICTIM", "-exec", "rm", "{}", ";"],
        vec!["sh", "-c", "rm VICTIM"],
        vec!["bash", "-ec", "echo a && X=1 rm VICTIM"],
        vec!["sh", "-c", "'r'm VICTIM"],
        vec!["sh", "-c", "r\\m VICTIM"],
        vec!["sh", "-c", "echo $(rm VICTIM)"],
        vec!["sh", "-c", "eval 'rm VICTIM'"],
        vec!["sh", "-c", "\"$@\"", "sh", "rm", "VICTIM"],
        vec!["sh", "-c", "exec -a ls rm VICTIM"],
        vec!["env", "nice", "sh", "-c", "timeout 5 sh -c 'rm VICTIM'"],
        vec!["sudo", "-n", "rm", "VICTIM"],
        vec![&link, "VICTIM"],
        vec!["dd", "if=/dev/null", "of=VICTIM"],
    ]
    .iter()
    .map(|words| words.iter().map(|word| script(word)).collect())
    .collect();
    assert!(disguises.len() > 20);
    for words in &disguises {
        let body = json!({ "command": words[0], "args": words[1..] });
        for target in ["/api/v1/execute", "/api/v1/execute/stream"] {
            let said = pair.kai.post(target, body.clone()).refused(400, 3001);
            assert!(said.contains("denylist"), "{said}");
        }
    }
    // Through the door as well; a peer may ask 30 times a minute, so not all of them again.
    for words in disguises.iter().step_by(4) {
        let answer = pair.leo.post("/api/v1/at/kai/execute", json!({ "command": words[0], "args": words[1..] }));
        assert_eq!((answer.status, answer.code()), (400, 3001), "{words:?}");
        let mut args = vec!["exec".to_owned(), "kai".to_owned(), "--".to_owned()];
        args.extend(words.iter().cloned());
        let ran = pair.leo.loopsy(&args);
        assert!(ran.refused(4).contains("denied"), "{words:?}: {}", ran.err);
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "still here");
    assert_eq!(pair.kai.get("/api/v1/status").ok().json()["jobs"]["total"], 0, "something was spawned");
    // An allowlist of nothing allows nothing.
    pair.kai.home.edit_config("execution:\n", "execution:\n  allowlist: []\n");
    pair.kai.post("/api/v1/reload", json!({})).ok();
    pair.kai.post("/api/v1/execute", json!({ "command": "true" })).refused(400, 3001);
}

/// A push as the reference client sends it.
pub(super) fn push(daemon: &TestDaemon, path: &str, fields: &[(&str, &str)], content: &[u8]) -> http::Answer {
    let mut body = Vec::new();
    for (name, value) in [("destPath", path)].iter().chain(fields) {
        write!(body, "--XyZ\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").unwrap();
    }
    body.extend_from_slice(b"--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n");
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--XyZ--\r\n");
    let bearer = format!("Bearer {}", daemon.key);
    daemon.raw("POST", "/api/v1/transfer/push", &[("Authorization", &bearer), ("Content-Type", "multipart/form-data; boundary=XyZ")], Some(&body))
}

#[test]
fn paths_that_lead_out_are_refused() {
    let leo = TestDaemon::new("leo");
    let home = leo.home.home();
    let outside = leo.home.root().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("secret"), "the secret").unwrap();
    let sibling = leo.home.root().join("home-evil");
    std::fs::create_dir_all(&sibling).unwrap();
    std::fs::write(sibling.join("secret"), "the secret").unwrap();
    std::os::unix::fs::symlink(&outside, home.join("way-out")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), home.join("link")).unwrap();
    leo.home.write(".ssh/id", "private");
    leo.home.write(".bashrc", "x");
    leo.home.write("sub/ok", "fine");
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let paths: Vec<String> = vec![
        at(&outside.join("secret")),
        "../outside/secret".to_owned(),
        "sub/../../outside/secret".to_owned(),
        format!("{}/../outside/secret", at(&home)),
        at(&sibling.join("secret")),
        "../home-evil/secret".to_owned(),
        "way-out/secret".to_owned(),
        "link".to_owned(),
        ".ssh/id".to_owned(),
        "sub/../.ssh/id".to_owned(),
        ".bashrc".to_owned(),
        at(&leo.home.config()),
        at(&leo.home.data().join("credentials.json")),
        "/etc/passwd".to_owned(),
        "/proc/self/environ".to_owned(),
        "/dev/zero".to_owned(),
    ];
    for path in &paths {
        let pulled = leo.post("/api/v1/transfer/pull", json!({ "sourcePath": path }));
        assert_eq!((pulled.status, pulled.code()), (400, 4001), "pull {path}: {}", pulled.text());
        let said = pulled.refused(400, 4001);
        assert!(said.contains("allowedPaths") || said.contains("deniedPaths") || said.contains("denied"), "{said}");
        let pushed = push(&leo, path, &[], b"overwritten");
        assert!(pushed.status == 400 && matches!(pushed.code(), 4001 | 4005), "push {path}: {} {}", pushed.status, pushed.text());
        let stat = leo.post("/api/v1/transfer/stat", json!({ "path": path, "hashBytes": 100 }));
        assert_eq!((stat.status, stat.code()), (400, 4001), "stat {path}: {}", stat.text());
    }
    for directory in ["..", "way-out", "/", "/etc", ".ssh", "sub/../..", &at(&leo.home.data())] {
        for route in ["list", "tree"] {
            let listed = leo.post(&format!("/api/v1/transfer/{route}"), json!({ "path": directory }));
            assert!(listed.status == 400 && matches!(listed.code(), 4001 | 4002), "{route} {directory}: {}", listed.text());
        }
        let made = leo.post("/api/v1/transfer/mkdir", json!({ "path": format!("{directory}/new") }));
        assert_eq!((made.status, made.code()), (400, 4001), "mkdir {directory}: {}", made.text());
    }
    for name in ["a\u{0}b", "a\u{1b}[2Jb", "sub/a\nb", "a\u{202e}b", "CON", "a:b", "trailing.", "trailing ", "a\\b"] {
        let pushed = push(&leo, name, &[], b"x");
        assert!(pushed.status == 400 && matches!(pushed.code(), 4007 | 9003 | 4001), "{name:?}: {} {}", pushed.status, pushed.text());
        assert!(!pushed.text().contains('\u{1b}'), "the answer drives a terminal");
        let pulled = leo.post("/api/v1/transfer/pull", json!({ "sourcePath": name }));
        assert!(pulled.status == 400 && matches!(pulled.code(), 4002 | 9003 | 4001 | 4007), "{name:?}: {} {}", pulled.status, pulled.text());
    }
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "the secret");
    assert_eq!(std::fs::read_to_string(sibling.join("secret")).unwrap(), "the secret");
    assert_eq!(std::fs::read_to_string(home.join(".ssh/id")).unwrap(), "private");
    let mut left: Vec<_> = std::fs::read_dir(&home).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [".bashrc", ".ssh", "link", "sub", "way-out"], "something was written");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count() + std::fs::read_dir(&sibling).unwrap().count(), 2);
    leo.post("/api/v1/transfer/pull", json!({ "sourcePath": "sub/ok" })).ok();
    leo.post("/api/v1/transfer/pull", json!({ "sourcePath": "sub/../sub/ok" }));
}

#[test]
fn what_is_no_file_does_not_hang() {
    let leo = TestDaemon::new("leo");
    let fifo = leo.home.home().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let socket = leo.home.home().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::os::unix::fs::symlink("/dev/zero", leo.home.home().join("zero")).unwrap();
    let begun = Instant::now();
    for name in ["fifo", "socket"] {
        leo.post("/api/v1/transfer/pull", json!({ "sourcePath": name })).refused(400, 4002);
        let stat = leo.post("/api/v1/transfer/stat", json!({ "path": name, "hashBytes": 10 }));
        assert!(stat.status == 200 || stat.code() == 4002, "{}", stat.text());
        let pushed = push(&leo, name, &[], b"x");
        assert!(pushed.status == 400 && matches!(pushed.code(), 4001 | 4002 | 4005 | 9003), "{}", pushed.text());
    }
    leo.post("/api/v1/transfer/pull", json!({ "sourcePath": "zero" })).refused(400, 4001);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&std::fs::metadata(&fifo).unwrap().file_type()));
}

/// A small disk of our own, when the system lets us have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]).arg(at).output();
        match mounted {
            Ok(done) if done.status.success() => Some(Self(at.to_owned())),
            other => {
                // Not by `eprintln!`, which the harness hides when a test passes.
                let said = format!("### SKIPPED: no tmpfs can be mounted here, so a full disk was NOT tried: {other:?}\n");
                std::io::stderr().write_all(said.as_bytes()).unwrap();
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_the_old_file_whole() {
    let home = Home::init("leo");
    let Some(disk) = SmallDisk::mount(&home.home().join("small"), "2m") else { return };
    let leo = TestDaemon::start(home);
    push(&leo, "small/a", &[], b"old content").ok();
    let big = vec![7; 4 << 20];
    push(&leo, "small/a", &[], &big).refused(507, 4006);
    push(&leo, "small/a", &[("size", &big.len().to_string())], &big).refused(507, 4006);
    assert_eq!(std::fs::read_to_string(disk.0.join("a")).unwrap(), "old content");
    assert_eq!(std::fs::read_dir(&disk.0).unwrap().count(), 1, "a half file is left");
    push(&leo, "small/b", &[], b"there is room again").ok();
    let pair = Pair::of(TestDaemon::new("mia"), leo);
    pair.leo.home.write("big", &big);
    let ran = pair.leo.loopsy(&["send", "leo", "big", "small/a"]);
    assert!(ran.refused(1).contains("room"), "{}", ran.err);
    drop(disk);
    drop(pair);
}

#[test]
fn a_full_disk_under_the_store_keeps_what_was_acknowledged() {
    let home = Home::bare("leo");
    let Some(disk) = SmallDisk::mount(&home.data(), "6m") else { return };
    home.loopsy(&["init", "--port", "0", "--host", "127.0.0.1", "--hostname", "leo", "--no-discovery", "--no-mcp"]).ok();
    let mut leo = TestDaemon::start(home);
    let value = "x".repeat(200_000);
    let mut stored = 0;
    let refused = until("the disk to be full", || {
        let answer = leo.put(&format!("k{stored}"), &value);
        if answer.status == 200 {
            stored += 1;
            return None;
        }
        Some(answer)
    });
    refused.refused(507, 9010);
    assert!(stored > 3);
    assert_eq!(entries(&leo), stored, "reading goes on");
    leo.get("/api/v1/context/k0").ok();
    leo.kill9();
    // Room again: a file that is not ours goes away.
    assert!(std::process::Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk.0).status().unwrap().success());
    leo.launch(&[]);
    assert_eq!(entries(&leo), stored, "an acknowledged entry is lost");
    leo.put("more", &value).ok();
    leo.stop();
    drop(disk);
    drop(leo);
}

#[test]
fn peers_that_are_not_there() {
    let pair = Pair::new();
    let answer = pair.leo.get("/api/v1/at/kay/status");
    assert!(answer.refused(404, 2001).contains("Did you mean `kai`?"));
    for args in [
        &["exec", "kay", "touch", "here"][..],
        &["send", "kay", "f", "f"],
        &["pull", "kay", "f", "f"],
        &["context", "get", "k", "--peer", "kay"],
        &["jobs", "--peer", "kay"],
    ] {
        pair.leo.home.write("f", "x");
        let ran = pair.leo.loopsy(args);
        assert!(ran.refused(1).contains("kai"), "{args:?}: {}", ran.err);
        let json = pair.leo.loopsy(&[args, &["--json"]].concat());
        if args[0] != "exec" {
            let error: Value = serde_json::from_str(if json.out.is_empty() { &json.err } else { std::str::from_utf8(&json.out).unwrap() }).unwrap();
            assert_eq!(error["error"]["code"], 2001, "{args:?}");
        }
    }
    // A key that kai no longer takes: kai's own refusal, and nothing of it happens.
    let config = std::fs::read_to_string(pair.kai.home.config()).unwrap();
    let entry = config.split("allowedKeys: {").nth(1).and_then(|rest| rest.split('}').next()).unwrap().to_owned();
    pair.kai.home.edit_config(&entry, "");
    pair.kai.post("/api/v1/reload", json!({})).ok();
    let said = pair.leo.get("/api/v1/at/kai/status").refused(409, 2008);
    assert!(said.contains("kai") && said.contains("loopsy pair"), "{said}");
    let ran = pair.leo.loopsy(&["exec", "kai", "touch", "here"]);
    ran.refused(4);
    assert!(pair.leo.loopsy(&["send", "kai", "f", "f"]).code == 4);
    assert!(!pair.kai.home.home().join("here").exists() && !pair.kai.home.home().join("f").exists());
    assert_eq!(pair.kai.get("/api/v1/status").ok().json()["jobs"]["total"], 0);
}

#[test]
fn a_command_line_that_makes_no_sense_says_what_would() {
    let leo = TestDaemon::new("leo");
    for (args, word) in [
        (&["exce", "kai", "ls"][..], "exec"),
        (&["exec"], "PEER"),
        (&["exec", "kai"], "COMMAND"),
        (&["send", "kai", "x"], "DEST"),
        (&["--frob"], "--frob"),
        (&["exec", "--timeout", "soon", "kai", "ls"], "soon"),
        (&["exec", "--env", "NOVALUE", "kai", "ls"], "NOVALUE"),
        (&["init", "--port", "70000"], "70000"),
        (&["logs", "-n", "few"], "few"),
    ] {
        let ran = leo.loopsy(args);
        assert!(ran.refused(2).contains(word), "{args:?}: {}", ran.err);
    }
    leo.loopsy(&["send", "kai", "no-such-file", "x"]).refused(1);
}
