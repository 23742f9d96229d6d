//! `loopsy task run`.

use std::time::Duration;

use loopsy_shared::{
    api::ai_tasks::{AgentChoice, DispatchTask, GetTask, TaskInfo, TaskMode, TaskStatus},
    text::inert,
};

use super::{One, follow::Ending, name, prompt, show::began};
use crate::{
    args::Run,
    cmd::{DONE, terminal},
    context::Ctx,
    error::Error,
    output::{FAINT, paint},
};

/// Between two looks whether a task has its terminal.
const LOOK: Duration = Duration::from_millis(100);
/// A task that has no place after so many looks waits for one.
const WAITS: u32 = 10;

pub(super) async fn run(ctx: &Ctx, args: Run) -> Result<u8, Error> {
    if args.model.as_deref().is_some_and(|model| model.trim().is_empty()) {
        return Err(Error::usage("The name of the model, `--model`, is empty.").hint("Leave `--model` out for the agent's own choice."));
    }
    if args.interactive && !args.detach && !ctx.out.json {
        terminal::required().map_err(|error| error.hint("Leave it to the daemon with `loopsy task run -i -d`, and attach from a terminal later."))?;
    }
    let text = prompt(args.prompt)?;
    let on = args.on;
    let client = ctx.at(on.as_deref())?;
    let mode = if args.interactive { TaskMode::Interactive } else { TaskMode::Headless };
    let request = DispatchTask {
        prompt: text,
        cwd: match (args.cwd, &on) {
            (Some(cwd), None) => Some(absolute(&cwd)?),
            (None, None) => Some(absolute(".")?),
            // A path of the peer's: only the peer knows what it means.
            (cwd, Some(_)) => cwd,
        },
        agent: args.agent.map(AgentChoice).unwrap_or_default(),
        permission_mode: args.permission_mode,
        mode,
        model: args.model,
        max_budget_usd: args.budget,
        allowed_tools: args.allow,
        disallowed_tools: args.deny,
        additional_args: args.args,
        resume_session_id: args.resume_session,
        timeout: args.timeout,
        worktree: args.worktree,
        queue: !args.no_queue,
        park: args.park,
        size: args.interactive.then(terminal_size),
    };
    let info = client.call(request).await?;
    if args.detach {
        ctx.out.show(&info, |info| {
            ctx.out.line(info.task_id.as_str())?;
            ctx.out.remark(paint(FAINT, format!("Follow it with `loopsy task tail {}`.", name(info, on.as_deref()))));
            Ok(())
        })?;
        return DONE;
    }
    if mode == TaskMode::Interactive {
        return attach(ctx, on, info).await;
    }
    began(ctx, &info, on.as_deref());
    One { client, on, info }.follow(ctx, 0, args.follow, Ending::Interrupts).await
}

/// Opens the terminal of an interactive task, once it has one.
async fn attach(ctx: &Ctx, on: Option<String>, mut info: TaskInfo) -> Result<u8, Error> {
    let client = ctx.at(on.as_deref())?;
    let mut looks = 0_u32;
    let terminal = loop {
        match (&info.terminal_id, info.status.is_ended()) {
            (Some(terminal), false) => break terminal.clone(),
            (_, true) => {
                let why = info.error.clone().unwrap_or_else(|| "It has ended.".to_owned());
                return Err(Error::failure(inert(&why).into_owned()));
            }
            (None, false) => {}
        }
        // The reply that accepts a task comes before it is known whether there is a place.
        looks = looks.saturating_add(1);
        if looks == WAITS && info.status == TaskStatus::Pending {
            ctx.out.remark(format_args!(
                "Waiting for a place: as many tasks run as may. Ctrl-C leaves; `loopsy task show {}` tells more.",
                name(&info, on.as_deref())
            ));
        }
        tokio::time::sleep(LOOK).await;
        info = client.ask(GetTask { task_id: info.task_id }).await?;
    };
    if ctx.out.json {
        return ctx.out.show(&info, |_| Ok(())).map(|()| crate::error::OK);
    }
    terminal::attach(ctx, on, terminal).await
}

fn terminal_size() -> (u16, u16) {
    let (width, height) = crate::cmd::approvals::keys::size();
    (u16::try_from(width).unwrap_or(120), u16::try_from(height).unwrap_or(40))
}

/// A directory of this machine as the daemon has to hear it.
fn absolute(dir: &str) -> Result<String, Error> {
    // What begins with `~` is for the daemon to understand.
    if dir == "~" || dir.starts_with("~/") {
        return Ok(dir.to_owned());
    }
    let path = std::path::absolute(dir).map_err(|e| Error::file(dir, &e))?;
    path.into_os_string().into_string().map_err(|_| Error::failure("The working directory's name is not UTF-8.").hint("Name another with `--cwd`."))
}
