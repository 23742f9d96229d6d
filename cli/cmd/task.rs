//! `loopsy task`: coding agents, here or on a peer. The task belongs to the daemon; these commands begin it, look at it and talk to it.

mod follow;
mod render;
mod run;
mod show;
pub(super) mod signals;
mod words;

use std::io::{self, IsTerminal, Read};

use loopsy_shared::{
    api::ai_tasks::{CancelTask, GetTask, InterruptTask, ListTasks, ResumeTask, SendToTask, TaskInfo, TaskStatus},
    client::Client,
    id::TaskId,
    text::inert,
};

pub(super) use self::words::essential;
use self::{
    follow::{Ending, Watching},
    show::after,
};
use super::DONE;
use crate::{
    args::{Follow, Task},
    context::Ctx,
    error::Error,
    output::{FAINT, GOOD, paint},
};

/// Longest prompt, as the API has it.
const MOST_PROMPT: u64 = 4 << 20;

pub(super) async fn run(ctx: &Ctx, command: Task) -> Result<u8, Error> {
    match command {
        Task::Run(args) => run::run(ctx, args).await,
        Task::List { on } => {
            let tasks = ctx.at(on.on.as_deref())?.ask(ListTasks {}).await?;
            ctx.out.show(&tasks, |tasks| show::list(ctx, tasks))?;
            DONE
        }
        Task::Show { task, events, full } => {
            let one = One::find(ctx, &task.id, task.on.on).await?;
            show::one(ctx, &one, events || full, full).await?;
            DONE
        }
        Task::Tail { task, new, follow } => {
            let one = One::find(ctx, &task.id, task.on.on).await?;
            let from = if new { one.info.last_event } else { 0 };
            one.follow(ctx, from, follow, Ending::Leaves).await
        }
        Task::Send { task, text, tail, follow } => {
            let text = prompt(text)?;
            let one = One::find(ctx, &task.id, task.on.on).await?;
            let info = one.client.call(SendToTask { task_id: one.id(), text }).await?;
            one.went_on(ctx, info, tail.then_some(follow), "Said").await
        }
        Task::Resume { task, prompt, tail, follow } => {
            let one = One::find(ctx, &task.id, task.on.on).await?;
            let info = one.client.call(ResumeTask { task_id: one.id(), prompt }).await?;
            one.went_on(ctx, info, tail.then_some(follow), "Resumed").await
        }
        Task::Interrupt { task } => {
            let one = One::find(ctx, &task.id, task.on.on).await?;
            one.ended_already("interrupt")?;
            let info = one.client.ask(InterruptTask { task_id: one.id() }).await?;
            ctx.out.show(&info, |info| {
                ctx.out.say(format_args!("{} Interrupted {}.", paint(GOOD, "✓"), one.name()))?;
                after(ctx, info, one.on.as_deref());
                Ok(())
            })?;
            DONE
        }
        Task::Cancel { task } => {
            let one = One::find(ctx, &task.id, task.on.on).await?;
            // What has ended would be deleted by the same request.
            one.ended_already("cancel")?;
            let done = one.client.ask(CancelTask { task_id: one.id() }).await?;
            ctx.out.show(&done, |_| ctx.out.say(format_args!("{} Cancelled {}.", paint(GOOD, "✓"), one.name())))?;
            DONE
        }
        Task::Delete { task, yes } => delete(ctx, &One::find(ctx, &task.id, task.on.on).await?, yes).await,
    }
}

async fn delete(ctx: &Ctx, one: &One, yes: bool) -> Result<u8, Error> {
    if !one.info.status.is_ended() {
        return Err(Error::failure(format!("Task {} has not ended.", one.name())).hint(format!("End it first: `loopsy task cancel {}`.", one.name())));
    }
    if !yes && !ctx.out.confirm(&format!("Delete task {} and all that is stored of it?", one.name()))? {
        return Err(Error::failure("Nothing was deleted.").hint("Say `--yes` where nobody can be asked."));
    }
    let done = one.client.ask(CancelTask { task_id: one.id() }).await?;
    ctx.out.show(&done, |_| ctx.out.say(format_args!("{} Deleted {}.", paint(GOOD, "✓"), one.name())))?;
    DONE
}

/// A task that was found, and the way to it.
struct One {
    client: Client,
    on: Option<String>,
    info: TaskInfo,
}

impl One {
    /// The task with this id, or the only one whose id begins so.
    async fn find(ctx: &Ctx, id: &str, on: Option<String>) -> Result<Self, Error> {
        let client = ctx.at(on.as_deref())?;
        let info = if TaskId::is_well_formed(id) {
            client.ask(GetTask { task_id: id.into() }).await?
        } else {
            let tasks = client.ask(ListTasks {}).await?.tasks;
            let place = on.as_deref().map(|on| format!(" --on {}", inert(on))).unwrap_or_default();
            only(id, "task", tasks, |task| task.task_id.as_str()).map_err(|error| error.hint(format!("List them with `loopsy task list{place}`.")))?
        };
        Ok(Self { client, on, info })
    }

    fn id(&self) -> TaskId {
        self.info.task_id.clone()
    }

    /// As a person types it: `7f3a01c2 --on kai`.
    fn name(&self) -> String {
        name(&self.info, self.on.as_deref())
    }

    fn ended_already(&self, what: &str) -> Result<(), Error> {
        if !self.info.status.is_ended() {
            return Ok(());
        }
        let status = self.info.status.as_str();
        Err(Error::failure(format!("There is nothing to {what}: task {} is {status}.", self.name()))
            .hint(format!("`loopsy task show {}` says more.", self.name())))
    }

    /// After something was said: shows what comes of it, or how to.
    async fn went_on(&self, ctx: &Ctx, info: TaskInfo, follow: Option<Follow>, word: &str) -> Result<u8, Error> {
        if let Some(follow) = follow {
            return self.follow(ctx, self.info.last_event, follow, Ending::Leaves).await;
        }
        ctx.out.show(&info, |info| {
            let on = match info.status {
                TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => format!("task {} is {}", self.name(), info.status.as_str()),
                _ => format!("task {}: it goes on with it now", self.name()),
            };
            ctx.out.say(format_args!("{} {word}; {on}.", paint(GOOD, "✓")))?;
            ctx.out.remark(paint(FAINT, format!("Follow it with `loopsy task tail --new {}`.", self.name())));
            Ok(())
        })?;
        DONE
    }

    async fn follow(&self, ctx: &Ctx, from: u64, follow: Follow, ending: Ending) -> Result<u8, Error> {
        Watching::new(ctx, self.client.clone(), self.id(), self.on.as_deref(), follow, ending)?.run(from).await
    }
}

/// As a person types a task.
fn name(info: &TaskInfo, on: Option<&str>) -> String {
    let id = inert(super::approvals::head(info.task_id.as_str()));
    on.map_or_else(|| id.clone().into_owned(), |on| format!("{id} --on {}", inert(on)))
}

/// The only one whose id begins like this; at least four characters of it.
pub(super) fn only<T>(beginning: &str, what: &str, all: Vec<T>, id: impl Fn(&T) -> &str) -> Result<T, Error> {
    let said = inert(beginning);
    if beginning.chars().count() < 4 {
        return Err(Error::usage(format!("`{said}` is too short for the id of {} {what}: at least four characters of it are needed.", article(what))));
    }
    let mut found = all.into_iter().filter(|one| id(one).starts_with(beginning));
    match (found.next(), found.count()) {
        (Some(one), 0) => Ok(one),
        (Some(_), more) => Err(Error::failure(format!("`{said}` is the beginning of {} {what}s.", more + 1))),
        (None, _) => Err(Error::failure(format!("There is no {what} `{said}`."))),
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with('a') { "an" } else { "a" }
}

/// What is to be said: as it was given, or all of standard input.
fn prompt(given: Option<String>) -> Result<String, Error> {
    let mut piped = false;
    let text = match given {
        Some(text) if text != "-" => text,
        None if io::stdin().is_terminal() => {
            return Err(Error::usage("There is nothing to say to the agent.")
                .hint("Write it as one argument, `\"like this\"`. What begins with `-` goes through standard input: `echo '-x' | loopsy task run -`."));
        }
        _ => {
            piped = true;
            let mut bytes = Vec::new();
            io::stdin().lock().take(MOST_PROMPT + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MOST_PROMPT {
                return Err(Error::failure("The prompt is larger than 4 MiB.").hint("Put it into a file there and name the file in the prompt."));
            }
            String::from_utf8(bytes).map_err(|_| Error::failure("The prompt is not UTF-8 text."))?
        }
    };
    if text.trim().is_empty() {
        return Err(Error::usage(if piped { "Standard input was empty." } else { "The prompt is empty." })
            .hint("Write it as one argument, or give it on standard input."));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
