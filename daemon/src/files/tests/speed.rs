//! Measurements, for a person: `cargo test -p loopsy-daemon --release files::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

const SIZE: u64 = 1 << 30;

/// Processor seconds of this process.
fn cpu() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: f64 = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn peak() -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("VmHWM")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn large_files() {
    let world = World::with(|config, _| config.transfer.max_file_size = SIZE);
    let chunk = Bytes::from(noise(64 << 10));
    for announced in [Some(SIZE), None, Some(SIZE)] {
        let (began, before) = (Instant::now(), cpu());
        let mut push = world.files.begin_push(Push { dest_path: "in/big".to_owned(), size: announced, ..Push::default() }).await.expect("begun");
        for _ in 0..SIZE / chunk.len() as u64 {
            push.write(chunk.clone()).await.expect("written");
        }
        push.finish().await.expect("finished");
        let took = began.elapsed().as_secs_f64();
        eprintln!("push, size {announced:?}: {:.0} MB/s, {:.2} s of processor, {}", SIZE as f64 / 1e6 / took, cpu() - before, peak());
    }
    for round in ["from the disk", "through memory", "from memory", "from memory"] {
        let (began, before) = (Instant::now(), cpu());
        let mut pull = world.files.open_pull("in/big", 0).await.expect("opened");
        let mut got = 0;
        while let Some(block) = pull.next().await {
            got += block.expect("read").len() as u64;
        }
        assert_eq!(got, SIZE);
        let took = began.elapsed().as_secs_f64();
        eprintln!("pull, {round}: {:.0} MB/s, {:.2} s of processor, {}", SIZE as f64 / 1e6 / took, cpu() - before, peak());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn small_files() {
    const COUNT: usize = 2000;
    let world = World::new();
    let began = Instant::now();
    for i in 0..COUNT {
        world.put(&format!("in/{i}"), b"small").await.expect("pushed");
    }
    eprintln!("push of small files: {:.0} a second", COUNT as f64 / began.elapsed().as_secs_f64());
    let began = Instant::now();
    for i in 0..COUNT {
        world.pull(&format!("in/{i}")).await.expect("pulled");
    }
    eprintln!("pull of small files: {:.0} a second", COUNT as f64 / began.elapsed().as_secs_f64());
}
