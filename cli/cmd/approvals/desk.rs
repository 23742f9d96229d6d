//! Where questions are put before the person at the terminal: one at a time, first come first served, never one in place of another.

use std::{collections::VecDeque, io::Write};

use jiff::tz::TimeZone;
use loopsy_shared::{
    api::{
        ApiError, Code,
        approvals::{Approval, ApprovalState, DecideApproval, Decision, GetApproval},
    },
    client::{Client, ClientError},
    id::ApprovalId,
    time::{self, Millis},
};
use serde_json::Value;

use super::{
    card::{Look, visible},
    editor,
    keys::{self, Input, Keys, in_foreground, size},
    review::{Line, Review, Step},
    who,
};
use crate::{
    error::{Error, explain},
    output::{BAD, FAINT, GOOD, Output, STRONG, WARN, clock, paint},
};

/// Questions that wait behind the one that is shown. What comes beyond that is only said; `loopsy approvals` has all.
const WAITING: usize = 1000;

/// Answers that are remembered, so that they are not told twice; an older one is told again.
const ANSWERED: usize = 64;

/// A card that comes up is heard too.
const BELL: &[u8] = b"\x07";

/// How it looks now, at this terminal.
pub(crate) fn look() -> (Look, usize) {
    let (width, height) = size();
    (Look { width, now: time::now(), zone: TimeZone::system() }, height.saturating_sub(3))
}

/// The desk.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The local daemon: it answers for peers too.
    client: Client,
    out: Output,
    waiting: VecDeque<ApprovalId>,
    open: Option<Open>,
    /// What was put off with `l`.
    later: Vec<ApprovalId>,
    /// What was answered here last, newest last.
    answered: VecDeque<ApprovalId>,
    /// The peer whose task is followed, and what this machine is called.
    place: Option<(String, String)>,
    /// Whether a card was ever shown.
    used: bool,
}

impl Drop for Desk {
    fn drop(&mut self) {
        if self.used {
            self.open = None;
            keys::calm();
        }
    }
}

/// The card that is shown.
#[derive(Debug)]
struct Open {
    review: Review,
    keys: Keys,
    line: Option<Line>,
}

impl Desk {
    pub(crate) const fn new(client: Client, out: Output) -> Self {
        Self { client, out, waiting: VecDeque::new(), open: None, later: Vec::new(), answered: VecDeque::new(), place: None, used: false }
    }

    /// The questions come from a task on this peer; `here` is this machine's name.
    pub(crate) fn at(mut self, peer: Option<&str>, here: &str) -> Self {
        self.place = peer.map(|peer| (peer.to_owned(), here.to_owned()));
        self
    }

    /// Whether this was answered here: the person knows then.
    pub(crate) fn has_answered(&self, id: &ApprovalId) -> bool {
        self.answered.contains(id)
    }

    /// Whether a card is shown.
    pub(crate) const fn is_busy(&self) -> bool {
        self.open.is_some()
    }

    /// Puts a question at the end of the row.
    pub(crate) fn queue(&mut self, id: ApprovalId) {
        let known = self.waiting.contains(&id) || self.later.contains(&id) || self.open.as_ref().is_some_and(|open| open.review.approval().id == id);
        if known {
            return;
        }
        if self.waiting.len() >= WAITING {
            return self.out.warn(paint(WARN, "More questions wait than are kept here: `loopsy approvals` lists them all."));
        }
        self.waiting.push_back(id);
    }

    /// Shows the next card, when none is shown and one waits.
    pub(crate) async fn fill(&mut self) -> Result<(), Error> {
        while self.open.is_none() {
            let Some(id) = self.waiting.pop_front() else { return Ok(()) };
            // As it is now: it may have been answered long ago, when it comes from what is stored.
            let asked = GetApproval { id };
            match self.client.ask(asked.clone()).await {
                Ok(approval) if approval.state.is_open() => self.show(approval)?,
                Ok(_) => {}
                Err(ClientError::Api(error)) if error.code == Code::ApprovalNotFound => self.ask_peer(asked).await,
                Err(ClientError::Api(error)) if error.code == Code::ScopeMissing => self.tell(&paint(WARN, self.may_not(&error))),
                Err(error) => self.tell(&paint(BAD, explain(&error.into()))),
            }
        }
        Ok(())
    }

    /// The local daemon does not know what it may not see; the peer itself says that it may not.
    async fn ask_peer(&self, asked: GetApproval) {
        let Some((peer, _)) = &self.place else { return };
        if let Err(ClientError::Api(error)) = self.client.at(peer).ask(asked).await
            && error.code == Code::ScopeMissing
        {
            self.tell(&paint(WARN, self.may_not(&error)));
        }
    }

    /// Why no card comes up, and who can do something about it.
    fn may_not(&self, error: &ApiError) -> String {
        let Some((peer, here)) = &self.place else { return explain(&ClientError::Api(error.clone()).into()).to_string() };
        let (peer, here) = (visible(peer), visible(here));
        format!(
            "You may not answer this: this machine's key lacks the scope `approve` on {peer}. Its owner can answer there, or give it: `loopsy peers allow {here} approve` (run there)."
        )
    }

    fn show(&mut self, approval: Approval) -> Result<(), Error> {
        if !in_foreground() {
            self.tell(&paint(WARN, "An agent asks something, and this command is in the background: `loopsy approvals` answers it."));
            self.later.push(approval.id);
            return Ok(());
        }
        let (look, height) = look();
        let keys = Keys::new()?;
        self.used = true;
        self.open = Some(Open { review: Review::new(approval, look, height), keys, line: None });
        let _nobody_hears = std::io::stderr().lock().write_all(BELL);
        self.draw();
        Ok(())
    }

    /// Shows the next lines; keys that came before do not count.
    fn draw(&mut self) {
        if let Some(open) = &mut self.open {
            let page = open.review.page();
            print(&page);
            open.keys.forget();
        }
    }

    /// What the person does. Waits for ever when no card is shown. Can be dropped while it waits without losing anything.
    pub(crate) async fn input(&mut self) -> Input {
        match &mut self.open {
            Some(open) => open.keys.next().await,
            None => std::future::pending().await,
        }
    }

    /// Does what the person wants.
    pub(crate) async fn take(&mut self, input: Input) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let step = match (input, open.line.take()) {
            (Input::Key(key), _) => open.review.key(key),
            (Input::Bunch, _) => open.review.not_alone(),
            (Input::Line(text), Some(line)) => open.review.line(line, &text),
            (Input::Line(_), None) => return Ok(()),
            (Input::Gone, _) => Step::Later,
        };
        match step {
            Step::Show(lines) => {
                print(&lines);
                open.keys.forget();
            }
            Step::Line(line) => {
                let mut err = anstream::stderr().lock();
                let _nobody_reads = write!(err, "{} ", paint(STRONG, if line == Line::Reason { "Reason:" } else { "Answer:" })).and_then(|()| err.flush());
                drop(err);
                open.line = Some(line);
                open.keys.ask_line()?;
            }
            Step::Edit(input) => self.edit(input).await?,
            Step::Send(answer) => self.send(*answer).await,
            Step::Later => {
                let put_off = self.close();
                self.later.extend(put_off);
                self.tell(&paint(FAINT, "Later: `loopsy approvals` lists what waits."));
            }
        }
        Ok(())
    }

    /// The editor needs the terminal for itself.
    async fn edit(&mut self, input: Value) -> Result<(), Error> {
        let Some(Open { mut review, keys, .. }) = self.open.take() else { return Ok(()) };
        drop(keys);
        let step = match editor::edit(&input).await {
            Ok(changed) => review.edited(changed),
            Err(why) => review.say(&why),
        };
        let mut keys = Keys::new()?;
        if let Step::Show(lines) = step {
            print(&lines);
        }
        keys.forget();
        self.open = Some(Open { review, keys, line: None });
        Ok(())
    }

    async fn send(&mut self, answer: DecideApproval) {
        let decision = answer.decision;
        match self.client.ask(answer).await {
            Ok(approval) => {
                self.close();
                if self.answered.len() == ANSWERED {
                    self.answered.pop_front();
                }
                self.answered.push_back(approval.id.clone());
                self.tell(&answered_here(&approval));
            }
            Err(ClientError::Api(error)) if matches!(error.code, Code::ApprovalClosed | Code::ApprovalNotFound | Code::ApprovalChanged) => {
                let id = self.close();
                let how = match &id {
                    Some(id) if error.code == Code::ApprovalClosed => self.client.ask(GetApproval { id: id.clone() }).await.ok(),
                    _ => None,
                };
                // What is known tells more than the refusal.
                let text = match how.filter(|approval| approval.decision.is_some() && !approval.state.is_open()) {
                    Some(approval) => late(&approval, time::now(), &TimeZone::system()),
                    None => explain(&ClientError::Api(error).into()).to_string(),
                };
                self.tell(&paint(WARN, text));
                // What was shown is not what is asked: it is shown anew.
                if let Some(id) = id {
                    self.waiting.push_front(id);
                }
            }
            Err(error) => {
                self.tell(&paint(BAD, explain(&error.into())));
                let text = if decision.is_yes() { "It is not known whether the yes arrived." } else { "It is not known whether the no arrived." };
                if let Some(Open { review, .. }) = &self.open
                    && let Step::Show(lines) = review.say(text)
                {
                    print(&lines);
                }
            }
        }
    }

    /// The approval stands like this now: when it is the one that is shown, and no longer open, the card goes away.
    pub(crate) fn heard(&mut self, approval: &Approval) {
        if approval.state.is_open() {
            return;
        }
        self.gone(&approval.id, &said(approval));
    }

    /// The approval is no longer open; `why` is said when it was before the person's eyes.
    pub(crate) fn gone(&mut self, id: &ApprovalId, why: &str) {
        self.waiting.retain(|waiting| waiting != id);
        self.later.retain(|later| later != id);
        if self.open.as_ref().is_some_and(|open| open.review.approval().id == *id) {
            self.close();
            self.tell(&format!("\n{} {why}", paint(WARN, "The question is gone:")));
        }
    }

    /// Looks whether the card that is shown still asks.
    pub(crate) async fn look_again(&mut self) {
        let Some(id) = self.open.as_ref().map(|open| open.review.approval().id.clone()) else { return };
        match self.client.ask(GetApproval { id: id.clone() }).await {
            Ok(approval) => self.heard(&approval),
            Err(ClientError::Api(error)) if error.code == Code::ApprovalNotFound => self.gone(&id, "it is no longer kept."),
            // The answer itself would say so too.
            Err(_) => {}
        }
    }

    /// Gives the terminal back.
    pub(crate) fn close(&mut self) -> Option<ApprovalId> {
        self.open.take().map(|open| open.review.approval().id.clone())
    }

    fn tell(&self, text: &str) {
        self.out.warn(text);
    }
}

/// Lines of a card, on standard error.
fn print(lines: &[String]) {
    let mut err = anstream::stderr().lock();
    let _nobody_reads = lines.iter().try_for_each(|line| writeln!(err, "{line}"));
}

/// What came of an approval, in one line: the tool first.
pub(crate) fn said(approval: &Approval) -> String {
    told(approval, approval.decision.as_ref().map(|decided| format!(" by {}", visible(who(&decided.by)))).unwrap_or_default())
}

/// The same for the person who has just answered, and knows who that was.
pub(crate) fn answered_here(approval: &Approval) -> String {
    told(approval, String::new())
}

fn told(approval: &Approval, by: String) -> String {
    let tool = visible(&approval.tool);
    let decided = approval.decision.as_ref();
    let reason = decided.and_then(|decided| decided.reason.as_deref()).map(|reason| format!(": {}", visible(reason))).unwrap_or_default();
    let late = if decided.is_some_and(|decided| !decided.delivered) { " (the agent was not told yet)" } else { "" };
    let (style, text) = match approval.state {
        ApprovalState::Pending => (WARN, format!("{tool} waits for an answer")),
        ApprovalState::Parked => (WARN, format!("{tool} is parked until somebody answers")),
        ApprovalState::Allowed => {
            let how = match decided.map(|decided| decided.decision) {
                Some(Decision::Always) => ", and the rule kept",
                _ if decided.is_some_and(|decided| decided.input.is_some()) => " with another input",
                _ => "",
            };
            (GOOD, format!("✓ {tool} allowed{how}{by}{late}"))
        }
        ApprovalState::Denied => {
            let stop = if decided.is_some_and(|decided| decided.decision == Decision::Stop) { ", and stopped" } else { "" };
            (BAD, format!("✗ {tool} denied{stop}{by}{late}{reason}"))
        }
        ApprovalState::Expired => (BAD, format!("✗ {tool} expired, so denied{reason}")),
        ApprovalState::Withdrawn => (WARN, format!("{tool}: the agent no longer asks{reason}")),
    };
    paint(style, text)
}

/// Why an answer comes too late, as a sentence.
pub(super) fn late(approval: &Approval, now: Millis, zone: &TimeZone) -> String {
    let tool = visible(&approval.tool);
    let decided = approval.decision.as_ref();
    let by = decided.map(|decided| format!(" by {}", visible(who(&decided.by)))).unwrap_or_default();
    let at = decided.map(|decided| format!(" at {}", clock(decided.at, now, zone))).unwrap_or_default();
    let reason = decided.and_then(|decided| decided.reason.as_deref()).map(|reason| format!(": {}", visible(reason.trim_end_matches('.')))).unwrap_or_default();
    match approval.state {
        ApprovalState::Expired => format!("It is too late: {tool} was denied{at}, because nobody answered in time."),
        ApprovalState::Denied => format!("It is too late: {tool} was denied{by}{at}{reason}."),
        ApprovalState::Allowed => format!("It is too late: {tool} was allowed{by}{at}."),
        ApprovalState::Withdrawn => format!("It is too late: the agent no longer asks for {tool}{reason}."),
        ApprovalState::Pending | ApprovalState::Parked => format!("{tool} waits for an answer."),
    }
}
