//! The node's certificate: made once, self-signed, and what its peers know it by.

use std::{fs, io, sync::Arc};

use loopsy_shared::{client::TlsIdentity, paths::DataDir};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::fsutil;

/// This node's certificate.
#[derive(Debug)]
pub struct Own {
    /// The certificate and the key to it.
    pub identity: Arc<TlsIdentity>,
    /// Whether it has just been made.
    pub is_new: bool,
}

/// Reads `tls/cert.pem` and `tls/key.pem`, or makes both when neither is there.
///
/// # Errors
/// Files that cannot be read or written, or do not belong together. They are never replaced: another certificate would make this node a stranger to its peers.
pub fn identity(dir: &DataDir, hostname: &str) -> io::Result<Own> {
    let (cert, key) = (dir.tls().join("cert.pem"), dir.tls().join("key.pem"));
    let is_new = match (cert.exists(), key.exists()) {
        (false, false) => {
            make(dir, hostname)?;
            true
        }
        (true, true) => false,
        (there, _) => {
            let missing = if there { &key } else { &cert };
            let said =
                format!("{} is missing; restore it, or remove the other file beside it to become a new node that has to be paired again", missing.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, said));
        }
    };
    let unreadable = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} does not hold what it should ({error})", path.display()))
    };
    let certificate = CertificateDer::from_pem_slice(&fs::read(&cert)?).map_err(|e| unreadable(&cert, &e))?;
    let private = PrivateKeyDer::from_pem_slice(&fs::read(&key)?).map_err(|e| unreadable(&key, &e))?;
    let identity = TlsIdentity::new(certificate, private);
    identity.server().map_err(|e| unreadable(&key, &e))?;
    Ok(Own { identity: Arc::new(identity), is_new })
}

/// Names in it are for people who look at it: nodes compare fingerprints. The key is written first, so that a crash between the two shows.
fn make(dir: &DataDir, hostname: &str) -> io::Result<()> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
    let mut params = CertificateParams::new([hostname, "localhost", "127.0.0.1", "::1"].map(str::to_owned)).map_err(io::Error::other)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, hostname);
    name.push(DnType::OrganizationName, "Loopsy");
    params.distinguished_name = name;
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    fsutil::private_dir(&dir.tls())?;
    fsutil::write_atomic(&dir.tls().join("key.pem"), zeroize::Zeroizing::new(key.serialize_pem()).as_bytes())?;
    fsutil::write_atomic(&dir.tls().join("cert.pem"), certificate.pem().as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::new(temp.path()).expect("absolute");
        let first = identity(&dir, "leo").expect("made").identity.fingerprint();
        assert_eq!(identity(&dir, "another-name").expect("read").identity.fingerprint(), first);
        let mode = fs::metadata(dir.tls().join("key.pem")).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        fs::remove_file(dir.tls().join("cert.pem")).expect("removed");
        assert!(identity(&dir, "leo").expect_err("half is no identity").to_string().contains("cert.pem"));
        fs::write(dir.tls().join("cert.pem"), "nonsense").expect("written");
        assert!(identity(&dir, "leo").is_err());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let temp = tempfile::tempdir().expect("a directory");
        let (a, b) = (DataDir::new(temp.path().join("a")).expect("absolute"), DataDir::new(temp.path().join("b")).expect("absolute"));
        identity(&a, "a").expect("made");
        identity(&b, "b").expect("made");
        fs::copy(b.tls().join("key.pem"), a.tls().join("key.pem")).expect("copied");
        assert!(identity(&a, "a").is_err());
    }
}
