//! The terminal is given away for a while, to a shell or an editor, and taken again.

use super::{Away, Control, Done, End, Event, Leave, Ui, files, terminal};
use crate::runtime::writer::Writer;

impl Ui {
    /// Gives the terminal away, if that is to be done.
    pub(super) async fn leave(&mut self, writer: &mut Writer) {
        for leave in std::mem::take(&mut self.leaves) {
            if self.away.is_some() {
                continue;
            }
            if matches!(leave, Leave::Stop) && is_session_leader() {
                self.event(Event::Did(Done::Noted("There is no shell to go back to here.".to_owned())));
                continue;
            }
            self.settle(writer).await;
            self.reader.rest();
            terminal::give_back();
            match leave {
                Leave::Stop => {
                    self.away = Some(Away::Stopped);
                    stop();
                }
                Leave::Edit(text, purpose) => {
                    self.away = Some(Away::Editor);
                    // Ctrl-C is the editor's now.
                    self.signals.leave_alone(true);
                    let control = self.control.clone();
                    tokio::task::spawn_blocking(move || {
                        let result = files::edit(&text);
                        let _gone = control.blocking_send(Control::Edited(purpose, result));
                    });
                }
            }
        }
    }

    /// Takes the terminal again, whatever became of it meanwhile.
    pub(super) fn come_back(&mut self) {
        self.away = None;
        self.signals.leave_alone(false);
        if terminal::take().is_err() {
            self.end = Some(End::Gone);
            return;
        }
        if self.mouse {
            self.aside.extend_from_slice(terminal::MOUSE_ON);
        }
        self.resized = true;
        self.painted(false);
        self.painter.forget();
        self.pace.touch();
        self.reader.resume();
    }
}

/// Stops this process and those that were started with it, such as the script that it runs in.
pub(super) fn stop() {
    use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
    let _others = kill_current_process_group(Signal::TSTP);
    let _stopped = kill_process(getpid(), Signal::STOP);
}

/// Nobody waits for a process that leads its session: it would stop for ever.
fn is_session_leader() -> bool {
    rustix::process::getsid(None).is_ok_and(|leader| leader == rustix::process::getpid())
}
