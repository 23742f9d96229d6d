//! Is it there, who is it, how is it.

use loopsy_shared::{
    VERSION,
    api::{
        ApiError,
        health::{ContextCounts, GetHealth, GetIdentity, GetStatus, Health, Identity, Status, TaskCounts},
    },
    time,
};

use crate::{app::App, http::endpoint::Routes, trust::Caller};

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(health).endpoint(status).endpoint(identity)
}

async fn health(app: App, _caller: Caller, _request: GetHealth) -> Result<Health, ApiError> {
    Ok(Health { status: "ok".to_owned(), node_id: app.node_id.clone(), uptime: app.uptime(), version: VERSION.to_owned(), now: time::now() })
}

async fn identity(app: App, caller: Caller, _request: GetIdentity) -> Result<Identity, ApiError> {
    Ok(app.identity_for(&caller))
}

async fn status(app: App, _caller: Caller, _request: GetStatus) -> Result<Status, ApiError> {
    let Identity { node_id, hostname, platform, version, .. } = app.identity();
    let (running, queued, total) = app.tasks.counts();
    Ok(Status {
        node_id,
        hostname,
        platform,
        version,
        uptime: app.uptime(),
        peers: app.peers.counts(),
        jobs: app.jobs.counts(),
        context: ContextCounts { entries: app.context.len() },
        tasks: TaskCounts { running, queued, total },
        approvals: app.approvals.open().len(),
        agents: app.blocking(|app| app.agents.list()).await?.into_iter().filter(|agent| agent.path.is_some()).collect(),
        problems: app.problems(),
    })
}
