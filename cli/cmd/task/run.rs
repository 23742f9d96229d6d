//! `loopsy task run`.

use loopsy_shared::api::ai_tasks::{AgentChoice, DispatchTask, TaskInfo, TaskMode};

use super::{One, follow::Ending, name, prompt, show::began};
use crate::{
    args::Run,
    cmd::DONE,
    context::Ctx,
    error::Error,
    output::{FAINT, paint},
};

pub(super) async fn run(ctx: &Ctx, args: Run) -> Result<u8, Error> {
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
        return attach(ctx, on.as_deref(), &info);
    }
    began(ctx, &info, on.as_deref());
    One { client, on, info }.follow(ctx, 0, args.follow, Ending::Interrupts).await
}

/// Opens the terminal of an interactive task. The one place from which that is done.
fn attach(ctx: &Ctx, on: Option<&str>, info: &TaskInfo) -> Result<u8, Error> {
    let name = name(info, on);
    let Some(terminal) = &info.terminal_id else {
        // It waits for a place.
        return ctx.out.line(format_args!("Task {name} has no terminal yet; `loopsy task show {name}` says when it has.")).map(|()| crate::error::OK);
    };
    let place = on.map(|on| format!(" --on {}", loopsy_shared::text::inert(on))).unwrap_or_default();
    ctx.out
        .show(info, |_| ctx.out.line(format_args!("Open its screen with: loopsy terminal attach {}{place}", loopsy_shared::text::inert(terminal.as_str()))))?;
    DONE
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
