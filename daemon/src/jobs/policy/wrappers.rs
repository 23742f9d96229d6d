//! Programs that run other programs, and where in their arguments those are.

use super::script::{self, is_assignment};

/// What a wrapper would run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inner {
    /// A program with arguments.
    Program(Vec<String>),
    /// A shell script with its positional parameters.
    Script(String, Vec<String>),
    /// It sets a variable for what it runs.
    Variable(String),
}

/// Shells that take `-c`.
const SHELLS: [&str; 20] =
    ["sh", "bash", "rbash", "dash", "zsh", "ksh", "ksh93", "mksh", "lksh", "pdksh", "posh", "ash", "hush", "yash", "fish", "osh", "sash", "csh", "tcsh", "nu"];

/// What `setarch` takes before the program, if anything: beginnings of names.
const ARCHITECTURES: [&str; 17] =
    ["linux", "uname26", "x86", "i3", "i4", "i5", "i6", "athlon", "ia64", "ppc", "arm", "aarch64", "mips", "sparc", "s390", "riscv", "parisc"];

/// Programs that run the rest of their command line: short options that take a value, long ones, and operands that come before the program.
type Prefix = (&'static [&'static str], &'static str, &'static [&'static str], usize);

const PREFIXES: [Prefix; 25] = [
    (&["choom"], "np", &["adjust", "pid"], 0),
    (&["nice", "gnice"], "n", &["adjustment"], 0),
    (&["timeout", "gtimeout"], "ks", &["kill-after", "signal"], 1),
    (&["stdbuf", "gstdbuf"], "ioe", &["input", "output", "error"], 0),
    (&["ionice"], "cnpPu", &["class", "classdata"], 0),
    (&["chrt"], "TPD", &["sched-runtime", "sched-period", "sched-deadline"], 1),
    (&["taskset", "chroot", "gosu", "su-exec", "faketime"], "", &["userspec", "groups"], 1),
    (&["time", "gtime"], "fo", &["format", "output"], 0),
    (&["xargs", "gxargs"], "ILnPsdEaJRS", &["max-args", "max-procs", "max-chars", "delimiter", "arg-file", "process-slot-var"], 0),
    (&["strace", "ltrace"], "eoapuEsIObSXPUA", &["output", "trace", "attach", "user", "env", "string-limit"], 0),
    (&["unshare"], "SGRw", &["root", "wd", "setuid", "setgid"], 0),
    (&["nsenter"], "tSG", &["target", "setuid", "setgid"], 0),
    (&["sudo"], "ughpCrtTUDR", &["user", "group", "host", "prompt", "close-from", "role", "type", "command-timeout", "other-user", "chdir", "chroot"], 0),
    (&["doas"], "uCa", &[], 0),
    (&["pkexec"], "", &["user"], 0),
    (&["run0"], "ugDp", &["user", "group", "chdir", "property", "setenv", "unit", "slice", "nice", "background"], 0),
    (
        &["systemd-run", "systemd-inhibit"],
        "pEuHMr",
        &["property", "setenv", "unit", "uid", "gid", "slice", "description", "working-directory", "what", "who"],
        0,
    ),
    (&["setpriv"], "", &["reuid", "regid", "ruid", "rgid", "euid", "egid", "groups", "inh-caps", "ambient-caps", "bounding-set", "securebits"], 0),
    (&["prlimit", "numactl", "cpulimit"], "Nmipl", &["cpunodebind", "membind", "interleave", "physcpubind", "limit"], 0),
    (&["caffeinate"], "tw", &[], 0),
    (&["exec"], "a", &[], 0),
    (&["valgrind", "firejail", "fakeroot", "eatmydata", "unbuffer", "catchsegv", "dbus-run-session", "torsocks", "tini", "dumb-init"], "", &[], 0),
    (&["nohup", "setsid", "builtin", "noglob", "winpty", "linux32", "linux64"], "", &[], 0),
    (&["busybox", "toybox", "coreutils"], "", &[], 0),
    (&["proxychains", "proxychains4"], "f", &[], 0),
];

/// What a program of that name would run with these arguments.
pub(crate) fn inner(name: &str, args: &[String]) -> Vec<Inner> {
    match name {
        name if SHELLS.contains(&name.strip_suffix("static").map_or(name, |name| name.trim_end_matches(['-', '.']))) => shell(args),
        "pwsh" | "powershell" => powershell(args),
        "setarch" => {
            let rest = skip_options(args, "", &[]);
            let named = rest.first().is_some_and(|first| ARCHITECTURES.iter().any(|start| first.starts_with(start)));
            vec![Inner::Program(skip_options(&rest[usize::from(named)..], "", &[]).to_vec())]
        }
        "sg" => {
            let rest = args.strip_prefix(&["-".to_owned()]).unwrap_or(args).get(1..).unwrap_or_default();
            let rest = rest.strip_prefix(&["-c".to_owned()]).unwrap_or(rest);
            vec![Inner::Script(rest.join(" "), Vec::new())]
        }
        "env" | "genv" => env(args),
        "find" | "gfind" | "fd" | "fdfind" => find(args),
        "eval" => vec![Inner::Script(args.join(" "), Vec::new())],
        "trap" => skip_options(args, "", &[]).first().map(|script| Inner::Script(script.clone(), Vec::new())).into_iter().collect(),
        "command" if args.iter().take_while(|arg| arg.starts_with('-')).any(|arg| arg.contains(['v', 'V'])) => Vec::new(),
        "command" => vec![Inner::Program(skip_options(args, "", &[]).to_vec())],
        "watch" | "gwatch" => {
            let rest = skip_options(args, "nq", &["interval", "equexit"]);
            vec![Inner::Program(rest.to_vec()), Inner::Script(rest.join(" "), Vec::new())]
        }
        "su" => command_option(args),
        "runuser" => with_program(args, "ugGsw", &["user", "group", "supp-group", "shell"], 0),
        "script" => with_program(args, "EITOmBotF", &["log-in", "log-out", "log-io", "log-timing", "output-limit", "echo"], 1),
        "flock" => with_program(args, "wE", &["wait", "timeout", "conflict-exit-code"], 1),
        "parallel" => parallel(args),
        name if name.starts_with("ld-linux") || name.starts_with("ld-musl") => {
            vec![Inner::Program(skip_options(args, "", &["library-path", "preload", "audit", "argv0", "inhibit-rpath"]).to_vec())]
        }
        name => PREFIXES.iter().find(|(names, ..)| names.contains(&name)).map(|prefix| run_rest(prefix, args)).unwrap_or_default(),
    }
}

fn run_rest(&(_, short, long, operands): &Prefix, args: &[String]) -> Vec<Inner> {
    let mut rest = skip_options(args, short, long).get(operands..).unwrap_or_default();
    let mut inner = Vec::new();
    while let Some((first, after)) = rest.split_first()
        && is_assignment(first)
    {
        inner.push(variable(first));
        rest = after;
    }
    inner.push(Inner::Program(rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest).to_vec()));
    inner
}

fn variable(assignment: &str) -> Inner {
    Inner::Variable(assignment.split_once('=').map_or(assignment, |(name, _)| name).to_owned())
}

fn shell(args: &[String]) -> Vec<Inner> {
    let (mut at, mut script) = (0, false);
    while let Some(arg) = args.get(at) {
        at += 1;
        match arg.as_str() {
            "--" | "-" => break,
            "--rcfile" | "--init-file" => at += 1,
            "--command" | "--commands" => script = true,
            long if long.starts_with("--") => {
                if let Some(text) = long.split_once('=').filter(|(name, _)| matches!(*name, "--command" | "--commands")).map(|(_, text)| text) {
                    return vec![Inner::Script(text.to_owned(), Vec::new())];
                }
            }
            short if short.len() > 1 && short.starts_with(['-', '+']) => {
                script |= short.starts_with('-') && short.contains('c');
                at += usize::from(short.contains(['o', 'O']));
            }
            _ => {
                at -= 1;
                break;
            }
        }
    }
    let rest = args.get(at..).unwrap_or_default();
    let text = rest.first().filter(|_| script);
    text.map(|text| Inner::Script(text.clone(), rest[1..].to_vec())).into_iter().collect()
}

fn powershell(args: &[String]) -> Vec<Inner> {
    let is_command = |arg: &String| arg.len() > 1 && ["-command", "--command"].iter().any(|name| name.starts_with(&arg.to_lowercase()));
    let script = args.iter().position(is_command).and_then(|at| args.get(at + 1..));
    script.map(|words| Inner::Script(words.join(" "), Vec::new())).into_iter().collect()
}

fn env(args: &[String]) -> Vec<Inner> {
    let (mut at, mut inner) = (0, Vec::new());
    while let Some(arg) = args.get(at) {
        at += 1;
        let cluster = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-')).unwrap_or_default();
        let value_at = cluster.find(['u', 'C', 'P', 'a', 'S']);
        let long_split = arg.strip_prefix("--").filter(|name| name.starts_with('s'));
        if let Some(name) = long_split {
            let text = name.split_once('=').map(|(_, text)| text.to_owned()).or_else(|| args.get(at).cloned().inspect(|_| at += 1));
            return split(&text.unwrap_or_default(), args.get(at..).unwrap_or_default());
        } else if arg == "--" {
            break;
        } else if let Some(value_at) = value_at {
            let attached = &cluster[value_at + 1..];
            let value = if attached.is_empty() { args.get(at).cloned().inspect(|_| at += 1) } else { Some(attached.to_owned()) };
            if cluster[value_at..].starts_with('S') {
                return split(&value.unwrap_or_default(), args.get(at..).unwrap_or_default());
            }
        } else if let Some(name) = arg.strip_prefix("--") {
            at += usize::from(["unset", "chdir", "argv0"].iter().any(|long| long.starts_with(name)));
        } else if !arg.starts_with('-') {
            at -= 1;
            break;
        }
    }
    let rest = args.get(at..).unwrap_or_default();
    let assigned = rest.iter().take_while(|word| word.contains('=')).count();
    inner.extend(rest[..assigned].iter().map(|word| variable(word)));
    inner.push(Inner::Program(rest[assigned..].to_vec()));
    inner
}

/// `env -S`: the text becomes words of the same `env`.
fn split(text: &str, rest: &[String]) -> Vec<Inner> {
    let words = script::parse(&format!("env {text}"), &[]).commands.into_iter().flatten();
    vec![Inner::Program(words.chain(rest.iter().cloned()).collect())]
}

fn find(args: &[String]) -> Vec<Inner> {
    let starts =
        args.iter().enumerate().filter(|(_, arg)| matches!(arg.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir" | "-x" | "-X" | "--exec" | "--exec-batch"));
    starts.map(|(at, _)| Inner::Program(args[at + 1..].iter().take_while(|arg| *arg != ";" && *arg != "+").cloned().collect())).collect()
}

/// A script behind `-c` anywhere.
fn command_option(args: &[String]) -> Vec<Inner> {
    let script = |(at, arg): (usize, &String)| {
        let next = || args.get(at + 1).cloned();
        let short = arg.strip_prefix('-').filter(|cluster| !cluster.starts_with('-')).and_then(|cluster| cluster.split_once('c')).map(|(_, text)| text);
        match (short, arg.strip_prefix("--command")) {
            (Some(""), _) | (_, Some("")) => next(),
            (Some(text), _) => Some(text.to_owned()),
            (_, Some(text)) => text.strip_prefix('=').map(str::to_owned),
            _ => None,
        }
    };
    args.iter().enumerate().filter_map(script).map(|script| Inner::Script(script, Vec::new())).collect()
}

fn with_program(args: &[String], short: &str, long: &[&str], operands: usize) -> Vec<Inner> {
    let own = args.iter().take_while(|arg| arg.starts_with('-')).count();
    let rest = skip_options(args, short, long).get(operands..).unwrap_or_default();
    let rest = rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest);
    let script = command_option(if operands > 0 { args.get(..own + 3).unwrap_or(args) } else { args.get(..own + 1).unwrap_or(args) });
    let program = (!rest.first().is_some_and(|word| word.starts_with('-'))).then(|| Inner::Program(rest.to_vec()));
    script.into_iter().chain(program).collect()
}

fn parallel(args: &[String]) -> Vec<Inner> {
    let rest = skip_options(args, "jSaINnLsdPCX", &["jobs", "sshlogin", "arg-file", "max-args", "delay", "timeout", "joblog", "colsep", "results", "retries"]);
    let template: Vec<String> = rest.iter().take_while(|arg| !arg.starts_with(":::")).cloned().collect();
    if template.is_empty() {
        return rest.iter().filter(|arg| !arg.starts_with(":::")).map(|input| Inner::Script(input.clone(), Vec::new())).collect();
    }
    vec![Inner::Script(template.join(" "), Vec::new()), Inner::Program(template)]
}

/// What follows the options.
fn skip_options<'a>(args: &'a [String], short: &str, long: &[&str]) -> &'a [String] {
    let mut at = 0;
    while let Some(arg) = args.get(at).filter(|arg| arg.starts_with('-')) {
        at += 1;
        if arg == "--" {
            break;
        }
        let needs_value = match arg.strip_prefix("--") {
            Some(name) => !name.contains('=') && long.iter().any(|long| long.starts_with(name)),
            None => arg[1..].find(|c| short.contains(c)).is_some_and(|found| found + 2 == arg.len()),
        };
        at += usize::from(needs_value);
    }
    args.get(at..).unwrap_or_default()
}
