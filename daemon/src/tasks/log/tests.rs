//! The log against readers anywhere in it, cuts by a crash, and its own size.

use loopsy_shared::api::ai_tasks::TaskEventKind;
use serde_json::Value;

use super::*;

fn event(text: &str) -> NewEvent {
    NewEvent { kind: TaskEventKind::Text, data: Value::String(text.to_owned()), block: Some(1) }
}

fn open(dir: &Path, most: u64) -> Log {
    Log::open(&TaskId::from("t"), dir, most).expect("opens")
}

/// Everything behind a place, until the end: numbers, and gaps as pairs.
async fn all(log: &Log, mut place: Place) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut seen, mut gaps) = (Vec::new(), Vec::new());
    loop {
        match log.read(&mut place).await.expect("reads") {
            Piece::Frames(frames) => seen.extend(parse(&frames).map(|event| event.seq)),
            Piece::Gap(from, to) => gaps.push((from, to)),
            Piece::End => return (seen, gaps),
        }
    }
}

#[tokio::test]
async fn every_event_comes_once_and_in_order_from_memory_and_from_disk() {
    let dir = tempfile::tempdir().expect("made");
    let log = open(dir.path(), 64 << 20);
    let long = "x".repeat(3000);
    for _ in 0..20 {
        log.append((0..100).map(|_| event(&long)).collect()).await.expect("stored");
    }
    for from in [0, 1, 255, 256, 257, 1300, 1999, 2000, 5000] {
        let expected: Vec<u64> = (from + 1..=2000).collect();
        assert_eq!(all(&log, log.after(from).await.expect("found")).await, (expected.clone(), vec![]), "after {from}");
        let again = open(dir.path(), 64 << 20);
        assert_eq!(all(&again, again.after(from).await.expect("found")).await, (expected, vec![]), "after {from}, opened again");
    }
    assert_eq!(open(dir.path(), 64 << 20).append(vec![event("next")]).await.expect("stored"), 2001);
}

#[tokio::test]
async fn a_full_log_forgets_its_oldest_part_and_says_so() {
    let dir = tempfile::tempdir().expect("made");
    let log = open(dir.path(), 64 << 10);
    let behind = log.after(0).await.expect("found");
    for _ in 0..400 {
        log.append(vec![event(&"x".repeat(500))]).await.expect("stored");
    }
    let (seen, gaps) = all(&log, behind).await;
    let &[(1, last_gone)] = gaps.as_slice() else { panic!("one gap, not {gaps:?}") };
    assert_eq!(seen, (last_gone + 1..=400).collect::<Vec<_>>());
    assert!(log.size() < 128 << 10, "{}", log.size());
    assert_eq!(std::fs::read_dir(dir.path()).expect("there").count() as u64, SEGMENTS);
    let again = open(dir.path(), 64 << 10);
    assert_eq!(all(&again, again.after(0).await.expect("found")).await, (seen, gaps));
}

#[tokio::test]
async fn a_frame_that_was_cut_anywhere_is_taken_away_and_its_number_given_again() {
    let dir = tempfile::tempdir().expect("made");
    let log = open(dir.path(), 1 << 20);
    log.append(vec![event("one"), event("two"), event("three")]).await.expect("stored");
    let path = file_of(dir.path(), 1);
    let whole = std::fs::read(&path).expect("there");
    let second = frames(&whole).take(2).map(<[u8]>::len).sum::<usize>();
    for cut in second + 1..whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("cut");
        let log = open(dir.path(), 1 << 20);
        assert_eq!((log.last(), std::fs::metadata(&path).expect("there").len()), (2, second as u64), "cut at {cut}");
    }
    let log = open(dir.path(), 1 << 20);
    assert_eq!(log.append(vec![event("another")]).await.expect("stored"), 3);
    assert_eq!(all(&log, log.after(0).await.expect("found")).await.0, [1, 2, 3]);
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_and_one_huge_event_is_whole() {
    let dir = tempfile::tempdir().expect("made");
    let log = open(dir.path(), 64 << 20);
    let mut place = log.after(0).await.expect("found");
    let waiting = tokio::spawn({
        let log = log.clone();
        async move { log.changed_since(place).await }
    });
    log.append(vec![event(&"y".repeat(3 << 20)), event("after")]).await.expect("stored");
    waiting.await.expect("woken");
    let again = open(dir.path(), 64 << 20);
    let Piece::Frames(frames) = again.read(&mut place).await.expect("reads") else { panic!("there is something") };
    let first = parse(&frames).next().expect("an event");
    assert_eq!((first.seq, first.data.as_str().map(str::len)), (1, Some(3 << 20)));
}

#[tokio::test]
async fn since_a_time_means_what_is_younger() {
    let dir = tempfile::tempdir().expect("made");
    let log = open(dir.path(), 1 << 20);
    log.append(vec![event("old")]).await.expect("stored");
    let mut place = log.after(0).await.expect("found");
    let Piece::Frames(frames) = log.read(&mut place).await.expect("reads") else { panic!("there is something") };
    let old = parse(&frames).next().expect("an event").timestamp;
    while time::now() <= old {
        tokio::task::yield_now().await;
    }
    log.append(vec![event("new")]).await.expect("stored");
    assert_eq!(all(&log, log.since(old).await.expect("found")).await.0, [2]);
    assert_eq!(all(&log, log.since(0).await.expect("found")).await.0, [1, 2]);
    assert_eq!(all(&log, log.since(Millis::MAX).await.expect("found")).await.0, [] as [u64; 0]);
}
