//! Terminals: programs on a screen that outlive whoever looks, whatever happens to connections, and end with all that they started.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use loopsy_shared::{
    api::terminals::{AttachTerminal, OpenTerminal, ReadTerminal, ResizeTerminal, TerminalInfo, TerminalSize},
    client::{Client, Transport},
    secret::Secret,
};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Pair, TestDaemon, block_on, mark_of, processes_with,
    terminal::{Looker, Window, looking},
    until,
};

/// Opens a terminal with a program in it.
async fn open(client: &Client, command: &str, args: &[&str]) -> TerminalInfo {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    client.call(OpenTerminal { command: Some(command.to_owned()), args, ..OpenTerminal::default() }).await.unwrap()
}

async fn shell(client: &Client) -> TerminalInfo {
    let env = [("PS1".to_owned(), "$ ".to_owned())].into();
    client.call(OpenTerminal { command: Some("/bin/sh".to_owned()), env, ..OpenTerminal::default() }).await.unwrap()
}

#[test]
fn what_is_typed_is_run_and_what_is_printed_is_seen() {
    let leo = TestDaemon::new("leo");
    block_on(async {
        let client = leo.client();
        let info = shell(&client).await;
        assert_eq!((info.size, info.principal.as_str(), info.command.as_str()), (TerminalSize::default(), "admin", "/bin/sh"));
        let mut looker = Looker::new(&client, looking(&info.id)).await;
        looker.types("echo $((40 + 2)) $TERM $COLORTERM; tty; stty size; echo \"$TMUX$LOOPSY_DATA_DIR\"do''ne\n").await;
        looker.until("the answer", |seen| seen.saw("done\r\n")).await;
        assert!(looker.saw("42 xterm-256color truecolor") && looker.saw("/dev/pts/") && looker.saw("24 80"), "{}", looker.text());
        let text = client.call(ReadTerminal { terminal_id: info.id.clone(), scrollback: 0 }).await.unwrap();
        assert!(text.lines.iter().any(|line| line.ends_with("42 xterm-256color truecolor")), "{text:?}");
        assert_eq!((text.lines.len(), text.alternate), (24, false));
        looker.types("exit 7\n").await;
        looker.until("the end", |seen| seen.exit.is_some()).await;
        assert_eq!(looker.exit.as_ref().unwrap().exit_code, Some(7));
        let list = leo.get("/api/v1/terminals").ok().json();
        assert_eq!((&list["terminals"][0]["exit"]["exitCode"], &list["terminals"][0]["id"]), (&json!(7), &json!(info.id.as_str())));
        // The screen of one that has ended can still be seen, once.
        let mut late = Looker::new(&client, looking(&info.id)).await;
        late.until("the end again", |seen| seen.exit.is_some()).await;
        assert!(late.saw("42 xterm"), "{:?}", String::from_utf8_lossy(&late.drawn));
        assert_eq!(leo.post(&format!("/api/v1/terminals/{}/size", info.id), json!({ "cols": 90, "rows": 30 })).status, 409);
    });
    let id = leo.get("/api/v1/terminals").ok().json()["terminals"][0]["id"].as_str().unwrap().to_owned();
    leo.call("DELETE", &format!("/api/v1/terminals/{id}"), None).ok();
    assert_eq!(leo.get(&format!("/api/v1/terminals/{id}")).status, 404);
}

#[test]
fn one_viewer_owns_the_size_and_watching_changes_nothing() {
    let leo = TestDaemon::new("leo");
    block_on(async {
        let client = leo.client();
        let info = shell(&client).await;
        let id = &info.id;
        let size = |cols, rows| TerminalSize { cols, rows };
        let mut first = Looker::new(&client, AttachTerminal { cols: Some(90), rows: Some(30), ..looking(id) }).await;
        first.until("ownership", |seen| seen.owner && seen.sizes.last() == Some(&size(90, 30))).await;
        let mut second = Looker::new(&client, AttachTerminal { cols: Some(50), rows: Some(10), ..looking(id) }).await;
        let mut watcher = Looker::new(&client, AttachTerminal { read_only: true, claim: true, cols: Some(40), rows: Some(9), ..looking(id) }).await;
        second.until("a snapshot", |seen| seen.snapshots == 1).await;
        watcher.until("a snapshot", |seen| seen.snapshots == 1).await;
        assert!(!second.owner && !watcher.owner);
        // Neither of these counts, and what a watcher types does not arrive.
        second.attachment.resize(size(51, 11));
        second.attachment.flush().await;
        watcher.attachment.claim();
        watcher.attachment.resize(size(41, 9));
        watcher.types("echo watched\n").await;
        second.types("stty size\n").await;
        first.until("the size", |seen| seen.saw("30 90")).await;
        watcher.until("the size", |seen| seen.saw("30 90")).await;
        second.attachment.claim();
        second.attachment.flush().await;
        first.until("the loss of the size", |seen| !seen.owner).await;
        first.until("the new size", |seen| seen.sizes.last() == Some(&size(51, 11))).await;
        second.types("stty size\n").await;
        watcher.until("the new size", |seen| seen.saw("11 51") && seen.sizes.last() == Some(&size(51, 11))).await;
        assert!(!watcher.saw("watched"), "{}", watcher.text());
        let told = client.call(loopsy_shared::api::terminals::GetTerminal { terminal_id: id.clone() }).await.unwrap();
        assert_eq!((told.viewers, told.size, told.size_owner.is_some()), (3, size(51, 11), true));
        drop(second);
        until("the owner gone", || leo.get(&format!("/api/v1/terminals/{id}")).ok().json().get("sizeOwner").is_none().then_some(()));
        let told = client.call(ResizeTerminal { terminal_id: id.clone(), cols: 1, rows: 0 }).await.unwrap();
        assert_eq!(told.size, size(2, 1));
    });
}

/// Numbers, one a line, as `seq` prints them on a terminal.
fn numbers(last: u32) -> Vec<u8> {
    (1..=last).flat_map(|n| format!("{n}\r\n").into_bytes()).collect()
}

#[test]
fn every_byte_comes_once_wherever_somebody_attaches() {
    let leo = TestDaemon::new("leo");
    block_on(async {
        let client = leo.client();
        // It prints when a line comes, and then waits for another.
        let info = open(&client, "sh", &["-c", "stty -echo; echo ready; read x; seq 1 60000; read x; seq 1 60000; read x"]).await;
        let mut first = Looker::new(&client, looking(&info.id)).await;
        first.until("the start", |seen| seen.saw("ready")).await;
        first.types("\n").await;
        let mut others = Vec::new();
        while !first.saw("60000\r\n") {
            first.step().await.unwrap();
            if others.len() < 5 && first.printed.len() > 20_000 * (others.len() + 1) {
                let mut other = Looker::new(&client, looking(&info.id)).await;
                other.until("a snapshot", |seen| seen.snapshots == 1).await;
                others.push(other);
            }
        }
        assert!(others.len() == 5);
        let whole = [first.printed.clone()].concat();
        let start = first.from;
        assert!(whole.ends_with(&numbers(60000)));
        let end = start + whole.len() as u64;
        for other in &mut others {
            other.until("everything", |seen| seen.from + seen.printed.len() as u64 == end).await;
            assert!(whole.ends_with(&other.printed), "from {}", other.from);
        }
        // From any offset that is kept, without a snapshot.
        for after in [start, start + 1, end - 70_000, end - 1, end] {
            let mut resumed = Looker::new(&client, AttachTerminal { after: Some(after), ..looking(&info.id) }).await;
            resumed.until("the rest", |seen| after + seen.printed.len() as u64 == end).await;
            assert_eq!(resumed.snapshots, 0);
            assert!(resumed.printed == whole[usize::try_from(after - start).unwrap()..], "after {after}");
        }
        // One that never was.
        let mut beyond = Looker::new(&client, AttachTerminal { after: Some(end + 1), ..looking(&info.id) }).await;
        beyond.until("a snapshot", |seen| seen.snapshots == 1).await;
    });
}

#[test]
fn who_falls_behind_gets_a_snapshot_and_holds_up_nobody() {
    let leo = TestDaemon::new("leo");
    block_on(async {
        let client = leo.client();
        let info = open(&client, "sh", &["-c", "stty -echo; echo ready; read x; seq 1 4000000; echo over; read x"]).await;
        let mut slow = Looker::new(&client, looking(&info.id)).await;
        slow.until("the start", |seen| seen.saw("ready")).await;
        slow.types("\n").await;
        // It reads nothing while the program prints 30 MB, twice what is kept.
        let text = || block_text(&leo, info.id.as_str());
        until("the end of the flood", || text().contains("over").then_some(()));
        slow.until("the newest", |seen| seen.saw("over")).await;
        assert!(slow.snapshots >= 2 && slow.lost > 1 << 20, "{} snapshots, {} lost", slow.snapshots, slow.lost);
        assert!(slow.saw("4000000"));
    });
}

fn block_text(node: &TestDaemon, id: &str) -> String {
    node.get(&format!("/api/v1/terminals/{id}/text")).ok().json()["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_node_alone_answers_what_a_program_asks() {
    let leo = TestDaemon::new("leo");
    block_on(async {
        let client = leo.client();
        let script = "stty raw -echo; printf 'x\\033[6n\\033[c\\033]52;c;aGk=\\007\\033[21t'; head -c 11 | od -An -c; stty sane; echo over; read x";
        let info = open(&client, "sh", &["-c", script]).await;
        let mut looker = Looker::new(&client, AttachTerminal { after: Some(0), ..looking(&info.id) }).await;
        looker.until("the answers", |seen| seen.saw("over")).await;
        let text = looker.text();
        assert!(text.contains("033   [   1   ;   2   R 033   [   ?   6   c"), "{text}");
        assert!(!text.contains('\u{1b}'), "a question was passed on: {text:?}");
    });
}

#[test]
fn hostile_bytes_do_not_stop_a_terminal() {
    let leo = TestDaemon::new("leo");
    let hostile = [
        b"\x1b[24;80H\xe2\x9a\xa0\xef\xb8\x8f\x1b[23;80Hx\x1b[30;40r\x1b[65535S\xff\xfe\xc2".to_vec(),
        b"\x1b]0;".to_vec(),
        vec![b'A'; 50 << 20],
        b"\x07\x1bP".to_vec(),
        vec![b'B'; 1 << 20],
        b"\x1b\\\r\nover\r\n".to_vec(),
    ]
    .concat();
    let file = leo.home.write("hostile", hostile);
    let before = memory(&leo);
    block_on(async {
        let client = leo.client();
        let info = open(&client, "sh", &["-c", &format!("cat {}; read x", file.display())]).await;
        let mut looker = Looker::new(&client, looking(&info.id)).await;
        looker.until("the end", |seen| seen.saw("over")).await;
        for n in 1..60_u16 {
            client.call(ResizeTerminal { terminal_id: info.id.clone(), cols: n * 8, rows: n * 3 }).await.unwrap();
            client.call(ResizeTerminal { terminal_id: info.id.clone(), cols: n, rows: 1 }).await.unwrap();
        }
    });
    assert!(memory(&leo).saturating_sub(before) < 40 << 10, "{before} KiB, then {} KiB", memory(&leo));
    assert!(!leo.said().contains("a mistake in Loopsy"), "{}", leo.said());
}

/// KiB that the daemon holds.
fn memory(node: &TestDaemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap()
}

/// A shell with a process of its own group in the background.
async fn tree(client: &Client) -> (TerminalInfo, String) {
    let mark = mark_of();
    let info = open(client, "sh", &["-c", &format!("set -m; sleep {mark} & setsid sleep {mark} & trap '' HUP TERM; sleep {mark}")]).await;
    until("the tree", || (processes_with(&format!("sleep {mark}")).iter().filter(|pid| is_sleep(**pid)).count() == 3).then_some(()));
    (info, mark)
}

fn is_sleep(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\0"))
}

fn gone(mark: &str) {
    until("the end of the tree", || processes_with(&format!("sleep {mark}")).is_empty().then_some(()));
}

#[test]
fn closing_ends_everything_in_it() {
    let leo = TestDaemon::new("leo");
    let (info, mark) = block_on(tree(&leo.client()));
    leo.loopsy(&["terminal", "kill", &info.id.as_str()[..8]]).ok();
    gone(&mark);
    // An interactive shell ends at once, by the hang-up.
    let shell = block_on(shell(&leo.client()));
    leo.call("DELETE", &format!("/api/v1/terminals/{}", shell.id), None).ok();
    assert!(leo.get(&format!("/api/v1/terminals/{}", shell.id)).ok().json()["exit"].is_object());
}

#[test]
fn nothing_of_it_outlives_the_daemon() {
    let mut leo = TestDaemon::new("leo");
    let (_, mark) = block_on(tree(&leo.client()));
    leo.kill9();
    gone(&mark);
    leo.launch(&[]);
    let (_, mark) = block_on(tree(&leo.client()));
    assert!(std::fs::read_dir(leo.home.data().join("terminals")).unwrap().next().is_none(), "logs have no names");
    leo.stop();
    gone(&mark);
}

#[test]
fn a_revoked_key_ends_its_terminals_and_its_attachments() {
    let leo = TestDaemon::new("leo");
    let key = leo.mint("kai");
    let as_kai = Client::new(Transport::default(), leo.address.to_string(), Some(&Secret::new(key.as_str()))).unwrap();
    assert_eq!(leo.call_as(&key, "GET", "/api/v1/terminals", None).status, 403, "a peer needs the scope for this");
    leo.loopsy(&["peers", "allow", "kai", "terminal"]);
    leo.home.edit_config("auth:\n", "auth:\n  scopes:\n    kai: [status, terminal]\n");
    leo.post("/api/v1/reload", json!({})).ok();
    until("the scope", || (leo.call_as(&key, "GET", "/api/v1/terminals", None).status == 200).then_some(()));
    block_on(async {
        let (theirs, mark) = tree(&as_kai).await;
        let ours = shell(&leo.client()).await;
        let mut looker = Looker::new(&as_kai, looking(&ours.id)).await;
        looker.until("a snapshot", |seen| seen.snapshots == 1).await;
        leo.call("DELETE", "/api/v1/peers/keys/kai", None).ok();
        while looker.step().await.is_ok() {}
        gone(&mark);
        until("the end of theirs", || leo.get(&format!("/api/v1/terminals/{}", theirs.id)).json().get("exit").is_some().then_some(()));
        assert!(leo.get(&format!("/api/v1/terminals/{}", ours.id)).ok().json().get("exit").is_none(), "ours goes on");
    });
}

#[test]
fn a_terminal_on_a_peer_is_as_one_here() {
    let pair = Pair::paired();
    pair.kai.loopsy(&["peers", "allow", "leo", "terminal"]).ok();
    block_on(async {
        let client = pair.leo.client().at("kai");
        let info = shell(&client).await;
        let mut looker = Looker::new(&client, looking(&info.id)).await;
        looker.types("echo far$((6 * 7))\n").await;
        looker.until("the answer", |seen| seen.saw("far42")).await;
        let offset = looker.attachment.offset().unwrap();
        drop(looker);
        let mut again = Looker::new(&client, AttachTerminal { after: Some(offset), ..looking(&info.id) }).await;
        again.types("echo again\n").await;
        again.until("the answer", |seen| seen.saw("again\r\n")).await;
        assert_eq!(again.snapshots, 0);
        assert!(!again.saw("far42"));
        assert_eq!(pair.kai.get("/api/v1/terminals").ok().json()["terminals"][0]["principal"], "leo");
    });
}

/// Passes connections on, and cuts them.
struct Proxy {
    address: std::net::SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn new(to: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let known = Arc::clone(&open);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(to) else { continue };
                known.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    std::thread::spawn(move || {
                        let mut buffer = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut buffer) {
                            if to.write_all(&buffer[..count]).is_err() {
                                break;
                            }
                        }
                        let _gone = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { address, open }
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn a_connection_that_breaks_costs_no_byte_and_repeats_none() {
    let leo = TestDaemon::new("leo");
    let proxy = Proxy::new(leo.address);
    let through = Client::new(Transport::default(), proxy.address.to_string(), Some(&Secret::new(leo.key.as_str()))).unwrap();
    block_on(async {
        let info = open(&leo.client(), "sh", &["-c", "stty -echo; echo ready; read x; seq 1 100000; read x"]).await;
        let mut looker = Looker::new(&through, looking(&info.id)).await;
        looker.until("the start", |seen| seen.saw("ready")).await;
        looker.types("\n").await;
        let mut cuts = 0;
        while !looker.saw("100000\r\n") {
            looker.step().await.unwrap();
            if looker.printed.len() > 100_000 * (cuts + 1) && cuts < 4 {
                proxy.cut();
                cuts += 1;
            }
        }
        assert_eq!((cuts, looker.snapshots), (4, 1));
        assert!(looker.printed.ends_with(&numbers(100_000)));
    });
}

#[test]
fn what_cannot_be_opened_is_refused_with_a_sentence() {
    let leo = TestDaemon::with_config("leo", "execution:\n", "terminals:\n  maxOpen: 1\nexecution:\n");
    let open = |body| leo.post("/api/v1/terminals", body);
    assert_eq!(open(json!({ "command": "rm", "args": ["-rf", "x"] })).status, 400);
    assert_eq!(open(json!({ "command": "sh", "args": ["-c", "rm x"] })).status, 400);
    assert!((400..500).contains(&open(json!({ "cwd": "/no/such/place" })).status));
    assert!((400..500).contains(&open(json!({ "command": "no-such-program" })).status));
    assert_eq!(open(json!({ "command": "sh", "env": { "A=B": "c" } })).status, 400);
    assert_eq!(open(json!({})).status, 201);
    assert_eq!(open(json!({})).status, 429);
    assert_eq!(leo.get("/api/v1/terminals/nothing/attach").status, 400, "no handshake");
    let handshake = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "bG9vcHN5LXRlcm1pbmFsIQ==")];
    let bearer = format!("Bearer {}", leo.key);
    let id = leo.get("/api/v1/terminals").ok().json()["terminals"][0]["id"].as_str().unwrap().to_owned();
    let attach = |headers: &[(&str, &str)], id: &str| {
        let all: Vec<(&str, &str)> = handshake.into_iter().chain(headers.iter().copied()).collect();
        crate::support::http::exchange(
            leo.address,
            &crate::support::http::compose(leo.address, "GET", &format!("/api/v1/terminals/{id}/attach"), &all, None, true),
            false,
        )
        .status
    };
    assert_eq!(attach(&[("Authorization", &bearer)], "nothing"), 404);
    assert_eq!(attach(&[], &id), 401);
    assert_eq!(attach(&[("Authorization", &bearer), ("Origin", "https://example.org")], &id), 403);
    assert_eq!(attach(&[("Authorization", &bearer)], &id), 101);
}

#[test]
fn changes_are_told_to_who_watches_events() {
    let leo = TestDaemon::new("leo");
    let mut events = leo.events("?topics=terminals", None);
    assert_eq!(events.next().data["terminals"], json!([]));
    let info = block_on(shell(&leo.client()));
    assert_eq!(events.next().data["terminal"]["id"], info.id.as_str());
    leo.call("DELETE", &format!("/api/v1/terminals/{}", info.id), None).ok();
    until("the end", || events.next().data["terminal"].get("exit").cloned());
    leo.call("DELETE", &format!("/api/v1/terminals/{}", info.id), None).ok();
    until("the removal", || (events.next().data["type"] == "terminal-removed").then_some(()));
}

#[test]
fn the_command_line_attaches_leaves_and_comes_back() {
    let leo = TestDaemon::new("leo");
    let mut window = Window::open(&leo.home, &["terminal", "new", "--name", "work", "--", "sh", "-c", "PS1='$ ' exec sh"]);
    window.until_it_shows("$ ");
    window.types(b"echo here$((1 + 1)); stty size\n");
    window.until_it_shows("here2");
    window.until_it_shows("24 80");
    window.resize(100, 30);
    window.types(b"stty size\n");
    window.until_it_shows("30 100");
    // Modes that the program sets are undone when we leave; what was typed before the key arrives.
    window.types(b"printf '\\033[?1000h\\033[?2004h\\033[?25l'\n");
    until("the modes", || window.bytes().windows(8).any(|part| part == b"\x1b[?1000h").then_some(()));
    window.types(b"echo last$((2 + 2)) > left\n\x1d ignored");
    assert_eq!(window.end(), 0);
    until("the farewell", || window.shows().contains("detached; the terminal goes on: loopsy terminal attach").then_some(()));
    let bytes = String::from_utf8_lossy(&window.bytes()).into_owned();
    for undone in ["\x1b[?1000l", "\x1b[?2004l", "\x1b[?25h"] {
        assert!(bytes.rfind(undone) > bytes.rfind("\x1b[?1000h"), "{undone:?} is missing");
    }
    assert!(window.is_sane());
    until("what was typed before", || std::fs::read_to_string(leo.home.home().join("left")).ok().filter(|text| text == "last4\n"));
    let list = leo.loopsy(&["terminal", "list", "--json"]).ok().json();
    let id = list["terminals"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&list["terminals"][0]["name"], &list["terminals"][0]["viewers"]), (&json!("work"), &json!(0)));
    assert!(leo.loopsy(&["terminal", "show", &id[..6]]).ok().text().contains("here2"));
    let mut again = Window::open(&leo.home, &["terminal", "attach", &id[..6]]);
    again.until_it_shows("here2");
    again.types(b"exit 5\n");
    assert_eq!(again.end(), 5);
    assert!(again.is_sane());
    leo.loopsy(&["terminal", "attach", &id[..6]]).refused(2);
    leo.loopsy(&["terminal", "kill", "zzzz"]).refused(1);
}

#[test]
fn a_signal_leaves_our_terminal_as_it_was() {
    let leo = TestDaemon::new("leo");
    let id = leo.loopsy(&["terminal", "new", "--detach"]).ok().text().trim().to_owned();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut window = Window::open(&leo.home, &["terminal", "attach", &id]);
        until("the attachment", || (leo.get(&format!("/api/v1/terminals/{id}")).ok().json()["viewers"] == 1 && !window.is_sane()).then_some(()));
        window.signal(signal);
        assert_eq!(window.end(), code);
        assert!(window.is_sane());
    }
    assert!(leo.get(&format!("/api/v1/terminals/{id}")).ok().json().get("exit").is_none());
}
