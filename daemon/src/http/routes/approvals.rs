//! Questions of agents that wait for a person, and the rules that answer before one is asked.

use loopsy_shared::api::{
    ApiError, Code,
    approvals::{AddRule, Approval, Approvals, DecideApproval, GetApproval, ListApprovals, ListRules, RemoveRule, Rules, TestRules, Verdict},
};

use crate::{app::App, approvals::ApprovalError, http::endpoint::Routes, trust::Caller};

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(list).endpoint(test).endpoint(rules).endpoint(add_rule).endpoint(remove_rule).endpoint(get).endpoint(decide)
}

async fn list(app: App, caller: Caller, request: ListApprovals) -> Result<Approvals, ApiError> {
    let mut approvals = if request.all { app.approvals.all() } else { app.approvals.open() };
    // A peer's key opens this node, not the nodes that it knows.
    if request.local || !caller.principal.is_owner() {
        return Ok(Approvals { approvals, unseen: Vec::new() });
    }
    let (of_peers, unseen) = app.fleet.approvals();
    approvals.extend(of_peers);
    approvals.sort_by_key(|approval| approval.asked_at);
    Ok(Approvals { approvals, unseen })
}

async fn get(app: App, caller: Caller, request: GetApproval) -> Result<Approval, ApiError> {
    match app.approvals.get(&request.id) {
        Some(approval) => Ok(approval),
        None if caller.principal.is_owner() => Ok(app.fleet.approval(&request.id).await?),
        None => Err(ApprovalError::NotFound(request.id.to_string()).into()),
    }
}

async fn decide(app: App, caller: Caller, request: DecideApproval) -> Result<Approval, ApiError> {
    let (approvals, fleet, by) = (app.approvals.clone(), app.fleet.clone(), std::sync::Arc::clone(&caller.principal));
    let here = approvals.get(&request.id).is_some() || !caller.principal.is_owner();
    app.lasting(async move { if here { Ok(approvals.decide(&by, request).await?) } else { Ok(fleet.decide(request).await?) } }).await
}

async fn test(app: App, _caller: Caller, request: TestRules) -> Result<Verdict, ApiError> {
    Ok(app.approvals.test(request).await)
}

async fn rules(app: App, _caller: Caller, _request: ListRules) -> Result<Rules, ApiError> {
    Ok(Rules { rules: app.config().approvals.rules.clone() })
}

async fn add_rule(app: App, caller: Caller, request: AddRule) -> Result<Rules, ApiError> {
    app.blocking(move |app| app.settings.add_rule(&request.rule)).await??;
    rules(app, caller, ListRules {}).await
}

async fn remove_rule(app: App, caller: Caller, request: RemoveRule) -> Result<Rules, ApiError> {
    if !app.blocking(move |app| app.settings.remove_rule(request.index)).await?? {
        let text = format!("There is no rule {} in `approvals.rules`, or the file was changed just now.", request.index);
        return Err(ApiError::new(Code::InvalidRequest, text).hint("`loopsy approvals rules` lists them with their places."));
    }
    rules(app, caller, ListRules {}).await
}
