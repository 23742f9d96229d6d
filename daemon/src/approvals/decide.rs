//! An answer: whether it fits what is asked, that it is stored before it counts, and that the agent hears it.

use super::*;

impl Approvals {
    /// Answers. The first answer counts. Returns when the agent was told, or cannot be.
    ///
    /// # Errors
    /// All of [`ApprovalError`]; nothing was granted then.
    pub async fn decide(&self, by: &Principal, answer: DecideApproval) -> Result<Approval, ApprovalError> {
        let id = answer.id.clone();
        self.allows_change(&answer).await?;
        let record = {
            let mut table = self.table();
            let entry = find_mut(&mut table, &id).ok_or_else(|| ApprovalError::NotFound(id.to_string()))?;
            let approval = &entry.record.approval;
            if entry.busy {
                return Err(ApprovalError::Closed { id, how: "answered by somebody else just now".to_owned() });
            }
            if !approval.state.is_open() {
                return Err(ApprovalError::Closed { id, how: how(approval) });
            }
            if approval.sha256 != answer.sha256 {
                return Err(ApprovalError::Changed(id));
            }
            check(approval, &answer, by)?;
            let mut record = entry.record.clone();
            record.approval.state = if answer.decision.is_yes() { ApprovalState::Allowed } else { ApprovalState::Denied };
            let DecideApproval { decision, reason, input, suggestion, answers, .. } = answer;
            let suggestion = suggestion.or((decision == Decision::Always).then_some(0));
            record.approval.decision = Some(Decided { input, suggestion, answers, ..decided(decision, &by.name, reason) });
            entry.busy = true;
            record
        };
        let stored = self.0.store.write(put(&record).into_iter().collect()).await;
        {
            let mut table = self.table();
            if let Some(entry) = find_mut(&mut table, &id) {
                entry.busy = false;
                if stored.is_ok() {
                    entry.record = record;
                }
            }
        }
        stored?;
        self.publish(&id);
        self.tell(&id).await;
        self.get(&id).ok_or_else(|| ApprovalError::NotFound(id.to_string()))
    }

    /// Tells the agent of an answer, and remembers that it was told.
    pub(super) async fn tell(&self, id: &ApprovalId) {
        let told = {
            let mut table = self.table();
            let Some(entry) = find_mut(&mut table, id) else { return };
            let Some(desk) = entry.desk.clone() else {
                self.0.answered.notify_one();
                return;
            };
            (desk, entry.record.approval.clone())
        };
        let (desk, approval) = told;
        let (heard, hears) = oneshot::channel();
        let telling = async {
            desk.send(Told::Answer { approval: Box::new(approval), heard }).await.ok()?;
            hears.await.ok()
        };
        if tokio::time::timeout(TELLING, telling).await.ok().flatten().is_none() {
            tracing::warn!(approval = %id, "the agent was not told of the answer: it no longer runs, or does not listen");
            return;
        }
        self.delivered(id).await;
    }

    /// The agent was told.
    pub(crate) async fn delivered(&self, id: &ApprovalId) {
        let record = {
            let mut table = self.table();
            let Some(entry) = find_mut(&mut table, id) else { return };
            entry.desk = None;
            if let Some(decision) = &mut entry.record.approval.decision {
                decision.delivered = true;
            }
            entry.record.clone()
        };
        self.publish(id);
        if let Err(error) = self.0.store.write(put(&record).into_iter().collect()).await {
            tracing::warn!(%error, approval = %id, "it is not stored that the agent was told");
        }
    }

    /// Whether the rules let the changed input of an answer pass: a person may change what runs, and not what may never run.
    pub(super) async fn allows_change(&self, answer: &DecideApproval) -> Result<(), ApprovalError> {
        let Some(input) = answer.input.clone() else { return Ok(()) };
        let Some((approval, peer, repository)) = ({
            let mut table = self.table();
            find_mut(&mut table, &answer.id).map(|entry| (entry.record.approval.clone(), entry.record.peer.clone(), entry.record.repository.clone()))
        }) else {
            return Ok(()); // it is said below that there is none
        };
        let this = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let config = this.0.config.borrow().clone();
            let cwd = PathBuf::from(&approval.cwd);
            let facts = Facts::of(&approval.agent, &approval.tool, &input, &[], &cwd, &this.0.home);
            let context = RuleContext {
                agent: &approval.agent,
                tool: &approval.tool,
                peer: peer.as_deref(),
                cwd: &cwd,
                repository: repository.as_deref(),
                home: &this.0.home,
            };
            rules::decide(&config.approvals.rules, &facts, &context)
        });
        let verdict = looking.await.map_err(|error| ApprovalError::Invalid(format!("The changed input could not be looked into: {error}.")))?;
        match verdict.verdict {
            RuleVerdict::Deny => Err(ApprovalError::Invalid(format!("A rule of that machine's owner forbids the changed input: {}", verdict.why))),
            RuleVerdict::Allow | RuleVerdict::Ask => Ok(()),
        }
    }
}

/// A part of a sentence.
fn how(approval: &Approval) -> String {
    let when = |at: Millis| time::iso(at);
    match (&approval.decision, approval.state) {
        (Some(decision), ApprovalState::Allowed) => format!("allowed by {} at {}", decision.by, when(decision.at)),
        (Some(decision), ApprovalState::Denied) => format!("denied by {} at {}", decision.by, when(decision.at)),
        (Some(Decided { reason: Some(reason), .. }), _) => format!("closed: {reason}"),
        _ => "closed".to_owned(),
    }
}

/// Whether a suggestion of the agent's switches asking off, or counts for everything that the person does.
fn reaches_far(rule: &Value) -> bool {
    let word = |name: &str| rule.get(name).and_then(Value::as_str);
    let mode = word("type") == Some("setMode") && !matches!(word("mode"), Some("acceptEdits" | "plan" | "default" | "manual"));
    mode || word("destination").is_some_and(|to| !matches!(to, "session" | "localSettings"))
}

/// Whether an answer fits what is asked.
fn check(approval: &Approval, answer: &DecideApproval, by: &Principal) -> Result<(), ApprovalError> {
    let invalid = |text: String| Err(ApprovalError::Invalid(text));
    if answer.input.as_ref().is_some_and(|input| !input.is_object()) {
        return invalid("Another input is a JSON object, like the one that was asked for.".to_owned());
    }
    if answer.input.is_some() && (answer.decision != Decision::Allow || !approval.may_edit) {
        return invalid(if approval.may_edit {
            "Another input can only be given with `allow`.".to_owned()
        } else {
            format!("{} takes no other input than the one that it asked for.", approval.agent)
        });
    }
    match (answer.decision, answer.suggestion) {
        (Decision::Always, _) if approval.suggestions.is_empty() => return invalid("The agent offers no rule to keep for this.".to_owned()),
        (Decision::Always, None) if approval.suggestions.len() > 1 => {
            return invalid(format!("There are {} rules to choose from: say which with `suggestion`, from 0.", approval.suggestions.len()));
        }
        (Decision::Always, Some(place)) if place >= approval.suggestions.len() => {
            return invalid(format!("There is no suggestion {place}; there are {}, counted from 0.", approval.suggestions.len()));
        }
        (Decision::Allow | Decision::Deny | Decision::Stop, Some(_)) => return invalid("A suggestion is chosen with `always` only.".to_owned()),
        _ => {}
    }
    let kept = approval.suggestions.get(answer.suggestion.unwrap_or_default()).filter(|_| answer.decision == Decision::Always);
    if let Some(kept) = kept.filter(|kept| !by.is_owner() && reaches_far(&kept.rule)) {
        return invalid(format!(
            "Only the owner of that machine may keep `{}`: it reaches beyond this task's project.",
            loopsy_shared::text::inert(&kept.label)
        ));
    }
    for (id, given) in &answer.answers {
        let Some(question) = approval.questions.iter().find(|question| question.id == *id) else {
            return invalid(format!("There is no question `{}`.", loopsy_shared::text::inert(id)));
        };
        if given.is_empty() || (given.len() > 1 && !question.multiple) {
            return invalid(format!("The question `{}` takes {}.", question.id, if question.multiple { "at least one answer" } else { "one answer" }));
        }
    }
    if answer.decision == Decision::Allow && !approval.questions.is_empty() && answer.answers.is_empty() {
        return invalid("This is a question: answer it with `answers`, or deny it.".to_owned());
    }
    Ok(())
}
