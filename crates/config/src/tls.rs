//! The `tls` table. Not here: reading the files it names, and making connections.
//!
//! Invariant: every name that Heka accepted is accepted, also those that no TLS library of today
//! can offer; refusing or ignoring them is the affair of the plugin that connects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plugin::{FieldProblems, PluginConfig};
use crate::units::{Secret, empty_is_none};

/// Hexadecimal digits in a session ticket key.
const TICKET_KEY_DIGITS: usize = 64;

/// What a server asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    #[serde(alias = "")]
    NoClientCert,
    /// A certificate is asked for, none is needed, and it is not verified.
    RequestClientCert,
    /// A certificate is needed, but not verified.
    RequireAnyClientCert,
    /// A certificate is verified if there is one.
    VerifyClientCertIfGiven,
    /// A certificate is needed and verified.
    RequireAndVerifyClientCert,
}

/// A protocol version, oldest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum TlsVersion {
    /// SSL 3.0.
    Ssl30,
    /// TLS 1.0.
    Tls10,
    /// TLS 1.1.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// A cipher suite, named as in Heka; the last ones are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are those of the registry of cipher suites")]
#[expect(non_camel_case_types, reason = "the names are those of the registry of cipher suites")]
pub enum CipherSuite {
    RSA_WITH_RC4_128_SHA,
    RSA_WITH_3DES_EDE_CBC_SHA,
    RSA_WITH_AES_128_CBC_SHA,
    RSA_WITH_AES_256_CBC_SHA,
    ECDHE_ECDSA_WITH_RC4_128_SHA,
    ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
    ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
    ECDHE_RSA_WITH_RC4_128_SHA,
    ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,
    ECDHE_RSA_WITH_AES_128_CBC_SHA,
    ECDHE_RSA_WITH_AES_256_CBC_SHA,
    ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS13_AES_128_GCM_SHA256,
    TLS13_AES_256_GCM_SHA384,
    TLS13_CHACHA20_POLY1305_SHA256,
}

impl CipherSuite {
    /// True for suites that no current TLS library offers, because they are broken or weak.
    pub fn is_obsolete(self) -> bool {
        let name = format!("{self:?}");
        name.contains("RC4") || name.contains("3DES") || name.contains("CBC")
    }
}

/// How a connection is encrypted; read only where TLS is switched on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Name that a client asks for and verifies; by default the host part of the address.
    pub server_name: String,
    /// File with the certificate chain in PEM form, leaf first. Used only together with `key_file`.
    pub cert_file: String,
    /// File with the private key in PEM form, without a pass phrase.
    pub key_file: String,
    /// What a server asks of its clients.
    pub client_auth: ClientAuth,
    /// Cipher suites in the order of preference; empty for those of the TLS library.
    pub ciphers: Vec<CipherSuite>,
    /// Accepts any certificate of a server; for tests only.
    pub insecure_skip_verify: bool,
    /// Lets a server's order of cipher suites decide instead of the client's.
    pub prefer_server_ciphers: bool,
    /// Switches session tickets of a server off.
    pub session_tickets_disabled: bool,
    /// Key of a server's session tickets, 64 hexadecimal digits; by default a random one.
    #[serde(alias = "sesion_ticket_key")]
    #[schemars(extend("x-aliases" = ["sesion_ticket_key"]))]
    pub session_ticket_key: Secret,
    /// Oldest protocol version offered; by default that of the TLS library.
    #[serde(deserialize_with = "empty_is_none")]
    pub min_version: Option<TlsVersion>,
    /// Newest protocol version offered; by default that of the TLS library.
    #[serde(deserialize_with = "empty_is_none")]
    pub max_version: Option<TlsVersion>,
    /// File with the authorities, in PEM form, that a server accepts client certificates from; by
    /// default those of the system.
    pub client_cafile: String,
    /// File with the authorities, in PEM form, that a client accepts server certificates from; by
    /// default those of the system.
    pub root_cafile: String,
}

impl Tls {
    /// True if a certificate and its key are both named.
    pub fn has_certificate(&self) -> bool {
        !self.cert_file.is_empty() && !self.key_file.is_empty()
    }

    /// The bytes of the session ticket key; none if there is none or it is not valid.
    pub fn ticket_key(&self) -> Option<[u8; TICKET_KEY_DIGITS / 2]> {
        let digits = self.session_ticket_key.expose().as_bytes();
        if digits.len() != TICKET_KEY_DIGITS {
            return None;
        }
        let mut key = [0u8; TICKET_KEY_DIGITS / 2];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            let digit = |index: usize| pair.chars().nth(index).and_then(|c| c.to_digit(16));
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(key)
    }
}

impl PluginConfig for Tls {
    fn validate(&self, problems: &mut FieldProblems) {
        if let (Some(min), Some(max)) = (self.min_version, self.max_version) {
            problems.require(min <= max, "max_version", "is older than min_version");
        }
        let valid = self.session_ticket_key.is_empty() || self.ticket_key().is_some();
        problems.require(valid, "session_ticket_key", "must be 64 hexadecimal digits");
        if !self.has_certificate() && self.cert_file != self.key_file {
            let given = if self.key_file.is_empty() { "cert_file" } else { "key_file" };
            problems.warn(given, "has no effect: cert_file and key_file must both be set");
        }
        if self.insecure_skip_verify {
            problems.warn("insecure_skip_verify", "accepts any certificate, also a forged one");
        }
    }
}
