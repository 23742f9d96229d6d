//! The desktop's own notices, where this program was built with them.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Notice, ways::Outcome};

/// Shows a notice. The call cannot be broken off, so there is one at a time.
#[cfg(feature = "desktop")]
pub(super) async fn show(one: &Arc<Semaphore>, notice: &Notice) -> Outcome {
    let Ok(permit) = Arc::clone(one).try_acquire_owned() else { return Err("has not answered to the notice before.".to_owned()) };
    let (title, body) = (notice.title.clone(), notice.body.clone());
    let shown = tokio::task::spawn_blocking(move || {
        let shown = call(&title, &body);
        drop(permit);
        shown
    });
    let shown = shown.await.map_err(|error| error.to_string()).and_then(|shown| shown);
    shown.map_err(|error| format!("does not show notices: {}.", loopsy_shared::text::inert(&error)))
}

/// Where the desktop reads markup in a body, it is given none.
#[cfg(feature = "desktop")]
fn call(title: &str, body: &str) -> Result<(), String> {
    #[cfg(not(target_os = "macos"))]
    let markup = notify_rust::get_capabilities().map_err(|error| error.to_string())?.iter().any(|can| can == "body-markup");
    #[cfg(target_os = "macos")]
    let markup = false;
    let body = if markup { without_markup(body) } else { body.to_owned() };
    notify_rust::Notification::new().appname("Loopsy").summary(title).body(&body).show().map(drop).map_err(|error| error.to_string())
}

#[cfg(feature = "desktop")]
fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Says that it cannot.
#[cfg(not(feature = "desktop"))]
pub(super) async fn show(_one: &Arc<Semaphore>, _notice: &Notice) -> Outcome {
    Err("cannot be used: this program was built without the feature `desktop`. Use `notifications.command` instead.".to_owned())
}

#[cfg(all(test, feature = "desktop"))]
mod tests {
    #[test]
    fn a_body_holds_no_markup() {
        assert_eq!(super::without_markup("<a href=\"x\">&"), "&lt;a href=\"x\"&gt;&amp;");
    }
}
