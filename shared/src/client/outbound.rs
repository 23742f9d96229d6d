//! One message to an address that the owner chose: a webhook. The address may hold a token, so nothing that is said here names more of it than the host.
//!
//! Unlike between nodes, a certificate counts here by name, with the authorities that the system trusts.

use std::time::Duration;

use http::header;
use rustls::crypto::{CryptoProvider, ring};

use super::tls;
use crate::{secret::Secret, text::inert};

/// How long the whole of it may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a message did not arrive. The text names the host and nothing else of the address.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// No address for HTTP.
    #[error("The address is not one of `http://` or `https://` with a host. Correct it in config.yaml.")]
    Address,
    /// This machine cannot begin.
    #[error("Nothing can be sent to `{host}` from this machine: {cause}.")]
    Unable {
        /// The host.
        host: String,
        /// What the system said.
        cause: String,
    },
    /// Nobody answered, it took too long, or the certificate is not trusted.
    #[error("`{host}` does not take it: {cause}.")]
    Unreachable {
        /// The host.
        host: String,
        /// What the system said.
        cause: String,
    },
    /// Somebody answered that they do not want it.
    #[error("`{host}` answered with status {status}{}.", if (300..400).contains(.status) { ", and redirects are not followed" } else { "" })]
    Refused {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
}

/// Sends one message by POST. It follows no redirect and uses no proxy, so that it goes to the address meant; the answer is not read.
///
/// # Errors
/// When nobody said within ten seconds that it was taken.
pub async fn post(url: &Secret, content_type: &'static str, body: Vec<u8>) -> Result<(), OutboundError> {
    let address = reqwest::Url::parse(url.reveal()).map_err(|_| OutboundError::Address)?;
    let secured = match address.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(OutboundError::Address),
    };
    let host = inert(address.host_str().filter(|host| !host.is_empty()).ok_or(OutboundError::Address)?).into_owned();
    let unable = |cause: String| OutboundError::Unable { host: host.clone(), cause };
    // What the system trusts is read from its files.
    let client = tokio::task::spawn_blocking(move || client(secured)).await.map_err(|e| unable(e.to_string()))?.map_err(unable)?;
    let sending = client.post(address).header(header::CONTENT_TYPE, content_type).body(body).timeout(PATIENCE).send();
    let response = sending.await.map_err(|error| OutboundError::Unreachable { host: host.clone(), cause: cause(error) })?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(OutboundError::Refused { host, status: status.as_u16() }) }
}

/// Made for one message: there are few, and an idle pool would keep memory.
fn client(secured: bool) -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().referer(false).connect_timeout(super::CONNECT_TIMEOUT);
    let builder = if secured {
        // The system's verifier takes the process's provider. TLS between nodes names its own and does not look here.
        if CryptoProvider::get_default().is_none() {
            // Another thread may have been quicker, with the same.
            let _installed = ring::default_provider().install_default();
        }
        builder.https_only(true)
    } else {
        builder.tls_backend_preconfigured(tls::nobody().map_err(|e| e.to_string())?)
    };
    builder.build().map_err(cause)
}

/// The innermost cause, which is about the connection and never about the address.
fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    inert(&cause.to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        thread::JoinHandle,
    };

    use super::*;

    /// Answers one request, and gives back what it was.
    fn answering(answer: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let heard = read(&mut stream);
            stream.write_all(answer.as_bytes()).expect("taken");
            heard
        });
        (address, heard)
    }

    fn read(stream: &mut TcpStream) -> String {
        let mut heard = Vec::new();
        let mut bytes = [0; 1024];
        while !heard.ends_with(b"the body") {
            match stream.read(&mut bytes).expect("readable") {
                0 => break,
                count => heard.extend_from_slice(&bytes[..count]),
            }
        }
        String::from_utf8(heard).expect("text")
    }

    async fn send(url: &str) -> Result<(), OutboundError> {
        post(&Secret::new(url), "text/plain; charset=utf-8", b"the body".to_vec()).await
    }

    #[tokio::test]
    async fn a_message_is_posted_once_and_a_refusal_names_the_host_alone() {
        let (address, heard) = answering("HTTP/1.1 204 No Content\r\n\r\n");
        send(&format!("http://{address}/hook?token=s3cret")).await.expect("taken");
        let heard = heard.join().expect("no panic");
        assert!(heard.starts_with("POST /hook?token=s3cret HTTP/1.1\r\n") && heard.ends_with("\r\n\r\nthe body"), "{heard}");
        assert!(heard.to_lowercase().contains("content-type: text/plain; charset=utf-8"), "{heard}");

        for (answer, says) in [("HTTP/1.1 403 Forbidden\r\n\r\n", "status 403"), ("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "redirects")] {
            let (address, heard) = answering(answer);
            let error = send(&format!("http://user:s3cret@{address}/s3cret")).await.expect_err("refused");
            let said = format!("{error} {error:?}");
            assert!(said.contains(says) && said.contains("127.0.0.1") && !said.contains("s3cret"), "{said}");
            heard.join().expect("no panic");
        }
        // Nobody is there: the port was given back.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        for scheme in ["http", "https"] {
            let said = format!("{:?}", send(&format!("{scheme}://127.0.0.1:{port}/s3cret")).await.expect_err("nobody"));
            assert!(said.contains("127.0.0.1") && !said.contains("s3cret"), "{said}");
        }
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused_without_being_shown() {
        for url in ["ftp://h/s3cret", "s3cret", "http://", "https:///s3cret@", "file:///s3cret", ""] {
            let said = format!("{:?}", send(url).await.expect_err("no address"));
            assert!(!said.contains("s3cret"), "{url}: {said}");
        }
    }
}
