//! What the agent of a run asks: from its question to the answer that it hears.

use super::*;

impl Run {
    pub(super) fn ask(&mut self, ask: Ask, waits: Waits, stored: Option<Stored>) {
        let refused = if !self.keys.insert(ask.key.clone()) {
            Some("Another question of that name is open, so this one was denied.")
        } else if self.keys.len() > MOST_OPEN {
            self.keys.remove(&ask.key);
            Some("Too many questions are open, so this one was denied.")
        } else {
            None
        };
        if let Some(why) = refused {
            self.events.push(system_error(why));
            match waits {
                // A driver keeps its questions apart itself.
                Waits::Driver => {}
                Waits::Hook { event, reply } => {
                    let _gone = reply.send(agents::hook_answer(&event, &approvals::denied(why.to_owned()), self.asker.park));
                }
                Waits::Poll => drop(stored),
            }
            return;
        }
        let (approvals, asker) = (self.shared.parts.approvals.clone(), self.asker.clone());
        self.asking.push(Box::pin(async move {
            let key = ask.key.clone();
            if asker.park
                && let Some(approval) = approvals.take_parked(&asker.task, &key, &ask.tool, &ask.input).await
            {
                return (key, waits, stored, Ok(approval));
            }
            let asked = approvals.ask(asker, ask).await;
            (key, waits, stored, asked)
        }));
    }

    /// A question is stored, or could not be.
    pub(super) async fn asked(&mut self, key: String, waits: Waits, stored: Option<Stored>, asked: Result<Approval, StoreError>) {
        let approval = match asked {
            Ok(approval) => approval,
            Err(error) => {
                self.events.push(system_error(&format!("A question of the agent was denied, because it could not be stored: {error}")));
                let denied = approvals::denied(format!("The question could not be stored, so nobody was asked: {error}"));
                let _gone = stored.map(|stored| stored.send(Err(error)));
                self.keys.remove(&key);
                return self.answer(&key, waits, &denied, None).await;
            }
        };
        let _gone = stored.map(|stored| stored.send(Ok(())));
        if let Some(why) = self.withdrawn.remove(&key) {
            self.keys.remove(&key);
            return self.shared.parts.approvals.withdraw(&approval.id, &why).await;
        }
        if let (false, Some(decision)) = (approval.state.is_open(), &approval.decision) {
            // A rule has answered, or somebody did while it was parked.
            self.keys.remove(&key);
            let (heard, hears) = oneshot::channel();
            self.tell_decision(&approval);
            self.answer(&key, waits, decision, Some(heard)).await;
            let (approvals, id) = (self.shared.parts.approvals.clone(), approval.id.clone());
            self.shared.parts.tracker.spawn(async move {
                if hears.await.is_ok() {
                    approvals.delivered(&id).await;
                }
            });
            return;
        }
        let data = serde_json::to_value(&approval).unwrap_or_default();
        self.events.push(NewEvent { kind: TaskEventKind::PermissionRequest, data, block: None });
        if !matches!(waits, Waits::Poll) {
            self.pause_clock();
        }
        self.open.insert(approval.id.clone(), Open { key, waits });
        match self.early.remove(&approval.id) {
            Some(told) => self.answered(told).await,
            None => self.show_open().await,
        }
    }

    /// There is an answer.
    pub(super) async fn answered(&mut self, told: Told) {
        match told {
            Told::Answer { approval, heard } => {
                let Some(decision) = &approval.decision else { return };
                let Some(open) = self.open.remove(&approval.id) else {
                    // Somebody was quicker than this run heard that its question is stored.
                    if !self.asking.is_empty() {
                        self.early.insert(approval.id.clone(), Told::Answer { approval, heard });
                    }
                    return;
                };
                self.keys.remove(&open.key);
                self.stopped_by_no |= decision.decision == Decision::Stop;
                self.tell_decision(&approval);
                self.answer(&open.key, open.waits, decision, Some(heard)).await;
                self.show_open().await;
            }
            Told::Park(id) => self.park(&id).await,
        }
    }

    pub(super) async fn answer(&mut self, key: &str, waits: Waits, decision: &Decided, heard: Option<oneshot::Sender<()>>) {
        match waits {
            Waits::Driver => {
                let steps = self.driver.answer(key, decision);
                self.carry_out(steps, heard).await;
            }
            Waits::Hook { event, reply } => {
                if reply.send(agents::hook_answer(&event, decision, self.asker.park)).is_ok() {
                    let _nobody = heard.map(|heard| heard.send(()));
                }
            }
            // Whoever asked comes and looks.
            Waits::Poll => {
                let _nobody = heard.map(|heard| heard.send(()));
            }
        }
    }

    /// Nobody has answered for so long that the process need not wait any more.
    pub(super) async fn park(&mut self, id: &ApprovalId) {
        let Some(Open { waits: Waits::Hook { .. }, .. }) = self.open.get(id) else { return };
        let Some(approval) = self.shared.parts.approvals.parked(id).await else { return };
        let Some(Open { key, waits: Waits::Hook { event, reply } }) = self.open.remove(id) else { return };
        self.keys.remove(&key);
        let _ends_all_the_same = reply.send(agents::hook_defer(&event));
        self.events.push(status(json!({ "status": TaskStatus::WaitingApproval, "approvalId": approval.id, "parked": true })));
        self.deadline.get_or_insert(Instant::now() + PARKING);
    }

    pub(super) async fn withdraw(&mut self, key: &str, why: &str) {
        let open = self.open.iter().find(|(_, open)| open.key == key).map(|(id, _)| id.clone());
        match open {
            Some(id) => {
                self.open.remove(&id);
                self.keys.remove(key);
                self.shared.parts.approvals.withdraw(&id, why).await;
                self.events.push(status(json!({ "status": TaskStatus::Running, "approvalId": id, "withdrawn": why })));
                self.show_open().await;
            }
            None if self.keys.contains(key) => {
                self.withdrawn.insert(key.to_owned(), why.to_owned());
            }
            None => {}
        }
    }

    pub(super) fn tell_decision(&mut self, approval: &Approval) {
        let Some(decision) = &approval.decision else { return };
        let mut data = json!({
            "status": TaskStatus::Running,
            "approvalId": approval.id,
            "tool": approval.tool,
            "approved": decision.decision.is_yes(),
            "decision": decision.decision,
            "by": decision.by,
        });
        if let (Some(reason), Some(data)) = (&decision.reason, data.as_object_mut()) {
            data.insert("reason".to_owned(), json!(reason));
        }
        if approval.state == ApprovalState::Expired {
            data["expired"] = json!(true);
        }
        self.events.push(status(data));
    }

    /// Shows what is open, and lets the clock run or stand.
    pub(super) async fn show_open(&mut self) {
        let approvals = &self.shared.parts.approvals;
        let mut open: Vec<Approval> = self.open.keys().filter_map(|id| approvals.get(id)).filter(|approval| approval.state.is_open()).collect();
        open.sort_by_key(|approval| approval.asked_at);
        if !self.a_person_is_waited_for() {
            self.counting_since = self.counting_since.max(Instant::now());
        }
        self.task.show_open(&self.shared, &open).await;
    }

    /// Whether the agent itself stands still for an answer. What something inside the task asks by polling does not stop it.
    pub(super) fn a_person_is_waited_for(&self) -> bool {
        self.open.values().any(|open| !matches!(open.waits, Waits::Poll))
    }

    /// Time in which only a person is waited for does not count.
    pub(super) fn pause_clock(&mut self) {
        if !self.a_person_is_waited_for() {
            self.left = self.left.map(|left| left.saturating_sub(self.counting_since.elapsed()));
            self.counting_since = Instant::now();
        }
    }
}
