//! Pairing: what the owner asks for, and what the other machine says.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use loopsy_shared::api::{
    ApiError, Code, Needs,
    pairing::{
        ConfirmPairing, GetPairing, InitiatePairing, JoinPairing, PairingConfirmed, PairingReply, PairingStarted, PairingState, PairingStatus, StartPairing,
    },
    wire,
};

use crate::{app::App, http::body::JSON, http::endpoint::Routes, lp2::responder::Event, pairing::Answer, trust::Caller};

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(start).endpoint(join).endpoint(status).endpoint(initiate).response(confirm)
}

async fn start(app: App, _caller: Caller, request: StartPairing) -> Result<PairingStarted, ApiError> {
    app.pairing.start(request.scopes).await
}

async fn join(app: App, _caller: Caller, request: JoinPairing) -> Result<PairingStatus, ApiError> {
    app.pairing.join(request).await
}

async fn status(app: App, _caller: Caller, request: GetPairing) -> Result<PairingStatus, ApiError> {
    Ok(match request.after {
        Some(after) => app.pairing.status_after(after).await,
        None => app.pairing.status(),
    })
}

async fn initiate(app: App, caller: Caller, request: InitiatePairing) -> Result<PairingReply, ApiError> {
    let event = Event::initiate(caller.from, &request).map_err(ApiError::from)?;
    if matches!(event, Event::Hello { .. })
        && let Err(seconds) = app.limits.count_pairing(caller.from)
    {
        let mut refusal = ApiError::new(Code::RateLimited, "Too many pairings were begun from this address.");
        refusal.retry_after = Some(seconds);
        return Err(refusal);
    }
    match app.pairing.message(event).await? {
        Answer::Reply(reply) => Ok(*reply),
        Answer::Settle(_) | Answer::Acknowledge | Answer::Wait => Err(ApiError::new(Code::PairingMalformed, "The message does not fit here.")),
    }
}

async fn confirm(app: App, caller: Caller, request: ConfirmPairing, _headers: HeaderMap) -> Result<Response, ApiError> {
    let (status, reply) = match request {
        ConfirmPairing { confirmed: Some(confirmed), sas, sid: None, sealed: None } => {
            if !caller.principal.may(Needs::Admin) {
                return Err(ApiError::new(Code::MissingKey, "Only the owner of this machine confirms for it.").hint("The other machine's answer comes sealed."));
            }
            let message = app.pairing.decide(confirmed, sas).await?;
            (StatusCode::OK, PairingConfirmed { success: Some(confirmed), message: Some(message), ..PairingConfirmed::default() })
        }
        sealed => match app.pairing.message(Event::confirm(&sealed).map_err(ApiError::from)?).await? {
            Answer::Settle(settled) => (StatusCode::OK, settled),
            Answer::Acknowledge => (StatusCode::OK, PairingConfirmed { success: Some(true), ..PairingConfirmed::default() }),
            Answer::Wait => (StatusCode::ACCEPTED, PairingConfirmed { state: Some(PairingState::Waiting), ..PairingConfirmed::default() }),
            Answer::Reply(_) => return Err(ApiError::new(Code::PairingMalformed, "The message does not fit here.")),
        },
    };
    Ok((status, [(header::CONTENT_TYPE, JSON)], wire::to_json(&reply)?).into_response())
}
