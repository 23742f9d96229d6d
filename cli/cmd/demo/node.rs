//! One node of the demo: a real daemon, started from this very program, with everything in the demo's own directory.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use loopsy_daemon::setup::{self, InitOptions};
use loopsy_shared::{
    api::health::GetHealth,
    client::{Client, Local, authority},
    paths::DataDir,
    secret::Secret,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::error::Error;

const START: Duration = Duration::from_secs(15);
const STOP: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(5);

/// A node, its process and the way to it.
pub(super) struct Node {
    pub name: &'static str,
    /// The only directory that it may read and write for others.
    pub files: PathBuf,
    dir: DataDir,
    child: Child,
    up: Option<(Client, String, u16)>,
}

impl Node {
    /// Makes the node and starts it; it is not up yet.
    pub(super) fn start(place: &Path, name: &'static str) -> Result<Self, Error> {
        let (data, files) = (place.join(name).join("data"), place.join(name).join("files"));
        for dir in [&data, &files] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| Error::file(dir, &e))?;
        }
        let dir = DataDir::new(&data).map_err(|e| Error::file(&data, &e))?;
        write_private(&dir.config(), &config(name, &files)).map_err(|e| Error::file(dir.config(), &e))?;
        setup::init(&dir, &InitOptions::default())?;
        fs::create_dir_all(dir.logs()).map_err(|e| Error::file(dir.logs(), &e))?;
        let failed = |e: std::io::Error| Error::failure(format!("{name} could not be started: {e}."));
        let said = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(dir.path().join("said.txt")).map_err(failed)?;
        let child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("--data-dir")
            .arg(dir.path())
            .args(["daemon", "run", "--detached"])
            .current_dir(&files)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name, files, dir, child, up: None })
    }

    /// Waits until it answers.
    pub(super) async fn wait_until_up(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + START;
        loop {
            if let Ok(local) = Local::load(self.dir.clone())
                && let Some(runtime) = &local.runtime
            {
                let client = local.client()?;
                if client.call(GetHealth {}).await.is_ok_and(|health| health.node_id == runtime.node_id) {
                    self.up = Some((client, runtime.host.clone(), runtime.port));
                    return Ok(());
                }
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(self.dir.path().join("said.txt")).unwrap_or_default();
                let what = ended.map_or_else(|| "does not answer".to_owned(), |status| format!("ended at once ({status})"));
                let said = said.lines().next_back().unwrap_or("it said nothing").to_owned();
                return Err(Error::failure(format!("{} {what}: {said}", self.name)).hint("`loopsy demo --keep` leaves its log behind."));
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// The way to it, with its owner's key.
    pub(super) fn client(&self) -> Result<&Client, Error> {
        self.up.as_ref().map(|(client, ..)| client).ok_or_else(|| Error::failure(format!("{} is not up.", self.name)))
    }

    /// Address and port.
    pub(super) fn place(&self) -> Result<(String, u16), Error> {
        self.up.as_ref().map(|(_, host, port)| (host.clone(), *port)).ok_or_else(|| Error::failure(format!("{} is not up.", self.name)))
    }

    /// `host:port`.
    pub(super) fn address(&self) -> Result<String, Error> {
        self.place().map(|(host, port)| authority(&host, port))
    }

    /// Asks it to stop, without waiting.
    pub(super) fn ask_to_stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None))
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
        {
            let _gone_already = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits until it is gone; by force when it takes too long.
    pub(super) async fn wait_until_stopped(&mut self) {
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A child that was not waited for, because something panicked, must not stay.
impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone_already = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

fn config(name: &str, files: &Path) -> String {
    // A quoted JSON string is a YAML string too.
    let files = serde_json::Value::from(files.display().to_string());
    format!(
        "server:\n  port: 0\n  host: 127.0.0.1\n  hostname: {name}\nauth:\n  apiKey: {}\ntransfer:\n  allowedPaths:\n    - {files}\ndiscovery:\n  enabled: false\n",
        Secret::generate().reveal()
    )
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_valid_whatever_the_path() {
        let parsed = loopsy_shared::config::Config::parse(&config("demo-a", Path::new("/tmp/a \"b\": #c"))).expect("valid");
        assert_eq!(parsed.transfer.allowed_paths, [PathBuf::from("/tmp/a \"b\": #c")]);
        assert!(!parsed.discovery.enabled && parsed.server.port == 0);
    }
}
