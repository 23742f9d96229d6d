//! A node in a directory of its own, ended by its process id when it is dropped.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Result,
    wire::{Connection, Target},
};

/// A node that does not answer by then never will.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks whether a node answers already.
const STEP: Duration = Duration::from_micros(100);

/// A data directory, with or without a daemon.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    binary: PathBuf,
    key: String,
}

impl Home {
    /// Makes a data directory below `root`. The node may read and write files anywhere below it.
    pub(crate) fn new(binary: &Path, root: &Path, name: &str) -> Result<Self> {
        let dir = root.join(name);
        fs::create_dir(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        let key = format!("lpk_{:064x}", 0xbe4c_u128);
        let config = format!(
            "server: {{port: 0, host: 127.0.0.1, hostname: {name}}}\nauth: {{apiKey: {key}}}\ntransfer: {{allowedPaths: [{:?}], deniedPaths: []}}\n\
             rateLimits: {{execute: 1000000000, transfer: 1000000000, context: 1000000000}}\ncontext: {{maxEntries: 200000}}\ndiscovery: {{enabled: false}}\n",
            root.display().to_string()
        );
        let path = dir.join("config.yaml");
        fs::write(&path, config)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { dir, binary: binary.to_owned(), key })
    }

    /// A command of the command line on this directory.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).env("LOOPSY_DATA_DIR", &self.dir).env("HOME", self.dir.parent().unwrap_or(&self.dir)).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts a daemon and waits until it is healthy.
    pub(crate) fn start(&self) -> Result<Node> {
        // Asked for by the port itself, because the runtime file comes a little later than the first answer.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let target = Target { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), key: self.key.clone() };
        let health = target.get("/health");
        let begun = Instant::now();
        let child = self.command(&["daemon", "run", "--detached", "--port", &port.to_string()]).spawn()?;
        let mut node = Node { child, target, started_in: Duration::ZERO };
        loop {
            match Connection::open(node.target.address).and_then(|mut connection| connection.ask(&health).map(drop)) {
                Ok(()) => break,
                Err(error) if begun.elapsed() > PATIENCE => return Err(format!("the node does not answer: {error}").into()),
                Err(error) => match (error.downcast_ref::<std::io::Error>().map(std::io::Error::kind), node.child.try_wait()?) {
                    (Some(ErrorKind::ConnectionRefused), None) => std::thread::sleep(STEP),
                    (_, Some(status)) => return Err(format!("the node ended ({status}): {}", self.log()).into()),
                    _ => return Err(error),
                },
            }
        }
        node.started_in = begun.elapsed();
        Ok(node)
    }

    /// The end of what the node says about itself.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.dir.join("logs/daemon.log")).unwrap_or_default();
        text.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

/// A daemon that runs.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    pub(crate) target: Target,
    /// From the start of the process to its first healthy answer.
    pub(crate) started_in: Duration,
}

impl Node {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn id(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.terminate()
    }

    fn terminate(&mut self) -> Result<()> {
        rustix::process::kill_process(self.id(), rustix::process::Signal::TERM)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                self.child.kill()?;
                self.child.wait()?;
                return Err("the node did not stop and was killed".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None))
            && let Err(error) = self.terminate()
        {
            eprintln!("bench: {error}");
        }
    }
}
