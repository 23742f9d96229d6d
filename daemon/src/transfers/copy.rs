//! Carries the files of a plan, and goes on where it was when the connection was lost. What is sent is checked by its hash at the end; what is fetched is the file
//! that was looked at, whole, or not taken.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use loopsy_shared::{
    api::{
        Code, FILE_SIZE_HEADER, MODIFIED_HEADER,
        transfer::{FileKind, MakeDirectory, PathStat, Pull, Push, PushOffset, StatPath, UploadOffset},
        transfers::{Direction, LeftOut},
    },
    client::{Body, Client},
    id::{NodeId, TransferId},
    secret,
};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{
    TransferError, Transfers,
    plan::{Item, Plan},
};
use crate::files::{FileError, PullFile};

/// Files on their way at the same time. Hides the round trips of small files.
const AT_ONCE: usize = 4;
/// How long a lost connection is tried again without any progress.
const PATIENCE: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause that a peer can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// Files below this are simply sent again.
const WORTH_RESUMING: u64 = 1 << 20;
/// Paths that a dry run lists.
const MOST_PLANNED: usize = 1000;

pub(super) struct Copy<'a> {
    transfers: &'a Transfers,
    id: TransferId,
    peer: NodeId,
    direction: Direction,
    plan: Plan,
    dry_run: bool,
    /// Bytes that came through, in all attempts. Only grows.
    moved: Arc<AtomicU64>,
}

impl<'a> Copy<'a> {
    pub(super) fn new(transfers: &'a Transfers, id: TransferId, peer: NodeId, direction: Direction, plan: Plan, dry_run: bool) -> Self {
        Self { transfers, id, peer, direction, plan, dry_run, moved: Arc::default() }
    }

    pub(super) async fn run(&self) -> Result<(), TransferError> {
        if !self.dry_run {
            for path in &self.plan.directories {
                self.persistently(|| self.make_directory(path)).await?;
            }
        }
        stream::iter(self.plan.files.iter().map(Ok)).try_for_each_concurrent(AT_ONCE, |item| self.carry(item)).await
    }

    async fn carry(&self, item: &Item) -> Result<(), TransferError> {
        if !self.plan.single && self.persistently(|| self.is_there(item)).await? {
            self.transfers.update(&self.id, false, |info| {
                (info.files_skipped, info.bytes_done) = (info.files_skipped + 1, info.bytes_done.saturating_add(item.size));
            });
            return Ok(());
        }
        if self.dry_run {
            self.transfers.update(&self.id, false, |info| {
                if info.planned.len() < MOST_PLANNED {
                    info.planned.push(item.shown.clone());
                }
            });
            return Ok(());
        }
        self.transfers.update(&self.id, false, |info| info.current = Some(item.shown.clone()));
        let copied = self.persistently(|| async {
            match self.direction {
                Direction::Push => self.push(item).await,
                Direction::Pull => self.pull(item).await,
            }
        });
        match copied.await {
            Ok(sha256) => {
                self.transfers.update(&self.id, false, |info| {
                    info.files_done += 1;
                    info.sha256 = self.plan.single.then_some(sha256);
                });
                Ok(())
            }
            // In a folder, a name that the other system does not take is no reason to stop.
            Err(TransferError::There(error)) if !self.plan.single && error.code == Code::NameRefused => self.leave_out(item, error.message),
            Err(TransferError::Here(error @ FileError::NameRefused { .. })) if !self.plan.single => self.leave_out(item, error.to_string()),
            Err(error) => Err(error),
        }
    }

    fn leave_out(&self, item: &Item, reason: String) -> Result<(), TransferError> {
        self.transfers.leave_out(&self.id, LeftOut { path: item.shown.clone(), reason });
        Ok(())
    }

    /// Tries again while the other side is away; progress renews the patience.
    async fn persistently<T, Fut: Future<Output = Result<T, TransferError>>>(&self, attempt: impl Fn() -> Fut) -> Result<T, TransferError> {
        let moved = || self.moved.load(Ordering::Relaxed);
        let (mut pause, mut since, mut done) = (FIRST_PAUSE, Instant::now(), moved());
        loop {
            match attempt().await {
                Err(error) if error.passes() => {
                    let now = moved();
                    if now > done {
                        (pause, since, done) = (FIRST_PAUSE, Instant::now(), now);
                    }
                    if since.elapsed() > PATIENCE {
                        return Err(error);
                    }
                    let asked = match &error {
                        TransferError::There(error) => error.retry_after.map(Duration::from_secs).map(|asked| asked.min(LONGEST_ASKED)),
                        _ => None,
                    };
                    tracing::info!(transfer = %self.id, %error, "trying again");
                    tokio::time::sleep(asked.unwrap_or(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    async fn client(&self) -> Result<Client, TransferError> {
        Ok(self.transfers.0.peers.reach(self.peer.as_str()).await?.client.for_transfer(&self.id))
    }

    async fn make_directory(&self, path: &str) -> Result<(), TransferError> {
        match self.direction {
            Direction::Push => self.client().await?.ask(MakeDirectory { path: path.to_owned() }).await.map(drop).map_err(Into::into),
            Direction::Pull => Ok(self.transfers.0.files.make_directory(path).await?),
        }
    }

    /// Whether the same file is there already, by size and time, as a copy leaves them.
    async fn is_there(&self, item: &Item) -> Result<bool, TransferError> {
        let request = StatPath { path: item.to.clone(), hash_bytes: None };
        let there: PathStat = match self.direction {
            Direction::Push => self.client().await?.ask(request).await?,
            Direction::Pull => self.transfers.0.files.stat(&request).await?,
        };
        Ok(there.file.is_some_and(|file| file.kind == FileKind::File && file.size == item.size && file.modified == item.modified))
    }

    /// The same file for the same place gets the same name, so that a later transfer goes on where this one stopped.
    fn upload_id(&self, item: &Item) -> String {
        let name = format!("{}\0{}\0{}\0{}\0{}", self.peer, item.from, item.to, item.size, item.modified);
        secret::hex(&secret::digest(name.as_bytes())[..16])
    }

    fn push_of(&self, item: &Item, offset: u64) -> Push {
        Push {
            dest_path: item.to.clone(),
            size: Some(item.size),
            mode: Some(item.mode),
            modified: Some(item.modified),
            upload_id: (item.size >= WORTH_RESUMING).then(|| self.upload_id(item)),
            offset: (offset > 0).then_some(offset),
            ..Push::default()
        }
    }

    async fn push(&self, item: &Item) -> Result<String, TransferError> {
        let client = self.client().await?;
        // The file may have changed since the plan was made.
        let now = self.transfers.0.files.open_pull(&item.from, 0).await?;
        let item = &Item { size: now.size, modified: now.modified, mode: now.mode, ..item.clone() };
        let begun = match self.push_of(item, 0).upload_id {
            Some(upload_id) => client.ask(PushOffset { dest_path: item.to.clone(), upload_id }).await?,
            None => UploadOffset { offset: 0, sha256: String::new() },
        };
        let (offset, hasher) = self.verified_prefix(item, now, &begun).await?;
        let file = self.transfers.0.files.open_pull(&item.from, offset).await?;
        if (file.size, file.modified) != (item.size, item.modified) {
            return Err(TransferError::Changed);
        }
        let progress = Progress::resume(self, offset);
        let (tell, hash) = oneshot::channel();
        let sent = progress.clone();
        let reading = stream::unfold((file, Some((hasher, tell))), move |(mut file, mut hashing)| {
            let sent = sent.clone();
            async move {
                match file.next().await {
                    Some(Ok(chunk)) => {
                        if let Some((hasher, _)) = &mut hashing {
                            hasher.update(&chunk);
                        }
                        sent.add(chunk.len() as u64);
                        Some((Ok::<Bytes, FileError>(chunk), (file, hashing)))
                    }
                    Some(Err(error)) => Some((Err(error), (file, hashing))),
                    None => {
                        if let Some((hasher, tell)) = hashing.take() {
                            // Nobody asks when the upload broke off.
                            let _broken_off = tell.send(secret::hex(&hasher.finalize()));
                        }
                        None
                    }
                }
            }
        });
        let name = item.shown.rsplit('/').next().unwrap_or("file");
        let hash = async { hash.await.unwrap_or_default() };
        let outcome = client.upload(&self.push_of(item, offset), name, item.size - offset, Body::wrap_stream(Box::pin(reading)), hash).await;
        progress.settle(outcome.map(|pushed| pushed.checksum).map_err(TransferError::from))
    }

    async fn pull(&self, item: &Item) -> Result<String, TransferError> {
        let client = self.client().await?;
        // The file may have changed since the plan was made.
        let now = client.ask(StatPath { path: item.from.clone(), hash_bytes: None }).await?.file;
        let now = now.ok_or_else(|| TransferError::Invalid(format!("`{}` is no longer there.", loopsy_shared::text::inert(&item.from))))?;
        let item = &Item { size: now.size, modified: now.modified, mode: now.mode, ..item.clone() };
        let files = &self.transfers.0.files;
        let mut offset = 0;
        if let Some(upload_id) = self.push_of(item, 0).upload_id {
            let here = files.push_offset(&PushOffset { dest_path: item.to.clone(), upload_id }).await?;
            if here.offset > 0 {
                let there = client.ask(StatPath { path: item.from.clone(), hash_bytes: Some(here.offset) }).await?;
                offset = if there.sha256.as_deref() == Some(&here.sha256) { here.offset } else { 0 };
            }
        }
        let mut file = files.begin_push(self.push_of(item, offset)).await?;
        let progress = Progress::resume(self, offset);
        let carried = async {
            let (headers, content) = client.download(Pull { source_path: item.from.clone(), offset }).await?;
            let told = |name| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            if told(FILE_SIZE_HEADER).is_some_and(|size| size != item.size) || told(MODIFIED_HEADER).is_some_and(|at| at != item.modified) {
                return Err(TransferError::Changed);
            }
            let mut content = pin!(content);
            while let Some(chunk) = content.try_next().await? {
                progress.add(chunk.len() as u64);
                file.write(chunk).await?;
            }
            Ok(file.finish().await?.checksum)
        };
        let outcome = carried.await;
        progress.settle(outcome)
    }

    /// How much of an upload that was begun can be built on: all of it when its hash is that of this file's beginning, else nothing.
    async fn verified_prefix(&self, item: &Item, mut file: PullFile, begun: &UploadOffset) -> Result<(u64, Sha256), TransferError> {
        if begun.offset == 0 || begun.offset > item.size {
            return Ok((0, Sha256::new()));
        }
        let (mut hasher, mut left) = (Sha256::new(), begun.offset);
        while left > 0
            && let Some(chunk) = file.next().await
        {
            let chunk = chunk?;
            let part = &chunk[..chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            hasher.update(part);
            left -= part.len() as u64;
        }
        let same = left == 0 && secret::hex(&hasher.clone().finalize()) == begun.sha256;
        Ok(if same { (begun.offset, hasher) } else { (0, Sha256::new()) })
    }
}

/// Bytes that one attempt has moved, so that they can be taken back when it fails.
#[derive(Clone)]
struct Progress {
    transfers: Transfers,
    id: TransferId,
    moved: Arc<AtomicU64>,
    /// What this attempt has added to what is shown. `None` once it is over, for a body may still be read a little after its answer came.
    counted: Arc<Mutex<Option<Counted>>>,
}

#[derive(Default)]
struct Counted {
    done: u64,
    resumed: u64,
}

impl Progress {
    fn resume(copy: &Copy<'_>, offset: u64) -> Self {
        let counted = Arc::new(Mutex::new(Some(Counted { done: offset, resumed: offset })));
        copy.transfers.update(&copy.id, false, |info| {
            info.bytes_done = info.bytes_done.saturating_add(offset);
            info.bytes_resumed = info.bytes_resumed.saturating_add(offset);
        });
        Self { transfers: copy.transfers.clone(), id: copy.id.clone(), moved: Arc::clone(&copy.moved), counted }
    }

    fn add(&self, bytes: u64) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = counted.as_mut() {
            counted.done = counted.done.saturating_add(bytes);
            self.moved.fetch_add(bytes, Ordering::Relaxed);
            self.transfers.update(&self.id, false, |info| info.bytes_done = info.bytes_done.saturating_add(bytes));
        }
    }

    /// What a failed attempt moved is counted again by the next, as resumed bytes.
    fn settle<T>(&self, outcome: Result<T, TransferError>) -> Result<T, TransferError> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Err(_), Some(counted)) = (&outcome, counted) {
            self.transfers.update(&self.id, false, |info| {
                info.bytes_done = info.bytes_done.saturating_sub(counted.done);
                info.bytes_resumed = info.bytes_resumed.saturating_sub(counted.resumed);
            });
        }
        outcome
    }
}
