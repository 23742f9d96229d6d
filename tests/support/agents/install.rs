//! Where the agents are, and whether they are the ones that we test with.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Agent;

/// Names and versions. `scripts/agents` installs just these.
const PINS: &str = include_str!("../../agents/package.json");

impl Agent {
    fn package(self) -> &'static str {
        match self {
            Self::Claude => "@anthropic-ai/claude-code",
            Self::Codex => "@openai/codex",
            Self::Gemini => "@google/gemini-cli",
            Self::OpenCode => "opencode-ai",
        }
    }

    /// The version that the tests are for.
    pub(crate) fn version(self) -> String {
        let pins: Value = serde_json::from_str(PINS).unwrap();
        pins["dependencies"][self.package()].as_str().expect("a version").to_owned()
    }

    /// Its program, or why there is none.
    pub(super) fn find(self) -> Result<PathBuf, String> {
        let bin = std::env::var_os("LOOPSY_TEST_AGENTS_DIR").map(PathBuf::from);
        let bin = bin.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/agent-clis/node_modules/.bin"));
        let (program, package) = (bin.join(self.program()), bin.with_file_name(self.package()).join("package.json"));
        let installed: Value = std::fs::read(package).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let (is, should) = (installed["version"].as_str().unwrap_or("none"), self.version());
        if !program.exists() || is != should {
            return Err(format!("it needs {} {should} in {}, and there is {is}: run `scripts/agents`", self.program(), bin.display()));
        }
        if node().is_none() {
            return Err("it needs `node`, and that is not installed".to_owned());
        }
        Ok(program)
    }
}

/// Node.js, as whoever runs the tests has it.
pub(super) fn node() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|directory| directory.join("node")).find(|node| node.is_file())
}
