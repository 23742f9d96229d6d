//! What others want of a run: say something, interrupt it, end it; and what hooks tell.

use super::*;

impl Run {
    pub(super) async fn commanded(&mut self, command: Command) {
        match command {
            Command::Say(text, taken) => {
                if self.farewell || self.ended_by.is_some() {
                    return; // `taken` is dropped: it becomes the next run
                }
                self.say(&text).await;
                let _gone = taken.send(());
            }
            Command::Interrupt => {
                self.ended_by.get_or_insert(EndedBy::Interrupt);
                if self.agent.is_screen() {
                    self.agent.interrupt_screen().await;
                } else {
                    let steps = self.driver.interrupt();
                    self.carry_out(steps, None).await;
                    self.deadline.get_or_insert(Instant::now() + INTERRUPTION);
                }
            }
            Command::End(by) => self.end(by).await,
            Command::Hook(event, reply) => self.hook(event, reply).await,
            Command::Poll(ask, stored) => self.ask(*ask, Waits::Poll, Some(stored)),
        }
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.events.push(system("prompt", json!({ "text": text })));
        if self.agent.is_screen() {
            self.agent.type_line(text).await;
        } else {
            let steps = self.driver.follow_up(text);
            self.carry_out(steps, None).await;
        }
    }

    pub(super) async fn hook(&mut self, event: Value, reply: oneshot::Sender<Value>) {
        let agents::Hooked { steps, ask, answer } = agents::hook(&event, self.asker.park);
        let begun = steps.iter().any(|step| matches!(step, Step::Known { session: Some(_), .. }));
        self.carry_out(steps, None).await;
        if let Some(text) = self.type_first.take_if(|_| begun) {
            self.agent.type_raw(text).await;
        }
        match ask {
            Some(ask) => self.ask(ask, Waits::Hook { event, reply }, None),
            None => {
                let _gone = reply.send(answer);
            }
        }
    }

    /// Ends the run, because somebody wants it.
    pub(super) async fn end(&mut self, by: EndedBy) {
        if self.ended_by.is_none() && by != EndedBy::Agent {
            self.ended_by = Some(by);
        }
        self.kill().await;
    }

    /// The daemon stops. What can be parked is parked.
    pub(super) async fn stop(&mut self) {
        self.ended_by = Some(EndedBy::Restart);
        if self.asker.park {
            let keys: Vec<ApprovalId> = self.open.keys().cloned().collect();
            for key in &keys {
                self.park(key).await;
            }
            if !keys.is_empty() && self.open.is_empty() {
                self.ended_by = None;
                self.deadline = Some(Instant::now() + Duration::from_secs(2));
                return;
            }
        }
        self.kill().await;
    }

    pub(super) async fn kill(&mut self) {
        if !std::mem::replace(&mut self.killed, true) {
            let grace = Duration::from_millis(self.shared.parts.config.borrow().execution.grace);
            self.agent.kill(if self.ended_by == Some(EndedBy::Revoked) { grace.min(Duration::from_millis(500)) } else { grace }).await;
        }
    }
}
