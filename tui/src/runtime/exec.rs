//! A command that runs on a node for the person.

use std::{sync::Arc, time::Duration};

use loopsy_shared::{
    api::execute::{CancelJob, Command, ExecuteEventKind, ExecuteStream},
    client::Client,
    id::JobId,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};

use super::words;
use crate::event::Event;

/// How long a command that was ended may take to say so.
const PATIENCE: Duration = Duration::from_secs(5);

/// One that runs.
#[derive(Debug)]
pub(crate) struct Run {
    /// Ends it.
    pub(crate) stop: Arc<Notify>,
    /// Tells its output.
    pub(crate) task: JoinHandle<()>,
}

impl Run {
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // The node ends what nobody listens to.
        self.task.abort();
    }
}

/// The line, for the shell of its node.
fn command(windows: bool, line: String) -> Command {
    let (shell, flag) = if windows { ("cmd", "/C") } else { ("sh", "-c") };
    Command { command: shell.to_owned(), args: vec![flag.to_owned(), line], ..Command::default() }
}

pub(crate) async fn run(number: u64, client: Client, windows: bool, line: String, events: mpsc::Sender<Event>, stop: Arc<Notify>) {
    let request = ExecuteStream(command(windows, line));
    let begun = tokio::select! {
        () = stop.notified() => Err("The command was ended before it began.".to_owned()),
        begun = client.stream(&request) => begun.map_err(|error| words::sentence(&error)),
    };
    let mut stream = match begun {
        Ok(stream) => stream,
        Err(why) => {
            let _gone = events.send(Event::Exec(number, Err(why))).await;
            return;
        }
    };
    let mut stopped: Option<tokio::time::Instant> = None;
    loop {
        let limit = async {
            match stopped {
                Some(at) => tokio::time::sleep_until(at + PATIENCE).await,
                None => std::future::pending().await,
            }
        };
        let item = tokio::select! {
            () = stop.notified(), if stopped.is_none() => {
                stopped = Some(tokio::time::Instant::now());
                if let Some(job) = stream.job().map(JobId::from) {
                    let client = client.clone();
                    // Its end comes through the stream.
                    tokio::spawn(async move { client.ask(CancelJob { job_id: job }).await.map(drop) });
                }
                continue;
            }
            () = limit => Some(Err("The command was told to end, and its node says nothing.".to_owned())),
            item = stream.next() => item.map(|item| item.map_err(|error| words::sentence(&error))),
        };
        let event = item.unwrap_or_else(|| Err("The connection broke before the command ended.".to_owned()));
        let over = match &event {
            Ok(event) => matches!(event.kind, ExecuteEventKind::Exit | ExecuteEventKind::Error),
            Err(_) => true,
        };
        if events.send(Event::Exec(number, event)).await.is_err() || over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_argument_of_the_nodes_shell() {
        let unix = command(false, "echo \"a b\" | wc".to_owned());
        assert_eq!((unix.command.as_str(), unix.args), ("sh", vec!["-c".to_owned(), "echo \"a b\" | wc".to_owned()]));
        assert_eq!(command(true, "dir".to_owned()).args, ["/C", "dir"]);
    }
}
