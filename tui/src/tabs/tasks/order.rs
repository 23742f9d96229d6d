//! Which tasks are in the list, and in which order.

use std::cmp::Reverse;

use loopsy_shared::api::ai_tasks::{TaskInfo, TaskStatus};

use super::words;
use crate::{
    widgets::list::List,
    world::{TaskKey, World},
};

/// The order of the list. Newer ones come first where nothing else tells them apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// What waits for a person, what runs, what waits for a place, what has ended.
    #[default]
    Need,
    /// The newest first.
    Newest,
    /// By the name of the node.
    Node,
    /// The dearest first.
    Cost,
}

const ALL: [Order; 4] = [Order::Need, Order::Newest, Order::Node, Order::Cost];

impl Order {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Need => "need",
            Self::Newest => "newest",
            Self::Node => "node",
            Self::Cost => "cost",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|order| order.name() == name)
    }

    pub(super) fn next(self) -> Self {
        ALL[(self as usize + 1) % ALL.len()]
    }

    /// The rows, and how many tasks there are in all.
    pub(super) fn rows(self, list: &List<TaskKey>, world: &World) -> (Vec<TaskKey>, usize) {
        let all = world.tasks();
        let total = all.len();
        let mut rows = list.filtered(all, |(key, task)| {
            format!(
                "{} {} {} {} {} {}",
                task.prompt,
                world.name_of(key.node.as_ref()),
                task.agent,
                words::state(task.status).0,
                task.task_id,
                task.worktree.as_ref().map_or("", |tree| tree.branch.as_str())
            )
        });
        // They come newest first, and a stable sort keeps that.
        match self {
            Self::Need => rows.sort_by_key(|(_, task)| need(task)),
            Self::Newest => {}
            Self::Node => rows.sort_by(|(a, _), (b, _)| world.name_of(a.node.as_ref()).cmp(world.name_of(b.node.as_ref()))),
            Self::Cost => rows.sort_by_key(|(_, task)| Reverse(task.cost_usd.map_or(0, |dollars| (dollars.clamp(0.0, 1e12) * 1e4) as u64))),
        }
        (rows.into_iter().map(|(key, _)| key).collect(), total)
    }
}

const fn need(task: &TaskInfo) -> u8 {
    match task.status {
        TaskStatus::WaitingApproval => 0,
        TaskStatus::Running => 1,
        TaskStatus::Pending => 2,
        TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => 3,
    }
}
