//! What no transfer ever touches: the node's own data, credentials, and whatever the machine runs by itself.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, statat};

use super::{
    confine::deepest,
    system::{Meta, ObjectId},
};

/// Below the home directory: credentials, and files that are run at login or by an agent.
const AT_HOME: &[&str] = &[
    ".loopsy",
    // credentials
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".config/gh",
    ".config/gcloud",
    ".git-credentials",
    ".docker/config.json",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".vault-token",
    ".password-store",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".local/share/keyrings",
    "Library/Keychains",
    // run by shells
    ".bashrc",
    ".bash_aliases",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    ".zlogin",
    ".zlogout",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".kshrc",
    ".config/fish",
    ".config/nushell",
    // name commands that git and editors run
    ".gitconfig",
    ".config/git",
    ".vimrc",
    ".config/nvim",
    // run at login
    ".xprofile",
    ".xsession",
    ".xinitrc",
    ".pam_environment",
    ".config/autostart",
    ".config/environment.d",
    ".config/systemd",
    ".local/share/systemd",
    ".local/share/dbus-1",
    "Library/LaunchAgents",
    // settings and credentials of agents
    ".claude",
    ".claude.json",
    ".codex",
    ".gemini",
    ".cursor",
];

/// For everybody: passwords and rights, what the machine or each login runs by itself, and windows into running processes.
const ON_THE_MACHINE: &[&str] = &[
    // passwords and rights
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
    // run at start-up, at login or in every program
    "/etc/init.d",
    "/etc/systemd",
    "/etc/profile.d",
    "/etc/ld.so.preload",
    "/Library/LaunchAgents",
    "/Library/LaunchDaemons",
    // scheduled jobs
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/var/at/tabs",
    "/usr/lib/cron/tabs",
    // running processes
    "/proc",
    "/sys",
];

/// The denied paths, by name and by object.
#[derive(Debug)]
pub(super) struct Denied {
    paths: Vec<PathBuf>,
    ids: HashSet<ObjectId>,
}

impl Denied {
    /// Looks up where the denied paths really are.
    pub(super) fn look_up(configured: &[PathBuf], data_dir: &Path, home: &Path) -> Self {
        let mut denied = Self { paths: Vec::new(), ids: HashSet::new() };
        let built_in = AT_HOME.iter().map(|name| home.join(name)).chain(ON_THE_MACHINE.iter().map(PathBuf::from)).chain([data_dir.to_owned()]);
        for path in built_in.chain(configured.iter().cloned()) {
            if let Ok(stat) = statat(CWD, &path, AtFlags::empty()) {
                denied.ids.insert(Meta::from(&stat).id);
            }
            if let Ok((existing, missing)) = deepest(&path) {
                denied.paths.push(comparable(&missing.iter().fold(existing, |path, name| path.join(name))).into_owned());
            }
            denied.paths.push(comparable(&path).into_owned());
        }
        denied.paths.sort();
        denied.paths.dedup();
        denied
    }

    /// Whether a path is one of them or lies below one.
    pub(super) fn covers(&self, path: &Path) -> bool {
        let path = comparable(path);
        self.paths.iter().any(|denied| path.starts_with(denied))
    }

    /// Whether an object is one of them, under whatever name.
    pub(super) fn is(&self, id: ObjectId) -> bool {
        self.ids.contains(&id)
    }
}

/// A path as it is compared. File systems of macOS take `.SSH` and `.ſsh` for `.ssh`.
fn comparable(path: &Path) -> std::borrow::Cow<'_, Path> {
    if cfg!(target_vendor = "apple") {
        use unicode_normalization::UnicodeNormalization;
        let folded: String = path.to_string_lossy().nfd().collect::<String>().to_uppercase().to_lowercase();
        return PathBuf::from(folded.nfc().collect::<String>()).into();
    }
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_what_runs_by_itself_are_covered() {
        let home = Path::new("/nowhere/kai");
        let denied = Denied::look_up(&[], &home.join("data"), home);
        for name in [
            ".bash_aliases .bash_login .cshrc .tcshrc .login .kshrc .config/fish .config/nushell .gitconfig .config/git .vimrc .config/nvim .cursor",
            ".local/share/dbus-1 .pam_environment .xprofile .xsession .xinitrc .config/git/credentials .cursor/mcp.json data/loopsy.db",
            "/etc/shadow /etc/gshadow /etc/sudoers /etc/sudoers.d /etc/profile.d /etc/ld.so.preload /etc/systemd /etc/init.d /etc/cron.d /var/spool/cron/root",
        ]
        .into_iter()
        .flat_map(str::split_whitespace)
        {
            assert!(denied.covers(&home.join(name)), "{name}");
        }
        assert!(!denied.covers(&home.join(".config/other")) && !denied.covers(Path::new("/etc/hosts")));
    }
}
