//! The review on the screen: the card in the middle, what it comes to below it, and what waits behind it.

use loopsy_shared::{api::approvals::Approval, text::inert};
use ratatui::layout::Rect;

use super::{
    Review,
    item::{Mode, Phase, key_of, outcome},
    page::{Page, Size},
};
use crate::{
    app::Canvas,
    card::{mcp, visible},
    look::Role,
    widgets::{
        pane::Pane,
        text::{fit, minute, put, wrap},
    },
};

/// From this width on old and new fit side by side.
pub(super) const BESIDE: u16 = 120;
/// Most rows of what is said below the card.
const SAYS: usize = 4;

impl Review {
    pub(super) fn draw(&self, area: Rect, canvas: &mut Canvas<'_>) {
        let area = area.intersection(canvas.buf.area);
        let (place, all) = (self.place() + 1, self.queue.len());
        let what = match &self.item.phase {
            Phase::Closed(_, true) => "Answered",
            Phase::Closed(_, false) => "No longer asked",
            _ if self.item.is_question() => "Answer?",
            _ => "Approve?",
        };
        let title = format!("{what} {place} of {all}");
        let inside = Pane { title: &title, focused: true, input: true, note: "" }.draw(area, canvas);
        let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside }.intersection(inside);
        let wide = usize::from(inside.width);
        let mut says: Vec<(Role, String)> =
            self.says(canvas).into_iter().flat_map(|(role, text)| wrap(&text, wide).into_iter().map(move |line| (role, line))).collect();
        says.truncate(SAYS.min(usize::from(inside.height / 2)));
        let typing = u16::from(self.item.typing.is_some());
        let next = self.next(canvas).filter(|_| inside.height > 14);
        let below = (says.len() as u16).max(1) + typing + u16::from(next.is_some());
        let room = Rect { height: inside.height.saturating_sub(below), ..inside };
        let beside = self.item.beside && area.width >= BESIDE;
        let size = Size { columns: Page::columns(room), beside, version: self.item.version };
        let counts = canvas.focused && room.height > 0;
        let (now, ascii) = (canvas.now.wall, canvas.look.ascii);
        if !matches!(self.item.phase, Phase::Loading | Phase::Failed(_)) || self.item.approval.sha256.is_empty() {
            self.item.now().draw(|| self.item.doc(now, ascii), size, &self.item.title(), room, counts, canvas);
        }
        let open = matches!(self.item.phase, Phase::Open | Phase::Late(..) | Phase::Failed(_));
        self.gate.drawn(counts && open && self.item.away.is_none(), canvas.now);
        let mut row = room.height;
        if let Some(typing) = &self.item.typing {
            let label = if typing.question.is_some() { "Answer: " } else { "Reason: " };
            let at = put(canvas.buf, inside, 0, row, label, canvas.look.style(Role::Strong));
            let place = Rect { x: inside.x + at, y: inside.y + row, width: inside.width.saturating_sub(at), height: 1 }.intersection(inside);
            typing.field.draw(place, canvas, true);
            row += 1;
        }
        if says.is_empty() {
            says = self.hint().into_iter().map(|text| (Role::Faint, fit(&text, wide))).collect();
        }
        for (role, line) in &says {
            put(canvas.buf, inside, 0, row, line, canvas.look.style(*role));
            row += 1;
        }
        if let Some(next) = next {
            put(canvas.buf, inside, 0, inside.height.saturating_sub(1), &fit(&next, wide), canvas.look.style(Role::Faint));
        }
    }

    /// What the person must know now.
    fn says(&self, canvas: &Canvas<'_>) -> Vec<(Role, String)> {
        let others = self.queue.len() > 1;
        let phase = match &self.item.phase {
            Phase::Open => None,
            Phase::Loading => {
                Some((Role::Busy, format!("Reading the whole of it from {}. Nothing can be answered until it is here.", visible(&self.item.approval.node))))
            }
            Phase::Failed(why) => Some((Role::Bad, format!("It cannot be shown whole: {why} r tries again. Nothing can be answered."))),
            Phase::Sending(..) => Some((Role::Busy, "Sent, and not confirmed yet.".to_owned())),
            Phase::Late(why, _) => Some((Role::Bad, format!("Not delivered, as far as is known: {why} r sends the same answer again."))),
            Phase::Closed(how, here) => {
                let then = match (others, here) {
                    (true, _) => "Tab shows the next.",
                    (false, true) => "Nothing else waits: any key closes.",
                    (false, false) => "Nothing else waits: Esc closes.",
                };
                let role =
                    if how.as_ref().is_some_and(|how| how.state == loopsy_shared::api::approvals::ApprovalState::Allowed) { Role::Good } else { Role::Warn };
                Some((role, format!("{} {then}", outcome(how.as_deref(), canvas.now.wall))))
            }
        };
        let typing = self.item.typing.as_ref().map(|typing| {
            let text = if typing.question.is_some() {
                "Enter takes it; a sends the answers. Esc leaves it."
            } else {
                "Enter denies with this reason. Esc leaves it undecided."
            };
            (Role::Faint, text.to_owned())
        });
        let open = matches!(self.item.phase, Phase::Open | Phase::Loading | Phase::Late(..) | Phase::Failed(_));
        let away = self.item.why_away(canvas.world, canvas.now.wall).filter(|why| open && !self.said.as_ref().is_some_and(|(_, said)| said.starts_with(why)));
        let away = away.map(|why| (Role::Bad, why));
        self.said.clone().into_iter().chain(away).chain(phase).chain(typing).collect()
    }

    /// The keys that lead on, when there is nothing to say.
    fn hint(&self) -> Option<String> {
        let unseen = self.item.now().unseen();
        match (&self.item.phase, self.item.mode) {
            (Phase::Open, Mode::Card) if unseen > 0 => Some(format!("{unseen} more to read: j and PgDn")),
            (Phase::Open, Mode::Card) if self.item.is_question() => Some("1-9 choose   i type   a send the answers".to_owned()),
            (_, Mode::Raw) => Some("v shows the card again".to_owned()),
            _ => None,
        }
    }

    /// What waits behind it, in a line.
    fn next(&self, canvas: &Canvas<'_>) -> Option<String> {
        let at = (self.place() + 1) % self.queue.len().max(1);
        let key = self.queue.get(at).filter(|key| **key != self.item.key())?;
        let next = canvas.world.approvals().into_iter().find(|approval| key_of(approval) == *key)?;
        Some(
            format!("next  {}  {}  {}  {}  {}", at + 1, tool(next), inert(&next.node), summary(next), minute(next.asked_at, canvas.now.wall))
                + if canvas.world.away_since(next).is_some() { "  out of reach" } else { "" },
        )
    }

    /// What answers are bound to, and whether keys count.
    pub(super) fn status_line(&self) -> String {
        let approval = &self.item.approval;
        let place = format!("{} of {}", self.place() + 1, self.queue.len());
        let hash = &approval.sha256;
        let hash = match (hash.get(..4), hash.len().checked_sub(2).and_then(|at| hash.get(at..))) {
            (Some(first), Some(last)) => format!("{first}..{last}"),
            _ => "not known".to_owned(),
        };
        let id: String = approval.id.as_str().chars().take(4).collect();
        let away = self.item.away.map(|since| format!("{} away since {}", fit(&visible(&approval.node), 24), minute(since, since)));
        let keys = match &self.item.phase {
            Phase::Sending(..) => "sending",
            Phase::Closed(..) => "closed",
            _ if away.is_some() => away.as_deref().unwrap_or_default(),
            Phase::Open | Phase::Late(..) | Phase::Failed(_) if self.gate.armed() => "keys armed",
            Phase::Open | Phase::Late(..) | Phase::Failed(_) => "wait",
            Phase::Loading => "loading",
        };
        format!("{place} | {keys} | bound to {}-{id} sha256 {hash}", approval.task_id.short())
    }
}

/// The tool, with the server that it is of first.
pub(crate) fn tool(approval: &Approval) -> String {
    mcp(&approval.tool).map_or_else(|| visible(&approval.tool), |(server, tool)| format!("{}: {}", visible(server), visible(tool)))
}

/// What it is about, in a few words.
pub(crate) fn summary(approval: &Approval) -> String {
    let input = &approval.input;
    let text = ["command", "file_path", "filePath", "path", "url"].iter().find_map(|name| input[*name].as_str());
    let first = approval.questions.first().map(|question| question.question.as_str());
    let text = text.or(first).or(approval.description.as_deref()).unwrap_or_default();
    let count = approval.diff.as_deref().map(|diff| format!(" {}", crate::card::diff_count(diff))).unwrap_or_default();
    format!("{}{count}", fit(&visible(text), 40))
}
