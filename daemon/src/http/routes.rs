//! Every route: a translation between a request and a service, nothing more.

use axum::{Router, routing::any};

use super::{endpoint::Routes, forward, gate};
use crate::app::App;

mod ai_tasks;
mod approvals;
mod context;
pub(super) mod events;
mod execute;
mod health;
mod node;
mod pairing;
mod peers;
mod terminals;
mod transfer;
mod transfers;

/// The whole API.
pub fn router(app: App) -> Router {
    let (router, _) = routes().finish();
    router.route("/api/v1/at/{peer}/{*rest}", any(forward::forward)).fallback(gate::no_route).method_not_allowed_fallback(gate::no_method).with_state(app)
}

fn routes() -> Routes {
    let routes = health::mount(Routes::default());
    let routes = node::mount(routes);
    let routes = peers::mount(routes);
    let routes = pairing::mount(routes);
    let routes = execute::mount(routes);
    let routes = transfer::mount(routes);
    let routes = transfers::mount(routes);
    let routes = context::mount(routes);
    let routes = ai_tasks::mount(routes);
    let routes = approvals::mount(routes);
    let routes = terminals::mount(routes);
    events::mount(routes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use loopsy_shared::api::REGISTRY;

    #[test]
    fn what_is_registered_is_mounted_and_nothing_else() {
        let (_, mounted) = super::routes().finish();
        let registered: BTreeSet<_> = REGISTRY.iter().map(|entry| entry.spec.name).collect();
        assert_eq!(mounted.iter().copied().collect::<BTreeSet<_>>(), registered);
        assert_eq!(mounted.len(), registered.len(), "a route is mounted twice");
    }
}
