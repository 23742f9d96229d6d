//! `loopsy __hook DATA_DIR TASK_ID`: what an agent's hook runs. It hands the agent's question to the daemon, waits for the answer however long a person takes, and
//! prints it. Whatever goes wrong on the way, nothing is printed and the exit code is 2, which agents take for a no.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    process::ExitCode,
};

use loopsy_shared::{
    api::ai_tasks::TaskHook,
    client::{Client, Runtime, Transport, authority},
    id::TaskId,
    paths::DataDir,
    secret::Secret,
    text::inert,
};
use serde_json::Value;

/// What agents take for a no, whatever else they think of hooks that fail.
const BLOCKED: u8 = 2;
/// Longest question.
const MOST_INPUT: u64 = 32 << 20;

/// The whole program.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _nobody_reads = writeln!(io::stderr().lock(), "Loopsy could not ask whether this is allowed, so it is not: {}.", inert(&why));
            ExitCode::from(BLOCKED)
        }
    }
}

fn run(mut args: impl Iterator<Item = OsString>) -> Result<(), String> {
    let (Some(dir), Some(task), None) = (args.next(), args.next(), args.next()) else {
        return Err("the hook needs a data directory and a task".to_owned());
    };
    let dir = DataDir::new(&dir).map_err(|e| format!("the data directory cannot be found: {e}"))?;
    // The id becomes part of a path.
    let task = task.into_string().ok().filter(|task| TaskId::is_well_formed(task)).ok_or("the task's id is not one")?;
    let event = question(io::stdin().lock())?;
    let client = client(&dir, &task)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let answer = runtime.block_on(client.call(TaskHook { task_id: task.as_str().into(), event })).map_err(|e| trimmed(&e.to_string()))?;
    // Anything else is no answer to an agent, and an agent may take no answer for a yes.
    if !answer.output.is_object() {
        return Err("the daemon's answer is not understood".to_owned());
    }
    let mut line = serde_json::to_vec(&answer.output).map_err(|e| e.to_string())?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).map_err(|e| format!("the answer cannot be passed on: {e}"))
}

/// What the agent says on standard input.
fn question(input: impl Read) -> Result<Value, String> {
    let mut bytes = Vec::new();
    input.take(MOST_INPUT + 1).read_to_end(&mut bytes).map_err(|e| format!("the agent's question cannot be read: {e}"))?;
    if bytes.len() as u64 > MOST_INPUT {
        return Err("the agent's question is larger than 32 MiB".to_owned());
    }
    serde_json::from_slice(&bytes).map_err(|e| format!("the agent's question is not understood: {e}"))
}

/// The way to the daemon with the task's own token, which may ask and do nothing else. The token goes nowhere when no daemon lives there: somebody else may
/// listen where one used to be.
fn client(dir: &DataDir, task: &str) -> Result<Client, String> {
    let token = std::fs::read_to_string(dir.path().join("tasks").join(task).join("token")).map_err(|e| format!("the task's token cannot be read: {e}"))?;
    let token = Secret::new(token.trim());
    if token.reveal().is_empty() {
        return Err("the task's token is empty".to_owned());
    }
    let lock = std::fs::File::open(dir.lock());
    if !lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))) {
        return Err("the daemon does not run".to_owned());
    }
    let runtime = std::fs::read(dir.runtime()).map_err(|e| format!("the daemon's address cannot be read: {e}"))?;
    let runtime: Runtime = serde_json::from_slice(&runtime).map_err(|e| format!("the daemon's address is not understood: {e}"))?;
    Client::new(Transport::default(), authority(&runtime.host, runtime.port), Some(&token)).map_err(|e| trimmed(&e.to_string()))
}

fn trimmed(sentence: &str) -> String {
    sentence.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_json_and_has_an_end() {
        assert_eq!(question(&br#"{"a":1}"#[..]), Ok(serde_json::json!({ "a": 1 })));
        assert!(question(&b""[..]).is_err());
        assert!(question(&b"{\"a\":"[..]).is_err());
        assert!(question(io::repeat(b' ')).expect_err("too long").contains("32 MiB"));
        let deep = "[".repeat(100_000);
        assert!(question(deep.as_bytes()).is_err(), "depth is no way to end the program");
    }
}
