//! Commands run elsewhere: the truth about how they ended, all that they printed, and nothing left behind.

use std::{
    io::{Read, Write},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Pair, Sse, TestDaemon, cli::finish, kill, noise, processes_with, until};

/// A duration for `sleep` by which its process is found.
fn marker() -> String {
    format!("{}", 700_000_000 + crate::support::unique() % 99_999_999)
}

fn running(daemon: &TestDaemon) -> Vec<Value> {
    daemon.get("/api/v1/execute/jobs").ok().json()["jobs"].as_array().unwrap().clone()
}

fn nothing_left(marker: &str) {
    until("nothing of the job to be left", || processes_with(&format!("sleep {marker}")).is_empty().then_some(()));
}

#[test]
fn exit_codes_tell_the_truth() {
    let pair = Pair::new();
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("kill -INT $$", 130), ("kill -SEGV $$", 139)]
    {
        let ran = pair.leo.loopsy(&["exec", "kai", "sh", "-c", script]);
        assert_eq!(ran.code, code, "{script}: {}", ran.err);
    }
    let both = pair.leo.loopsy(&["exec", "kai", "sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((both.code, both.text().as_str(), both.err.as_str()), (3, "out\n", "err\n"));
    let json = pair.leo.loopsy(&["exec", "--json", "kai", "sh", "-c", "echo out; exit 3"]);
    assert_eq!((json.code, &json.json()["exitCode"], &json.json()["stdout"]), (3, &json!(3), &json!("out\n")));
    let missing = pair.leo.loopsy(&["exec", "kai", "no-such-program-anywhere"]);
    assert!(missing.refused(1).contains("no-such-program-anywhere"));
    let nowhere = pair.leo.loopsy(&["exec", "--cwd", "/no/such/dir", "kai", "true"]);
    assert!(nowhere.refused(1).contains("/no/such/dir"));
    assert_eq!(pair.leo.loopsy(&["exec", "-C", "/usr", "kai", "pwd"]).ok().text(), "/usr\n");
    assert_eq!(pair.leo.loopsy(&["exec", "-e", "A=b c", "-e", "D=", "kai", "sh", "-c", "echo \"$A$D\""]).ok().text(), "b c\n");
}

#[test]
fn flags_belong_to_the_command() {
    let pair = Pair::new();
    pair.kai.home.write("seen", "x");
    let listed = pair.leo.loopsy(&["exec", "kai", "ls", "-la"]).ok().text();
    assert!(listed.contains("seen") && listed.contains("total"), "{listed}");
    assert_eq!(pair.leo.loopsy(&["exec", "kai", "--", "echo", "-n", "--json", "-t", "5"]).ok().text(), "--json -t 5");
    assert_eq!(pair.leo.loopsy(&["exec", "kai", "echo", "--", "--help", "-h", "a  b", "", "*", "$HOME", "ä"]).ok().text(), "-- --help -h a  b  * $HOME ä\n");
    assert_eq!(pair.leo.loopsy(&["exec", "kai", "printf", "%s|", "--timeout", "1"]).ok().text(), "--timeout|1|");
}

#[test]
fn a_timeout_ends_the_whole_tree_and_says_so() {
    let pair = Pair::new();
    let mark = marker();
    let script = format!("sleep {mark} & (setsid sleep {mark} &) ; nohup sleep {mark} >/dev/null 2>&1 & sleep {mark}");
    let begun = Instant::now();
    let ran = pair.leo.loopsy(&["exec", "--timeout", "700", "kai", "sh", "-c", &script]);
    assert_eq!(ran.code, 124, "{}", ran.err);
    assert!(ran.err.contains("time was up"), "{}", ran.err);
    assert!(begun.elapsed() < Duration::from_millis(700 + 2000 + 2500), "{:?}", begun.elapsed());
    nothing_left(&mark);
    let body = json!({ "command": "sh", "args": ["-c", format!("trap '' TERM; sleep {mark} & sleep {mark}")], "timeout": 300 });
    let result = pair.kai.post("/api/v1/execute", body).ok().json();
    assert_eq!((&result["exitCode"], &result["timedOut"], &result["killed"]), (&Value::Null, &json!(true), &json!(true)), "{result}");
    nothing_left(&mark);
    // The config's own limit holds where the request has none.
    pair.kai.home.edit_config("defaultTimeout: 300000", "defaultTimeout: 400");
    pair.kai.post("/api/v1/reload", json!({})).ok();
    let result = pair.kai.post("/api/v1/execute", json!({ "command": "sleep", "args": [mark] })).ok().json();
    assert_eq!(result["timedOut"], true);
}

#[test]
fn ctrl_c_here_cancels_there() {
    let pair = Pair::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mark = marker();
        let child = pair.leo.home.command(&["exec", "kai", "sh", "-c", &format!("echo begun; sleep {mark} & sleep {mark}")]).spawn().unwrap();
        until("the job", || (running(&pair.kai).len() == 1).then_some(()));
        until("its processes", || (processes_with(&format!("sleep {mark}")).len() >= 3).then_some(()));
        kill(child.id(), signal);
        let ran = finish(child, Vec::new());
        assert_eq!(ran.code, code, "{}", ran.err);
        assert_eq!(ran.text(), "begun\n");
        assert!(running(&pair.kai).is_empty());
        nothing_left(&mark);
    }
}

#[test]
fn a_client_that_is_gone_ends_its_streams_job() {
    let pair = Pair::new();
    let mark = marker();
    let body = json!({ "command": "sh", "args": ["-c", format!("sleep {mark} & sleep {mark}")] });
    let direct = Sse::open(pair.kai.address, &pair.kai.key, "POST", "/api/v1/execute/stream", None, Some(&body));
    let through = Sse::open(pair.leo.address, &pair.leo.key, "POST", "/api/v1/at/kai/execute/stream", None, Some(&body));
    until("both jobs", || (running(&pair.kai).len() == 2).then_some(()));
    drop((direct, through));
    nothing_left(&mark);
    until("the list to be empty", || running(&pair.kai).is_empty().then_some(()));
    // A plain call that lost its caller goes on, and its result can be fetched.
    let mut lost = crate::support::http::dial(pair.kai.address);
    let body = json!({ "command": "sh", "args": ["-c", "sleep 0.5; echo result"] }).to_string();
    write!(
        lost,
        "POST /api/v1/execute HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        pair.kai.address,
        pair.kai.key,
        body.len()
    )
    .unwrap();
    let job = until("the job", || running(&pair.kai).first().map(|job| job["jobId"].as_str().unwrap().to_owned()));
    drop(lost);
    let ended = until("its end", || Some(pair.kai.get(&format!("/api/v1/execute/jobs/{job}")).ok().json()).filter(|job| job["running"] == false));
    assert_eq!(ended["exit"]["exitCode"], 0, "{ended}");
    let output = pair.kai.get(&format!("/api/v1/execute/jobs/{job}/output")).ok().json();
    assert_eq!((&output["chunks"][0]["data"], &output["end"]), (&json!("result\n"), &json!(true)), "{output}");
}

/// The command line asks for 30 seconds in which it can come back to a job whose stream was lost. One that was killed does not come back.
#[test]
fn a_command_line_that_was_killed_ends_its_job_after_its_linger() {
    let pair = Pair::new();
    let mark = marker();
    let mut child = pair.leo.home.command(&["exec", "kai", "sleep", &mark]).spawn().unwrap();
    until("the job", || (running(&pair.kai).len() == 1).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    std::thread::sleep(Duration::from_secs(25));
    nothing_left(&mark);
    until("the list to be empty", || running(&pair.kai).is_empty().then_some(()));
}

#[test]
fn a_killed_daemon_leaves_nothing_behind() {
    let mut pair = Pair::on_fixed_ports();
    let mark = marker();
    let script = format!(
        "sleep {mark} & setsid sleep {mark} & (setsid nohup sleep {mark} >/dev/null 2>&1 &) ; (trap '' HUP TERM INT; setsid sh -c 'trap \"\" TERM HUP; sleep {mark}; sleep {mark}' &) ; sleep {mark}"
    );
    let child = pair.leo.home.command(&["exec", "kai", "sh", "-c", &script]).spawn().unwrap();
    until("the whole tree", || (processes_with(&format!("sleep {mark}")).len() >= 6).then_some(()));
    let begun = Instant::now();
    pair.kai.kill9();
    nothing_left(&mark);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The command line says what happened, and does not pretend that the command went well.
    let ran = finish(child, Vec::new());
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("kai"), "{}", ran.err);
    let keeper = format!("__keeper {}", pair.kai.home.data().display());
    assert!(processes_with(&keeper).is_empty());
    pair.kai.launch(&[]);
    assert!(running(&pair.kai).is_empty());
    assert_eq!(pair.leo.loopsy(&["exec", "kai", "echo", "again"]).ok().text(), "again\n");
}

#[test]
fn standard_input() {
    let pair = Pair::new();
    let begun = Instant::now();
    // `cat` that gets nothing ends at once, by every way in.
    assert_eq!(pair.leo.loopsy(&["exec", "kai", "cat"]).ok().out, b"");
    assert_eq!(pair.leo.loopsy(&["exec", "--no-stdin", "kai", "cat"]).ok().out, b"");
    assert_eq!(pair.kai.post("/api/v1/execute", json!({ "command": "cat" })).ok().json()["exitCode"], 0);
    let mut stream = Sse::open(pair.kai.address, &pair.kai.key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": "cat" })));
    assert_eq!(stream.next().data["type"], "exit");
    assert!(begun.elapsed() < Duration::from_secs(10));
    // A file is passed on.
    let text: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
    let file = pair.leo.home.write("lines", &text);
    let mut command = pair.leo.home.command(&["exec", "kai", "wc", "-l"]);
    command.stdin(std::fs::File::open(file).unwrap());
    assert_eq!(finish(command.spawn().unwrap(), Vec::new()).ok().text().trim(), "20000");
    let bytes = noise(3_000_000, 5);
    assert!(pair.leo.home.loopsy_with(&["exec", "kai", "cat"], bytes.clone()).ok().out == bytes, "input or output was changed");
    // A pipe that somebody holds open, and a job that does not read it.
    let mut command = pair.leo.home.command(&["exec", "kai", "true"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let held = child.stdin.take();
    let ran = finish(child, Vec::new()).ok();
    assert_eq!(ran.out, b"");
    drop(held);
    assert_eq!(pair.leo.home.loopsy_with(&["exec", "kai", "head", "-c", "3"], vec![b'x'; 5_000_000]).ok().text(), "xxx");
    let told = pair.kai.post("/api/v1/execute", json!({ "command": "tr", "args": ["a-z", "A-Z"], "stdin": "ünïcode text" })).ok().json();
    assert_eq!(told["stdout"], "üNïCODE TEXT");
    let long = "x".repeat(1_000_000);
    assert_eq!(
        pair.kai.post("/api/v1/execute", json!({ "command": "wc", "args": ["-c"], "stdin": long })).ok().json()["stdout"].as_str().unwrap().trim(),
        "1000000"
    );
}

#[test]
fn output_of_any_size_and_kind_is_byte_exact() {
    let pair = Pair::new();
    let bytes = noise(10 << 20, 9);
    pair.kai.home.write("noise", &bytes);
    assert!(pair.leo.loopsy(&["exec", "kai", "cat", "noise"]).ok().out == bytes, "10 MB of noise were changed");
    let memory = |daemon: &TestDaemon| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    };
    assert!(memory(&pair.kai) < 200_000 && memory(&pair.leo) < 200_000);
    let all: Vec<u8> = (0..=255).collect();
    pair.kai.home.write("all", &all);
    assert_eq!(pair.leo.loopsy(&["exec", "kai", "cat", "all"]).ok().out, all);
    // Characters are never cut, whatever the size of the pieces.
    let text = "aä€🦀".repeat(60_000);
    pair.kai.home.write("text", &text);
    let mut stream = Sse::open(pair.kai.address, &pair.kai.key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": "cat", "args": ["text"] })));
    let (mut whole, mut pieces) = (String::new(), 0);
    while let Some(event) = stream.try_next().unwrap() {
        assert!(event.data.get("encoding").is_none(), "a piece of text was sent as bytes: {}", &event.data.to_string()[..80.min(event.data.to_string().len())]);
        if event.data["type"] == "stdout" {
            whole.push_str(event.data["data"].as_str().unwrap());
            pieces += 1;
        }
    }
    assert!(whole == text && pieces > 1);
    // In one answer: text as text, bytes as base64, the first MiB of much.
    let binary = pair.kai.post("/api/v1/execute", json!({ "command": "cat", "args": ["all"] })).ok().json();
    use base64::Engine;
    assert_eq!(
        (binary["stdoutEncoding"].as_str(), base64::engine::general_purpose::STANDARD.decode(binary["stdout"].as_str().unwrap()).unwrap()),
        (Some("base64"), all)
    );
    let much = pair.kai.post("/api/v1/execute", json!({ "command": "cat", "args": ["noise"] })).ok().json();
    assert_eq!((&much["truncated"], &much["totalBytes"]), (&json!(true), &json!(10 << 20)));
    // And all of it can be read again, piece by piece.
    let job = much["jobId"].as_str().unwrap();
    let (mut again, mut since) = (Vec::new(), 0);
    loop {
        let part = pair.leo.get(&format!("/api/v1/at/kai/execute/jobs/{job}/output?since={since}")).ok().json();
        for chunk in part["chunks"].as_array().unwrap() {
            let data = chunk["data"].as_str().unwrap();
            match chunk["encoding"].as_str() {
                Some(_) => again.extend(base64::engine::general_purpose::STANDARD.decode(data).unwrap()),
                None => again.extend_from_slice(data.as_bytes()),
            }
        }
        since = part["next"].as_u64().unwrap();
        if part["end"] == true {
            assert_eq!(part["exit"]["exitCode"], 0);
            break;
        }
    }
    assert!(again == bytes, "read again, it is {} bytes", again.len());
}

#[test]
fn both_streams_come_before_the_end() {
    let leo = TestDaemon::new("leo");
    for _ in 0..10 {
        let body = json!({ "command": "sh", "args": ["-c", "i=0; while [ $i -lt 50 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done"] });
        let mut stream = Sse::open(leo.address, &leo.key, "POST", "/api/v1/execute/stream", None, Some(&body));
        let (mut out, mut err, mut ended) = (String::new(), String::new(), false);
        while let Some(event) = stream.try_next().unwrap() {
            assert!(!ended, "something after the end: {}", event.data);
            match event.data["type"].as_str().unwrap() {
                "stdout" => out.push_str(event.data["data"].as_str().unwrap()),
                "stderr" => err.push_str(event.data["data"].as_str().unwrap()),
                "exit" => ended = true,
                other => panic!("{other}"),
            }
        }
        assert!(ended && out.lines().count() == 50 && err.lines().count() == 50);
        assert!(out.lines().enumerate().all(|(n, line)| line == format!("o{n}")));
    }
}

#[test]
fn a_grandchild_that_holds_the_pipes_does_not_hold_the_answer() {
    let mut leo = TestDaemon::new("leo");
    let mark = marker();
    let begun = Instant::now();
    let result = leo.post("/api/v1/execute", json!({ "command": "sh", "args": ["-c", format!("sleep {mark} & echo done")] })).ok().json();
    assert_eq!((&result["stdout"], &result["exitCode"]), (&json!("done\n"), &json!(0)));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // What a command left running on purpose goes on, but never longer than the daemon.
    assert!(running(&leo).is_empty());
    leo.stop();
    nothing_left(&mark);
}

#[test]
fn jobs_are_listed_and_cancelled() {
    let pair = Pair::new();
    let mark = marker();
    let mut child = pair.leo.home.command(&["exec", "kai", "sleep", &mark]).spawn().unwrap();
    until("the job", || (running(&pair.kai).len() == 1).then_some(()));
    let listed = pair.leo.loopsy(&["jobs", "--peer", "kai"]).ok().text();
    assert!(listed.contains(&format!("sleep {mark}")) && listed.contains("leo"), "{listed}");
    let json = pair.leo.loopsy(&["jobs", "--peer", "kai", "--json"]).ok().json();
    let job = &json["jobs"][0];
    assert_eq!((&job["principal"], &job["fromNodeId"], &job["running"]), (&json!("leo"), &json!(pair.leo.node_id), &json!(true)));
    let status = pair.kai.get("/api/v1/status").ok().json();
    assert_eq!((&status["jobs"]["active"], &status["jobs"]["total"]), (&json!(1), &json!(1)));
    pair.leo.call("DELETE", &format!("/api/v1/at/kai/execute/{}", job["jobId"].as_str().unwrap()), None).ok();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(err.contains("cancelled"), "{err}");
    nothing_left(&mark);
    let ended = pair.kai.get(&format!("/api/v1/execute/jobs/{}", job["jobId"].as_str().unwrap())).ok().json();
    assert_eq!((&ended["running"], &ended["exit"]["cancelled"], &ended["exit"]["exitCode"]), (&json!(false), &json!(true), &Value::Null));
    assert!(running(&pair.kai).is_empty());
    pair.kai.call("DELETE", "/api/v1/execute/no-such-job", None).refused(404, 3006);
    pair.kai.get("/api/v1/execute/jobs/no-such-job").refused(404, 3006);
    // A plain call that is cancelled answers at once, with the truth.
    let waiting = std::thread::scope(|scope| {
        let call = scope.spawn(|| pair.kai.post("/api/v1/execute", json!({ "command": "sleep", "args": [mark] })).ok().json());
        let job = until("the job", || running(&pair.kai).first().map(|job| job["jobId"].as_str().unwrap().to_owned()));
        pair.kai.call("DELETE", &format!("/api/v1/execute/{job}"), None).ok();
        call.join().unwrap()
    });
    assert_eq!((&waiting["killed"], &waiting["cancelled"], &waiting["exitCode"]), (&json!(true), &json!(true), &Value::Null));
}

#[test]
fn concurrent_jobs_are_exactly_as_many_as_allowed() {
    let leo = TestDaemon::with_config("leo", "maxConcurrent: 10", "maxConcurrent: 4");
    let mark = marker();
    let answers: Vec<(u16, u64)> = std::thread::scope(|scope| {
        let burst: Vec<_> = (0..16)
            .map(|n| {
                let (leo, mark) = (&leo, &mark);
                scope.spawn(move || {
                    let body = json!({ "command": "sleep", "args": [mark] });
                    if n % 2 == 0 {
                        let answer = leo.post("/api/v1/execute", body);
                        (answer.status, answer.code())
                    } else {
                        let mut stream = Sse::open(leo.address, &leo.key, "POST", "/api/v1/execute/stream", None, Some(&body));
                        let status = stream.status;
                        while status == 200 && matches!(stream.try_next(), Ok(Some(_))) {}
                        (status, if status == 200 { 0 } else { 3003 })
                    }
                })
            })
            .collect();
        until("all places to be taken", || (running(&leo).len() == 4).then_some(()));
        until("the others to be refused", || (burst.iter().filter(|call| call.is_finished()).count() == 12).then_some(()));
        assert_eq!(running(&leo).len(), 4);
        assert_eq!(processes_with(&format!("sleep {mark}")).len(), 4, "exactly 4 run");
        for job in running(&leo) {
            leo.call("DELETE", &format!("/api/v1/execute/{}", job["jobId"].as_str().unwrap()), None).ok();
        }
        burst.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.0 == 200).count(), 4, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == (400, 3003)).count(), 12, "{answers:?}");
    assert_eq!(leo.post("/api/v1/execute", json!({ "command": "true" })).ok().json()["exitCode"], 0, "the places are free again");
}

#[test]
fn input_is_fed_once_and_closed() {
    let leo = TestDaemon::new("leo");
    let mut stream = Sse::open(leo.address, &leo.key, "POST", "/api/v1/execute/stream", None, Some(&json!({ "command": "cat", "pipeStdin": true })));
    let job = stream.headers.iter().find(|(name, _)| name == "x-loopsy-job-id").unwrap().1.clone();
    let bearer = format!("Bearer {}", leo.key);
    let feed = |content: &[u8]| {
        leo.raw(
            "POST",
            &format!("/api/v1/execute/jobs/{job}/input"),
            &[("Authorization", &bearer), ("Content-Type", "application/octet-stream")],
            Some(content),
        )
    };
    feed(b"fed\n").ok();
    assert_eq!(stream.next().data["data"], "fed\n");
    assert_eq!(stream.next().data["type"], "exit");
    let again = feed(b"more");
    assert!(matches!((again.status, again.code()), (409, 3007) | (404, 3006)), "{}", again.text());
}

#[test]
fn a_reader_that_goes_away_ends_the_job() {
    let pair = Pair::new();
    let mark = marker();
    let mut child = pair.leo.home.command(&["exec", "kai", "sh", "-c", &format!("sleep {mark} & yes")]).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // The pipe is closed now, as by `| head -1`.
    let status = until("the end of the command line", || child.try_wait().unwrap());
    assert!(!status.success(), "{status}");
    nothing_left(&mark);
    until("the list to be empty", || running(&pair.kai).is_empty().then_some(()));
}
