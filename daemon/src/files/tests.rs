//! The promises of the files engine, on real files. Each test has a folder of its own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use loopsy_shared::{
    api::transfer::{FileKind, ListTree, Push, PushOffset, Pushed, StatPath, Tree},
    config::Config,
};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{FileError, Files, PullFile};

mod paths;
mod policy;
mod pulls;
mod pushes;
mod speed;
mod trees;

/// A home with an allowed folder `in`, beside it `in-evil` and `out`, and the node's data.
struct World {
    home: PathBuf,
    files: Files,
    config: watch::Sender<Arc<Config>>,
    _folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(|_, _| {})
    }

    fn with(change: impl FnOnce(&mut Config, &Path)) -> Self {
        let folder = TempDir::new().expect("a folder");
        let home = folder.path().canonicalize().expect("there");
        for name in ["in/sub", "in-evil", "out", ".ssh", ".loopsy"] {
            fs::create_dir_all(home.join(name)).expect("made");
        }
        for (name, text) in [
            ("in/a.txt", "inside"),
            ("in/sub/b.txt", "inside"),
            ("in-evil/x", "outside"),
            ("out/x", "outside"),
            (".ssh/id", "key"),
            (".loopsy/loopsy.db", "store"),
        ] {
            fs::write(home.join(name), text).expect("written");
        }
        let mut config = Config::default();
        config.transfer.allowed_paths = vec![home.join("in")];
        config.transfer.denied_paths = Vec::new();
        change(&mut config, &home);
        let (config, watched) = watch::channel(Arc::new(config));
        let files = Files::new(watched, home.join(".loopsy"), home.clone());
        Self { home, files, config, _folder: folder }
    }

    /// One in which the whole home is allowed.
    fn open() -> Self {
        Self::with(|config, home| config.transfer.allowed_paths = vec![home.to_owned()])
    }

    fn path(&self, name: &str) -> String {
        self.home.join(name).to_str().expect("UTF-8").to_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home.join(name)).expect("readable")
    }

    async fn push(&self, request: Push, content: &[u8]) -> Result<Pushed, FileError> {
        let mut push = self.files.begin_push(request).await?;
        for chunk in content.chunks(100_000) {
            push.write(Bytes::copy_from_slice(chunk)).await?;
        }
        push.finish().await
    }

    async fn put(&self, name: &str, content: &[u8]) -> Result<Pushed, FileError> {
        self.push(Push { dest_path: self.path(name), ..Push::default() }, content).await
    }

    async fn pull(&self, path: &str) -> Result<Vec<u8>, FileError> {
        read_all(self.files.open_pull(path, 0).await?).await
    }

    async fn tree(&self, path: &str, ignore: &[String], no_ignore: bool) -> Result<Tree, FileError> {
        self.files.tree(ListTree { path: path.to_owned(), ignore: ignore.to_vec(), no_ignore }).await
    }

    /// Parts that lie in a folder.
    fn parts(&self, name: &str) -> Vec<String> {
        let names = fs::read_dir(self.home.join(name)).expect("listed").map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"));
        names.filter(|name| name.ends_with(".part")).collect()
    }

    async fn until_no_part(&self, name: &str) {
        until(|| self.parts(name).is_empty()).await;
    }
}

async fn read_all(mut pull: PullFile) -> Result<Vec<u8>, FileError> {
    let mut all = Vec::new();
    while let Some(block) = pull.next().await {
        all.extend_from_slice(&block?);
    }
    Ok(all)
}

async fn until(mut condition: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("in time");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    hasher.update(bytes);
    super::hash::hex(hasher)
}

/// Bytes that do not repeat at any block.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

macro_rules! refused {
    ($result:expr, $kind:ident) => {{
        let error = $result.expect_err("refused");
        assert!(matches!(error, FileError::$kind { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.ends_with('.') && !text.contains("..\u{20}") && !text.chars().any(char::is_control), "{text}");
        text
    }};
}
use refused;
