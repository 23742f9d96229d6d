//! Terminals: programs on a screen that outlive whoever looks at them.

use std::time::Duration;

use axum::{
    extract::{
        FromRequestParts, Request, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    response::Response,
};
use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use loopsy_shared::api::{
    ApiError, Code, Done,
    terminals::{
        AttachTerminal, CloseTerminal, FromTerminal, GetTerminal, ListTerminals, OpenTerminal, ReadTerminal, ResizeTerminal, TerminalInfo, TerminalSize,
        TerminalText, Terminals, ToTerminal,
    },
};
use tokio::time::Instant;

use crate::{
    app::App,
    http::endpoint::Routes,
    terminals::{Hands, Looking, Step, Terminal, Viewer},
    trust::Caller,
};

/// Between two pings.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A viewer that says nothing for so long, not even that it is there, is gone.
const SILENCE: Duration = Duration::from_secs(45);
/// Largest frame from a viewer: a large paste comes in several.
const MOST_FRAME: usize = 1 << 20;
/// The node stops.
const AWAY: u16 = 1001;
/// The key was revoked.
const POLICY: u16 = 1008;
/// All is said.
const DONE: u16 = 1000;

pub(super) fn mount(routes: Routes) -> Routes {
    routes.endpoint(open).endpoint(list).endpoint(get).endpoint(close).endpoint(resize).endpoint(read).upgrade(attach)
}

async fn open(app: App, caller: Caller, request: OpenTerminal) -> Result<TerminalInfo, ApiError> {
    Ok(app.terminals.request(&caller, request).await?.info())
}

async fn list(app: App, _caller: Caller, _request: ListTerminals) -> Result<Terminals, ApiError> {
    Ok(Terminals { terminals: app.terminals.list() })
}

async fn get(app: App, _caller: Caller, request: GetTerminal) -> Result<TerminalInfo, ApiError> {
    Ok(app.terminals.get(&request.terminal_id)?.info())
}

async fn close(app: App, _caller: Caller, request: CloseTerminal) -> Result<Done, ApiError> {
    app.terminals.close(&request.terminal_id).await?;
    Ok(Done::OK)
}

async fn resize(app: App, _caller: Caller, request: ResizeTerminal) -> Result<TerminalInfo, ApiError> {
    let terminal = running(app.terminals.get(&request.terminal_id)?)?;
    terminal.resize(TerminalSize { cols: request.cols, rows: request.rows });
    Ok(terminal.info())
}

async fn read(app: App, _caller: Caller, request: ReadTerminal) -> Result<TerminalText, ApiError> {
    let scrollback = usize::try_from(request.scrollback).unwrap_or(usize::MAX);
    Ok(app.terminals.get(&request.terminal_id)?.text(scrollback).await)
}

fn running(terminal: Terminal) -> Result<Terminal, ApiError> {
    if terminal.is_running() { Ok(terminal) } else { Err(crate::terminals::TerminalError::Ended(terminal.id().clone()).into()) }
}

async fn attach(app: App, caller: Caller, request: AttachTerminal, rest: Request) -> Result<Response, ApiError> {
    let no_socket = |error: &dyn std::fmt::Display| {
        ApiError::new(Code::InvalidRequest, format!("This is a WebSocket, and the request is no handshake of one: {error}."))
            .hint("`loopsy terminal attach` is one; `GET /terminals/{terminalId}/text` reads the screen without one.")
    };
    let upgrade = WebSocketUpgrade::from_request_parts(&mut rest.into_parts().0, &()).await.map_err(|error| no_socket(&error.body_text()))?;
    let window = request.cols.zip(request.rows).map(|(cols, rows)| TerminalSize { cols, rows });
    let looking = Looking { after: request.after, read_only: request.read_only, claim: request.claim, size: window, scrollback: request.scrollback };
    let (terminal, viewer) = app.terminals.attach(&request.terminal_id, looking)?;
    let upgrade = upgrade.max_message_size(MOST_FRAME).max_frame_size(MOST_FRAME);
    Ok(upgrade.on_upgrade(move |socket| app.tracker.clone().track_future(attached(app, caller, terminal, viewer, request.read_only, socket))))
}

/// One attachment from the handshake to its end.
async fn attached(app: App, caller: Caller, terminal: Terminal, viewer: Viewer, read_only: bool, socket: WebSocket) {
    let (mut sink, stream) = socket.split();
    let hands = viewer.hands();
    let (heard, seen) = tokio::sync::watch::channel(Instant::now());
    let reason = {
        let mut talking = std::pin::pin!(talk(&terminal, viewer, read_only, &mut sink, seen));
        let mut listening = std::pin::pin!(listen(stream, &hands, &heard));
        tokio::select! {
            reason = &mut talking => reason,
            () = &mut listening => None,
            () = app.stopping.cancelled() => Some(AWAY),
            () = caller.principal.revoked.cancelled() => Some(POLICY),
        }
    };
    if let Some(code) = reason {
        let last = sink.send(Message::Close(Some(CloseFrame { code, reason: "".into() })));
        let _gone = tokio::time::timeout(Duration::from_millis(300), last).await;
    }
}

/// Tells a viewer everything, at its pace. Returns why it ended, if that is to be said.
async fn talk(
    terminal: &Terminal,
    mut viewer: Viewer,
    read_only: bool,
    sink: &mut (impl futures_util::Sink<Message, Error = axum::Error> + Unpin),
    heard: tokio::sync::watch::Receiver<Instant>,
) -> Option<u16> {
    let hello = FromTerminal::Hello { terminal: Box::new(terminal.info()), viewer: viewer.id(), read_only, owner: viewer.owner(), offset: viewer.position() };
    sink.send(said(&hello)?).await.ok()?;
    let mut beat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let step = tokio::select! {
            step = viewer.next() => step,
            _ = beat.tick() => {
                if heard.borrow().elapsed() > SILENCE {
                    return None;
                }
                sink.send(Message::Ping(bytes::Bytes::new())).await.ok()?;
                continue;
            }
        };
        let message = match step {
            None => return Some(DONE),
            Some(Step::Bytes(bytes)) => Message::Binary(bytes),
            Some(Step::Snapshot { offset, length, size, lost }) => said(&FromTerminal::Snapshot { offset, length, size, lost })?,
            Some(Step::Resize(size)) => said(&FromTerminal::Resize { size })?,
            Some(Step::Owner(owner)) => said(&FromTerminal::Owner { owner })?,
            Some(Step::Exit(exit, offset)) => said(&FromTerminal::Exit { exit, offset })?,
        };
        sink.send(message).await.ok()?;
    }
}

fn said(frame: &FromTerminal) -> Option<Message> {
    serde_json::to_string(frame).map(|text| Message::Text(text.into())).map_err(|error| tracing::error!(%error, "a frame has no JSON")).ok()
}

/// Does what a viewer wants, until it goes.
async fn listen(mut stream: SplitStream<WebSocket>, hands: &Hands, heard: &tokio::sync::watch::Sender<Instant>) {
    while let Some(Ok(message)) = stream.next().await {
        heard.send_replace(Instant::now());
        match message {
            Message::Binary(bytes) => hands.write(bytes).await,
            Message::Text(text) => {
                // What a newer viewer wants and this node does not know is passed over.
                let Ok(ToTerminal { resize, claim }) = serde_json::from_str(&text) else { continue };
                if claim {
                    hands.claim();
                }
                if let Some(size) = resize {
                    hands.resize(size);
                }
            }
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}
