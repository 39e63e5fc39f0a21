//! Certificates as files hold them in PEM, for TLS with sides and with clients.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

/// What is wrong with certificates that others are to be judged by.
#[derive(Debug)]
pub enum RootsError {
    /// They can't be read, or there are none.
    None(Option<pem::Error>),
    /// One of them is of a kind that can't be used.
    Unusable(rustls::Error),
}

/// Every certificate of a text.
///
/// # Errors
/// What is wrong with the text; `None` if it has no certificate.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Option<pem::Error>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(Some)?;
    if all.is_empty() { Err(None) } else { Ok(all) }
}

/// The certificates of a text, to judge others by.
///
/// # Errors
/// [`RootsError`].
pub fn roots(pem: &[u8]) -> Result<RootCertStore, RootsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(RootsError::None)? {
        roots.add(certificate).map_err(RootsError::Unusable)?;
    }
    Ok(roots)
}
