//! Questions of agents that wait for a person, and the rules that answer before one is asked.

use loopsy_shared::api::{
    ApiError, Code,
    approvals::{AddRule, Approval, Approvals, DecideApproval, GetApproval, ListApprovals, ListRules, RemoveRule, Rules, TestRules, Verdict},
};

use crate::{app::App, http::endpoint::Routes, trust::Caller};

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(list).endpoint(test).endpoint(rules).endpoint(add_rule).endpoint(remove_rule).endpoint(get).endpoint(decide)
}

async fn list(app: App, _caller: Caller, request: ListApprovals) -> Result<Approvals, ApiError> {
    let approvals = if request.all { app.approvals.all() } else { app.approvals.open() };
    Ok(Approvals { approvals, unseen: Vec::new() })
}

async fn get(app: App, _caller: Caller, request: GetApproval) -> Result<Approval, ApiError> {
    app.approvals.get(&request.id).ok_or_else(|| {
        ApiError::new(Code::ApprovalNotFound, format!("There is no approval `{}`.", loopsy_shared::text::inert(request.id.as_str())))
            .hint("`loopsy approvals` lists those that wait.")
    })
}

async fn decide(app: App, caller: Caller, request: DecideApproval) -> Result<Approval, ApiError> {
    let (approvals, by) = (app.approvals.clone(), caller.principal.name.clone());
    app.lasting(async move { Ok(approvals.decide(&by, request).await?) }).await
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
