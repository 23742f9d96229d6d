//! The node itself: its API document, its config, its owner's key.

use loopsy_shared::{
    api::{
        ApiError,
        node::{GetOpenApi, NewKey, OpenApi, Reload, Reloaded, RotateKey},
    },
    secret::Secret,
};

use crate::{
    app::App,
    http::{endpoint::Routes, openapi},
    settings::Edit,
    trust::Caller,
};

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(document).endpoint(reload).endpoint(rotate_key)
}

async fn document(_app: App, _caller: Caller, _request: GetOpenApi) -> Result<OpenApi, ApiError> {
    Ok(openapi::document())
}

async fn reload(app: App, _caller: Caller, _request: Reload) -> Result<Reloaded, ApiError> {
    let whole = app.clone();
    let reload = async move {
        let needs_restart = app.blocking(|app| app.settings.reload()).await??;
        app.trust.refresh();
        Ok(Reloaded { success: true, needs_restart })
    };
    whole.lasting(reload).await
}

async fn rotate_key(app: App, _caller: Caller, _request: RotateKey) -> Result<NewKey, ApiError> {
    let key = Secret::generate();
    let new = key.clone();
    let whole = app.clone();
    let rotate = async move {
        app.blocking(move |app| app.settings.edit(&[Edit::Set(&["auth"], "apiKey", new.reveal())])).await??;
        app.trust.refresh();
        Ok(NewKey { key })
    };
    whole.lasting(rotate).await
}
