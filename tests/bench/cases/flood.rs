//! Many connections that only take up room, while somebody asks honestly.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::oneshot,
    time::sleep,
};

use super::{GROWTH, IDLE, Setting};
use crate::{
    Result,
    load::quantile,
    memory,
    report::{Report, Target},
    wire::{self, Connection},
};

/// Connections that say nothing.
const SILENT: usize = 2000;
/// Connections that send the head of a request byte by byte.
const DRIBBLING: usize = 500;
/// They come from 127.0.0.2 and on.
const SOURCES: usize = 10;
/// A connection that was closed is opened again after this long.
const AGAIN: Duration = Duration::from_secs(1);
/// No answer takes this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two honest requests.
const PAUSE: Duration = Duration::from_millis(2);

/// What the flood has done.
#[derive(Debug, Default)]
struct Flood {
    opened: AtomicUsize,
    open: AtomicUsize,
}

/// Milliseconds of the requests that were answered, and how many were not.
#[derive(Debug, Default)]
struct Asked {
    times: Vec<f64>,
    failed: usize,
    error: String,
}

pub(super) fn flood(setting: &Setting, report: &mut Report) -> Result<()> {
    let node = setting.home("flood")?.start()?;
    raise_limit()?;
    std::thread::sleep(IDLE);
    memory::forget_peak(node.pid())?;
    let idle = memory::resident(node.pid())?;
    let time = Duration::from_secs(setting.size(20, 4));
    let flood = Arc::<Flood>::default();
    let (stop, stopped) = oneshot::channel();
    let (fresh, kept, open) = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| run(&flood, node.target.address, stopped));
        // The first wave comes all at once; what counts is how it is while it lasts.
        std::thread::sleep(2 * AGAIN);
        let asking = scope.spawn(|| ask(&node.target, time, false));
        let kept = ask(&node.target, time, true);
        let fresh = asking.join().map_err(|_| "the client panicked")?;
        let open = flood.open.load(Ordering::Relaxed);
        drop(stop);
        flooding.join().map_err(|_| "the flood panicked")??;
        Result::Ok((fresh?, kept?, open))
    })?;
    let growth = memory::peak(node.pid())? - idle;
    let rate = flood.opened.load(Ordering::Relaxed) as f64 / (time + 2 * AGAIN).as_secs_f64();
    let note = format!("{} of {} connections open at the end, {rate:.0} opened a second", open, SILENT + DRIBBLING);
    for (name, asked) in [("on fresh connections", &fresh), ("on one that is kept", &kept)] {
        let p99 = quantile(&asked.times, 0.99);
        let more = format!("{} requests, p50 {:.2} ms, most {:.1} ms", asked.times.len(), quantile(&asked.times, 0.5), quantile(&asked.times, 1.0));
        report.against(&format!("GET /health in a flood, {name}, p99"), p99, "ms", Target::AtMost(200.0), more);
    }
    let why = [fresh.error, kept.error].into_iter().find(|error| !error.is_empty()).unwrap_or(note);
    report.against("the same, not answered", (fresh.failed + kept.failed) as f64, "", Target::AtMost(0.0), why);
    report.against("the same, memory above idle", growth, "MiB", Target::AtMost(GROWTH), "");
    Ok(())
}

/// Lets this process have a file for each connection. The node was started with the limit that it would have anyway.
fn raise_limit() -> Result<()> {
    let needed = (SILENT + DRIBBLING + 200) as u64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

/// Asks for a while, one request after the other.
fn ask(target: &wire::Target, time: Duration, keep: bool) -> Result<Asked> {
    let request = target.get("/health");
    let (begun, mut asked, mut kept) = (Instant::now(), Asked::default(), None);
    while begun.elapsed() < time {
        let since = Instant::now();
        let answer = kept.take().map_or_else(|| open(target.address), Ok).and_then(|mut connection| {
            connection.ask(&request)?;
            Ok(connection)
        });
        match answer {
            Ok(connection) => {
                asked.times.push(since.elapsed().as_secs_f64() * 1000.0);
                kept = keep.then_some(connection);
            }
            Err(error) => {
                asked.failed += 1;
                asked.error = error.to_string();
            }
        }
        std::thread::sleep(PAUSE);
    }
    asked.times.sort_unstable_by(f64::total_cmp);
    Ok(asked)
}

fn open(address: SocketAddr) -> Result<Connection> {
    let connection = Connection::open(address)?;
    connection.stream.set_read_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// Floods until told to stop.
fn run(flood: &Arc<Flood>, address: SocketAddr, stopped: oneshot::Receiver<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for n in 0..SILENT + DRIBBLING {
        runtime.spawn(again_and_again(Arc::clone(flood), address, n));
    }
    // Its only news is that the other end is gone.
    let _gone = runtime.block_on(stopped);
    Ok(())
}

async fn again_and_again(flood: Arc<Flood>, address: SocketAddr, n: usize) {
    loop {
        if let Ok(stream) = connect(n, address).await {
            flood.opened.fetch_add(1, Ordering::Relaxed);
            flood.open.fetch_add(1, Ordering::Relaxed);
            if n < SILENT {
                wait(stream).await;
            } else {
                dribble(stream, n).await;
            }
            flood.open.fetch_sub(1, Ordering::Relaxed);
        }
        sleep(AGAIN).await;
    }
}

async fn connect(n: usize, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 2 + (n % SOURCES) as u8), 0).into())?;
    socket.connect(address).await
}

/// Until the node closes it.
async fn wait(mut stream: TcpStream) {
    while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
}

/// One byte of a head, then a pause of 0.1 to 1 second, until the node has had enough.
async fn dribble(mut stream: TcpStream, n: usize) {
    let pause = Duration::from_millis(100 + (n as u64 * 37) % 900);
    for byte in b"GET /api/v1/health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-long: ".iter().chain(std::iter::repeat(&b'x')) {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(pause).await;
    }
}
