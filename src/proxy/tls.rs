//! TLS with clients: certificates chosen by the name that a client asks for, replaced while the proxy runs.
//!
//! There is one provider of cryptography, ring, and it is always named: a default of the process would panic with two in one tree.

use crate::proxy::socket::{Protocol, Socket};
use crate::upstream::pem::{RootsError, certificates, roots};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::{
    ClientHello, ParsedCertificate, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What clients may speak inside TLS, best first.
const PROTOCOLS: [&[u8]; 2] = [HTTP_2, b"http/1.1"];
const HTTP_2: &[u8] = b"h2";

/// What a listener's TLS is made of, as its files hold it in PEM.
#[derive(Debug)]
pub struct Material {
    /// Certificate chains and their private keys; the first serves clients that ask for no name, or for one that no certificate has.
    pub pairs: Vec<Pair>,
    /// Certificates of those who sign clients' certificates; with it, a client without one is refused.
    pub client_ca: Option<Vec<u8>>,
}

/// A certificate chain and its private key.
#[derive(Debug)]
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub chain: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// What is wrong with a listener's files. The number of a pair counts from 0.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A chain can't be read.
    #[error("certificate {0} is no chain of certificates in PEM")]
    Chain(usize, #[source] Option<pem::Error>),
    /// A key can't be read.
    #[error("the key of certificate {0} is no private key in PEM")]
    Key(usize, #[source] pem::Error),
    /// They don't belong together, or are of a kind that is not supported.
    #[error("certificate {0} and its key can't be used together")]
    Pair(usize, #[source] rustls::Error),
    /// `client_ca` can't be read.
    #[error("client_ca holds no certificates in PEM")]
    ClientCa(#[source] Option<pem::Error>),
    /// `client_ca` can't be used.
    #[error("client_ca can't be used")]
    Verifier(#[source] Box<VerifierBuilderError>),
    /// A certificate of `client_ca` is none.
    #[error("client_ca has a certificate that can't be used")]
    Root(#[source] rustls::Error),
    /// The library refuses.
    #[error("TLS can't be set up")]
    Library(#[source] rustls::Error),
}

/// A listener's TLS. What its files hold may be replaced at any time; connections that stand keep what they have.
#[derive(Debug)]
pub struct Tls {
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// TLS with what the files hold.
    ///
    /// # Errors
    /// [`MaterialError`] says what is wrong with them.
    pub fn new(material: &Material) -> Result<Self, MaterialError> {
        Ok(Self {
            config: ArcSwap::from_pointee(config(material)?),
        })
    }

    /// Takes what the files hold now, for connections to come.
    ///
    /// # Errors
    /// [`MaterialError`]; what was in force stays so.
    pub fn replace(&self, material: &Material) -> Result<(), MaterialError> {
        self.config.store(Arc::new(config(material)?));
        Ok(())
    }

    /// The handshake with one client, and what was agreed on to speak.
    pub(super) async fn accept(&self, socket: Socket) -> io::Result<(Socket, Protocol)> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let stream = acceptor.accept(socket).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(HTTP_2) => Protocol::Http2,
            Some(_) | None => Protocol::Http1,
        };
        Ok((Socket::Tls(Box::new(stream)), protocol))
    }
}

fn config(material: &Material) -> Result<ServerConfig, MaterialError> {
    let provider = Arc::new(ring::default_provider());
    let pairs = material.pairs.iter().enumerate();
    let keys = pairs.map(|(number, pair)| certified(number, pair, &provider));
    let chooser = Arc::new(Chooser {
        keys: keys.collect::<Result<_, _>>()?,
    });
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(MaterialError::Library)?;
    let builder = match &material.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let roots = roots(pem).map_err(|error| match error {
                RootsError::None(error) => MaterialError::ClientCa(error),
                RootsError::Unusable(error) => MaterialError::Root(error),
            })?;
            let roots = Arc::new(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| MaterialError::Verifier(Box::new(error)))?,
            )
        }
    };
    let mut config = builder.with_cert_resolver(chooser);
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    // Keys of these settings alone: who resumes a session was let in by what is in force now. Tickets are kept by clients, so that they cost no memory here.
    config.ticketer = ring::Ticketer::new().map_err(MaterialError::Library)?;
    Ok(config)
}

fn certified(
    number: usize,
    pair: &Pair,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, MaterialError> {
    let chain = certificates(&pair.chain).map_err(|error| MaterialError::Chain(number, error))?;
    let key = PrivateKeyDer::from_pem_slice(&pair.key)
        .map_err(|error| MaterialError::Key(number, error))?;
    CertifiedKey::from_der(chain, key, provider)
        .map(Arc::new)
        .map_err(|error| MaterialError::Pair(number, error))
}

/// Chooses a certificate: the first that has the name that the client asks for (a wildcard has it too), else the first of all.
#[derive(Debug)]
struct Chooser {
    keys: Vec<Arc<CertifiedKey>>,
}

impl Chooser {
    fn choose(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name
            .filter(|_| self.keys.len() > 1)
            .and_then(|name| ServerName::try_from(name).ok())
            .and_then(|name| self.keys.iter().find(|key| has_name(key, &name)));
        named.or_else(|| self.keys.first())
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name()).cloned()
    }
}

fn has_name(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = key.end_entity_cert() else {
        return false;
    };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|certificate| verify_server_name(&certificate, name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    fn pair(names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let Made { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        Pair {
            chain: cert.pem().into(),
            key: signing_key.serialize_pem().into(),
        }
    }

    #[test]
    fn a_certificate_is_chosen_by_name() {
        let provider = ring::default_provider();
        let names: [&[&str]; 3] = [
            &["a.example.org", "b.example.org"],
            &["*.example.org"],
            &["a.example.org", "c.test"],
        ];
        let keys = names
            .iter()
            .map(|names| certified(0, &pair(names), &provider).unwrap());
        let chooser = Chooser {
            keys: keys.collect(),
        };
        let check = |name: Option<&str>, expected: usize| {
            let chosen = chooser.choose(name).unwrap();
            assert!(Arc::ptr_eq(chosen, &chooser.keys[expected]), "{name:?}");
        };
        check(Some("a.example.org"), 0);
        check(Some("B.Example.org"), 0);
        check(Some("x.example.org"), 1);
        check(Some("c.test"), 2);
        check(Some("x.y.example.org"), 0);
        check(Some("example.org"), 0);
        check(Some("not a name"), 0);
        check(None, 0);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let good = || pair(&["a.test"]);
        let check = |material: Material, expected: &str| {
            let error = Tls::new(&material).unwrap_err();
            assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        };
        let one = |pair: Pair| Material {
            pairs: vec![good(), pair],
            client_ca: None,
        };
        let torn = |text: &[u8]| text[..text.len() / 2].to_vec();
        let chain = good().chain;
        check(
            one(Pair {
                chain: torn(&chain),
                ..good()
            }),
            "Chain(1",
        );
        check(
            one(Pair {
                chain: Vec::new(),
                ..good()
            }),
            "Chain(1, None",
        );
        check(
            one(Pair {
                key: b"no key".to_vec(),
                ..good()
            }),
            "Key(1",
        );
        check(one(Pair { chain, ..good() }), "Pair(1");
        for client_ca in [&b""[..], b"text"] {
            let material = Material {
                pairs: vec![good()],
                client_ca: Some(client_ca.to_vec()),
            };
            check(material, "ClientCa(None");
        }
        let tls = Tls::new(&Material {
            pairs: vec![good()],
            client_ca: Some(good().chain),
        });
        let tls = tls.unwrap();
        let before = tls.config.load_full();
        tls.replace(&Material {
            pairs: vec![Pair {
                chain: good().chain,
                ..good()
            }],
            client_ca: None,
        })
        .unwrap_err();
        assert!(
            Arc::ptr_eq(&before, &tls.config.load_full()),
            "what was in force stays so"
        );
    }
}
