//! Somebody else at a node's address: answers as he likes, and keeps everything that he is told.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rustls::{ServerConfig, ServerConnection};

use super::{capture::holds, tls};

/// How he answers.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// With TLS 1.3.
    Tls(Arc<ServerConfig>),
    /// With these bytes to whatever he hears.
    Says(Vec<u8>),
    /// Never.
    Silent,
}

impl Manner {
    /// Plain HTTP: yes to everything.
    pub(crate) fn plain_http() -> Self {
        Self::Says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".to_vec())
    }

    /// TLS 1.2, as if it had been asked for.
    pub(crate) fn old_tls() -> Self {
        Self::Says(tls::answer_of_tls_1_2())
    }

    /// TLS 1.2, and honest about it.
    pub(crate) fn old_honest_tls() -> Self {
        Self::Says(vec![0x15, 3, 3, 0, 2, 2, 70])
    }
}

/// What he heard.
#[derive(Debug, Default, Clone)]
pub(crate) struct Heard {
    pub(crate) connections: usize,
    /// As it came.
    pub(crate) raw: Vec<u8>,
    /// What was in it, when it was encrypted for him.
    pub(crate) inside: Vec<u8>,
}

/// A rogue at work. Gone when dropped, with his connections.
#[derive(Debug)]
pub(crate) struct Rogue {
    heard: Arc<Mutex<Heard>>,
    over: Arc<AtomicBool>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

impl Rogue {
    pub(crate) fn at(address: SocketAddr, manner: Manner) -> Self {
        let (heard, over) = (Arc::<Mutex<Heard>>::default(), Arc::new(AtomicBool::new(false)));
        let listener = TcpListener::bind(address).unwrap();
        let (ears, told) = (Arc::clone(&heard), Arc::clone(&over));
        let listener = std::thread::spawn(move || {
            let mut talks = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if told.load(Ordering::SeqCst) {
                    break;
                }
                ears.lock().unwrap().connections += 1;
                let (other, manner, ears) = (stream.try_clone().unwrap(), manner.clone(), Arc::clone(&ears));
                talks.push((other, std::thread::spawn(move || drop(talk(stream, &manner, &ears)))));
            }
            for (stream, talk) in talks {
                let _closed_already = stream.shutdown(Shutdown::Both);
                let _ended = talk.join();
            }
        });
        Self { heard, over, address, listener: Some(listener) }
    }

    /// What he heard so far.
    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    /// Somebody came, and told him nothing that he could use: no key, and no request at all.
    #[track_caller]
    pub(crate) fn learned_nothing(&self, keys: &[&str]) {
        let heard = self.heard();
        assert!(heard.connections > 0 && !heard.raw.is_empty(), "nobody came: {heard:?}");
        assert!(heard.inside.is_empty(), "he was told: {}", String::from_utf8_lossy(&heard.inside));
        for word in ["Authorization", "authorization", "Bearer", "bearer", "lpk_", "HTTP/1.", "/api/", "GET ", "POST ", "Host:", "host:"].iter().chain(keys) {
            assert!(!holds(&heard.raw, word.as_bytes()), "he heard `{word}`: {}", String::from_utf8_lossy(&heard.raw));
        }
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listener, whose connections end with it.
        let _it_may_be_gone = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
    }
}

fn talk(mut stream: TcpStream, manner: &Manner, heard: &Mutex<Heard>) -> std::io::Result<()> {
    let mut secured = match manner {
        Manner::Tls(config) => Some(ServerConnection::new(Arc::clone(config)).unwrap()),
        _ => None,
    };
    let mut buffer = [0; 16 << 10];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        heard.lock().unwrap().raw.extend_from_slice(&buffer[..length]);
        if let Manner::Says(answer) = manner {
            stream.write_all(answer)?;
        }
        let Some(secured) = &mut secured else { continue };
        let mut bytes = &buffer[..length];
        while !bytes.is_empty() {
            secured.read_tls(&mut bytes)?;
            let state = secured.process_new_packets();
            let inside = state.as_ref().map_or(0, rustls::IoState::plaintext_bytes_to_read);
            let mut plain = vec![0; inside];
            secured.reader().read_exact(&mut plain)?;
            heard.lock().unwrap().inside.extend_from_slice(&plain);
            while secured.wants_write() {
                secured.write_tls(&mut stream)?;
            }
            state.map_err(std::io::Error::other)?;
        }
    }
}
