//! `loopsy approvals watch`: cards as they come where a person sits, lines or JSON elsewhere.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use jiff::tz::TimeZone;
use loopsy_shared::{
    api::{
        approvals::{Approval, ApprovalState, ListApprovals},
        events::{Event, WatchEvents},
    },
    client::Watched,
    id::ApprovalId,
    text::inert,
    time,
};

use super::{desk::Desk, keys::somebody_is_there, line, unseen};
use crate::{
    cmd::task::signals::Signals,
    context::Ctx,
    error::Error,
    output::{FAINT, paint},
};

pub(super) async fn run(ctx: &Ctx, local: bool) -> Result<u8, Error> {
    let client = ctx.client()?;
    let mut signals = Signals::new()?;
    // A daemon that is down is said at once; later losses are only waited out.
    let listed = client.ask(ListApprovals { all: false, local }).await?;
    unseen(ctx, &listed);
    let here = ctx.local()?.runtime.as_ref().map(|runtime| runtime.node_id.clone());
    let mut view = View {
        ctx,
        person: somebody_is_there() && !ctx.out.json && !ctx.out.quiet,
        desk: Desk::new(client.clone(), ctx.out),
        known: BTreeMap::new(),
        wanted: Box::new(move |approval| !local || here.as_ref() == Some(&approval.node_id)),
    };
    if view.person {
        ctx.out.remark(paint(FAINT, if listed.approvals.is_empty() { "Nothing waits. Ctrl-C ends this." } else { "Ctrl-C ends this." }));
    }
    let mut stream = std::pin::pin!(client.watch(&WatchEvents { topics: Some("approvals".to_owned()), ..WatchEvents::default() }, None)?);
    let mut lost = false;
    loop {
        view.desk.fill().await?;
        let item = tokio::select! {
            biased;
            code = signals.next() => return Err(Error::Silent(code)),
            input = view.desk.input() => {
                view.desk.take(input).await?;
                continue;
            }
            item = stream.next() => item,
        };
        match item.transpose()? {
            None => return Ok(0),
            Some(Watched::Lost(why)) => {
                if !std::mem::replace(&mut lost, true) {
                    ctx.out.remark(paint(FAINT, format!("The connection was lost ({}); trying again.", inert(&why))));
                }
            }
            Some(Watched::Connected) => {
                if std::mem::replace(&mut lost, false) {
                    ctx.out.remark(paint(FAINT, "Connected again."));
                }
            }
            Some(Watched::Event { event, .. }) => view.event(event).await?,
        }
    }
}

struct View<'a> {
    ctx: &'a Ctx,
    person: bool,
    desk: Desk,
    /// What was told last of each that waits.
    known: BTreeMap<ApprovalId, ApprovalState>,
    wanted: Box<dyn Fn(&Approval) -> bool>,
}

impl View<'_> {
    async fn event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Snapshot { approvals, .. } => {
                self.known.retain(|id, _| approvals.iter().any(|approval| approval.id == *id));
                approvals.iter().try_for_each(|approval| self.changed(approval))?;
                // The one that is shown may have been answered meanwhile.
                self.desk.look_again().await;
            }
            Event::ApprovalChanged { approval } => self.changed(&approval)?,
            Event::ApprovalRemoved { id } => {
                self.known.remove(&id);
                self.desk.gone(&id, "it can no longer be seen here.");
            }
            _ => {}
        }
        Ok(())
    }

    fn changed(&mut self, approval: &Approval) -> Result<(), Error> {
        if !(self.wanted)(approval) {
            return Ok(());
        }
        let before = if approval.state.is_open() { self.known.insert(approval.id.clone(), approval.state) } else { self.known.remove(&approval.id) };
        if self.person {
            if approval.state.is_open() {
                self.desk.queue(approval.id.clone())
            } else {
                self.desk.heard(approval)
            }
            return Ok(());
        }
        if before == Some(approval.state) {
            return Ok(());
        }
        if self.ctx.out.json { self.ctx.out.value_line(approval) } else { self.ctx.out.line(line(approval, time::now(), &TimeZone::system())) }
    }
}
