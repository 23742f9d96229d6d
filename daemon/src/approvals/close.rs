//! The end of questions that nobody answered: too late, withdrawn, or the agent is gone. All of it is a no.

use super::*;

impl Approvals {
    /// The agent no longer wants to know.
    pub(crate) async fn withdraw(&self, id: &ApprovalId, why: &str) {
        self.close_open(ApprovalState::Withdrawn, why, |approval| approval.id == *id).await;
    }

    /// The run of a task is over: whatever it asked is denied, but what it parked.
    pub(crate) async fn run_ended(&self, task: &TaskId, why: &str) {
        self.close_open(ApprovalState::Expired, why, |approval| approval.task_id == *task && approval.state == ApprovalState::Pending).await;
    }

    /// A task is cancelled or gone: nothing of it can be answered any more, and no answer is given to a later run.
    pub(crate) async fn task_over(&self, task: &TaskId, why: &str) {
        self.close_open(ApprovalState::Withdrawn, why, |approval| approval.task_id == *task).await;
        let records: Vec<Record> = {
            let mut table = self.table();
            let untold = table.values_mut().filter(|entry| entry.record.approval.task_id == *task && entry.record.is_untold());
            untold
                .map(|entry| {
                    entry.record.taken = true;
                    entry.record.clone()
                })
                .collect()
        };
        if !records.is_empty()
            && let Err(error) = self.0.store.write(records.iter().filter_map(put).collect()).await
        {
            tracing::error!(%error, task = %task, "it could not be stored that answers of a task are worth nothing any more");
        }
    }

    pub(super) async fn close_open(&self, state: ApprovalState, why: &str, which: impl Fn(&Approval) -> bool) {
        let records: Vec<Record> = {
            let mut table = self.table();
            // One whose answer is on its way to the disk is answered.
            let open = table.values_mut().filter(|entry| !entry.busy && entry.record.approval.state.is_open() && which(&entry.record.approval));
            open.map(|entry| {
                close(&mut entry.record.approval, state, why);
                entry.desk = None;
                entry.record.clone()
            })
            .collect()
        };
        for record in &records {
            tracing::info!(approval = %record.approval.id, task = %record.approval.task_id, ?state, why, "approval closed without an answer");
            self.0.events.publish(Event::ApprovalChanged { approval: record.approval.clone() });
        }
        if !records.is_empty()
            && let Err(error) = self.0.store.write(records.iter().filter_map(put).collect()).await
        {
            // At the next start what is stored as pending is denied, too.
            tracing::error!(%error, "closed approvals could not be stored");
        }
    }

    /// Denies, or parks, what nobody answers in time.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        loop {
            let next = {
                let table = self.table();
                let pending = table.values().filter(|entry| entry.record.approval.state == ApprovalState::Pending && !entry.busy);
                pending.map(|entry| entry.deadline).min()
            };
            let next = next.map_or_else(|| Instant::now() + PARKED_LOOK, |next| next.min(Instant::now() + PARKED_LOOK));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.changed.notified() => {}
                () = tokio::time::sleep_until(next) => self.expire().await,
            }
        }
    }

    pub(super) async fn expire(&self) {
        let (now, clock) = (Instant::now(), time::now());
        let mut parking = Vec::new();
        let over: Vec<(ApprovalId, Option<Desk>)> = {
            let mut table = self.table();
            let mut over = Vec::new();
            for entry in table.values_mut().filter(|entry| !entry.busy) {
                let approval = &entry.record.approval;
                let late = match approval.state {
                    ApprovalState::Pending => entry.deadline <= now,
                    ApprovalState::Parked => approval.expires_at <= clock,
                    _ => false,
                };
                if !late {
                    continue;
                }
                if approval.state == ApprovalState::Pending && entry.record.park {
                    entry.deadline = now + PARKED_LOOK; // if it cannot be parked by then, it is denied with its run
                    parking.extend(entry.desk.clone().map(|desk| (desk, approval.id.clone())));
                } else {
                    over.push((approval.id.clone(), entry.desk.clone()));
                }
            }
            over
        };
        for (desk, id) in parking {
            let _again_later = desk.try_send(Told::Park(id));
        }
        for (id, desk) in over {
            self.close_open(ApprovalState::Expired, "nobody answered in time", |approval| approval.id == id).await;
            let Some((desk, approval)) = desk.zip(self.get(&id)) else { continue };
            let (heard, hears) = oneshot::channel();
            let telling = async {
                desk.send(Told::Answer { approval: Box::new(approval), heard }).await.ok()?;
                hears.await.ok()
            };
            if tokio::time::timeout(TELLING, telling).await.ok().flatten().is_some() {
                self.delivered(&id).await;
            } else {
                tracing::warn!(approval = %id, "the agent was not told that nobody answered: it no longer runs, or does not listen");
            }
        }
    }
}
