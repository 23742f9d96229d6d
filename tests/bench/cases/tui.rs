//! The control centre in a real terminal: how soon it is there, what it costs while nothing happens, and from a key to its frame.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use super::Setting;
use crate::{
    Result, cpu,
    load::quantile,
    machine, memory,
    node::{Home, Node},
    outside::{
        demo::{self, Moment},
        fleet::{Fleet, World},
        screen::{Screen, Start},
    },
    report::{Report, Target},
};

/// What terminals answer that were asked what they can.
const REPLIES: &[u8] = b"\x1b]11;rgb:1616/1818/1d1d\x1b\\\x1b[?2026;2$y\x1b[?1u\x1b[?62;4;22c";
/// Between two keys: quicker than anybody types.
const BETWEEN: Duration = Duration::from_millis(25);
/// Entries of the long list.
const LONG: usize = 1000;
/// Waits for a byte, prints 100 MB as a program that colours its lines does, and says so.
const FLOOD: &str = "stty raw -echo; printf 'ready\\r\\n'; head -c 1 >/dev/null; \
    yes \"$(printf '\\033[32m  ok\\033[0m \\033[1mtests::a_line\\033[0m of output that is about as long as lines of a build or of a test are\\r')\" \
    | head -c 100000000; printf '\\033[0m\\r\\nover\\r\\n'; sleep 600";
/// Waits for a line, then prints a million.
const LINES: &str = "stty -echo; echo ready; read _; seq 1000000; echo over; sleep 600";

/// The program on a data directory, in a terminal.
fn start(home: &Home, moment: Moment, columns: u16, rows: u16) -> Start {
    let mut command = home.command(&["tui"]);
    Start::of(command.env_remove("NO_COLOR").env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").current_dir(&home.dir))
        .set("TZ", &moment.zone())
        .size(columns, rows)
}

/// Sorted milliseconds.
fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_unstable_by(f64::total_cmp);
    times
}

fn milliseconds(since: Instant, until: Instant) -> f64 {
    until.saturating_duration_since(since).as_secs_f64() * 1000.0
}

pub(super) fn first_frame(setting: &Setting, report: &mut Report) -> Result<()> {
    let rounds = setting.size(100, 20);
    let moment = Moment::now();
    let home = setting.home("tui-start")?;
    let frames = |answers: bool| -> Result<Vec<f64>> {
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let begun = Instant::now();
            let mut screen = start(&home, moment, 120, 40).open();
            if answers {
                screen.keys(REPLIES);
            }
            times.push(milliseconds(begun, screen.frame_after(0).ok_or("no frame comes")?));
            screen.sees("1 Overview");
            screen.signal(rustix::process::Signal::TERM);
            screen.end();
        }
        Ok(sorted(times))
    };
    let fleet = Fleet::start(&home.dir, demo::world(moment));
    let (silent, answering) = (frames(false)?, frames(true)?);
    drop(fleet);
    let dead = frames(false)?;
    for (what, times) in [("a terminal that answers nothing", &silent), ("a terminal that answers at once", &answering), ("a dead daemon", &dead)] {
        let note = format!("p50 {:.1} ms, {} starts, load {}", quantile(times, 0.5), times.len(), machine::load());
        report.against(&format!("control centre: first frame, {what}, p95"), quantile(times, 0.95), "ms", Target::AtMost(100.0), note);
    }
    Ok(())
}

pub(super) fn idle(setting: &Setting, report: &mut Report) -> Result<()> {
    let time = setting.size(Duration::from_secs(60), Duration::from_secs(5));
    let moment = Moment::now();
    let mut world = demo::world(moment);
    world.pairing = json!({ "active": false, "change": 1, "wrongCodes": 0 });
    let home = setting.home("tui-idle")?;
    let fleet = Arc::new(Fleet::start(&home.dir, world));
    let mut screens = Vec::new();
    for key in ["1", "2", "3", "4", "5", "6", "7"] {
        let mut screen = start(&home, moment, 120, 40).open();
        screen.sees("leo ok");
        screen.keys(key);
        screen.sees(&format!("[{key} "));
        screens.push((key, screen));
    }
    for (_, screen) in &screens {
        screen.settled(Duration::from_secs(3));
    }
    let beating = Arc::new(AtomicBool::new(true));
    let hearts = {
        let (fleet, beating) = (Arc::clone(&fleet), Arc::clone(&beating));
        std::thread::spawn(move || {
            while beating.load(Ordering::Relaxed) {
                fleet.heartbeat();
                std::thread::sleep(Duration::from_secs(1));
            }
        })
    };
    let before: Vec<(u64, f64)> = screens.iter().map(|(_, screen)| Ok((screen.count(), cpu::precisely(screen.pid())?))).collect::<Result<_>>()?;
    std::thread::sleep(time);
    for ((key, screen), (bytes, busy)) in screens.iter().zip(before) {
        let used = (cpu::precisely(screen.pid())? - busy) * 1000.0 * 60.0 / time.as_secs_f64();
        let note = format!("{} s, seven machines, a heartbeat each second", time.as_secs());
        report.against(&format!("control centre: idle on tab {key}, written"), (screen.count() - bytes) as f64, "B", Target::AtMost(0.0), note);
        report.against(&format!("control centre: idle on tab {key}, processor in a minute"), used, "ms", Target::AtMost(50.0), "");
    }
    beating.store(false, Ordering::Relaxed);
    hearts.join().map_err(|_| "the heart broke")?;
    screens.into_iter().for_each(|(_, screen)| drop(screen));
    Ok(())
}

/// A fleet with a long list of keys.
fn long(home: &Home, moment: Moment) -> Fleet {
    let context = (0..LONG).map(|number| demo::some_entry(moment, &format!("list/{number:04}"), &format!("value {number}"))).collect();
    Fleet::start(&home.dir, World { context, approvals: Vec::new(), ..demo::world(moment) })
}

fn at_the_list(screen: &mut Screen) {
    screen.sees("leo ok");
    screen.keys("3");
    screen.sees("list/0");
    // Where it was left is remembered.
    screen.keys("g");
    screen.sees("list/0000");
    screen.settled(Duration::from_millis(500));
}

pub(super) fn keys(setting: &Setting, report: &mut Report) -> Result<()> {
    let moment = Moment::now();
    let home = setting.home("tui-keys")?;
    let fleet = long(&home, moment);
    for (columns, rows, most) in [(80, 24, 300.0), (120, 40, 450.0)] {
        let mut screen = start(&home, moment, columns, rows).open();
        at_the_list(&mut screen);
        let (count, presses) = (screen.count(), setting.size(800, 200));
        let mut times = Vec::with_capacity(presses);
        for _ in 0..presses {
            let (frames, begun) = (screen.frames(), Instant::now());
            screen.keys("j");
            times.push(milliseconds(begun, screen.frame_after(frames).ok_or("no frame comes")?));
            std::thread::sleep(BETWEEN);
        }
        let (times, bytes) = (sorted(times), (screen.count() - count) as f64 / presses as f64);
        let note = format!("p50 {:.2} ms, {presses} keys over {LONG} rows, load {}", quantile(&times, 0.5), machine::load());
        let size = format!("{columns}x{rows}");
        report.against(&format!("control centre: key to frame at {size}, p99"), quantile(&times, 0.99), "ms", Target::AtMost(8.0), note);
        report.against(&format!("control centre: bytes a key at {size}"), bytes, "B", Target::AtMost(most), "");
    }
    writes(setting, &home, moment, report)?;
    drop(fleet);
    Ok(())
}

/// How many calls of the system a frame takes.
fn writes(setting: &Setting, home: &Home, moment: Moment, report: &mut Report) -> Result<()> {
    if Command::new("strace").arg("-V").output().is_err() {
        report.told("control centre: writes a frame", f64::NAN, "", "there is no `strace` here");
        return Ok(());
    }
    let log = setting.dir.path().join("strace");
    let inner = home.command(&["tui"]);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-y", "-s", "12", "-e", "trace=write,writev", "-o"]).arg(&log).arg(inner.get_program()).args(inner.get_args());
    traced.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").current_dir(&home.dir);
    let mut screen = Start::of(&traced).set("TZ", &moment.zone()).open();
    at_the_list(&mut screen);
    let counted =
        || -> Result<usize> { Ok(std::fs::read_to_string(&log)?.lines().filter(|line| line.contains("</dev/pts/") || line.contains("</dev/tty")).count()) };
    let (before, frames) = (counted()?, screen.frames());
    for _ in 0..50 {
        let frames = screen.frames();
        screen.keys("j");
        screen.frame_after(frames).ok_or("no frame comes")?;
        std::thread::sleep(BETWEEN);
    }
    let frames = screen.frames() - frames;
    let written = (counted()? - before) as f64;
    report.against("control centre: writes a frame", written / frames as f64, "", Target::AtMost(1.0), format!("{written} writes, {frames} frames"));
    Ok(())
}

/// A terminal with a program in it: its id.
fn terminal(node: &Node, name: &str, script: &str) -> Result<String> {
    let body = json!({ "command": "sh", "args": ["-c", script], "name": name, "cols": 80, "rows": 24 });
    let opened = node.target.ask_json(&node.target.json("POST", "/terminals", &body.to_string()))?;
    opened["id"].as_str().map(str::to_owned).ok_or_else(|| format!("no terminal: {opened}").into())
}

pub(super) fn flood(setting: &Setting, report: &mut Report) -> Result<()> {
    let home = setting.home("tui-flood")?;
    let node = home.start()?;
    terminal(&node, "flood", FLOOD)?;
    let mut screen = start(&home, Moment::now(), 120, 40).open();
    into_the_terminal(&mut screen);
    screen.keys("x");
    screen.sees("tests::a_line");
    screen.keys("\u{1d}");
    screen.sees("NAV");
    let (count, begun) = (screen.count(), Instant::now());
    let (mut times, mut open) = (Vec::new(), false);
    let most = setting.size(Duration::from_secs(60), Duration::from_secs(20));
    while !screen.shows().contains("over") && begun.elapsed() < most {
        let pressed = Instant::now();
        // Not Esc: alone it waits 50 ms, whatever the program prints.
        screen.keys(if open { "q" } else { "N" });
        open = !open;
        screen.until("the box of past messages", |screen| screen.contents().contains("HISTORY") == open);
        times.push(milliseconds(pressed, Instant::now()));
        std::thread::sleep(BETWEEN);
    }
    let (seconds, bytes) = (begun.elapsed().as_secs_f64(), (screen.count() - count) as f64);
    let times = sorted(times);
    let note = format!("p50 {:.1} ms, {} keys in {seconds:.1} s, load {}", quantile(&times, 0.5), times.len(), machine::load());
    report.against("control centre: key to frame while 100 MB are printed, p99", quantile(&times, 0.99), "ms", Target::AtMost(50.0), note);
    report.against("control centre: written meanwhile at 120x40", bytes / 1000.0 / seconds, "KB/s", Target::AtMost(150.0), "");
    drop(screen);
    node.stop()
}

/// Shows the tab of terminals and types into the first one.
fn into_the_terminal(screen: &mut Screen) {
    screen.sees(" ok");
    screen.keys("6");
    screen.sees("ready");
    screen.keys("i");
    screen.sees("INPUT");
}

pub(super) fn lines(setting: &Setting, report: &mut Report) -> Result<()> {
    let terminals = setting.size(8, 2);
    let home = setting.home("tui-lines")?;
    let node = home.start()?;
    for number in 0..terminals {
        terminal(&node, &format!("lines-{number}"), LINES)?;
    }
    let mut screen = start(&home, Moment::now(), 120, 40).open();
    screen.sees(" ok");
    screen.keys("6");
    for number in 0..terminals {
        if number > 0 {
            // From the pane to the list, and to the next one.
            screen.keys("\u{1b}[Z");
            screen.keys("j");
        }
        screen.sees(&format!(": lines-{number}"));
        screen.sees("ready");
        screen.keys("i");
        screen.sees("INPUT");
        screen.keys("\r");
        screen.sees("over");
        screen.keys("\u{1d}");
        screen.sees("NAV");
    }
    let note = format!("{:.1} MiB of it anonymous", memory::anonymous(screen.pid())?);
    let name = format!("control centre: memory after a million lines in each of {terminals} terminals");
    report.against(&name, memory::resident(screen.pid())?, "MiB", Target::AtMost(96.0), note);
    drop(screen);
    node.stop()
}
