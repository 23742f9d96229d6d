//! TLS by hand: a client that takes anybody and shows what it is told to, and servers that are not who they say.

use std::{
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{
    Home,
    http::{Answer, compose, dial, read_answer},
};

/// A certificate and a key, which need not belong together.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Credentials {
    /// Those of a node.
    pub(crate) fn of(home: &Home) -> Self {
        let file = |name| home.data().join("tls").join(name);
        Self { certificate: CertificateDer::from_pem_file(file("cert.pem")).unwrap(), key: PrivateKeyDer::from_pem_file(file("key.pem")).unwrap() }
    }
}

/// A connection over TLS 1.3 to a node, whoever that is.
#[derive(Debug)]
pub(crate) struct Secured {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
    address: SocketAddr,
}

impl Secured {
    pub(crate) fn open(address: SocketAddr, shown: Option<&Credentials>) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody));
        let config = match shown {
            Some(shown) => builder.with_client_auth_cert(vec![shown.certificate.clone()], shown.key.clone_key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let connection = ClientConnection::new(Arc::new(config), ServerName::IpAddress(address.ip().into())).unwrap();
        Self { stream: BufReader::new(StreamOwned::new(connection, dial(address))), address }
    }

    /// One request with a key; the connection stays open.
    pub(crate) fn request(&mut self, key: &str, method: &str, target: &str) -> Answer {
        let bytes = compose(self.address, method, target, &[("Authorization", &format!("Bearer {key}"))], None, true);
        self.stream.get_mut().write_all(&bytes).unwrap();
        read_answer(&mut self.stream, false)
    }

    /// Waits until the other side closes. Returns what it still said.
    pub(crate) fn until_closed(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert!(!matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "it was never closed");
        }
        rest
    }
}

/// One request over TLS with a key, on a connection of its own.
pub(crate) fn request(address: SocketAddr, shown: Option<&Credentials>, key: &str, method: &str, target: &str) -> Answer {
    Secured::open(address, shown).request(key, method, target)
}

/// A server with this chain and this key, fitting or not.
pub(crate) fn server(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'static>) -> Arc<ServerConfig> {
    let signer = ring::sign::any_supported_type(key).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Always(Arc::new(CertifiedKey::new(chain, signer)))));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// Believes everything.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// What a client says that knows TLS 1.2 and no later version.
pub(crate) fn hello_of_tls_1_2() -> Vec<u8> {
    let extensions: [&[u8]; 4] = [
        &[0, 10, 0, 6, 0, 4, 0, 23, 0, 29],     // groups: P-256, X25519
        &[0, 11, 0, 2, 1, 0],                   // points: uncompressed
        &[0, 13, 0, 8, 0, 6, 4, 3, 5, 3, 8, 4], // signatures: ECDSA and RSA-PSS
        &[0, 23, 0, 0],                         // extended master secret
    ];
    let extensions = extensions.concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &[0, 6, 0xc0, 0x2b, 0xc0, 0x2f, 0xcc, 0xa9],
        &[1, 0],
        &u16::try_from(extensions.len()).unwrap().to_be_bytes(),
        &extensions,
    ]
    .concat();
    let length = u16::try_from(body.len()).unwrap();
    [&[0x16, 3, 1][..], &(length + 4).to_be_bytes(), &[1, 0], &length.to_be_bytes(), &body].concat()
}

/// What a server answers that knows TLS 1.2 and no later version, whatever it was asked.
pub(crate) fn answer_of_tls_1_2() -> Vec<u8> {
    let body = [&[3, 3][..], &[9; 32], &[0], &[0xc0, 0x2b], &[0]].concat();
    let length = u16::try_from(body.len()).unwrap();
    [&[0x16, 3, 3][..], &(length + 4).to_be_bytes(), &[2, 0], &length.to_be_bytes(), &body].concat()
}
