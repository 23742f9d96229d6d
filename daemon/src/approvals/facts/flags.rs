//! Facts that a person should see before saying yes, in few words. They say what is there; they judge nothing.

use loopsy_shared::text::{inert, is_active};
use serde_json::Value;

use crate::jobs::policy::normal;

/// Flags of one input.
const MOST_FLAGS: usize = 24;
/// Characters of one flag.
const MOST_CHARS: usize = 200;
/// Bytes of an input that are searched for characters that nobody sees.
const MOST_SEARCHED: usize = 4 << 20;

/// Parts of paths that hold secrets.
const SECRETS: [&str; 24] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".netrc",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".password-store",
    ".vault-token",
    ".loopsy",
    "Keychains",
    "keyrings",
    "gcloud",
    "gh",
    "credentials",
    "credentials.toml",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    "shadow",
    ".envrc",
];

/// Parts of paths whose files name commands that others run.
const RUN_BY_OTHERS: [&str; 14] = [
    ".bashrc",
    ".bash_profile",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    ".gitconfig",
    "hooks",
    ".claude",
    ".codex",
    ".gemini",
    "LaunchAgents",
    "autostart",
    "crontab",
];

/// A list of flags that stays short.
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<String>);

impl Flags {
    pub(crate) fn add(&mut self, flag: impl AsRef<str>) {
        let text = inert(flag.as_ref());
        let cut = text.chars().count() > MOST_CHARS;
        let flag: String = text.chars().take(MOST_CHARS).chain(cut.then_some('…')).collect();
        if self.0.len() < MOST_FLAGS && !self.0.contains(&flag) {
            self.0.push(flag);
        }
    }

    pub(crate) fn done(self) -> Vec<String> {
        self.0
    }

    /// What the commands of a line do.
    pub(crate) fn commands(&mut self, found: &[Vec<String>]) {
        let names: Vec<String> = found.iter().map(|words| words.first().map_or_else(String::new, |word| normal(word))).collect();
        for (name, words) in names.iter().zip(found) {
            let args: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
            self.command(name, &args);
        }
        let loads = names.iter().find(|name| matches!(name.as_str(), "curl" | "wget" | "fetch"));
        let shell = names
            .iter()
            .find(|name| matches!(name.as_str(), "sh" | "bash" | "zsh" | "dash" | "ksh" | "fish" | "python" | "python3" | "perl" | "ruby" | "node"));
        if let (Some(loads), Some(shell)) = (loads, shell) {
            self.add(format!("pipes a download into a shell ({loads} | {shell})"));
        }
    }

    fn command(&mut self, name: &str, args: &[&str]) {
        let has = |flags: &[&str]| args.iter().any(|arg| flags.contains(arg));
        let short = |letter: char| args.iter().any(|arg| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(letter));
        match name {
            "rm" => {
                let recursive = short('r') || short('R') || has(&["--recursive"]);
                let options = match (recursive, short('f') || has(&["--force"])) {
                    (true, true) => " -rf",
                    (true, false) => " -r",
                    (false, true) => " -f",
                    (false, false) => "",
                };
                self.add(format!("deletes files (rm{options})"));
            }
            "rmdir" | "unlink" | "shred" | "srm" | "trash" => self.add(format!("deletes files ({name})")),
            "find" if has(&["-delete"]) => self.add("deletes files (find -delete)"),
            "dd" | "mkfs" | "truncate" | "fdisk" | "parted" => self.add(format!("overwrites files or disks ({name})")),
            "sudo" | "doas" | "su" | "pkexec" | "run0" | "runuser" => self.add(format!("runs as another user ({name})")),
            "curl" | "wget" | "ssh" | "scp" | "sftp" | "rsync" | "nc" | "ncat" | "telnet" | "ftp" => self.add(format!("uses the network ({name})")),
            "git" => self.git(args),
            "chmod" | "chown" if short('R') => self.add(format!("changes rights of many files ({name} -R)")),
            "kill" | "pkill" | "killall" => self.add(format!("ends processes ({name})")),
            "shutdown" | "reboot" | "poweroff" | "halt" => self.add(format!("stops the machine ({name})")),
            "crontab" | "launchctl" | "systemctl" | "at" => self.add(format!("changes what the machine runs by itself ({name})")),
            _ => {}
        }
    }

    fn git(&mut self, args: &[&str]) {
        let is = |word: &str| args.contains(&word);
        let any = |words: &[&str]| words.iter().any(|word| is(word));
        if is("push") {
            self.add("uses the network (git push)");
            if any(&["--force", "-f", "--mirror"]) || args.iter().any(|arg| arg.starts_with("--force-with-lease") || arg.starts_with('+')) {
                self.add("rewrites history (git push --force)");
            }
        }
        for (fits, what) in [
            (is("reset") && is("--hard"), "rewrites history (git reset --hard)"),
            (is("commit") && is("--amend"), "rewrites history (git commit --amend)"),
            (any(&["rebase", "filter-branch", "filter-repo"]), "rewrites history (git rebase)"),
            (is("branch") && any(&["-D", "--delete"]), "deletes a branch (git branch -D)"),
            (is("clean") && args.iter().any(|arg| arg.starts_with("-") && arg.contains('f')), "deletes files (git clean)"),
        ] {
            if fits {
                self.add(what);
            }
        }
    }

    /// What a path means wherever it is. `None` is fine.
    pub(crate) fn path(&mut self, resolved: &str) {
        let parts = || resolved.split('/');
        if parts().any(|part| SECRETS.contains(&part) || part == ".env" || part.starts_with(".env.") || part.ends_with(".pem") || part.ends_with(".key")) {
            self.add(format!("touches {resolved}, where secrets may be"));
        }
        if parts().any(|part| RUN_BY_OTHERS.contains(&part)) {
            self.add(format!("touches {resolved}, which may name commands that others run"));
        }
    }

    /// Characters that a person does not see, anywhere in an input.
    pub(crate) fn hidden(&mut self, input: &Value) {
        let (mut rest, mut left) = (vec![input], MOST_SEARCHED);
        while let Some(value) = rest.pop() {
            match value {
                Value::String(text) => {
                    let Some(after) = left.checked_sub(text.len()) else { return self.add("is too large to be searched for invisible characters") };
                    left = after;
                    if text.chars().any(is_hidden) {
                        return self.add("contains bidirectional or invisible characters");
                    }
                    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
                        self.add("contains control characters");
                    }
                }
                Value::Array(values) => rest.extend(values),
                Value::Object(map) => {
                    if map.keys().any(|key| key.chars().any(is_hidden)) {
                        return self.add("contains bidirectional or invisible characters");
                    }
                    rest.extend(map.values());
                }
                _ => {}
            }
        }
    }
}

fn is_hidden(c: char) -> bool {
    !c.is_control() && is_active(c)
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{2060}'..='\u{2064}' | '\u{e0000}'..='\u{e007f}' | '\u{3164}' | '\u{115f}')
}
