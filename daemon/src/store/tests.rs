//! The store against files that are missing, old, damaged or newer, against a full disk, and against an end without a goodbye.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use loopsy_shared::{
    api::peers::{Encryption, PeerInfo, PeerStatus},
    paths::DataDir,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{damage::beside, *};

fn home() -> (tempfile::TempDir, DataDir) {
    let home = tempfile::tempdir().expect("a directory");
    let dir = DataDir::new(home.path().join("data")).expect("a path");
    fs::create_dir(dir.path()).expect("a directory");
    (home, dir)
}

fn peer(name: &str) -> PeerInfo {
    PeerInfo {
        node_id: name.into(),
        hostname: name.to_owned(),
        address: "192.0.2.1".to_owned(),
        port: 19532,
        platform: "linux".to_owned(),
        version: "1".to_owned(),
        capabilities: vec!["exec".to_owned()],
        status: PeerStatus::Unknown,
        last_seen: 5,
        failure_count: 0,
        trusted: true,
        manually_added: false,
        paired: false,
        candidate: false,
        encryption: Encryption::None,
        scopes: Vec::new(),
        addresses: Vec::new(),
        principal: None,
        last_error: None,
        offline_since: None,
    }
}

fn put_kv(name: &str, json: impl Into<String>) -> Write {
    Write::PutKv { name: name.to_owned(), json: json.into() }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn copies(dir: &DataDir, of: &str) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(dir.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&format!("{of}.corrupt-")))).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_stored_is_there_after_a_stop_and_in_the_export() {
    let (_home, dir) = home();
    let (store, loaded) = Store::open(&dir).expect("opens");
    assert!(loaded.entries.is_empty() && loaded.peers.is_empty());
    let mut leo = peer("leo");
    store
        .write(vec![
            Write::PutPeer(Box::new(peer("kai"))),
            Write::PutPeer(Box::new(leo.clone())),
            Write::PutPeer(Box::new(peer("mia"))),
            put_kv("a", "1"),
            put_kv("b", "2"),
        ])
        .await
        .expect("stored");
    leo.failure_count = 3;
    store.write(vec![Write::DeletePeer("kai".into()), Write::PutPeer(Box::new(leo.clone())), Write::DeleteKv { name: "a".to_owned() }]).await.expect("stored");
    store.shutdown().await;
    store.shutdown().await;
    assert_eq!(store.write(vec![]).await, Err(StoreError::Closed));
    assert!(!beside(&dir.store(), "-wal").exists(), "the log is in the database");
    assert_eq!(json_of(&dir.peers_json()), json!([leo, peer("mia")]));

    let (_store, loaded) = Store::open(&dir).expect("opens");
    assert_eq!(loaded.peers, [leo, peer("mia")]);
    assert_eq!(loaded.kv, BTreeMap::from([("b".to_owned(), "2".to_owned())]));
}

#[tokio::test]
async fn the_export_follows_within_a_second() {
    let (_home, dir) = home();
    let (store, _) = Store::open(&dir).expect("opens");
    store.write(vec![Write::PutPeer(Box::new(peer("kai")))]).await.expect("stored");
    let begun = Instant::now();
    until("the export", || fs::read(dir.peers_json()).is_ok_and(|text| text.windows(3).any(|part| part == b"kai"))).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    assert!(!beside(&dir.peers_json(), ".new").exists());
}

#[tokio::test]
async fn only_the_owner_may_look() {
    let (_home, dir) = home();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::write(dir.peers_json(), "[]").expect("a file");
    fs::set_permissions(dir.peers_json(), fs::Permissions::from_mode(0o644)).expect("chmod");
    let (store, _) = Store::open(&dir).expect("opens");
    store.write(vec![Write::PutPeer(Box::new(peer("kai")))]).await.expect("stored");
    let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    assert_eq!(mode(dir.path()), 0o700);
    for path in [dir.store(), beside(&dir.store(), "-wal"), beside(&dir.store(), "-shm"), dir.peers_json()] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    store.shutdown().await;
    assert_eq!(mode(&dir.peers_json()), 0o600);
}

#[test]
fn the_first_start_imports_what_a_reference_installation_has() {
    let (_home, dir) = home();
    let context = json!([
        {"key": "a", "value": "1", "fromNodeId": "n", "createdAt": 1, "updatedAt": 2, "extra": {"x": [1]}},
        {"key": "b", "value": {"odd": true}, "fromNodeId": "n", "createdAt": 1.0, "updatedAt": 2000, "ttl": 1.5},
        {"key": "a", "value": "2", "fromNodeId": "n", "createdAt": 1, "updatedAt": 3, "ttl": "soon", "expiresAt": null},
        {"key": "", "value": "", "fromNodeId": "", "createdAt": 1, "updatedAt": 2, "version": 41},
    ]);
    fs::write(dir.context_json(), serde_json::to_vec_pretty(&context).expect("JSON")).expect("a file");
    fs::write(dir.peers_json(), br#"[{"nodeId":"k","address":"10.0.0.1","port":1,"status":"online","relay":1},{"nodeId":"l","address":"::1","port":2}]"#)
        .expect("a file");
    let (store, loaded) = Store::open(&dir).expect("opens");
    let got: Vec<_> = loaded.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str(), entry.expires_at)).collect();
    assert_eq!(got, [("a", "2", None), ("b", "{\"odd\":true}", Some(4000)), ("", "", None)]);
    assert!(loaded.entries.iter().all(|entry| entry.version > 0));
    assert!(store.last_version() >= 41);
    let peers: Vec<_> = loaded.peers.iter().map(|peer| (peer.node_id.as_str(), peer.hostname.as_str(), peer.status)).collect();
    assert_eq!(peers, [("k", "10.0.0.1", PeerStatus::Online), ("l", "::1", PeerStatus::Unknown)]);
    store.shutdown_blocking();

    fs::write(dir.context_json(), "[]").expect("a file");
    let (_store, again) = Store::open(&dir).expect("opens");
    assert_eq!(again.entries, loaded.entries, "the database counts once it is made");
}

#[test]
fn an_export_that_does_not_parse_stops_the_first_start() {
    for (name, text) in [("context.json", "[{\"key\": \"a\""), ("context.json", "{}"), ("context.json", ""), ("peers.json", "[{\"address\": \"x\"}]")] {
        let (_home, dir) = home();
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        let error = Store::open(&dir).map(drop).expect_err("refused");
        assert!(matches!(error, StoreError::Corrupt { .. }) && error.is_unusable(), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), text);
        assert_eq!(copies(&dir, name).len(), 1);
        assert!(!dir.store().exists() && !beside(&dir.store(), ".new").exists(), "nothing half-made");
        assert!(Store::open(&dir).is_err(), "and again");
        assert_eq!(copies(&dir, name).len(), 1, "an equal copy is not made twice");
        fs::remove_file(&path).expect("moved away");
        assert!(Store::open(&dir).is_ok());
    }
}

#[test]
fn a_damaged_database_stops_the_start_and_a_copy_is_kept() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("other bytes", |path| fs::write(path, "this is not a database, whatever its name says. ".repeat(200)).expect("written")),
        ("empty", |path| fs::write(path, "").expect("written")),
        ("cut", |path| {
            let bytes = fs::read(path).expect("read");
            fs::write(path, &bytes[..bytes.len() - 4096]).expect("written");
        }),
        ("overwritten inside", |path| {
            let mut bytes = fs::read(path).expect("read");
            bytes[4096..8192].fill(0x5a);
            fs::write(path, bytes).expect("written");
        }),
        ("not ours", |path| {
            fs::remove_file(path).expect("removed");
            Connection::open(path).expect("opens").execute_batch("CREATE TABLE other(x)").expect("made");
        }),
    ];
    for (name, damage) in damages {
        let (_home, dir) = home();
        fs::write(dir.context_json(), r#"[{"key":"a","value":"1","fromNodeId":"n","createdAt":1,"updatedAt":2}]"#).expect("a file");
        Store::open(&dir).expect("opens").0.shutdown_blocking();
        damage(&dir.store());
        let bytes = fs::read(dir.store()).expect("there");
        let error = Store::open(&dir).map(drop).expect_err(name);
        assert!(matches!(&error, StoreError::Corrupt { kept: Some(_), .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("context.json") && error.to_string().contains("move"), "{error}");
        let kept = copies(&dir, "loopsy.db");
        assert!(kept.iter().any(|copy| fs::read(copy).expect("a copy") == bytes), "{name}");
        assert_eq!(fs::read(dir.store()).expect("there"), bytes, "{name}: untouched");
        for suffix in damage::COMPANIONS {
            let _absent = fs::remove_file(beside(&dir.store(), suffix));
        }
        let (_store, loaded) = Store::open(&dir).expect("opens");
        assert_eq!(loaded.entries.len(), 1, "{name}: the export is imported");
    }
}

#[test]
fn a_newer_database_is_refused() {
    let (_home, dir) = home();
    Store::open(&dir).expect("opens").0.shutdown_blocking();
    Connection::open(dir.store()).expect("opens").execute("UPDATE meta SET value = 99 WHERE name = 'schema'", []).expect("changed");
    let error = Store::open(&dir).map(drop).expect_err("refused");
    assert_eq!(error, StoreError::Newer { path: dir.store(), found: 99, known: schema::newest() });
    assert!(error.is_unusable() && error.to_string().contains("newer"));
    assert!(copies(&dir, "loopsy.db").is_empty());
}

#[tokio::test]
async fn a_log_without_its_database_is_not_replayed_into_another() {
    let (_home, dir) = home();
    let (store, _) = Store::open(&dir).expect("opens");
    store.write(vec![put_kv("a", "1")]).await.expect("stored");
    std::mem::forget(store);
    let (_other_home, other) = home();
    fs::copy(beside(&dir.store(), "-wal"), beside(&other.store(), "-wal")).expect("copied");
    let (_store, loaded) = Store::open(&other).expect("opens");
    assert!(loaded.kv.is_empty());
    assert_eq!(copies(&other, "loopsy.db").len(), 1, "the log is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_that_was_acknowledged_is_in_a_copy_of_the_files_at_any_moment() {
    let (_home, dir) = home();
    let (store, _) = Store::open(&dir).expect("opens");
    let acked = Arc::new(Mutex::new(Vec::new()));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, acked) = (store.clone(), Arc::clone(&acked));
            tokio::spawn(async move {
                for number in 0..200 {
                    let name = format!("{writer}-{number}");
                    store.write(vec![put_kv(&name, "x".repeat(2000))]).await.expect("stored");
                    lock(&acked).push(name);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
    let acked = lock(&acked).clone();
    std::mem::forget(store);
    let (_other_home, other) = home();
    for suffix in ["", "-wal"] {
        fs::copy(beside(&dir.store(), suffix), beside(&other.store(), suffix)).expect("copied");
    }
    let (_store, loaded) = Store::open(&other).expect("opens");
    assert_eq!(loaded.kv.len(), 1600);
    assert!(acked.iter().all(|name| loaded.kv.contains_key(name)));
}

#[tokio::test]
async fn a_dropped_handle_ends_the_threads_and_loses_nothing() {
    let (_home, dir) = home();
    let (store, _) = Store::open(&dir).expect("opens");
    store.write(vec![put_kv("a", "1")]).await.expect("stored");
    drop(store);
    until("the log is in the database", || !beside(&dir.store(), "-wal").exists()).await;
    assert_eq!(Store::open(&dir).expect("opens").1.kv.len(), 1);
}

/// An export that notes whether the log is there while it is written.
struct Watching {
    log: std::path::PathBuf,
    seen: Mutex<Vec<bool>>,
    fails: bool,
}

impl ExportSource for Watching {
    fn size(&self) -> u64 {
        0
    }

    fn write_to(&self, _out: &mut dyn std::io::Write) -> std::io::Result<()> {
        lock(&self.seen).push(fs::metadata(&self.log).is_ok_and(|log| log.len() > 0));
        if self.fails { Err(std::io::Error::other("no")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn the_log_stays_until_the_exports_are_written() {
    for fails in [false, true] {
        let (_home, dir) = home();
        let (store, _) = Store::open(&dir).expect("opens");
        let export = Arc::new(Watching { log: beside(&dir.store(), "-wal"), seen: Mutex::default(), fails });
        store.write(vec![put_kv("a", "1")]).await.expect("stored");
        store.export_context(Arc::clone(&export) as Arc<dyn ExportSource>);
        store.shutdown().await;
        assert_eq!(*lock(&export.seen), [true], "before the log was moved");
        assert_eq!(export.log.exists(), fails, "the next start writes an export that is missing");
        assert_eq!(Store::open(&dir).expect("opens").1.kv.len(), 1);
    }
}

#[test]
fn an_export_that_works_does_not_hide_one_that_fails() {
    let (_home, dir) = home();
    fs::create_dir(beside(&dir.context_json(), ".new")).expect("in the way");
    let exporter = Exporter::new(dir.context_json(), dir.peers_json(), true);
    exporter.set_context(Arc::new(Peers::default()));
    exporter.set_peers(Arc::new(Peers::default()));
    exporter.stop();
    exporter.run();
    assert!(dir.peers_json().exists());
    assert!(exporter.failure().is_some_and(|(text, _)| text.contains("context.json")));
}

/// A file system of 3 MiB, or `None` where mounting is not permitted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let at = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "loopsy-test"]).arg(at.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            Some(Self(at))
        } else {
            eprintln!("SKIPPED: a full disk was not tested, because mounting a tmpfs is not permitted here");
            None
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else { return };
    let dir = DataDir::new(disk.0.path().join("data")).expect("a path");
    fs::create_dir(dir.path()).expect("a directory");
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).expect("room");
    let (store, _) = Store::open(&dir).expect("opens");
    let mut stored = Vec::new();
    let failure = loop {
        let name = format!("k{}", stored.len());
        match store.write(vec![put_kv(&name, "x".repeat(50_000))]).await {
            Ok(()) => stored.push(name),
            Err(error) => break error,
        }
        assert!(stored.len() < 100, "the disk never fills");
    };
    assert_eq!(failure, StoreError::Full { path: dir.store() });
    assert!(!failure.is_unusable());
    assert!(store.problem().is_some_and(|(text, since)| text.contains("full") && since > 0));
    assert!(store.write(vec![put_kv("more", "x".repeat(50_000))]).await.is_err());
    fs::remove_file(&ballast).expect("removed");
    store.write(vec![put_kv("after", "1")]).await.expect("there is room again");
    until("no problem", || store.problem().is_none()).await;
    store.shutdown().await;
    let (again, loaded) = Store::open(&dir).expect("opens");
    assert_eq!(loaded.kv.len(), stored.len() + 1);
    again.shutdown().await;
}

#[tokio::test]
async fn a_failed_disk_makes_the_store_read_only() {
    let (_home, dir) = home();
    let (store, _) = Store::open(&dir).expect("opens");
    store.0.shared.note(&StoreError::ReadOnly { reason: "disk I/O error".to_owned() });
    let error = store.write(vec![put_kv("a", "1")]).await.expect_err("refused");
    assert!(matches!(error, StoreError::ReadOnly { .. }) && error.to_string().contains("restart"), "{error}");
    assert!(store.problem().is_some());
    store.shutdown().await;
    assert!(Store::open(&dir).expect("opens").1.kv.is_empty());
}

/// What the writer does with one lone caller, and with many.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_share_transactions() {
    let (_home, dir) = home();
    let (store, _) = Store::open(&dir).expect("opens");
    let batches = Arc::new(Mutex::new(BTreeMap::<u64, usize>::new()));
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, batches) = (store.clone(), Arc::clone(&batches));
            tokio::spawn(async move {
                for _ in 0..50 {
                    let (reply, answer) = oneshot::channel();
                    store.submit(Box::new(Probe { batch: 0, batches: Arc::clone(&batches), reply }), 10).await.expect("taken");
                    answer.await.expect("answered").expect("stored");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
    let batches = lock(&batches);
    assert_eq!(batches.values().sum::<usize>(), 400);
    assert!(batches.len() < 300, "{} transactions for 400 changes of 8 writers", batches.len());
}

struct Probe {
    batch: u64,
    batches: Arc<Mutex<BTreeMap<u64, usize>>>,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Change for Probe {
    fn apply(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.batch = tx.batch();
        tx.put_kv("probe", "1")
    }

    fn end(self: Box<Self>, result: Result<(), StoreError>) {
        *lock(&self.batches).entry(self.batch).or_default() += 1;
        let _gone = self.reply.send(result);
    }
}
