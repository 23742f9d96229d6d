//! A home of its own, and the command line run in it.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::PATIENCE;

/// A home directory and a data directory that nobody else has.
#[derive(Debug)]
pub(crate) struct Home {
    /// Removed with everything in it when the test ends.
    root: tempfile::TempDir,
    pub(crate) name: String,
    /// Where programs are looked for before the usual places.
    programs: Vec<PathBuf>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; 128 plus the signal when a signal ended it.
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.text(), self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.text(), self.err))
    }

    /// It failed with this code, said so in sentences, and never with a panic or a usage text.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.text(), self.err);
        assert!(!self.err.contains("panicked") && !self.err.contains("RUST_BACKTRACE"), "{}", self.err);
        assert!(!self.err.trim().is_empty(), "it says nothing");
        &self.err
    }
}

impl Home {
    /// A node that was never started: `loopsy init` on a free port of the loopback interface.
    pub(crate) fn init(name: &str) -> Self {
        let home = Self::bare(name);
        home.loopsy(&["init", "--port", "0", "--host", "127.0.0.1", "--hostname", name, "--no-discovery", "--no-mcp"]).ok();
        home
    }

    /// A home without a node.
    pub(crate) fn bare(name: &str) -> Self {
        let root = tempfile::Builder::new().prefix("loopsy-test-").tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("home")).unwrap();
        std::fs::create_dir_all(root.path().join("tmp")).unwrap();
        Self { root, name: name.to_owned(), programs: Vec::new() }
    }

    /// Has programs looked for in one more directory, before all others. For what is started after this.
    pub(crate) fn add_programs(&mut self, directory: impl Into<PathBuf>) {
        self.programs.insert(0, directory.into());
    }

    /// `PATH`, as everything here has it.
    pub(crate) fn path(&self) -> String {
        let more: String = self.programs.iter().map(|directory| format!("{}:", directory.display())).collect();
        more + "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// What `~` is there.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("node")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.data().join("config.yaml")
    }

    /// A file in the home directory.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Replaces text in the config. The text must be there.
    pub(crate) fn edit_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "no `{from}` in {text}");
        std::fs::write(self.config(), text.replacen(from, to, 1)).unwrap();
    }

    /// The owner's key, as the file has it.
    pub(crate) fn key(&self) -> String {
        let text = std::fs::read_to_string(self.config()).unwrap();
        text.split("apiKey: \"").nth(1).or_else(|| text.split("apiKey: ").nth(1)).unwrap().split(['"', '\n', ' ']).next().unwrap().to_owned()
    }

    /// The agents' key.
    pub(crate) fn agent_key(&self) -> String {
        let text = std::fs::read_to_string(self.config()).unwrap();
        text.split("agentKey: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// The command, ready to be run in this home: nothing of the test's own environment reaches it.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopsy"));
        command
            .args(args)
            .env_clear()
            .env("PATH", self.path())
            .env("HOME", self.home())
            .env("TMPDIR", self.root().join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("LOOPSY_DATA_DIR", self.data())
            .current_dir(self.home())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command line to its end.
    pub(crate) fn loopsy<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Ran {
        finish(self.command(args).spawn().unwrap(), Vec::new())
    }

    /// Runs the command line with something on standard input.
    pub(crate) fn loopsy_with<S: AsRef<std::ffi::OsStr>>(&self, args: &[S], input: impl Into<Vec<u8>>) -> Ran {
        finish(self.command(args).stdin(Stdio::piped()).spawn().unwrap(), input.into())
    }
}

/// Feeds and drains a process, and waits for its end; ends it when that takes too long.
pub(crate) fn finish(mut child: Child, input: Vec<u8>) -> Ran {
    let feeder = child.stdin.take().map(|mut stdin| std::thread::spawn(move || drop(stdin.write_all(&input))));
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes).unwrap()
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map(|_| bytes).unwrap()
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE * 2 {
            child.kill().unwrap();
            let _ended = child.wait();
            panic!("a command did not end within {:?}; it said: {}", PATIENCE * 2, String::from_utf8_lossy(&err.join().unwrap()));
        }
        std::thread::sleep(std::time::Duration::from_millis(4));
    };
    if let Some(feeder) = feeder {
        feeder.join().unwrap();
    }
    let code = status.code().unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0));
    Ran { code, out: out.join().unwrap(), err: String::from_utf8_lossy(&err.join().unwrap()).into_owned() }
}
