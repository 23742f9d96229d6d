//! Everything that goes over a wire, as somebody who listens there has it.

use std::{
    collections::BTreeMap,
    net::UdpSocket,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::Engine;
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};

use super::{netns::Wire, unique, until};

/// The largest frame: the kernel hands over segments before they are cut to the size of the wire.
const FRAME: usize = 128 << 10;

/// A listener on the wire. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Capture<'w> {
    wire: &'w Wire,
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    over: Arc<AtomicBool>,
    listener: Option<std::thread::JoinHandle<()>>,
}

impl<'w> Capture<'w> {
    /// Listens from now on, at leo's end.
    pub(crate) fn start(wire: &'w Wire) -> Self {
        let (frames, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        // A socket stays in the namespace that it was made in.
        let socket = wire.leo.inside(|| net::socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(net::eth::ALL)).unwrap());
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_millis(50))).unwrap();
        sockopt::set_socket_recv_buffer_size_force(&socket, 64 << 20).unwrap();
        let (heard, told) = (Arc::clone(&frames), Arc::clone(&over));
        let listener = std::thread::spawn(move || {
            let mut buffer = vec![0; FRAME];
            while !told.load(Ordering::Relaxed) {
                if let Ok((length, _)) = net::recv(&socket, &mut buffer[..], RecvFlags::empty()) {
                    let frame = &buffer[..length];
                    // What a host says to itself has no addresses of network cards, and was never on the wire.
                    if frame.len() > 14 && frame[..12] != [0; 12] {
                        heard.lock().unwrap().push(frame.to_vec());
                    }
                }
            }
        });
        Self { wire, frames, over, listener: Some(listener) }
    }

    /// How many frames there were up to now, all of them counted.
    pub(crate) fn mark(&self) -> usize {
        let word = format!("mark-{:x}", unique());
        let kai = self.wire.kai.ip;
        self.wire.leo.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(word.as_bytes(), (kai, 9)).unwrap());
        until("the mark on the wire", || self.frames.lock().unwrap().iter().rposition(|frame| holds(frame, word.as_bytes())).map(|at| at + 1))
    }

    /// What went over the wire between two marks.
    pub(crate) fn between(&self, from: usize, to: usize) -> Heard {
        Heard::of(self.frames.lock().unwrap()[from..to].to_vec())
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
    }
}

/// Who says something to whom: both addresses and ports.
type Way = [u8; 12];

/// Where a connection began, as its sequence numbers count, and the pieces of what was said.
type Pieces = (Option<u32>, Vec<(u32, Vec<u8>)>);

/// What was heard.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) frames: Vec<Vec<u8>>,
    /// What was said in each direction of each connection over TCP, and whether its beginning was heard.
    pub(crate) streams: BTreeMap<Way, (bool, Vec<u8>)>,
}

impl Heard {
    fn of(frames: Vec<Vec<u8>>) -> Self {
        let mut parts: BTreeMap<Way, Pieces> = BTreeMap::new();
        for (way, sequence, syn, said) in frames.iter().filter_map(|frame| tcp(frame)) {
            let (begun, segments) = parts.entry(way).or_default();
            if syn {
                *begun = Some(sequence.wrapping_add(1));
            } else if !said.is_empty() {
                segments.push((sequence, said.to_vec()));
            }
        }
        let join = |(begun, mut segments): Pieces| {
            let first = begun.or_else(|| segments.first().map(|(sequence, _)| *sequence)).unwrap_or(0);
            segments.sort_by_key(|(sequence, _)| sequence.wrapping_sub(first));
            let mut bytes = Vec::new();
            for (sequence, said) in segments {
                let at = sequence.wrapping_sub(first) as usize;
                // Said again, or said before we listened.
                if let Some(new) = bytes.len().checked_sub(at).and_then(|known| said.get(known..)) {
                    bytes.extend_from_slice(new);
                }
            }
            (begun.is_some(), bytes)
        };
        Self { frames, streams: parts.into_iter().map(|(way, parts)| (way, join(parts))).collect() }
    }

    /// Bytes of what was said over TCP.
    pub(crate) fn size(&self) -> usize {
        self.streams.values().map(|(_, said)| said.len()).sum()
    }

    /// Whether something was said, in a frame or cut over several.
    pub(crate) fn has(&self, what: impl AsRef<[u8]>) -> bool {
        let what = what.as_ref();
        self.frames.iter().any(|frame| holds(frame, what)) || self.streams.values().any(|(_, said)| holds(said, what))
    }

    /// In which guise a secret was said, if in any: itself, in hex, or in base64 wherever it may begin there.
    pub(crate) fn guise(&self, secret: impl AsRef<[u8]>) -> Option<String> {
        let secret = secret.as_ref();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut guises = vec![("itself", secret.to_vec()), ("hex", hex.clone().into_bytes()), ("HEX", hex.to_uppercase().into_bytes())];
        for before in 0..3 {
            let padded = [vec![0; before], secret.to_vec()].concat();
            // The first and the last characters hold bits of what is beside it too.
            let inner = |text: String| text.trim_end_matches('=').as_bytes()[before * 4 / 3 + usize::from(before > 0)..(padded.len() * 8) / 6].to_vec();
            guises.push(("base64", inner(base64::engine::general_purpose::STANDARD.encode(&padded))));
            guises.push(("base64url", inner(base64::engine::general_purpose::URL_SAFE.encode(&padded))));
        }
        guises.into_iter().find(|(_, bytes)| self.has(bytes)).map(|(name, bytes)| format!("{name}: {}", String::from_utf8_lossy(&bytes)))
    }
}

/// Whether a text is somewhere in bytes.
pub(crate) fn holds(bytes: &[u8], what: &[u8]) -> bool {
    let Some(first) = what.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(what) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Way, sequence number, whether it begins the connection, and what is said, of a frame that is TCP over IPv4.
fn tcp(frame: &[u8]) -> Option<(Way, u32, bool, &[u8])> {
    let packet = frame.get(14..).filter(|_| frame[12..14] == [8, 0])?;
    let header = usize::from(packet[0] & 15) * 4;
    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    // A packet that the network card cuts later may say 0.
    let segment =
        packet.get(header..if length == 0 { packet.len() } else { length.min(packet.len()) }).filter(|segment| packet[9] == 6 && segment.len() >= 20)?;
    let way: Way = [&packet[12..20], &segment[..4]].concat().try_into().ok()?;
    let sequence = u32::from_be_bytes(segment[4..8].try_into().ok()?);
    Some((way, sequence, segment[13] & 2 != 0, segment.get(usize::from(segment[12] >> 4) * 4..)?))
}
