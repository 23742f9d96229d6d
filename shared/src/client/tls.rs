//! TLS between nodes: version 1.3 alone, both sides with a certificate of their own making, told apart by fingerprint and by nothing else.
//!
//! The pin is checked in the very handshake that carries the data, together with the handshake's signature: a certificate is public, the key to it is not.
//! Sessions are never resumed, because a resumed one would not pass here again.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};

use crate::fingerprint::Fingerprint;

/// A node's certificate and the key to it.
pub struct TlsIdentity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl TlsIdentity {
    /// A certificate with its key.
    pub const fn new(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        Self { certificate, key }
    }

    /// What others know this node by.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// The listening side: asks every caller for a certificate, takes any or none, and insists that who shows one holds the key to it.
    ///
    /// # Errors
    /// A key that does not belong to the certificate.
    pub fn server(&self) -> Result<ServerConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(AnyCaller { algorithms }))
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The calling side: shows this node's certificate and takes the other's, if it is the one expected.
    ///
    /// # Errors
    /// A key that does not belong to the certificate.
    pub(super) fn client(&self, expected: Expected) -> Result<ClientConfig, Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Leaf { expected, algorithms: provider.signature_verification_algorithms });
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.resumption = Resumption::disabled();
        // Names are for people, and nobody on the way needs to know which machine is meant.
        config.enable_sni = false;
        Ok(config)
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

/// A client that trusts nobody, for pools that never speak TLS.
pub(super) fn nobody() -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_protocol_versions(&[&TLS13])?;
    Ok(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// Whose certificate is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// This one.
    Pinned(Fingerprint),
    /// Anybody's: encrypted, but nobody knows to whom.
    Anyone,
}

/// Another certificate than the pinned one was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate there is {found}, the pinned one is {expected}")]
pub struct PinMismatch {
    /// The pin.
    pub expected: Fingerprint,
    /// What was shown.
    pub found: Fingerprint,
}

impl PinMismatch {
    /// Looks for one in what a failed call was caused by.
    pub(super) fn find(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut at = Some(error);
        while let Some(error) = at {
            if let Some(Error::InvalidCertificate(CertificateError::Other(OtherError(cause)))) = error.downcast_ref::<Error>() {
                return cause.downcast_ref::<Self>().copied();
            }
            // An io::Error hides the error that it was made from when it is asked for its source; one may hide another.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            at = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
        }
        None
    }
}

/// What both sides ask of the other's signature: that it is one of TLS 1.3, of this handshake, by the key of the certificate shown.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

#[derive(Debug)]
struct Leaf {
    expected: Expected,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Leaf {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Expected::Pinned(expected) = self.expected {
            let found = Fingerprint::of(leaf);
            if found != expected {
                return Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(PinMismatch { expected, found })))));
            }
            if !chain.is_empty() {
                return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

#[derive(Debug)]
struct AnyCaller {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for AnyCaller {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(&self, _leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>], _now: UnixTime) -> Result<ClientCertVerified, Error> {
        if chain.is_empty() { Ok(ClientCertVerified::assertion()) } else { Err(Error::InvalidCertificate(CertificateError::BadEncoding)) }
    }

    signatures!();
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_mismatch_is_found_however_deep_it_is_wrapped() {
        let mismatch = PinMismatch { expected: Fingerprint::of(b"pinned"), found: Fingerprint::of(b"shown") };
        let tls = Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(mismatch))));
        assert_eq!(PinMismatch::find(&tls), Some(mismatch));
        let once = io::Error::new(io::ErrorKind::InvalidData, tls);
        let twice = io::Error::other(once);
        assert_eq!(PinMismatch::find(&twice), Some(mismatch));
        assert_eq!(PinMismatch::find(&io::Error::other(twice)), Some(mismatch));
        assert_eq!(PinMismatch::find(&io::Error::other("something else")), None);
    }
}
