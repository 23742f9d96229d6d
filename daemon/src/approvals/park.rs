//! Questions that outlive the process that asked: parked, answered later, and given once to the run that asks again.

use super::*;

impl Approvals {
    /// The answer to a question that was parked, and that the agent asks again with the same words. Nobody else gets it.
    pub(crate) async fn take_parked(&self, task: &TaskId, key: &str, tool: &str, input: &Value) -> Option<Approval> {
        let hash = canonical::sha256(tool, input);
        let record = {
            let mut table = self.table();
            let found = table.values_mut().find(|entry| {
                let Record { approval, key: name, .. } = &entry.record;
                entry.record.is_untold() && approval.task_id == *task && name == key && approval.sha256 == hash
            })?;
            found.record.taken = true;
            found.record.clone()
        };
        match self.0.store.write(put(&record).into_iter().collect()).await {
            Ok(()) => Some(record.approval),
            Err(error) => {
                tracing::error!(%error, approval = %record.approval.id, "a parked answer is not given, because that it was given cannot be stored");
                None
            }
        }
    }

    /// Tasks with a parked approval that was answered and whose agent does not know.
    pub(crate) fn answered_parked(&self) -> Vec<TaskId> {
        let table = self.table();
        table.values().filter(|entry| entry.record.is_untold()).map(|entry| entry.record.approval.task_id.clone()).collect()
    }

    /// Waits until a parked approval was answered.
    pub(crate) async fn parked_answered(&self) {
        self.0.answered.notified().await;
    }

    /// The agent parked the question: its process ends.
    pub(crate) async fn parked(&self, id: &ApprovalId) -> Option<Approval> {
        let days = self.0.config.borrow().approvals.parked_days;
        let record = {
            let mut table = self.table();
            let entry = find_mut(&mut table, id).filter(|entry| entry.record.approval.state == ApprovalState::Pending && !entry.busy)?;
            entry.desk = None;
            entry.record.parked = true;
            entry.record.approval.state = ApprovalState::Parked;
            entry.record.approval.expires_at = time::now() + days * 24 * 3_600_000;
            entry.record.clone()
        };
        if let Err(error) = self.0.store.write(put(&record).into_iter().collect()).await {
            tracing::error!(%error, approval = %id, "the approval could not be parked and will be denied at the next start");
        }
        self.publish(id);
        Some(record.approval)
    }
}
