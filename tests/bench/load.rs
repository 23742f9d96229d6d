//! Many connections that each ask again as soon as they are answered. One thread for all of them, so that the node has the other core.

use std::{cell::Cell, rc::Rc, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::{
    Result,
    wire::{Target, measure},
};

/// How a load went.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Milliseconds of each request, sorted.
    pub(crate) times: Vec<f64>,
}

impl Outcome {
    /// The time that this share of all requests stayed below.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        quantile(&self.times, share)
    }
}

/// The value that this share of sorted values stays below.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// Asks `total` times over some connections, taking the requests in turn.
pub(crate) fn drive(target: &Target, connections: usize, total: usize, requests: &[Vec<u8>]) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let requests: Rc<[Vec<u8>]> = requests.into();
    let next = Rc::new(Cell::new(0));
    LocalSet::new().block_on(&runtime, async {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(target.address).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let begun = Instant::now();
        let workers: Vec<_> = streams.into_iter().map(|stream| tokio::task::spawn_local(work(stream, Rc::clone(&requests), Rc::clone(&next), total))).collect();
        let mut times = Vec::with_capacity(total);
        for worker in workers {
            times.extend(worker.await??);
        }
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        times.sort_unstable_by(f64::total_cmp);
        Ok(Outcome { rate, times })
    })
}

async fn work(mut stream: TcpStream, requests: Rc<[Vec<u8>]>, next: Rc<Cell<usize>>, total: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(1024);
    let mut buffer = vec![0; 16 << 10];
    while next.get() < total {
        let request = &requests[next.replace(next.get() + 1) % requests.len()];
        let begun = Instant::now();
        stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).await?;
            filled += read;
            match measure(&buffer[..filled])? {
                Some((start, length)) if filled >= start + length => break,
                _ if read == 0 => return Err("a connection broke off or an answer is too long".into()),
                _ => {}
            }
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}
