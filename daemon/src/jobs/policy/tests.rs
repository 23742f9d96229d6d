//! What the denylist sees through, and what the allowlist lets through.

use proptest::prelude::*;

use super::*;

fn search() -> Search {
    Search { path: std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned()), cwd: "/".into() }
}

fn run(command: &[&str]) -> Result<(), Refusal> {
    let args: Vec<String> = command[1..].iter().map(|arg| (*arg).to_owned()).collect();
    check(&Execution::default(), &search(), command[0], &args)
}

#[test]
fn disguises_are_seen_through() {
    let disguises: &[&[&str]] = &[
        &["rm", "x"],
        &["/bin/rm", "x"],
        &["RM.EXE", "x"],
        &["./../usr/bin/../bin/rm"],
        &["mkfs.ext4", "/dev/sda"],
        &["env", "rm", "x"],
        &["env", "-i", "-u", "X", "A=1", "rm"],
        &["env", "-uX", "--", "A=1", "rm"],
        &["env", "-S", "rm -rf x"],
        &["env", "-iS", "A=1 rm", "x"],
        &["env", "--split-string=rm -rf", "x"],
        &["env", "--unset", "X", "rm"],
        &["sudo", "-u", "root", "rm"],
        &["sudo", "-nEu", "root", "A=1", "--", "rm"],
        &["sudo", "--user", "root", "rm"],
        &["sudo", "--use", "root", "rm"],
        &["doas", "-u", "root", "rm"],
        &["nice", "-n", "5", "rm"],
        &["nice", "-5", "rm"],
        &["nohup", "rm"],
        &["timeout", "-k", "1", "5", "rm"],
        &["timeout", "--signal=KILL", "5", "rm"],
        &["setsid", "-w", "rm"],
        &["stdbuf", "-oL", "rm"],
        &["stdbuf", "-o", "L", "rm"],
        &["ionice", "-c", "3", "rm"],
        &["chrt", "-f", "1", "rm"],
        &["taskset", "-c", "0", "rm"],
        &["time", "-p", "rm"],
        &["xargs", "-0", "-n", "1", "rm"],
        &["xargs", "-I{}", "rm", "{}"],
        &["find", ".", "-name", "x", "-exec", "rm", "{}", ";"],
        &["find", ".", "-execdir", "sh", "-c", "rm \"$1\"", "sh", "{}", "+"],
        &["fd", "x", "-x", "rm"],
        &["sh", "-c", "rm x"],
        &["bash", "--norc", "-eo", "pipefail", "-c", "echo a && rm x"],
        &["bash", "-ec", "X=1 rm x"],
        &["zsh", "-c", "'r'm x"],
        &["dash", "-c", "r\\m x"],
        &["sh", "-c", "\"rm\" x"],
        &["sh", "-c", "$'\\x72m' x"],
        &["sh", "-c", "echo $(rm x)"],
        &["sh", "-c", "echo \"`rm x`\""],
        &["sh", "-c", "if true; then rm x; fi"],
        &["sh", "-c", "while ! rm x; do :; done"],
        &["sh", "-c", "{ rm x; }"],
        &["sh", "-c", "(rm x)"],
        &["sh", "-c", "true | rm"],
        &["sh", "-c", "true &\nrm"],
        &["sh", "-c", "command -p rm x"],
        &["sh", "-c", "exec -a ls rm x"],
        &["sh", "-c", "eval 'rm x'"],
        &["sh", "-c", "trap 'rm x' EXIT"],
        &["sh", "-c", "builtin command rm"],
        &["sh", "-c", "\"$@\"", "sh", "rm", "x"],
        &["sh", "-c", "$0 x", "rm"],
        &["sh", "-c", "cat <(rm x)"],
        &["sh", "-c", ">out rm x"],
        &["sh", "-c", "cat <<<x\nrm x"],
        &["sh", "-c", "2>/dev/null rm x"],
        &["bash", "-c", "{rm,-rf,x}"],
        &["busybox", "rm", "x"],
        &["busybox", "sh", "-c", "rm x"],
        &["strace", "-f", "-o", "log", "rm"],
        &["watch", "-n", "1", "rm x"],
        &["script", "-c", "rm x", "log"],
        &["script", "-qc", "rm x"],
        &["script", "-q", "/dev/null", "rm"],
        &["parallel", "-j", "2", "rm", ":::", "x"],
        &["parallel", ":::", "rm x"],
        &["flock", "lock", "rm", "x"],
        &["flock", "-n", "lock", "-c", "rm x"],
        &["unshare", "-r", "rm"],
        &["chroot", "/", "rm"],
        &["su", "root", "-c", "rm x"],
        &["/lib64/ld-linux-x86-64.so.2", "/bin/rm"],
        &["env", "sudo", "-n", "nice", "sh", "-c", "timeout 5 xargs rm"],
    ];
    for disguise in disguises {
        assert!(matches!(run(disguise), Err(Refusal::Denied(_))), "{disguise:?}");
    }
}

#[test]
fn what_only_mentions_it_passes() {
    let harmless: &[&[&str]] = &[
        &["echo", "rm"],
        &["grep", "rm", "file"],
        &["sh", "-c", "echo rm"],
        &["sh", "-c", "echo 'a; rm x'"],
        &["sh", "-c", "ls # rm x"],
        &["sh", "-c", "ls", "sh", "rm"],
        &["sh", "-c", "ls > rm"],
        &["sh", "-c", "for rm in a b; do echo $rm; done"],
        &["sh", "-c", "cat <<EOF\nrm x\nEOF"],
        &["sh", "-c", "git commit -m \"$(cat <<'EOF'\nrm what is old\nEOF\n)\" && git push"],
        &["sh", "-c", "command -v rm"],
        &["sh", "script", "-c", "rm x"],
        &["git", "rm", "x"],
        &["cargo", "rm", "x"],
        &["docker", "run", "--rm", "x"],
        &["env", "A=rm", "ls"],
        &["find", ".", "-name", "rm"],
        &["timeout", "5", "echo", "rm"],
        &["npm", "run", "format"],
        &["xargs", "echo", "rm"],
        &["python3", "-c", "rm"],
        &["flock", "lock", "sh", "script", "-c", "x"],
    ];
    for command in harmless {
        assert_eq!(run(command), Ok(()), "{command:?}");
    }
}

#[test]
fn a_link_is_what_it_leads_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let (rm, sh) = (dir.path().join("harmless"), dir.path().join("shell"));
    std::os::unix::fs::symlink("/bin/rm", &rm).expect("linked");
    std::os::unix::fs::symlink("/bin/sh", &sh).expect("linked");
    assert!(run(&[rm.to_str().expect("text"), "x"]).is_err());
    assert!(run(&[sh.to_str().expect("text"), "-c", "rm x"]).is_err());
    let search = Search { path: dir.path().to_string_lossy().into_owned(), cwd: "/".into() };
    assert!(check(&Execution::default(), &search, "harmless", &[]).is_err());
}

#[test]
fn an_allowlist_is_by_file_and_holds_inside() {
    let with = |list: &[&str]| Execution { allowlist: Some(list.iter().map(|entry| (*entry).to_owned()).collect()), ..Execution::default() };
    let check = |execution: &Execution, command: &[&str]| {
        let args: Vec<String> = command[1..].iter().map(|arg| (*arg).to_owned()).collect();
        check(execution, &search(), command[0], &args)
    };
    let dir = tempfile::tempdir().expect("a directory");
    let evil = dir.path().join("ls");
    std::fs::copy("/bin/sh", &evil).expect("copied");
    assert!(check(&with(&[]), &["ls"]).is_err());
    let some = with(&["ls", "sh", "env", "/bin/cat"]);
    for command in [&["ls"][..], &["/bin/ls"], &["cat", "x"], &["env", "ls"], &["sh", "-c", "cd / && ls; echo $(cat x)"]] {
        assert_eq!(check(&some, command), Ok(()), "{command:?}");
    }
    for command in [&["id"][..], &["env", "id"], &["sh", "-c", "ls; id"], &["sh", "-c", "$(echo id)"], &["env", "LD_PRELOAD=x", "ls"], &["no-such"]] {
        assert!(check(&some, command).is_err(), "{command:?}");
    }
    assert!(check(&some, &[evil.to_str().expect("text")]).is_err());
}

/// Ways to wrap a command that all must be seen through.
fn wrap(way: usize, inner: Vec<String>) -> Vec<String> {
    let quoted = || inner.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect::<Vec<_>>().join(" ");
    let before: &[&str] = match way % 12 {
        0 => &["env", "-u", "A", "B=1"],
        1 => &["sudo", "-u", "root"],
        2 => &["timeout", "-s", "KILL", "3"],
        3 => &["nice", "-n", "3"],
        4 => &["xargs", "-n", "1"],
        5 => &["find", ".", "-exec"],
        6 => &["stdbuf", "-o", "L"],
        7 => return vec!["sh".into(), "-c".into(), format!("A=1 {}", quoted())],
        8 => return vec!["bash".into(), "-xc".into(), format!("true && ( {} )", quoted())],
        9 => return vec!["dash".into(), "-c".into(), format!("echo \"$({})\"", quoted())],
        10 => return ["sh", "-c", "exec \"$@\"", "sh"].map(str::to_owned).into_iter().chain(inner).collect(),
        _ => &["setsid"],
    };
    before.iter().map(|word| (*word).to_owned()).chain(inner).collect()
}

proptest! {
    #[test]
    fn no_wrapping_hides_a_denied_command(ways in prop::collection::vec(0_usize..12, 0..5)) {
        let command = ways.iter().fold(vec!["rm".to_owned(), "-rf".to_owned(), "it's".to_owned()], |inner, way| wrap(*way, inner));
        let refused = check(&Execution::default(), &search(), &command[0], &command[1..]);
        prop_assert!(refused.is_err(), "{:?}", command);
    }

    #[test]
    fn no_wrapping_makes_a_harmless_command_denied(ways in prop::collection::vec(0_usize..12, 0..4)) {
        let command = ways.iter().fold(vec!["echo".to_owned(), "rm".to_owned(), "it's".to_owned()], |inner, way| wrap(*way, inner));
        prop_assert_eq!(check(&Execution::default(), &search(), &command[0], &command[1..]), Ok(()), "{:?}", command);
    }

    #[test]
    fn nothing_makes_it_panic(command: String, args: Vec<String>, script: String, shell in "[-$(){}`'\"<>&|;@*{},\\\\=#\n rm0-9a-c]{0,40}") {
        let _any = check(&Execution::default(), &search(), &command, &args);
        for program in ["sh", "env", "sudo", "find", "parallel", "flock", "script", "su", "watch", "command", "timeout"] {
            let _any = check(&Execution::default(), &search(), program, &args);
            for text in [&script, &shell] {
                let _any = check(&Execution::default(), &search(), program, &["-c".to_owned(), text.clone(), "x".to_owned()]);
                let _any = check(&Execution::default(), &search(), program, std::slice::from_ref(text));
            }
        }
    }
}
