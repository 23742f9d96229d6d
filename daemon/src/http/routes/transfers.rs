//! Files and folders that the node itself carries.

use loopsy_shared::api::{
    ApiError, Done,
    transfers::{CancelTransfer, GetTransfer, ListTransfers, StartTransfer, TransferInfo, Transfers},
};

use crate::{app::App, http::endpoint::Routes, trust::Caller};

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(start).endpoint(list).endpoint(get).endpoint(cancel)
}

async fn start(app: App, caller: Caller, request: StartTransfer) -> Result<TransferInfo, ApiError> {
    Ok(app.transfers.start(request, caller.principal.revoked.clone()).await?)
}

async fn list(app: App, _caller: Caller, _request: ListTransfers) -> Result<Transfers, ApiError> {
    Ok(Transfers { transfers: app.transfers.list() })
}

async fn get(app: App, _caller: Caller, request: GetTransfer) -> Result<TransferInfo, ApiError> {
    Ok(app.transfers.get(&request.transfer_id)?)
}

async fn cancel(app: App, _caller: Caller, request: CancelTransfer) -> Result<Done, ApiError> {
    app.transfers.cancel(&request.transfer_id)?;
    Ok(Done { transfer_id: Some(request.transfer_id), ..Done::OK })
}
