//! A task before a person's eyes, from an event to its end: each event once, whatever happens to the connection, and the agent's questions in between.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use jiff::tz::TimeZone;
use loopsy_shared::{
    api::ai_tasks::{CancelTask, GetTask, InterruptTask, TaskEvent, TaskEventKind, TaskInfo, TaskStatus, WatchTask},
    client::{Client, ClientError, Watched},
    id::{ApprovalId, TaskId},
    text::inert,
};
use tokio::time::{sleep_until, timeout};

use super::{
    render::{Look, Renderer},
    show::over,
    signals::{CTRL_C, Signals},
    words::known,
};
use crate::{
    args::Follow,
    cmd::approvals::{desk::Desk, head, keys::somebody_is_there, who},
    context::Ctx,
    error::{Error, FAILURE, INTERRUPTED, OK, UNREACHABLE, explain},
    output::{FAINT, WARN, paint},
};

/// Events that are held back while a card is shown; past this the node waits too.
const HELD: usize = 4096;
/// For how long a lost connection is tried again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a request that Ctrl-C makes may take.
const IMPATIENCE: Duration = Duration::from_secs(10);

/// What Ctrl-C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It ends the command; the task goes on.
    Leaves,
    /// It interrupts the task, then cancels it, then leaves.
    Interrupts,
}

/// One task that is followed.
pub(super) struct Watching<'a> {
    ctx: &'a Ctx,
    client: Client,
    id: TaskId,
    on: Option<String>,
    /// As a person types it.
    name: String,
    renderer: Renderer,
    /// Where questions are asked; nowhere when nobody sits there.
    desk: Option<Desk>,
    /// What came while a card was shown.
    held: Vec<TaskEvent>,
    /// The number of the last event that came.
    last: u64,
    ending: Ending,
    /// How often Ctrl-C was pressed.
    pressed: u32,
    lost: Option<Instant>,
    /// The person knows that the connection is lost.
    told: bool,
}

impl<'a> Watching<'a> {
    pub(super) fn new(ctx: &'a Ctx, client: Client, id: TaskId, on: Option<&str>, follow: Follow, ending: Ending) -> Result<Self, Error> {
        let short = inert(head(id.as_str())).into_owned();
        let name = on.map_or_else(|| short.clone(), |on| format!("{short} --on {}", inert(on)));
        let look = Look { verbose: follow.verbose, full: false, quiet: ctx.out.quiet, name: name.clone(), zone: TimeZone::system(), now: None };
        let person = !follow.no_ask && !ctx.out.json && !ctx.out.quiet && somebody_is_there();
        let here = ctx.local()?.config.hostname();
        let desk = if person { Some(Desk::new(ctx.client()?.clone(), ctx.out).at(on, &here)) } else { None };
        let renderer = Renderer::new(look);
        Ok(Self { ctx, client, id, on: on.map(str::to_owned), name, renderer, desk, held: Vec::new(), last: 0, ending, pressed: 0, lost: None, told: false })
    }

    /// From behind an event to the end; the exit code says how the task ended.
    pub(super) async fn run(mut self, from: u64) -> Result<u8, Error> {
        self.last = from;
        let mut signals = Signals::new()?;
        let begin = (from > 0).then(|| from.to_string());
        let mut stream = std::pin::pin!(self.client.watch(&WatchTask { task_id: self.id.clone(), since: None, after: None }, begin.as_deref())?);
        loop {
            if let Some(desk) = &mut self.desk
                && !desk.is_busy()
            {
                desk.fill().await?;
            }
            if !self.is_asking() {
                self.release()?;
            }
            let given_up = tokio::time::Instant::from_std(self.lost.unwrap_or_else(Instant::now) + PATIENCE);
            let asking = self.desk.as_ref().is_some_and(Desk::is_busy);
            let room = self.held.len() < HELD;
            let item = tokio::select! {
                biased;
                code = signals.next() => {
                    match self.stop(code).await? {
                        Some(code) => return Err(Error::Silent(code)),
                        None => continue,
                    }
                }
                input = async { match &mut self.desk { Some(desk) => desk.input().await, None => std::future::pending().await } }, if asking => {
                    if let Some(desk) = &mut self.desk {
                        desk.take(input).await?;
                    }
                    continue;
                }
                () = sleep_until(given_up), if self.lost.is_some() => return Err(self.gave_up()),
                item = stream.next(), if room => item,
            };
            match item {
                // The client asks again for ever, so this is a node that refused before.
                None => return Err(self.gave_up()),
                Some(Ok(Watched::Connected)) => {
                    if self.lost.take().is_some() && std::mem::take(&mut self.told) {
                        self.aside(&paint(FAINT, "Connected again."))?;
                    }
                }
                Some(Ok(Watched::Lost(why))) => {
                    // What comes back at once is not worth a word.
                    if self.lost.is_none() {
                        self.lost = Some(Instant::now());
                    } else if !std::mem::replace(&mut self.told, true) {
                        self.aside(&paint(FAINT, format!("The connection was lost ({}); trying again. The task goes on.", inert(&why))))?;
                    }
                }
                Some(Ok(Watched::Event { event, .. })) => {
                    if let Some(status) = self.take(event).await? {
                        return self.finish(status).await;
                    }
                }
                // One event that this version does not know is no reason to miss the others.
                Some(Err(error @ ClientError::Protocol { .. })) => self.aside(&paint(WARN, inert(&error.to_string())))?,
                Some(Err(error)) => return Err(self.refused(error).await),
            }
        }
    }

    fn is_asking(&self) -> bool {
        self.desk.as_ref().is_some_and(Desk::is_busy)
    }

    /// Takes an event; tells the status when it was the last.
    async fn take(&mut self, event: TaskEvent) -> Result<Option<TaskStatus>, Error> {
        if event.seq != 0 && event.seq <= self.last {
            return Ok(None);
        }
        self.last = self.last.max(event.seq);
        let last = last_word(&event);
        match event.kind {
            TaskEventKind::PermissionRequest => {
                let id = event.data.get("id").and_then(|id| id.as_str()).map(ApprovalId::from);
                if let (Some(desk), Some(id)) = (&mut self.desk, id) {
                    desk.queue(id);
                }
            }
            TaskEventKind::Status => self.answered_elsewhere(&event).await,
            _ => {}
        }
        let own = known(&event.data, &["approvalId"]).map(ApprovalId::from);
        if self.ctx.out.json {
            self.ctx.out.value_line(&event)?;
        } else if own.is_some_and(|id| self.desk.as_ref().is_some_and(|desk| desk.has_answered(&id))) {
            // The person was told when the answer was given.
        } else if self.is_asking() {
            self.held.push(event);
        } else {
            self.ctx.out.text(&self.renderer.event(&event))?;
        }
        Ok(last)
    }

    /// A card whose question was answered goes away.
    async fn answered_elsewhere(&mut self, event: &TaskEvent) {
        let Some(desk) = &mut self.desk else { return };
        match known(&event.data, &["approvalId"]).map(ApprovalId::from) {
            Some(id) => {
                let word = if event.data["approved"].as_bool() == Some(true) { "allowed" } else { "denied" };
                let by = known(&event.data, &["by"]).map(|by| format!(" by {}", inert(who(by)))).unwrap_or_default();
                let tool = known(&event.data, &["tool"]).map(|tool| format!("{} ", inert(tool))).unwrap_or_default();
                desk.gone(&id, &format!("{tool}{word}{by}."));
            }
            None => desk.look_again().await,
        }
    }

    /// Prints what was held back.
    fn release(&mut self) -> Result<(), Error> {
        for event in std::mem::take(&mut self.held) {
            self.ctx.out.text(&self.renderer.event(&event))?;
        }
        Ok(())
    }

    /// A remark on standard error, on a line of its own.
    fn aside(&mut self, text: &str) -> Result<(), Error> {
        // Where both go to the same screen.
        if !self.ctx.out.json && std::io::stdout().is_terminal() {
            self.ctx.out.text(&self.renderer.end())?;
        }
        self.ctx.out.remark(text);
        Ok(())
    }

    /// What a signal does; an exit code ends the command.
    async fn stop(&mut self, code: u8) -> Result<Option<u8>, Error> {
        self.pressed += u32::from(code == CTRL_C);
        if let Some(desk) = &mut self.desk {
            desk.close();
        }
        let task_id = self.id.clone();
        let done = match (code, self.ending, self.pressed) {
            (CTRL_C, Ending::Interrupts, 1) => {
                self.aside(&paint(WARN, "Interrupting; the session stays. Ctrl-C again cancels the task."))?;
                timeout(IMPATIENCE, self.client.call(InterruptTask { task_id })).await.map(|done| done.map(drop))
            }
            (CTRL_C, Ending::Interrupts, 2) => {
                // What has ended would be deleted by the same request.
                match timeout(IMPATIENCE, self.client.call(GetTask { task_id: task_id.clone() })).await {
                    Ok(Ok(info)) if info.status.is_ended() => return Ok(None),
                    _ => {}
                }
                self.aside(&paint(WARN, "Cancelling. Ctrl-C again leaves at once."))?;
                timeout(IMPATIENCE, self.client.call(CancelTask { task_id })).await.map(|done| done.map(drop))
            }
            _ => {
                self.aside(&paint(FAINT, format!("Left; the task goes on. Follow it with `loopsy task tail {}`.", self.name)))?;
                return Ok(Some(code));
            }
        };
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.aside(&explain(&error.into()).message)?,
            Err(_) => self.aside(&paint(WARN, "The node does not answer; the task may go on there."))?,
        }
        Ok(None)
    }

    async fn finish(mut self, status: TaskStatus) -> Result<u8, Error> {
        if let Some(desk) = &mut self.desk {
            desk.close();
        }
        if self.ctx.out.json {
            return Ok(exit(status));
        }
        self.release()?;
        self.ctx.out.text(&self.renderer.end())?;
        // It may be deleted already, or go on already: what was heard last counts.
        if let Ok(info) = self.client.ask(GetTask { task_id: self.id.clone() }).await {
            let error = info.error.clone().filter(|error| !self.renderer.has_told(error));
            over(self.ctx, &TaskInfo { status, error, ..info }, self.on.as_deref())?;
        }
        Ok(exit(status))
    }

    fn gave_up(&self) -> Error {
        let hint = format!("The task may go on. Follow it with `loopsy task tail {}`.", self.name);
        Error::Said("The connection was lost and did not come back.".to_owned(), Some(hint), UNREACHABLE)
    }

    /// A stream's refusal has no sentence; the same question asked plainly has.
    async fn refused(&self, error: ClientError) -> Error {
        match self.client.ask(GetTask { task_id: self.id.clone() }).await {
            Err(said) => said.into(),
            Ok(_) => error.into(),
        }
    }
}

/// The status that the last word of a stream tells: it has no number, because it is not stored.
fn last_word(event: &TaskEvent) -> Option<TaskStatus> {
    if event.kind != TaskEventKind::Status || event.seq != 0 {
        return None;
    }
    serde_json::from_value::<TaskStatus>(event.data["status"].clone()).ok().filter(|status| status.is_ended())
}

/// How a task's end ends the command.
const fn exit(status: TaskStatus) -> u8 {
    match status {
        TaskStatus::Completed => OK,
        TaskStatus::Cancelled => INTERRUPTED,
        _ => FAILURE,
    }
}
