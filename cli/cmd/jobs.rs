//! `loopsy jobs`: what runs now, here or on a peer.

use std::time::Duration;

use loopsy_shared::{api::execute::ListJobs, time};

use super::DONE;
use crate::{
    context::Ctx,
    error::Error,
    output::{PLAIN, Table, short, span},
};

pub(super) async fn run(ctx: &Ctx, peer: Option<&str>) -> Result<u8, Error> {
    let jobs = ctx.at(peer)?.ask(ListJobs {}).await?;
    ctx.out.show(&jobs, |jobs| {
        if jobs.jobs.is_empty() {
            return ctx.out.line("Nothing runs.");
        }
        let mut table = Table::new(&["JOB", "PID", "FOR", "RUNS", "COMMAND"]);
        for job in &jobs.jobs {
            let pid = job.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            let since = span(Duration::from_millis(time::now().saturating_sub(job.started_at)));
            let command = short(&std::iter::once(&job.command).chain(&job.args).cloned().collect::<Vec<_>>().join(" "), 80);
            table.row(&[job.job_id.as_str(), &pid, &job.principal, &since, &command], PLAIN);
        }
        table.print(ctx.out)
    })?;
    DONE
}
