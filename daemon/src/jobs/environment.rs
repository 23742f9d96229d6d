//! What a job's environment is made of. It starts empty: nothing of the daemon's own gets in unless it is named here or in the config.

use std::{collections::BTreeMap, path::Path};

use loopsy_shared::config::Execution;

use super::{JobError, keeper::tree::MARK, policy};

/// The usual variables. `*` stands for any rest.
const USUAL: [&str; 11] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TERM", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"];

/// Never passed on, whatever the config says: our own.
const OWN: &str = "LOOPSY_";

/// Where programs are when nobody says so.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// The daemon's environment as it was at the start.
#[derive(Debug, Clone)]
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn capture() -> Self {
        let texts = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut all: BTreeMap<String, String> = texts.filter(|(name, _)| !name.starts_with(OWN)).collect();
        all.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
        if let Ok(Ok(home)) = loopsy_shared::paths::home().map(|home| home.into_os_string().into_string()) {
            all.entry("HOME".to_owned()).or_insert(home);
        }
        Self(all)
    }

    /// The owner's home directory.
    pub(super) fn home(&self) -> &Path {
        Path::new(self.0.get("HOME").map_or("/", String::as_str))
    }

    /// One variable.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The environment of an agent: the usual, what is named, and what passes.
    pub(super) fn agent(&self, named: &[String], passes: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
        let usual = |name: &str| USUAL.into_iter().chain(named.iter().map(String::as_str)).any(|pattern| matches(pattern, name));
        self.0.iter().filter(|(name, _)| usual(name) || passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The environment of one job.
    pub(super) fn job(&self, execution: &Execution, asked: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, JobError> {
        let patterns: Vec<&str> = USUAL.into_iter().chain(execution.env_pass.iter().map(String::as_str)).collect();
        let mut env: BTreeMap<String, String> = self
            .0
            .iter()
            .filter(|(name, _)| patterns.iter().any(|pattern| matches(pattern, name)))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for (name, value) in asked {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let name = loopsy_shared::text::inert(name);
                return Err(JobError::Invalid(format!("The variable `{name}` is not valid: a name has no `=`, and neither name nor value has a zero byte.")));
            }
            policy::check_variable(execution, name)?;
            env.insert(name.clone(), value.clone());
        }
        env.remove(MARK);
        Ok(env)
    }
}

/// Whether a name fits a pattern of the config. A star at the end matches any rest.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let all = ["PATH", "HOME", "LC_TIME", "AWS_SECRET_KEY", "LOOPSY_API_KEY", "CARGO_HOME"];
        Environment(all.into_iter().filter(|name| !name.starts_with(OWN)).map(|name| (name.to_owned(), "x".to_owned())).collect())
    }

    #[test]
    fn only_what_is_named_gets_in() {
        let names = |execution: &Execution| environment().job(execution, &BTreeMap::new()).expect("valid").into_keys().collect::<Vec<_>>();
        assert_eq!(names(&Execution::default()), ["HOME", "LC_TIME", "PATH"]);
        let passing = Execution { env_pass: vec!["CARGO_*".into(), "LOOPSY_*".into()], ..Execution::default() };
        assert_eq!(names(&passing), ["CARGO_HOME", "HOME", "LC_TIME", "PATH"]);
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in ["", "a=b", "a\0"] {
            let asked = BTreeMap::from([(name.to_owned(), String::new())]);
            assert!(matches!(environment().job(&Execution::default(), &asked), Err(JobError::Invalid(_))), "{name:?}");
        }
    }

    #[test]
    fn an_allowlist_locks_some_variables() {
        let locked = Execution { allowlist: Some(vec!["ls".into()]), ..Execution::default() };
        for name in ["LD_PRELOAD", "PATH", "GIT_SSH_COMMAND", "PYTHONPATH", "HOME", "XDG_CONFIG_HOME"] {
            let asked = BTreeMap::from([(name.to_owned(), String::new())]);
            assert!(matches!(environment().job(&locked, &asked), Err(JobError::Denied(_))), "{name}");
            assert!(environment().job(&Execution::default(), &asked).is_ok(), "{name}");
        }
    }
}
