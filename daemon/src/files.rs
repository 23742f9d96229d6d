//! Single files and directories of this machine: read and written only where that is allowed, and never half.

mod confine;
mod denied;
mod error;
mod hash;
mod list;
mod names;
mod parts;
mod pull;
mod push;
mod system;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use loopsy_shared::{
    api::transfer::{ListTree, Listing, PathStat, Push, PushOffset, StatPath, Tree, UploadOffset},
    config::Config,
};
use tokio::sync::watch;

use confine::Policy;
pub use error::FileError;
use parts::Parts;
pub use pull::PullFile;
pub use push::PushFile;

/// The files that others may read and write here. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    config: watch::Receiver<Arc<Config>>,
    data_dir: PathBuf,
    home: PathBuf,
    policy: Mutex<Option<Arc<Policy>>>,
    parts: Arc<Parts>,
    recent: pull::Recent,
}

impl Inner {
    /// The rules as they are now. Looks at the disk: only for threads that may wait.
    fn policy(&self) -> Arc<Policy> {
        let config = Arc::clone(&self.config.borrow());
        let mut cached = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some(policy) if policy.is_current(&config) => Arc::clone(policy),
            _ => Arc::clone(cached.insert(Arc::new(Policy::open(config, &self.data_dir, &self.home)))),
        }
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("data_dir", &self.0.data_dir).field("home", &self.0.home).finish_non_exhaustive()
    }
}

impl Files {
    /// The files of the person with this home directory. `data_dir` is the node's own and is never touched for others.
    pub fn new(config: watch::Receiver<Arc<Config>>, data_dir: PathBuf, home: PathBuf) -> Self {
        let parts = Arc::new(Parts::new(&data_dir));
        Self(Arc::new(Inner { config, data_dir, home, policy: Mutex::new(None), parts, recent: pull::Recent::default() }))
    }

    /// Lists a directory, by name. Links stay links, with size and time of what they lead to when that may be seen.
    ///
    /// # Errors
    /// When the path may not be used or is not a directory.
    pub async fn list(&self, path: &str) -> Result<Listing, FileError> {
        self.run(path.to_owned(), list::list).await
    }

    /// Looks at one path, and hashes the start of the file when asked to.
    ///
    /// # Errors
    /// When the path may not be used, or there is no file to hash.
    pub async fn stat(&self, request: &StatPath) -> Result<PathStat, FileError> {
        let request = request.clone();
        self.run(request.path.clone(), move |inner, _| list::stat(inner, &request)).await
    }

    /// Makes a directory and those above it. One that is there is fine.
    ///
    /// # Errors
    /// When the path may not be used, a name is refused, or something else is there.
    pub async fn make_directory(&self, path: &str) -> Result<(), FileError> {
        self.run(path.to_owned(), |inner, path| {
            let policy = inner.policy();
            match policy.directory(path) {
                Err(FileError::NotFound { .. }) => {
                    // the destination of a file that is never written
                    let (destination, _name) = policy.destination(&policy.absolute(path)?.join("x"), path)?;
                    policy.make(destination, path).map(drop)
                }
                other => other.map(drop),
            }
        })
        .await
    }

    /// Opens a file to send it from `offset` on.
    ///
    /// # Errors
    /// When the path may not be used, is not a regular file, or is over the size limit.
    pub async fn open_pull(&self, path: &str, offset: u64) -> Result<PullFile, FileError> {
        self.run(path.to_owned(), move |inner, path| PullFile::open(inner, path, offset)).await
    }

    /// Checks all that can be checked before a file is received, and begins to.
    ///
    /// # Errors
    /// When the file may not be written there, would not fit, or does not go on from the offset.
    pub async fn begin_push(&self, request: Push) -> Result<PushFile, FileError> {
        self.run(request.dest_path.clone(), move |inner, _| PushFile::begin(inner, request)).await
    }

    /// Says how much of a resumable upload is here, with the hash of it.
    ///
    /// # Errors
    /// When the path may not be used, or the upload is under way.
    pub async fn push_offset(&self, request: &PushOffset) -> Result<UploadOffset, FileError> {
        let request = request.clone();
        self.run(request.dest_path.clone(), move |inner, _| push::offset(inner, &request)).await
    }

    /// Finds what is in a folder of this machine.
    ///
    /// # Errors
    /// When the path may not be used, is not a directory, or has too many entries.
    pub async fn tree(&self, request: ListTree) -> Result<Tree, FileError> {
        self.run(request.path, move |inner, root| tree::walk(inner, root, &request.ignore, request.no_ignore)).await
    }

    /// Removes what crashes and abandoned uploads left behind more than a day ago. For the start, and now and then.
    pub async fn collect_garbage(&self) {
        let collected = self.run(String::new(), |inner, _| {
            inner.parts.collect_garbage();
            Ok(())
        });
        if let Err(error) = collected.await {
            tracing::warn!(%error, "old unfinished uploads were not removed");
        }
    }

    /// Does something on a thread that may wait for the disk.
    async fn run<T: Send + 'static>(&self, path: String, work: impl FnOnce(&Inner, &str) -> Result<T, FileError> + Send + 'static) -> Result<T, FileError> {
        let (inner, shown) = (Arc::clone(&self.0), path.clone());
        blocking(&shown, move || work(&inner, &path)).await
    }
}

async fn blocking<T: Send + 'static>(path: &str, work: impl FnOnce() -> Result<T, FileError> + Send + 'static) -> Result<T, FileError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(FileError::io(path, "work on", io::Error::other(error))))
}
