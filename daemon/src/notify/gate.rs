//! When a person is told that something waits, and what is said then. Pure: whoever owns a [`Gate`] tells it the time, and delivers what it gives.
//!
//! Nobody is told who is there: only after `notifications.idle` seconds without a surface, not in quiet hours, at most once in ten seconds, and what came in between
//! in one piece. What is settled meanwhile is never told.

use std::time::Duration;

use loopsy_shared::{config::Notifications, text::inert};
use serde::Serialize;

/// Time between two notices.
const PAUSE: Duration = Duration::from_secs(10);
/// Notices that wait; past this the oldest goes, and is counted still.
const MOST_WAITING: usize = 100;
/// Characters of a title and of a body.
const MOST_TITLE: usize = 100;
const MOST_BODY: usize = 500;

/// What kind of thing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NoticeKind {
    /// An approval waits.
    ApprovalWaits,
    /// A task has ended.
    TaskEnded,
}

/// Something to tell a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What kind of thing it is.
    pub kind: NoticeKind,
    /// In few words.
    pub title: String,
    /// More of it.
    pub body: String,
    /// The node's name.
    pub node: String,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// The approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<String>,
}

/// Decides when to tell what. Times are those of a clock that only goes forward, from any beginning.
#[derive(Debug, Default)]
pub(super) struct Gate {
    used: Duration,
    told: Option<Duration>,
    waiting: Vec<Notice>,
    /// Waiting notices that there was no room for.
    more: usize,
}

impl Gate {
    /// A person has used a surface.
    pub(super) fn surface_used(&mut self, now: Duration) {
        self.used = now;
    }

    /// Something is to be told.
    pub(super) fn notify(&mut self, notice: Notice) {
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.remove(0);
            self.more += 1;
        }
        self.waiting.push(Notice {
            title: short(&notice.title, MOST_TITLE),
            body: short(&notice.body, MOST_BODY),
            node: short(&notice.node, MOST_TITLE),
            ..notice
        });
    }

    /// An approval was answered, or a task was looked at: nobody needs to be told any more.
    pub(super) fn settled(&mut self, id: &str) {
        self.waiting.retain(|notice| {
            let subject = if notice.kind == NoticeKind::ApprovalWaits { &notice.approval_id } else { &notice.task_id };
            subject.as_deref() != Some(id)
        });
        if self.waiting.is_empty() {
            self.more = 0;
        }
    }

    /// When to call [`Gate::take`] again, if nothing else happens.
    pub(super) fn due(&self, config: &Notifications) -> Option<Duration> {
        let idle = self.used.saturating_add(Duration::from_secs(config.idle));
        (!self.waiting.is_empty()).then(|| self.told.map_or(idle, |told| idle.max(told + PAUSE)))
    }

    /// What is to be told now, all in one; `minute` is the local time in minutes since midnight.
    pub(super) fn take(&mut self, config: &Notifications, now: Duration, minute: u16) -> Option<Notice> {
        if self.due(config).is_none_or(|due| due > now) || is_quiet(config, minute) {
            return None;
        }
        self.told = Some(now);
        let more = std::mem::take(&mut self.more);
        merged(std::mem::take(&mut self.waiting), more)
    }
}

/// Whether it is a time of the day at which nobody is told.
pub(super) fn is_quiet(config: &Notifications, minute: u16) -> bool {
    let hours = config.quiet.as_deref().and_then(loopsy_shared::config::quiet_hours);
    hours.is_some_and(|(begin, end)| if begin <= end { (begin..end).contains(&minute) } else { minute >= begin || minute < end })
}

fn merged(mut notices: Vec<Notice>, more: usize) -> Option<Notice> {
    let newest = notices.pop()?;
    if notices.is_empty() && more == 0 {
        return Some(newest);
    }
    let all = || notices.iter().chain([&newest]);
    let approvals = all().filter(|notice| notice.kind == NoticeKind::ApprovalWaits).count();
    let ended = all().count() - approvals;
    let count = |count: usize, one: &str, many: &str| (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }));
    let parts =
        [count(approvals, "approval waits", "approvals wait"), count(ended, "task has ended", "tasks have ended"), count(more, "more notice", "more notices")];
    let title = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let body = short(&all().map(|notice| notice.title.as_str()).collect::<Vec<_>>().join("; "), MOST_BODY);
    let kind = if approvals > 0 { NoticeKind::ApprovalWaits } else { NoticeKind::TaskEnded };
    Some(Notice { kind, title, body, task_id: None, approval_id: None, ..newest.clone() })
}

fn short(text: &str, most: usize) -> String {
    let text: String = text.chars().take(most).collect();
    inert(&text).chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: NoticeKind, id: &str) -> Notice {
        Notice { kind, title: format!("{id}\u{1b}"), body: String::new(), node: "leo".into(), task_id: Some(id.into()), approval_id: Some(id.into()) }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_person_is_told_once_and_only_when_away() {
        let (config, mut gate) = (Notifications::default(), Gate::default());
        gate.surface_used(at(100));
        gate.notify(notice(NoticeKind::ApprovalWaits, "a"));
        assert_eq!((gate.take(&config, at(129), 0), gate.due(&config)), (None, Some(at(130))));
        assert_eq!(gate.take(&config, at(130), 0).expect("told").title, "a\\u{1b}");
        for id in ["b", "c", "d"] {
            gate.notify(notice(NoticeKind::ApprovalWaits, id));
        }
        gate.notify(notice(NoticeKind::TaskEnded, "e"));
        gate.settled("d");
        assert_eq!((gate.take(&config, at(139), 0), gate.due(&config)), (None, Some(at(140))));
        assert_eq!(gate.take(&config, at(140), 0).expect("told").title, "2 approvals wait, 1 task has ended");
        assert_eq!((gate.take(&config, at(500), 0), gate.due(&config)), (None, None));
        gate.notify(notice(NoticeKind::ApprovalWaits, "f"));
        gate.settled("f");
        assert_eq!(gate.take(&config, at(500), 0), None);
    }

    #[test]
    fn quiet_hours_go_round_midnight() {
        let of = |text: &str| Notifications { quiet: Some(text.into()), ..Notifications::default() };
        for (hours, minute, quiet) in [
            ("22:00-07:30", 0, true),
            ("22:00-07:30", 450, false),
            ("22:00-07:30", 1320, true),
            ("22:00-07:30", 1319, false),
            ("12:00-13:00", 720, true),
            ("12:00-13:00", 0, false),
            ("1:00-1:00", 60, false),
        ] {
            assert_eq!(is_quiet(&of(hours), minute), quiet, "{hours} {minute}");
        }
        let mut gate = Gate::default();
        gate.notify(notice(NoticeKind::ApprovalWaits, "a"));
        assert_eq!(gate.take(&of("22:00-07:30"), at(60), 0), None);
        assert!(gate.take(&of("22:00-07:30"), at(60), 600).is_some(), "told in the morning");
    }
}
