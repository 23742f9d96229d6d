//! Jobs with real processes, below a keeper that is this test binary.

use std::{collections::BTreeMap, task::Poll, time::Instant};

use loopsy_shared::{
    api::execute::{Encoding, JobResult, OutputStream, Timeout},
    config::Execution,
};
use tokio::io::AsyncWriteExt;

use super::*;
use crate::trust::{Principal, Role};

struct Fixture {
    jobs: Jobs,
    config: watch::Sender<Arc<Config>>,
    caller: Caller,
    dir: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let execution = Execution { max_concurrent: 100, grace: 300, ..Execution::default() };
        let (config, watched) = watch::channel(Arc::new(Config { execution, ..Config::default() }));
        let jobs = Jobs::start(watched, dir.path().join("spill"), keeper::tests::command(), Events::default()).await.expect("started");
        let principal = Principal { name: "admin".into(), role: Role::Owner, ..Principal::nobody() };
        Self {
            jobs,
            config,
            caller: Caller { principal: Arc::new(principal), from_node_id: None, job_id: None, from: std::net::Ipv4Addr::LOCALHOST.into(), for_agent: false },
            dir,
        }
    }

    async fn start(&self, command: Command) -> Job {
        self.jobs.spawn(&self.caller, command, JobKind::Call).await.expect("spawned")
    }

    async fn stream(&self, command: Command) -> Job {
        self.jobs.spawn(&self.caller, command, JobKind::Stream).await.expect("spawned")
    }

    async fn run(&self, command: Command) -> JobResult {
        self.start(command).await.result().await
    }

    async fn refused(&self, command: Command) -> JobError {
        self.jobs.spawn(&self.caller, command, JobKind::Call).await.expect_err("refused")
    }

    /// A number that no other test sleeps for, so that its processes can be found.
    fn unique(&self) -> String {
        let sum: u64 = self.dir.path().to_string_lossy().bytes().fold(7, |sum, byte| (sum * 131 + u64::from(byte)) % 900_000);
        format!("{}", 1_000_000 + sum * 1000 + u64::from(std::process::id()) % 1000)
    }
}

fn command(words: &[&str]) -> Command {
    Command { command: words[0].into(), args: words[1..].iter().map(|word| (*word).to_owned()).collect(), ..Command::default() }
}

fn sh(script: &str) -> Command {
    command(&["sh", "-c", script])
}

fn within(ms: f64, command: Command) -> Command {
    Command { timeout: Some(Timeout::from_millis(ms).expect("positive")), ..command }
}

/// Processes with that argument that live.
fn alive(argument: &str) -> usize {
    let dirs = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    let has = |path: PathBuf| std::fs::read(path.join("cmdline")).is_ok_and(|line| line.split(|byte| *byte == 0).any(|arg| arg == argument.as_bytes()));
    dirs.filter(|entry| has(entry.path())).count()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_tells_the_truth() {
    let node = Fixture::new().await;
    let result = node.run(command(&["true"])).await;
    assert_eq!((result.exit.exit_code, result.exit.killed), (Some(0), false));
    assert_eq!(node.run(command(&["false"])).await.exit.exit_code, Some(1));
    let result = node.run(sh("printf out; printf err >&2; exit 7")).await;
    assert_eq!((result.exit.exit_code, result.stdout.as_str(), result.stderr.as_str(), result.exit.total_bytes), (Some(7), "out", "err", 6));
    let result = node.run(sh("kill -9 $$")).await;
    assert_eq!((result.exit.exit_code, result.exit.killed, result.exit.signal.as_deref()), (None, true, Some("SIGKILL")));
    assert!(!result.exit.timed_out && !result.exit.cancelled && !result.truncated);
    assert_eq!((node.jobs.counts().active, node.jobs.counts().total, node.jobs.all().len(), node.jobs.running().len()), (0, 4, 4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_start_is_told() {
    let node = Fixture::new().await;
    assert!(matches!(node.refused(command(&["no-such-program"])).await, JobError::SpawnFailed { .. }));
    assert!(matches!(node.refused(command(&["./no-such-program"])).await, JobError::SpawnFailed { .. }));
    assert!(matches!(node.refused(command(&["/etc/passwd"])).await, JobError::SpawnFailed { .. }));
    assert!(matches!(node.refused(Command { cwd: Some("/no/such/dir".into()), ..command(&["true"]) }).await, JobError::SpawnFailed { .. }));
    assert!(matches!(node.refused(Command { cwd: Some("/etc/passwd".into()), ..command(&["true"]) }).await, JobError::SpawnFailed { .. }));
    assert!(matches!(node.refused(command(&[""])).await, JobError::Invalid(_)));
    assert!(matches!(node.refused(command(&["echo", "a\0b"])).await, JobError::Invalid(_)));
    assert_eq!(node.refused(command(&["rm", "x"])).await.to_string(), "The command `rm` is denied here (`execution.denylist`).");
    let large = node.refused(command(&["echo", &"x".repeat(1 << 20)])).await;
    assert!(large.to_string().contains("too long"), "{large}");
    assert_eq!(node.run(command(&["true"])).await.exit.exit_code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_and_environment_are_as_asked() {
    let node = Fixture::new().await;
    let cwd = node.dir.path().canonicalize().expect("exists").to_string_lossy().into_owned();
    let env = BTreeMap::from([("GREETING".to_owned(), "hej".to_owned())]);
    let result = node.run(Command { cwd: Some(cwd.clone()), env, ..sh("pwd; echo $GREETING; env | grep -c CARGO_MANIFEST_DIR") }).await;
    assert_eq!(result.stdout, format!("{cwd}\nhej\n0\n"));
    let home = loopsy_shared::paths::home().expect("there is one").canonicalize().expect("exists");
    assert_eq!(node.run(command(&["pwd", "-P"])).await.stdout, format!("{}\n", home.display()));
    let elsewhere = BTreeMap::from([("HOME".to_owned(), "tmp".to_owned())]);
    for cwd in [None, Some(".".to_owned())] {
        let result = node.run(Command { cwd, env: elsewhere.clone(), ..command(&["pwd", "-P"]) }).await;
        assert_eq!(result.stdout, format!("{}\n", home.display()), "the caller's HOME decides nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_empty_text_or_a_pipe() {
    let node = Fixture::new().await;
    assert_eq!(node.run(command(&["cat"])).await.stdout, "");
    let text = "grüße\n".repeat(100_000);
    let result = node.run(Command { stdin: Some(text.clone()), ..command(&["cat"]) }).await;
    assert_eq!((result.stdout, result.truncated), (text, false));
    assert_eq!(node.run(Command { stdin: Some("x".repeat(1 << 20)), ..command(&["true"]) }).await.exit.exit_code, Some(0));
    let job = node.start(Command { pipe_stdin: true, ..command(&["cat"]) }).await;
    let mut stdin = job.take_stdin().await.expect("there is one");
    assert!(job.take_stdin().await.is_none());
    stdin.write_all(b"hello").await.expect("written");
    assert_eq!(job.output(0, Duration::from_secs(20)).await.chunks[0].data, "hello");
    drop(stdin);
    assert_eq!(job.result().await.stdout, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_grandchildren() {
    let node = Fixture::new().await;
    let number = node.unique();
    let begun = Instant::now();
    let result = node.run(within(300.0, sh(&format!("trap '' TERM; sleep {number} & sleep {number}; sleep {number}")))).await;
    assert!(result.exit.timed_out && result.exit.killed && result.exit.exit_code.is_none(), "{:?}", result.exit);
    assert!(begun.elapsed() < Duration::from_millis(300 + 300 + 1000), "{:?}", begun.elapsed());
    until("its children are gone", || alive(&number) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_escape_are_found() {
    let node = Fixture::new().await;
    let number = node.unique();
    let script = format!("setsid sh -c 'sleep {number} & sleep {number} & trap \"\" TERM; exec sleep {number}' & (setsid sleep {number} &) ; sleep {number}");
    let job = node.start(sh(&script)).await;
    until("all five run", || alive(&number) == 5).await;
    node.jobs.cancel(job.id()).await.expect("it runs");
    let exit = job.ended().await;
    assert!(exit.cancelled && exit.killed && !exit.timed_out);
    until("all are gone", || alive(&number) == 0).await;
    assert!(matches!(node.jobs.cancel(job.id()).await, Err(JobError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_keeps_moving_is_caught() {
    let node = Fixture::new().await;
    let (script, trace) = (node.dir.path().join("hop.sh"), node.dir.path().join("trace"));
    std::fs::write(&script, format!("echo . >>{}; setsid sh \"$0\" &\n", trace.display())).expect("written");
    let hops = || std::fs::metadata(&trace).map_or(0, |file| file.len());
    let job = node.start(Command { pipe_stdin: true, ..sh(&format!("sh {}; cat", script.display())) }).await;
    until("it moves", || hops() > 40).await;
    node.jobs.cancel(job.id()).await.expect("it runs");
    assert!(job.ended().await.cancelled);
    let begun = Instant::now();
    loop {
        let before = hops();
        tokio::time::sleep(Duration::from_millis(200)).await; // hundreds of times what one hop takes
        if hops() == before {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "still moving");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_jobs_are_left_alone() {
    let node = Fixture::new().await;
    let (one, other) = (node.unique(), format!("{}1", node.unique()));
    let ended = node.start(sh(&format!("(setsid sleep {one} &); exec sleep {one}"))).await;
    let _stays = node.start(sh(&format!("(setsid sleep {other} &); exec sleep {other}"))).await;
    until("all run", || alive(&one) == 2 && alive(&other) == 2).await;
    node.jobs.cancel(ended.id()).await.expect("it runs");
    until("one is gone", || alive(&one) == 0).await;
    ended.ended().await;
    assert_eq!((alive(&other), node.jobs.running().len()), (2, 1));
    node.jobs.shutdown().await;
    assert_eq!(alive(&other), 0);
    assert!(matches!(node.refused(command(&["true"])).await, JobError::Closing));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_not_delayed_by_who_holds_the_output() {
    let node = Fixture::new().await;
    let number = node.unique();
    let result = node.run(sh(&format!("echo done; sleep {number} &"))).await;
    assert_eq!((result.exit.exit_code, result.stdout.as_str()), (Some(0), "done\n"));
    assert!(result.exit.duration < 5000.0);
    assert_eq!(alive(&number), 1);
    node.jobs.shutdown().await;
    assert_eq!(alive(&number), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_is_bounded_and_counted() {
    let node = Fixture::new().await;
    let job = node.start(sh("head -c 100000000 /dev/zero | tr '\\0' x; echo late >&2")).await;
    let result = job.result().await;
    assert_eq!((result.exit.exit_code, result.exit.total_bytes, result.truncated), (Some(0), 100_000_005, true));
    assert_eq!((result.stdout.len(), result.stderr.as_str()), (output::HEAD, "late\n"));
    let (mut at, mut kept, mut dropped) = (0, 0, 0);
    loop {
        let part = job.output(at, Duration::ZERO).await;
        let bytes: usize = part.chunks.iter().map(|chunk| chunk.data.len()).sum();
        (kept, dropped, at) = (kept + bytes as u64, dropped + part.dropped, part.next);
        if part.end {
            break;
        }
    }
    assert_eq!((at, kept + dropped), (100_000_005, 100_000_005));
    assert!((output::RETAINED - 4..=output::RETAINED + 5).contains(&kept), "{kept}");
    job.settle().await;
    let again = job.result().await;
    assert!(again.stdout == result.stdout && again.stderr == "late\n");
    assert_eq!(std::fs::read_dir(node.dir.path().join("spill")).expect("there").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_reader_gets_everything() {
    let node = Fixture::new().await;
    let job = node.stream(sh("head -c 150000000 /dev/zero; echo late >&2")).await;
    let mut reader = job.reader(0);
    let (mut bytes, mut at, mut errors) = (0, 0, Vec::new());
    while let Some(piece) = reader.next().await {
        assert_eq!((piece.dropped, piece.next), (0, at + piece.bytes.len() as u64));
        (bytes, at) = (bytes + piece.bytes.len(), piece.next);
        if piece.stream == OutputStream::Stderr {
            errors.extend_from_slice(&piece.bytes);
        }
    }
    assert_eq!((bytes, errors.as_slice(), job.info().running), (150_000_005, b"late\n".as_slice(), false));
    let mut again = job.reader(0);
    let mut total = 0;
    while let Some(piece) = again.next().await {
        total += piece.bytes.len() as u64 + piece.dropped;
    }
    assert_eq!(total, 150_000_005);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_is_left_behind() {
    let node = Fixture::new().await;
    let job = node.stream(command(&["head", "-c", "150000000", "/dev/zero"])).await;
    let mut reader = job.reader(0);
    let first = reader.next().await.expect("there is output");
    assert_eq!(job.ended().await.exit_code, Some(0));
    let (mut at, mut dropped) = (first.next, 0);
    while let Some(piece) = reader.next().await {
        assert_eq!(piece.next, at + piece.bytes.len() as u64 + piece.dropped);
        (at, dropped) = (piece.next, dropped + piece.dropped);
    }
    assert_eq!(at, 150_000_000);
    assert!(dropped > 0 && dropped <= 150_000_000 - output::RETAINED, "{dropped}");
}

#[tokio::test]
async fn a_caller_who_leaves_takes_a_stream_along_but_not_a_call() {
    let node = Fixture::new().await;
    for (kind, running) in [(JobKind::Stream, 0), (JobKind::Call, 1)] {
        let before = node.jobs.counts().total;
        let mut spawning = Box::pin(node.jobs.spawn(&node.caller, command(&["sleep", "1000"]), kind));
        // on one thread, nothing happens between the look and the poll: the answer is never taken
        while node.jobs.counts().total == before {
            let pending = std::future::poll_fn(|context| Poll::Ready(spawning.as_mut().poll(context).is_pending())).await;
            assert!(pending);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(spawning);
        until("only the call goes on", || node.jobs.running().len() == running).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_ended_jobs_is_bounded() {
    let node = Fixture::new().await;
    let mut jobs = Vec::new();
    for _ in 0..36 {
        let job = node.start(sh("head -c 1100000 /dev/zero | tr '\\0' a; head -c 1100000 /dev/zero | tr '\\0' b >&2")).await;
        assert_eq!(job.ended().await.total_bytes, 2_200_000);
        jobs.push(job);
    }
    until("the oldest is on disk", || jobs[0].footprint().0 == 0).await;
    assert!(jobs[35].footprint().0 > 0);
    // One after the other moves to the disk.
    until("the memory of all is bounded", || jobs.iter().map(|job| job.footprint().0).sum::<usize>() <= 64 << 20).await;
    for job in [&jobs[0], &jobs[35]] {
        let result = job.result().await;
        assert!(result.truncated && result.stdout == "a".repeat(output::HEAD) && result.stderr == "b".repeat(output::HEAD));
        let mut reader = job.reader(0);
        let mut counts = [0; 2];
        while let Some(piece) = reader.next().await {
            let (at, letter) = if piece.stream == OutputStream::Stdout { (0, b'a') } else { (1, b'b') };
            assert!(piece.bytes.iter().all(|byte| *byte == letter));
            counts[at] += piece.bytes.len();
        }
        assert_eq!(counts, [1_100_000; 2]);
    }
    for _ in 0..100 {
        let batch = (0..10).map(|_| node.run(command(&["true"])));
        assert!(futures_util::future::join_all(batch).await.iter().all(|result| result.exit.exit_code == Some(0)));
    }
    until("the oldest are forgotten", || node.jobs.all().len() == 1000).await;
    assert!(node.jobs.get(jobs[35].id()).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_move_to_the_disk_is_forgotten() {
    let node = Fixture::new().await;
    std::fs::remove_dir(node.dir.path().join("spill")).expect("empty");
    for _ in 0..40 {
        node.run(sh("head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2")).await;
    }
    let in_memory = || node.jobs.0.table.lock().jobs.values().map(|job| job.footprint().0).sum::<usize>();
    until("memory is bounded", || in_memory() <= 64 << 20).await;
    assert!(node.jobs.all().len() > 20, "what fits is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_are_never_cut() {
    let node = Fixture::new().await;
    let job = node
        .stream(sh(
            "i=0; while [ $i -lt 200 ]; do printf '\\303'; printf '\\274\\342'; printf '\\202'; printf '\\254'; i=$((i+1)); done; printf '\\377\\376' >&2",
        ))
        .await;
    let (mut reader, mut text, mut other) = (job.reader(0), String::new(), Vec::new());
    while let Some(piece) = reader.next().await {
        match piece.stream {
            OutputStream::Stdout => text.push_str(std::str::from_utf8(&piece.bytes).expect("whole characters")),
            OutputStream::Stderr => other.extend_from_slice(&piece.bytes),
        }
    }
    assert_eq!((text, other), ("ü€".repeat(200), vec![0xFF, 0xFE]));
    let result = job.result().await;
    assert_eq!((result.stderr.as_str(), result.stderr_encoding, result.stdout_encoding), ("//4=", Some(Encoding::Base64), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_goes_on_where_it_was_left() {
    let node = Fixture::new().await;
    let job = node.start(Command { pipe_stdin: true, ..command(&["cat"]) }).await;
    let mut stdin = job.take_stdin().await.expect("there is one");
    let mut at = 0;
    for word in ["one", "two", "three"] {
        assert!(job.output(at, Duration::ZERO).await.chunks.is_empty());
        let (part, written) = tokio::join!(job.output(at, Duration::from_secs(20)), stdin.write_all(word.as_bytes()));
        written.expect("written");
        assert_eq!((part.chunks[0].data.as_str(), part.end), (word, false));
        at = part.next;
    }
    drop(stdin);
    let last = job.output(at, Duration::from_secs(20)).await;
    assert!(last.end && last.chunks.is_empty() && last.exit.is_some_and(|exit| exit.exit_code == Some(0)));
    assert_eq!(job.output(3, Duration::ZERO).await.chunks[0].data, "twothree");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_as_many_run_as_may() {
    let node = Fixture::new().await;
    node.config.send_modify(|config| Arc::make_mut(config).execution.max_concurrent = 7);
    let burst = (0..30).map(|_| node.jobs.spawn(&node.caller, Command { pipe_stdin: true, ..command(&["cat"]) }, JobKind::Call));
    let (ran, refused): (Vec<_>, Vec<_>) = futures_util::future::join_all(burst).await.into_iter().partition(Result::is_ok);
    assert_eq!((ran.len(), refused.len(), node.jobs.counts().active), (7, 23, 7));
    assert!(refused.iter().all(|refusal| matches!(refusal, Err(JobError::TooMany(7)))));
    for job in ran.into_iter().flatten() {
        node.jobs.cancel(job.id()).await.expect("it runs");
        job.ended().await;
    }
    assert_eq!(node.run(command(&["true"])).await.exit.exit_code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_keeper_fails_its_jobs_and_is_replaced() {
    let node = Fixture::new().await;
    let number = node.unique();
    node.run(sh(&format!("(setsid sleep {number} >/dev/null 2>&1 &)"))).await;
    let job = node.start(sh(&format!("(setsid sleep {number} &); sleep {number}"))).await;
    until("both run, and what was left of one that ended", || alive(&number) == 3).await;
    let keeper = node.jobs.0.keeper.pid().expect("there is one");
    keeper::tree::signal(&[keeper], rustix::process::Signal::KILL);
    let exit = job.ended().await;
    assert_eq!((exit.exit_code, exit.killed), (None, true));
    until("all are gone", || alive(&number) == 0).await;
    assert_eq!(node.run(sh(&format!("(setsid sleep {number} >/dev/null 2>&1 &)"))).await.exit.exit_code, Some(0));
    let next = node.jobs.0.keeper.pid().expect("there is one");
    assert_ne!(next, keeper);
    until("it was left behind", || alive(&number) == 1).await;
    keeper::tree::signal(&[next], rustix::process::Signal::KILL);
    until("it is gone, too", || alive(&number) == 0).await;
}

#[test]
fn a_dead_daemon_leaves_nothing() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let number = runtime.block_on(async {
        let node = Fixture::new().await;
        let number = node.unique();
        node.start(sh(&format!("trap '' TERM; (setsid sleep {number} &); env -i setsid sleep {number} & sleep {number}; sleep {number}"))).await;
        until("all run", || alive(&number) == 3).await;
        number
    });
    runtime.shutdown_background(); // closes the socket, as the kernel does for a process that dies
    let begun = Instant::now();
    while alive(&number) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

const DAEMON: &str = "LOOPSY_TEST_DAEMON";

#[test]
#[ignore = "not a test: another test runs it as a daemon, to kill it"]
fn serve_as_daemon() {
    let Ok(number) = std::env::var(DAEMON) else { return };
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let node = Fixture::new().await;
        let _call = node.start(sh(&format!("trap '' TERM; (setsid sleep {number} &); env -i setsid sleep {number} & sleep {number}; sleep {number}"))).await;
        let stream = node.stream(Command { pipe_stdin: true, ..command(&["sleep", &number]) }).await;
        stream.ended().await;
    });
}

#[tokio::test]
async fn a_killed_daemon_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let number = format!("3{}", std::process::id());
    let daemon = std::process::Command::new("/proc/self/exe")
        .args(["jobs::tests::serve_as_daemon", "--exact", "--ignored", "--nocapture"])
        .env(DAEMON, &number)
        .env("TMPDIR", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn();
    let mut daemon = daemon.expect("started");
    until("all run", || alive(&number) == 4).await;
    daemon.kill().expect("killed");
    daemon.wait().expect("dead");
    until("all are gone", || alive(&number) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_watcher_or_a_revoked_key_ends_the_job() {
    let node = Fixture::new().await;
    let job = node.stream(command(&["sleep", "1000"])).await;
    drop(job.clone().watch());
    assert!(job.ended().await.cancelled);
    let job = node.stream(Command { linger: Some(1), ..command(&["sleep", "1000"]) }).await;
    let back = job.clone().watch();
    drop(job.clone().watch());
    assert!(tokio::time::timeout(Duration::from_millis(1500), job.ended()).await.is_err(), "somebody still watches");
    drop(back);
    assert!(job.info().running, "it lingers");
    assert!(job.ended().await.cancelled);
    let number = node.unique();
    node.run(sh(&format!("(setsid sleep {number} >/dev/null 2>&1 &)"))).await;
    until("it was left behind", || alive(&number) == 1).await;
    let job = node.start(command(&["sleep", "1000"])).await;
    node.caller.principal.revoked.cancel();
    assert!(job.ended().await.cancelled);
    until("what an ended job left is gone, too", || alive(&number) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn how_fast() {
    let node = Fixture::new().await;
    let mut times = Vec::new();
    for _ in 0..2000 {
        let begun = Instant::now();
        node.run(command(&["true"])).await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!("true: p50 {:?}, p99 {:?}", times[1000], times[1980]);
    let begun = Instant::now();
    for _ in 0..500 {
        futures_util::future::join_all((0..8).map(|_| node.run(command(&["true"])))).await;
    }
    println!("8 at once: {:.0} jobs a second", 4000.0 / begun.elapsed().as_secs_f64());
    let job = node.stream(command(&["head", "-c", "2000000000", "/dev/zero"])).await;
    let (mut reader, begun, mut bytes) = (job.reader(0), Instant::now(), 0);
    while let Some(piece) = reader.next().await {
        bytes += piece.bytes.len();
    }
    println!("stream: {:.0} MB/s", bytes as f64 / 1e6 / begun.elapsed().as_secs_f64());
    let keeper = node.jobs.0.keeper.pid().expect("there is one");
    let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).expect("it lives");
    let own = std::fs::read_to_string("/proc/self/status").expect("it lives");
    println!("own: {}", own.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")).collect::<String>());
    println!("keeper: {}", status.lines().filter(|line| line.contains("Rss") || line.contains("VmRSS")).collect::<String>());
}
