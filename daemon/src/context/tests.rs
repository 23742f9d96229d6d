//! The context service against a simple model, against itself from many tasks at once, and against reopening.

use std::{fs, time::Duration};

use loopsy_shared::{
    api::context::{ContextEntries, Ttl},
    paths::DataDir,
    time::Millis,
};
use proptest::prelude::*;

use super::*;

struct Bench {
    home: Option<tempfile::TempDir>,
    dir: DataDir,
    config: watch::Sender<Arc<Config>>,
    context: Context,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let dir = DataDir::new(home.path()).expect("a path");
        Self::at(Some(home), dir, watch::channel(Arc::default()).0)
    }

    fn at(home: Option<tempfile::TempDir>, dir: DataDir, config: watch::Sender<Arc<Config>>) -> Self {
        let (store, loaded) = Store::open(&dir).expect("opens");
        let context = Context::new(store, loaded.entries, config.subscribe(), Events::default());
        Self { home, dir, config, context }
    }

    /// Stops and starts again.
    async fn reopen(self) -> Self {
        self.context.store.shutdown().await;
        Self::at(self.home, self.dir, self.config)
    }

    /// Starts from a copy of the files, as after `kill -9`.
    fn crash(self) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        for file in fs::read_dir(self.dir.path()).expect("a directory").flatten().filter(|file| file.file_name() != "loopsy.db-shm") {
            // An export may be renamed away meanwhile.
            let _gone = fs::copy(file.path(), home.path().join(file.file_name()));
        }
        let dir = DataDir::new(home.path()).expect("a path");
        Self::at(Some(home), dir, self.config)
    }

    fn limit(&self, max_entries: usize, max_bytes: u64) {
        self.config.send_modify(|config| {
            let mut new = Config::clone(config);
            new.context = config::Context { max_entries, max_bytes };
            *config = Arc::new(new);
        });
    }

    async fn set(&self, key: &str, value: &str) -> Result<ContextEntry, ContextError> {
        self.put(key, value, None, None).await
    }

    async fn put(&self, name: &str, value: &str, ttl: Option<u64>, if_version: Option<u64>) -> Result<ContextEntry, ContextError> {
        let ttl = ttl.map(|ttl| Ttl::from_seconds(ttl).expect("a ttl"));
        let json = self.context.set("node", SetContext { key: key(name), value: value.to_owned(), ttl, if_version }).await?;
        Ok(serde_json::from_slice(&json).expect("JSON"))
    }

    async fn expire(&self, name: &str) {
        // An import leaves out what expired before it was decided.
        for soon in [5, 50, 500, 5000] {
            let entry = ContextEntry { expires_at: Some(time::now() + soon), ..entry(name, "old") };
            if self.context.import("n", vec![entry], false).await.expect("imported").stored == 1 {
                break;
            }
        }
        while self.context.get(name).is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn keys(&self) -> Vec<String> {
        self.context.entries("").into_iter().map(|entry| entry.key).collect()
    }
}

fn key(text: &str) -> ContextKey {
    ContextKey::try_from(text.to_owned()).expect("a key")
}

fn entry(key: &str, value: &str) -> ContextEntry {
    ContextEntry {
        key: key.to_owned(),
        value: value.to_owned(),
        from_node_id: String::new(),
        created_at: 1,
        updated_at: 2,
        ttl: None,
        expires_at: None,
        version: 0,
    }
}

#[tokio::test]
async fn an_entry_is_stored_read_listed_and_removed() {
    let bench = Bench::new();
    let a = bench.set("inbox:a", "1").await.expect("stored");
    let b = bench.set("b", "").await.expect("an empty value is a value");
    let a2 = bench.put("inbox:a", "2", Some(60), None).await.expect("stored");
    assert_eq!((a2.created_at, a2.ttl), (a.created_at, Some(60)));
    assert_eq!(a2.expires_at, Some(a2.updated_at + 60_000));
    assert!(a.version > 0 && a.version < b.version && b.version < a2.version);
    assert_eq!(bench.context.entry("inbox:a"), Some(a2.clone()));
    assert_eq!(bench.keys(), ["inbox:a", "b"], "an update keeps its place");
    let listed: ContextEntries = serde_json::from_slice(&bench.context.list("inbox:")).expect("JSON");
    assert_eq!(listed.entries, [a2]);
    assert_eq!(bench.context.list("none"), "{\"entries\":[]}");
    let a3 = bench.set("inbox:a", "3").await.expect("stored");
    assert_eq!((a3.ttl, a3.expires_at), (None, None), "no ttl drops the old one");
    bench.context.delete(&key("inbox:a"), None).await.expect("removed");
    assert!(matches!(bench.context.delete(&key("inbox:a"), None).await, Err(ContextError::NotFound { .. })));
    assert_eq!((bench.keys(), bench.context.len()), (vec!["b".to_owned()], 1));
    let bench = bench.reopen().await;
    assert_eq!(bench.context.entries(""), [b]);
}

#[tokio::test]
async fn versions_never_repeat_even_after_a_delete_and_a_restart() {
    let bench = Bench::new();
    let first = bench.set("a", "1").await.expect("stored");
    bench.context.delete(&key("a"), None).await.expect("removed");
    let bench = bench.crash();
    let second = bench.set("a", "1").await.expect("stored");
    assert!(second.version > first.version + 1, "{} after {}", second.version, first.version);
    bench.context.import("n", vec![], true).await.expect("emptied");
    let bench = bench.reopen().await;
    assert!(bench.set("a", "1").await.expect("stored").version > second.version + 1);
}

#[tokio::test]
async fn a_version_is_compared() {
    let bench = Bench::new();
    let a = bench.put("a", "1", None, Some(0)).await.expect("absent");
    let expected = ContextError::VersionMismatch { key: "a".to_owned(), expected: 0, current: a.version };
    assert_eq!(bench.put("a", "2", None, Some(0)).await, Err(expected));
    let b = bench.put("a", "2", None, Some(a.version)).await.expect("matches");
    assert!(bench.put("a", "3", None, Some(a.version)).await.is_err());
    assert_eq!(bench.context.entry("a"), Some(b.clone()));
    assert!(matches!(bench.context.delete(&key("a"), Some(a.version)).await, Err(ContextError::VersionMismatch { .. })));
    bench.context.delete(&key("a"), Some(b.version)).await.expect("matches");
    let gone = bench.put("a", "4", None, Some(b.version)).await.expect_err("gone");
    assert!(gone.to_string().contains("gone"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_tasks_count_to_exactly_five_hundred() {
    let bench = Bench::new();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let context = bench.context.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    loop {
                        let now = context.entry("n");
                        let (count, version) = now.map_or((0, 0), |entry| (entry.value.parse::<u64>().expect("a number"), entry.version));
                        let request = SetContext { key: key("n"), value: (count + 1).to_string(), ttl: None, if_version: Some(version) };
                        match context.set("n", request).await {
                            Ok(_) => break,
                            Err(ContextError::VersionMismatch { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(bench.context.entry("n").expect("there").value, "500");
    assert_eq!(bench.crash().context.entry("n").expect("there").value, "500");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_share_commits_and_lose_nothing() {
    let bench = Bench::new();
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let context = bench.context.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    let name = format!("{writer}-{number}");
                    let json = context.set("n", SetContext { key: key(&name), value: name.clone(), ttl: None, if_version: Some(0) }).await.expect("stored");
                    assert_eq!(context.get(&name), Some(json), "visible once acknowledged");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let entries = bench.context.entries("");
    assert_eq!(entries.len(), 800);
    assert!(entries.is_sorted_by_key(|entry| entry.version));
    assert_eq!(bench.crash().context.entries(""), entries);
}

#[tokio::test]
async fn what_expired_is_gone_at_once_and_from_the_disk_after_reaping() {
    let bench = Bench::new();
    bench.set("stays", "1").await.expect("stored");
    bench.expire("goes").await;
    bench.expire("comes back").await;
    bench.set("last", "1").await.expect("stored");
    assert_eq!(bench.keys(), ["stays", "last"]);
    assert_eq!(bench.context.len(), 2);
    assert!(matches!(bench.context.delete(&key("goes"), None).await, Err(ContextError::NotFound { .. })));
    let back = bench.put("comes back", "new", None, Some(0)).await.expect("expired is absent");
    assert!(back.created_at > 1, "it is new");
    assert_eq!(bench.keys(), ["stays", "last", "comes back"]);
    let bench = bench.crash();
    assert_eq!(bench.keys(), ["stays", "last", "comes back"], "the order on disk is the same");
    assert!(bench.context.core.read().find("goes").is_some());
    bench.context.reap().await;
    assert!(bench.context.core.read().find("goes").is_none());
    let bench = bench.crash();
    assert!(bench.context.core.read().find("goes").is_none(), "a committed delete");
    assert_eq!(bench.context.len(), 3);
}

#[tokio::test]
async fn limits_are_live_and_named() {
    let bench = Bench::new();
    bench.limit(2, 100);
    bench.set("a", "1").await.expect("stored");
    bench.expire("old").await;
    bench.set("b", "1").await.expect("expired ones do not count");
    let error = bench.set("c", "1").await.expect_err("full");
    assert!(error.to_string().contains("context.maxEntries") && error.to_string().contains('2'), "{error}");
    bench.set("a", "2").await.expect("an update is no new entry");
    let error = bench.set("a", &"x".repeat(100)).await.expect_err("full");
    assert!(error.to_string().contains("context.maxBytes"), "{error}");
    bench.limit(1, 1);
    bench.set("a", "").await.expect("what is above a lowered limit may shrink");
    bench.limit(3, 1000);
    bench.set("c", &"x".repeat(100)).await.expect("raised");
    let long = "x".repeat(MAX_VALUE_BYTES);
    bench.limit(10, 10 << 20);
    bench.set("long", &long).await.expect("just fits");
    assert!(matches!(bench.set("long", &(long + "y")).await, Err(ContextError::ValueTooLarge { .. })));
}

#[tokio::test]
async fn an_import_is_all_or_none() {
    let bench = Bench::new();
    bench.set("a", "1").await.expect("stored");
    bench.set("b", "1").await.expect("stored");
    let old = ContextEntry { ttl: Some(1), ..entry("old", "x") };
    let imported = bench.context.import("me", vec![entry("b", "2"), old, entry("c", "0"), entry("c", "3")], false).await.expect("imported");
    assert_eq!((imported.stored, imported.removed, imported.expired), (2, 0, 1));
    assert_eq!(bench.keys(), ["a", "b", "c"]);
    let c = bench.context.entry("c").expect("there");
    assert_eq!((c.value.as_str(), c.from_node_id.as_str(), c.created_at), ("3", "me", 1));
    let before = bench.context.list("");
    for bad in [entry("", "x"), entry(&"k".repeat(257), "x"), entry("long", &"x".repeat(MAX_VALUE_BYTES + 1))] {
        assert!(bench.context.import("me", vec![entry("new", "x"), bad], true).await.is_err());
    }
    bench.limit(3, 1 << 20);
    assert!(matches!(bench.context.import("me", vec![entry("d", "x"), entry("e", "x")], false).await, Err(ContextError::TooMany { .. })));
    assert_eq!(bench.context.list(""), before);
    let imported = bench.context.import("me", vec![entry("z", "1"), entry("b", "1"), entry("y", "1")], true).await.expect("imported");
    assert_eq!((imported.stored, imported.removed), (3, 2));
    assert_eq!(bench.keys(), ["z", "b", "y"]);
    let listed = bench.context.entries("");
    assert_eq!(bench.crash().context.entries(""), listed);
}

#[tokio::test]
async fn the_export_has_the_entries_after_a_stop() {
    let bench = Bench::new();
    bench.set("a", "line\n\"quoted\" \u{1f600}").await.expect("stored");
    bench.put("b", "", Some(60), None).await.expect("stored");
    bench.expire("c").await;
    bench.context.store.shutdown().await;
    let text = fs::read_to_string(bench.dir.context_json()).expect("an export");
    let exported: Vec<ContextEntry> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(exported, bench.context.entries(""));
    assert!(text.starts_with("[\n  {\n    \"key\": \"a\",\n    \"value\": "), "{text}");
    let error = bench.set("d", "1").await.expect_err("closed");
    assert_eq!(error, ContextError::Store(StoreError::Closed));
}

#[tokio::test]
async fn a_failed_commit_is_never_visible() {
    let bench = Bench::new();
    bench.set("a", "1").await.expect("stored");
    // Another program takes the table away: each statement fails, and nothing of it may stay in memory.
    meddle(&bench.dir, "ALTER TABLE context RENAME TO hidden");
    assert!(bench.set("a", "2").await.is_err());
    assert!(bench.put("b", "2", None, Some(0)).await.is_err());
    assert_eq!(bench.context.entry("a").expect("there").value, "1");
    meddle(&bench.dir, "ALTER TABLE hidden RENAME TO context");
    let b = bench.put("b", "3", None, Some(0)).await.expect("b is still absent");
    assert_eq!(bench.keys(), ["a", "b"]);
    assert_eq!(bench.crash().context.entry("b"), Some(b));
}

fn meddle(dir: &DataDir, sql: &str) {
    crate::store::meddle(&dir.store(), sql);
}

#[derive(Debug, Clone)]
enum Op {
    Set { key: u8, value: u8, cas: Option<bool> },
    Delete { key: u8, cas: Option<bool> },
    Import { keys: Vec<u8>, replace: bool },
    Expire { key: u8 },
    Reap,
    Reopen,
    Crash,
}

fn ops() -> impl Strategy<Value = Op> {
    let cas = || prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    prop_oneof![
        10 => (0..6_u8, any::<u8>(), cas()).prop_map(|(key, value, cas)| Op::Set { key, value, cas }),
        5 => (0..6_u8, cas()).prop_map(|(key, cas)| Op::Delete { key, cas }),
        2 => (proptest::collection::vec(0..6_u8, 0..5), any::<bool>()).prop_map(|(keys, replace)| Op::Import { keys, replace }),
        1 => (0..6_u8).prop_map(|key| Op::Expire { key }),
        1 => Just(Op::Reap),
        1 => Just(Op::Reopen),
        1 => Just(Op::Crash),
    ]
}

/// Key, value, time of creation and version, oldest first.
type Model = Vec<(String, String, Millis, u64)>;

fn place(model: &Model, key: &str) -> Option<usize> {
    model.iter().position(|(known, ..)| known == key)
}

async fn agrees_with_the_model(ops: Vec<Op>) {
    let mut bench = Bench::new();
    let mut model = Model::new();
    let mut highest = 0;
    for op in ops {
        match op {
            Op::Set { key, value, cas } => {
                let (key, value) = (format!("k{key}"), format!("v{value}"));
                let at = place(&model, &key);
                let current = at.map_or(0, |at| model[at].3);
                let if_version = cas.map(|right| if right { current } else { current + 1 });
                let done = bench.put(&key, &value, None, if_version).await;
                assert_eq!(done.is_ok(), cas != Some(false));
                let Ok(stored) = done else { continue };
                assert!(stored.version > highest);
                highest = stored.version;
                match at {
                    Some(at) => model[at] = (key, value, model[at].2, stored.version),
                    None => model.push((key, value, stored.created_at, stored.version)),
                }
            }
            Op::Delete { key: number, cas } => {
                let name = format!("k{number}");
                let at = place(&model, &name);
                let if_version = cas.map(|right| at.map_or(0, |at| model[at].3) + u64::from(!right));
                let done = bench.context.delete(&key(&name), if_version).await;
                assert_eq!(done.is_ok(), at.is_some() && cas != Some(false));
                if done.is_ok() {
                    model.remove(at.expect("it was there"));
                }
            }
            Op::Import { keys, replace } => {
                let entries: Vec<_> = keys.iter().enumerate().map(|(index, key)| entry(&format!("k{key}"), &index.to_string())).collect();
                bench.context.import("n", entries.clone(), replace).await.expect("imported");
                if replace {
                    model.clear();
                }
                for entry in entries {
                    let new = (entry.key.clone(), entry.value, 1, bench.context.entry(&entry.key).expect("there").version);
                    match place(&model, &entry.key) {
                        Some(at) => model[at] = new,
                        None => model.push(new),
                    }
                }
            }
            Op::Expire { key } => {
                let name = format!("k{key}");
                bench.expire(&name).await;
                model.retain(|(known, ..)| *known != name);
            }
            Op::Reap => bench.context.reap().await,
            Op::Reopen => bench = bench.reopen().await,
            Op::Crash => bench = bench.crash(),
        }
        let got: Model = bench.context.entries("").into_iter().map(|entry| (entry.key, entry.value, entry.created_at, entry.version)).collect();
        assert_eq!(got, model);
        assert_eq!(bench.context.len(), model.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_agrees_with_a_simple_model(ops in proptest::collection::vec(ops(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(agrees_with_the_model(ops));
    }
}

/// Not a test of truth but of speed: `cargo test --release -p loopsy-daemon -- --ignored --nocapture speed`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long; prints figures"]
async fn speed() {
    use std::time::Instant;
    let value = "x".repeat(1024);
    for count in [1_000_usize, 100_000] {
        let bench = Bench::new();
        let entries = (0..count).map(|number| entry(&format!("key:{number:06}"), &value)).collect();
        let begun = Instant::now();
        bench.context.import("n", entries, true).await.expect("imported");
        println!("{count} entries: import {:?}", begun.elapsed());
        // The export of the import would be measured too.
        while fs::metadata(bench.dir.context_json()).is_ok_and(|export| export.len() < count as u64 * 1024) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for writers in [1_usize, 8, 64] {
            let begun = Instant::now();
            let tasks: Vec<_> = (0..writers)
                .map(|writer| {
                    let (context, value) = (bench.context.clone(), value.clone());
                    tokio::spawn(async move {
                        let (mut done, mut number) = (0_usize, writer * 7919);
                        while begun.elapsed() < Duration::from_secs(3) {
                            number = (number * 1_103_515_245 + 12_345) % count;
                            let name = format!("key:{number:06}");
                            context.set("n", SetContext { key: key(&name), value: value.clone(), ttl: None, if_version: None }).await.expect("stored");
                            done += 1;
                        }
                        done
                    })
                })
                .collect();
            let mut done = 0;
            for task in tasks {
                done += task.await.expect("no panic");
            }
            println!("{count} entries, {writers} writers: {:.0} sets/s", done as f64 / begun.elapsed().as_secs_f64());
        }
        let begun = Instant::now();
        let gets = 1_000_000_usize;
        let found = (0..gets).filter(|number| bench.context.get(&format!("key:{:06}", number * 7919 % count)).is_some()).count();
        println!("{count} entries: {:.0} gets/s on one core, {found} found", gets as f64 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let bytes = bench.context.list("key:000").len();
        println!("{count} entries: a list of {bytes} bytes by prefix {:?}", begun.elapsed());
        let begun = Instant::now();
        let bytes = bench.context.list("").len();
        println!("{count} entries: a list of {bytes} bytes {:?}", begun.elapsed());
        let begun = Instant::now();
        bench.context.store.shutdown().await;
        println!("{count} entries: stop {:?}", begun.elapsed());
        let begun = Instant::now();
        Store::open(&bench.dir).expect("opens").0.shutdown().await;
        println!("{count} entries: open and close the store alone {:?}", begun.elapsed());
        let begun = Instant::now();
        let bench = Bench::at(bench.home, bench.dir, bench.config);
        println!("{count} entries: start {:?}", begun.elapsed());
        assert_eq!(bench.context.len(), count);
        let begun = Instant::now();
        let bench = bench.crash();
        println!("{count} entries: copy and start after a crash {:?}", begun.elapsed());
        bench.context.store.shutdown().await;
    }
    let bench = Bench::new();
    bench.set("a", "1").await.expect("stored");
    let begun = Instant::now();
    let bench = bench.reopen().await;
    println!("1 entry: stop and start {:?}", begun.elapsed());
    drop(bench);
}
