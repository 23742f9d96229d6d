//! `loopsy logs`: who asked this node for what, and what the daemon says about itself.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use loopsy_daemon::audit::{self, Verdict};
use loopsy_shared::text::inert;
use serde::Serialize;
use serde_json::Value;

use super::DONE;
use crate::{
    args::{Logs, LogsCommand},
    context::Ctx,
    error::{Error, FAILURE},
    output::{BAD, FAINT, GOOD, PLAIN, WARN, count, paint},
};

/// How often a followed file is looked at.
const STEP: Duration = Duration::from_millis(150);

pub(super) fn run(ctx: &Ctx, args: &Logs) -> Result<u8, Error> {
    if let Some(LogsCommand::Verify) = args.command {
        return verify(ctx);
    }
    let path = if args.daemon { ctx.dir.log() } else { ctx.dir.audit() };
    let print = |line: &str| {
        if ctx.out.json {
            ctx.out.line(line)
        } else if args.daemon {
            ctx.out.line(inert(line))
        } else {
            ctx.out.line(audit_line(line))
        }
    };
    let file = match File::open(&path) {
        Ok(file) => Some(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound && (args.follow || ctx.dir.config().exists()) => None,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            ctx.local()?;
            None
        }
        Err(e) => return Err(Error::file(&path, &e)),
    };
    let mut reader = file.map(BufReader::new);
    match &mut reader {
        None if !args.follow => ctx.out.say("Nothing has been logged yet.")?,
        None => {}
        Some(reader) => last_lines(reader, args.lines).map_err(|e| Error::file(&path, &e))?.iter().try_for_each(|line| print(line))?,
    }
    if args.follow {
        follow(&path, reader, print)?;
    }
    DONE
}

/// The last lines of a file; the reader is at its end afterwards, before a line that is not finished.
fn last_lines(reader: &mut BufReader<File>, limit: usize) -> io::Result<VecDeque<String>> {
    let mut lines = VecDeque::new();
    while let Some(line) = whole_line(reader)? {
        if lines.len() >= limit {
            lines.pop_front();
        }
        if limit > 0 {
            lines.push_back(line);
        }
    }
    Ok(lines)
}

/// The next line that ends in a newline; what is still being written stays for the next time.
fn whole_line(reader: &mut BufReader<File>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes)?;
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    if !bytes.is_empty() {
        reader.seek_relative(-i64::try_from(bytes.len()).unwrap_or(i64::MAX))?;
    }
    Ok(None)
}

/// Prints what is added, for ever. A file that is rotated away is read to its end before the new one is begun.
fn follow(path: &Path, mut reader: Option<BufReader<File>>, print: impl Fn(&str) -> Result<(), Error>) -> Result<(), Error> {
    loop {
        let rotated = match &reader {
            None => true,
            Some(reader) => is_another(path, reader.get_ref()),
        };
        if let Some(reader) = &mut reader {
            while let Some(line) = whole_line(reader)? {
                print(&line)?;
            }
        }
        if rotated && let Ok(file) = File::open(path) {
            reader = Some(BufReader::new(file));
            continue;
        }
        std::thread::sleep(STEP);
    }
}

/// Whether another file is at the path now.
fn is_another(path: &Path, open: &File) -> bool {
    match (std::fs::metadata(path), open.metadata()) {
        (Ok(now), Ok(open)) => (now.dev(), now.ino()) != (open.dev(), open.ino()),
        _ => false,
    }
}

/// Time, status, method and path, who, how long. A line of another shape is shown as it is.
fn audit_line(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else { return inert(line).into_owned() };
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => inert(text).into_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => inert(&other.to_string()).into_owned(),
    };
    let status = text("statusCode");
    let style = match status.as_bytes().first() {
        Some(b'2') => GOOD,
        Some(b'4') => WARN,
        Some(b'5') => BAD,
        _ => PLAIN,
    };
    let who = ["principal", "peer", "fromIp"].iter().map(|name| text(name)).find(|text| !text.is_empty()).unwrap_or_default();
    let took = fields.get("duration").and_then(Value::as_f64).map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
    let about = ["command", "detail"].iter().map(|name| text(name)).find(|text| !text.is_empty()).map(|text| format!("  {text}")).unwrap_or_default();
    let clock = local_time(&text("timestamp"));
    format!(
        "{} {} {:<6} {}  {}",
        paint(FAINT, clock),
        paint(style, format!("{status:>3}")),
        text("method"),
        text("path"),
        paint(FAINT, format!("{who}  {took}{about}"))
    )
}

fn local_time(timestamp: &str) -> String {
    match timestamp.parse::<jiff::Timestamp>() {
        Ok(at) => at.to_zoned(jiff::tz::TimeZone::system()).strftime("%m-%d %H:%M:%S").to_string(),
        Err(_) => timestamp.to_owned(),
    }
}

#[derive(Serialize)]
struct Verified {
    whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn verify(ctx: &Ctx) -> Result<u8, Error> {
    let verdict = audit::verify(&ctx.dir.logs()).map_err(|e| Error::file(ctx.dir.logs(), &e))?;
    let verified = match &verdict {
        Verdict::Whole { lines } => Verified { whole: true, lines: Some(*lines), file: None, line: None, reason: None },
        Verdict::Broken { file, line, reason } => {
            Verified { whole: false, lines: None, file: Some(file.display().to_string()), line: Some(*line), reason: Some(reason.clone()) }
        }
    };
    ctx.out.show(&verified, |_| match &verdict {
        Verdict::Whole { lines } => ctx.out.say(format_args!("{} The audit log is whole: {}.", paint(GOOD, "✓"), count(*lines, "line", "lines"))),
        Verdict::Broken { file, line, reason } => {
            ctx.out.line(format_args!("{} The audit log was changed: {}, line {line}: {}", paint(BAD, "✗"), inert(&file.display().to_string()), inert(reason)))
        }
    })?;
    Ok(if verified.whole { crate::error::OK } else { FAILURE })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_and_no_half_one() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        write!(file, "1\n2\n3\nhal").expect("writes");
        let mut reader = BufReader::new(file.reopen().expect("opens"));
        assert_eq!(last_lines(&mut reader, 2).expect("reads"), ["2", "3"]);
        writeln!(file, "f").expect("writes");
        assert_eq!(whole_line(&mut reader).expect("reads").as_deref(), Some("half"));
        assert_eq!(whole_line(&mut reader).expect("reads"), None);
    }

    #[test]
    fn a_line_of_a_peer_cannot_drive_the_terminal() {
        let line = audit_line(r#"{"method":"GET","path":"/\u001b[2J","statusCode":404,"duration":1.25,"timestamp":"2026-01-01T00:00:00.000Z","fromIp":"::1"}"#);
        assert!(line.contains("/\\u{1b}[2J") && line.contains("404") && line.contains("::1"), "{line}");
        assert_eq!(audit_line("\u{7}x"), "\\u{7}x");
    }
}
